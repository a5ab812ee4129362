"""A disk that is full, fails or may not be written: told, nothing lost or doubled, and on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from liblim.aio import LONG_PAUSE, RETRY, AsyncDatabase, Pause
from liblim.change import Change, Head
from liblim.database import Database
from liblim.errors import StoreError
from liblim.peers import PeerRecord
from tests.liblim.store.disk import Disk, Failure, Off
from tests.liblim.store.powercut import check_chain, everything
from tests.liblim.things import Thing, memory

QUICK = Pause(0.005, 0.01)
PEER = PeerRecord("d" * 32, name="Desk", address="127.0.0.1:4242")
FAILURES: list[Failure] = [apsw.FullError, apsw.IOError, apsw.ReadOnlyError]


@pytest.fixture
def disk() -> Iterator[Disk]:
    with Disk().in_use() as disk:
        yield disk


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits long; what is told is told within a second by these."""
    assert RETRY <= 1
    assert LONG_PAUSE.at_most < 1
    monkeypatch.setattr("liblim.aio.RETRY", 0.005)


class Watched:
    """A database whose problems are waited for."""

    def __init__(self, database: AsyncDatabase, disk: Disk) -> None:
        self.database = database
        self._disk = disk
        self._changed = asyncio.Event()
        self.told: list[str] = []
        """The problems that were told."""
        database.on_saved = self._note

    def _note(self) -> None:
        problem = self.database.problem
        if problem and self.told[-1:] != [problem]:
            self.told.append(problem)
        self._changed.set()

    async def until(self, well: bool) -> None:
        async with asyncio.timeout(10):
            while bool(self.database.problem) == well or (well and not self.database.core.idle):
                await self._changed.wait()
                self._changed.clear()

    async def mended(self) -> None:
        """See the trouble told, end it, and wait until the database has found out by itself."""
        await self.until(well=False)
        self._disk.mend()
        await self.until(well=True)

    async def typed(self, thing: Thing, text: str) -> None:
        """Type, and wait until it is durable, through all trouble."""
        thing.body.insert(len(thing.body), text)
        saved = asyncio.ensure_future(self.until(well=True))
        told = asyncio.ensure_future(self.until(well=False))
        await asyncio.wait([saved, told], return_when=asyncio.FIRST_COMPLETED)
        if self.database.problem:
            assert str(thing.body).endswith(text), "what was typed is kept"
            await self.mended()
        await saved
        told.cancel()
        assert self.database.core.is_saved(thing)

    async def received(self, changes: list[Change]) -> None:
        """Receive as a session does: what failed comes again, once it can."""
        before = self.database.count
        try:
            outcome = await self.database.receive(changes)
        except StoreError as error:
            told = str(error)
        else:
            told = ""
        if told:
            assert self.database.problem == told
            assert self.database.count == before
            await self.mended()
            outcome = await self.database.receive(changes)
        assert (len(outcome.entered), outcome.refused) == (len(changes), None)


def theirs() -> tuple[list[Change], str]:
    """What another device wrote."""
    source = memory(3)
    thing = source.create(Thing)
    for word in ("their ", "own ", "words"):
        thing.body.insert(len(thing.body), word)
        source.commit()
    return everything(source), thing.oid


async def session(disk: Disk, path: Path, failure: Failure, after: int) -> list[str]:
    """Do all that writes once; returns what trouble was told."""
    database = await AsyncDatabase.open(path, [Thing])
    disk.fail(failure, after)
    database.set_pause(QUICK)
    watched = Watched(database, disk)
    changes, other = theirs()
    thing = database.create(Thing)
    await watched.typed(thing, "mine")
    await watched.received(changes[:2])
    await watched.typed(thing, " and more")
    await watched.received(changes[2:])
    copy = await database.get(Thing, other)
    assert str(copy.body) == "their own words"
    await database.release(copy)
    await database.release(thing)
    try:
        await database.save_peer(PEER)
    except StoreError:
        await watched.mended()
        await database.save_peer(PEER)
    if disk.hits:
        disk.mend()
        await watched.until(well=True)
    entries = {entry.oid: entry.summary["body"] for entry in await database.entries()}
    assert entries == {thing.oid: "mine and more", other: "their own words"}
    with suppress(StoreError):  # SQLite itself does not say so where the disk fails only now
        await database.close()
    disk.mend()
    check_what_is_kept(path, database.heads, entries)
    return watched.told


def check_what_is_kept(path: Path, heads: dict[str, Head], texts: dict[str, str]) -> None:
    """Open it again: all is there, once."""
    again = Database(path, [Thing])
    assert again.store._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert check_chain(everything(again)) == again.heads == heads
    for oid, text in texts.items():
        assert str(again.load(oid).document.body) == text  # type: ignore[attr-defined]
    again.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", FAILURES)
async def test_trouble_at_each_write_in_turn(disk: Disk, tmp_path: Path, failure: Failure) -> None:
    """Every write, sync and the like of a session fails once, with all that come after it, until mended."""
    at, told = 0, 0
    while True:
        path = tmp_path / f"{at}.db"
        Database(path, [Thing]).close()
        said = await session(disk, path, failure, at)
        if not disk.hits:
            break
        told += bool(said)
        at += 1
    assert at > 60
    assert told > at * 0.8


@pytest.mark.parametrize("failure", FAILURES)
def test_a_start_on_a_bad_disk_changes_nothing(
    disk: Disk, tmp_path: Path, failure: Failure
) -> None:
    """On a full one the notes can be read; on others it is said what is wrong, and nothing is lost."""
    path = tmp_path / "notes.db"
    database = Database(path, [Thing])
    thing = database.create(Thing)
    thing.body.insert(0, "before")
    database.close()
    disk.fail(failure)
    if failure is apsw.FullError:
        again = Database(path, [Thing])
        assert str(again.get(Thing, thing.oid).body) == "before"
        again.close()
    else:
        with pytest.raises(StoreError):
            Database(path, [Thing])
    disk.mend()
    check_what_is_kept(path, database.heads, {thing.oid: "before"})


def test_after_a_crash_a_full_disk_lets_notes_be_read(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    database = Database(path, [Thing])
    thing = database.create(Thing)
    thing.body.insert(0, "before")
    database.commit()
    disk.fail(Off)
    with suppress(StoreError):
        database.store.close()
    disk.fail(apsw.FullError)
    again = Database(path, [Thing])
    assert str(again.get(Thing, thing.oid).body) == "before"
    with suppress(StoreError):  # SQLite itself does not say so
        again.close()
    disk.mend()
    check_what_is_kept(path, database.heads, {thing.oid: "before"})
