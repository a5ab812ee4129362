"""Changes that gather more than one body holds: what others rebuild is what the author sees."""

from __future__ import annotations

import asyncio

import pytest

from liblim.aio import AsyncDatabase
from liblim.database import Database
from liblim.errors import ChangeError, OperationError
from tests.liblim.changes import make
from tests.liblim.things import Thing, memory, pull

FRAGMENTS = 3000


def fragmented() -> tuple[Database, Database, Thing, Thing]:
    """Two databases with one text, whose elements belong to both by turns."""
    a, b = memory(1), memory(2)
    mine = a.create(Thing)
    mine.body.insert(0, "x" * FRAGMENTS)
    a.commit()
    pull(b, a)
    theirs = b.get(Thing, mine.oid)
    for n in range(FRAGMENTS):
        theirs.body.insert(2 * n + 1, "y")
    b.commit()
    pull(a, b)
    return a, b, mine, theirs


def agree(a: Database, b: Database, mine: Thing, theirs: Thing) -> None:
    pull(b, a)
    assert list(mine.body.elements()) == list(theirs.body.elements())
    assert mine.body.version == theirs.body.version
    assert not theirs.newer
    for database in (a, b):
        again = database.load(mine.oid).document
        assert isinstance(again, Thing)
        assert list(again.body.elements()) == list(mine.body.elements())


def test_deleting_a_fragmented_text_and_typing_on() -> None:
    a, b, mine, theirs = fragmented()
    mine.body.delete(0, len(mine.body))
    mine.body.insert(0, "important")
    mine.body.insert(9, "\x00" * 70_000)
    a.commit()
    agree(a, b, mine, theirs)
    assert str(theirs.body).startswith("important")


def test_undoing_the_deletion_of_a_fragmented_text() -> None:
    a, b, mine, theirs = fragmented()
    mine.body.delete(0, len(mine.body))
    a.commit()
    mine.body.undo()
    mine.body.insert(0, "!")
    a.commit()
    agree(a, b, mine, theirs)
    assert len(theirs.body) == 2 * FRAGMENTS + 1


@pytest.mark.parametrize("deletes", [1, 1000, 1500, 2500])
def test_deletes_before_a_text_of_several_bodies(deletes: int) -> None:
    a, b, mine, theirs = fragmented()
    for n in range(deletes):
        mine.body.delete(n, 1)
    mine.body.insert(0, "\x00" * 150_000)
    mine.body.delete(5, 3)
    a.commit()
    agree(a, b, mine, theirs)


def test_a_value_that_no_change_can_hold_is_refused_untouched() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.place.set("here")
    for edit in (thing.place.set, thing.tags.add):
        with pytest.raises(OperationError, match="too large"):
            edit("x" * 300_000)
    thing.body.insert(0, "typed")
    database.commit()
    assert database.load(thing.oid).document.summary() == {"body": "typed", "place": "here"}


def test_counters_beyond_what_a_body_can_take_are_refused() -> None:
    with pytest.raises(ChangeError, match="out of range"):
        make("a", n=2**40).check()


def test_operations_beyond_the_counters_of_their_change_are_passed_over() -> None:
    greedy = make("a", ops=[["body", "+", 0, "ok"], ["body", "+", 2, "more"]], n=2)
    database = memory()
    database.receive([greedy])
    thing = database.get(Thing, "0" * 32)
    assert str(thing.body) == "ok"
    assert thing.newer
    thing.body.insert(2, " typed")
    database.commit()


@pytest.mark.asyncio
async def test_a_cancelled_commit_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblim.aio.RETRY", 0.01)
    database = await AsyncDatabase.open(":memory:", [Thing])
    thing = database.create(Thing)
    saved = asyncio.Event()
    database.on_saved = lambda: saved.set() if database.core.idle else None
    async with database._order:
        thing.body.insert(0, "x")
        waiting = asyncio.create_task(database.commit())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(saved.wait(), 5)
    assert database.core.is_saved(thing)
    await database.close()
