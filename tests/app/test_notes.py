"""Notes: titles, the trash and what voids it, rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.notes import Note, NoteRow, Notes
from liblim.aio import AsyncDatabase
from liblim.change import Change, Range
from liblim.crdt.author import Author
from liblim.errors import LimError


def note(text: str = "") -> Note:
    made = Note("0" * 32, Author("a"))
    made.body.insert(0, text)
    return made


@pytest.mark.parametrize(
    ("text", "title", "snippet"),
    [
        ("", "", ""),
        ("Shopping", "Shopping", ""),
        ("\n\n  # Shopping  \n\n- milk\n- bread", "Shopping", "- milk - bread"),
        ("###\nrest", "###", "rest"),
        ("x" * 3000, "x" * 120, ""),
        ("\u200fשלום\n👩‍👩‍👧 family", "\u200fשלום", "👩‍👩‍👧 family"),
    ],
)
def test_title_and_snippet_come_from_the_first_lines(text: str, title: str, snippet: str) -> None:
    summary = note(text).summary()
    assert (summary["title"], summary["snippet"]) == (title, snippet)


def test_a_trashed_note_comes_back_by_restoring() -> None:
    made = note("text")
    made.move_to_trash()
    assert made.trashed
    assert not made.kept
    made.restore()
    assert made.summary()["trashed"] is False
    assert len(made.trash) == 0


@pytest.mark.parametrize("edit", ["insert", "delete"])
def test_an_edit_that_the_trashing_missed_keeps_the_note(edit: str) -> None:
    one, other = note("text"), Note("0" * 32, Author("b"))
    copy(one, other)
    one.move_to_trash()
    if edit == "insert":
        other.body.insert(4, "!")
    else:
        other.body.delete(0, 1)
    copy(one, other)
    copy(other, one)
    assert not one.trashed
    assert one.kept
    assert other.kept
    one.move_to_trash()
    assert one.trashed


def test_what_was_brought_from_another_library_cannot_be_undone() -> None:
    brought = Note("1" * 32, Author("b"))
    brought.bring(note("text"), "library")
    assert str(brought.body) == "text"
    assert not brought.body.can_undo


def test_tags_and_pins_do_not_revive() -> None:
    one, other = note("text"), Note("0" * 32, Author("b"))
    copy(one, other)
    one.move_to_trash()
    other.tags.add("x")
    other.pinned.enable()
    copy(other, one)
    assert one.trashed


def test_trashings_at_once_count_each_for_itself() -> None:
    one, other = note("text"), Note("0" * 32, Author("b"))
    copy(one, other)
    one.move_to_trash()
    other.move_to_trash()
    copy(one, other)
    copy(other, one)
    assert one.trashed
    assert other.trashed
    other.restore()
    copy(other, one)
    assert not one.trashed


@pytest.mark.parametrize("garbage", [1, "x", None, [1], {"a": "b"}, {"a": None}, {}])
def test_garbage_in_the_trash_trashes_nothing(garbage: object) -> None:
    made = note("text")
    made.trash.add(garbage)
    assert not made.trashed


def copy(source: Note, target: Note) -> None:
    for counter, field, op in source.author.take():
        target.apply(counter, source.author.replica, [[field, *op]])
        target.author.observe(counter + 10)


@pytest.mark.asyncio
async def test_rows_follow_the_notes() -> None:
    database = await AsyncDatabase.open(":memory:", [Note])
    notes = Notes(database)
    await notes.load()
    heard: list[set[str]] = []
    stop = notes.subscribe(heard.append)
    made = await notes.create()
    assert notes.rows == {}
    made.body.insert(0, "Title\nrest")
    assert not notes.saved(made)
    await notes.close(made)
    assert notes.rows[made.oid].title == "Title"
    await notes.trash(made.oid)
    assert notes.rows[made.oid].trashed
    await notes.restore(made.oid)
    await notes.append(made.oid, "more")
    assert await notes.text(made.oid) == "Title\nrest\nmore"
    shown: list[object] = []
    opened = await notes.open(made.oid)
    stop_watching = notes.watch(opened, shown.extend)
    await notes.append(made.oid, "!")
    assert shown == [(15, 0, "\n!")]
    stop_watching()
    await notes.close(opened)
    assert heard == [{made.oid}] * 5
    stop()
    row = notes.rows[made.oid]
    assert row == NoteRow(made.oid, "Title", "rest more !", row.changed, False, False, False)
    with pytest.raises(LimError):
        await notes.open("f" * 32)
    await database.close()


@pytest.mark.asyncio
async def test_watchers_get_the_splices_of_others() -> None:
    one = await AsyncDatabase.open(":memory:", [Note])
    other = await AsyncDatabase.open(":memory:", [Note])
    mine, theirs = Notes(one), Notes(other)
    await mine.load()
    await theirs.load()
    made = await mine.create()
    made.body.insert(0, "ab")
    await one.commit()
    await other.receive(await changes(one))
    found = await theirs.open(made.oid)
    seen: list[object] = []
    theirs.watch(found, seen.extend)
    made.body.insert(1, "x")
    made.tags.add("t")
    await one.commit()
    await other.receive(await changes(one))
    assert seen == [(1, 0, "x")]
    await one.close()
    await other.close()


async def changes(database: AsyncDatabase) -> list[Change]:
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    return await database.read(ranges, 10**6, 10**9)


@pytest.mark.asyncio
async def test_of_many_notes_those_that_changed_last_are_there_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.notes.FIRST_ROWS", 3)
    monkeypatch.setattr("app.notes.SLICE", 2)
    database = await AsyncDatabase.open(":memory:", [Note], clock=Ticking())
    made = [await write(database, f"note {number}") for number in range(8)]
    notes = Notes(database)
    told: list[set[str]] = []
    notes.subscribe(told.append)
    await notes.load()
    assert list(notes.rows) == made[:-4:-1]
    await notes.complete()
    assert notes.rows.keys() == set(made)
    assert not notes.reading
    assert set.union(*told) == set(made)
    await database.close()


@pytest.mark.asyncio
async def test_what_changes_while_rows_are_read_is_not_overwritten_by_what_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.notes.FIRST_ROWS", 1)
    monkeypatch.setattr("app.notes.SLICE", 1)
    database = await AsyncDatabase.open(":memory:", [Note], clock=Ticking())
    made = [await write(database, f"note {number}") for number in range(6)]
    notes = Notes(database)
    await notes.load()
    await notes.append(made[0], "and more")
    await notes.complete()
    assert notes.rows[made[0]].snippet == "and more"
    assert notes.rows.keys() == set(made)
    await database.close()


@pytest.mark.asyncio
async def test_what_a_crash_left_behind_is_brought_up_to_date_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.notes.SLICE", 2)
    database = await AsyncDatabase.open(tmp_path / "a.db", [Note], clock=Ticking())
    made = [await write(database, f"note {number}") for number in range(7)]
    database.core.store.forget_derived()
    await database.close()
    database = await AsyncDatabase.open(tmp_path / "a.db", [Note], clock=Ticking())
    notes = Notes(database)
    await notes.load()
    await notes.complete()
    assert sorted(row.title for row in notes.rows.values()) == [f"note {n}" for n in range(7)]
    assert notes.rows.keys() == set(made)
    await database.close()


class Ticking:
    """A clock by which no two notes change at the same moment."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def wall(self) -> float:
        self.now += 1
        return self.now

    def monotonic(self) -> float:
        return self.now


async def write(database: AsyncDatabase, text: str) -> str:
    made = database.create(Note)
    made.body.insert(0, text)
    await database.release(made)
    return made.oid
