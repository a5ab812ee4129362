"""Joining another library with notes of one's own: nothing is lost, at whatever step it is cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from app import kept as keeping
from app.folder import Folder
from app.kept import kept_libraries
from app.notes import Note
from app.opening import Opened, open_library
from app.pairing import Joining
from liblim.aio import AsyncDatabase
from liblim.change import Range
from liblim.database import Database
from liblim.errors import LimError, StoreError
from liblim.membership import Membership
from liblim.trust import Grant
from tests.app.folders import (
    TEXTS,
    WANTED,
    Crash,
    contents,
    crash_at,
    end,
    joiner_of,
    note_opened,
    settled,
    write,
)

ADD, APART = Joining.ADD_MINE, Joining.KEEP_APART


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "lap")
    folder.acquire()
    yield folder
    folder.release()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AsyncDatabase]:
    """The library that is joined, with one note."""
    folder = Folder(tmp_path / "desk")
    folder.path.mkdir()
    opened = await open_library(folder)
    opened.vault.unlock(opened.identity)
    await write(opened.database, "Of desk")
    yield opened.database
    await opened.database.close()


async def granted(desk: AsyncDatabase, opened: Opened) -> Grant:
    """What desk hands over to a device that it has introduced."""
    await Membership(desk).introduce(opened.identity.certificate, "Lap")
    return desk.grant()


async def sync(giver: AsyncDatabase, taker: AsyncDatabase) -> None:
    """Bring over all changes, as a first sync does."""
    ranges = [Range(replica, 1, head.seq) for replica, head in giver.heads.items()]
    await taker.receive(await giver.read(ranges, 10_000, 1 << 30))


async def joined(desk: AsyncDatabase, folder: Folder, how: Joining) -> Opened:
    """A device with notes that has joined desk's library, and has its notes."""
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    if not opened.database.count:
        await write(opened.database, *TEXTS)
    await joiner.join(await granted(desk, opened), how)
    assert opened.database.library == desk.library
    await sync(desk, opened.database)
    return opened


OF_DESK = ("Of desk", False, False, ["home"])


@pytest.mark.asyncio
async def test_notes_are_added_with_all_that_they_are(desk: AsyncDatabase, folder: Folder) -> None:
    opened = await joined(desk, folder, ADD)
    assert await contents(opened.database) == [OF_DESK]
    await opened.database.close()
    again = await settled(folder)
    assert await contents(again.database) == sorted([*WANTED, OF_DESK])
    await again.database.load_trust()
    assert set(again.database.ledger.members) == {desk.device, again.database.device}
    await again.database.close()
    (kept,) = kept_libraries(folder)
    aside = await open_library(Folder(kept.path))
    assert aside.identity.device == again.identity.device
    assert await contents(aside.database) == WANTED
    await aside.database.close()


@pytest.mark.asyncio
async def test_notes_that_are_kept_apart_are_not_added(desk: AsyncDatabase, folder: Folder) -> None:
    opened = await joined(desk, folder, APART)
    joiner = await joiner_of(folder, opened)
    assert joiner.pending == ()
    assert joiner.line == ""
    assert await contents(opened.database) == [OF_DESK]
    await opened.database.close()
    (kept,) = kept_libraries(folder)
    aside = await open_library(Folder(kept.path))
    assert await contents(aside.database) == WANTED
    await aside.database.close()


@pytest.mark.asyncio
async def test_an_empty_library_is_dropped_without_a_word(
    desk: AsyncDatabase, folder: Folder
) -> None:
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    await joiner.join(await granted(desk, opened), ADD)
    assert joiner.line == ""
    assert kept_libraries(folder) == []
    await opened.database.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["set aside", "of a newer version"])
async def test_a_library_with_what_no_note_shows_is_kept(
    desk: AsyncDatabase, folder: Folder, tmp_path: Path, how: str
) -> None:
    opened = await open_library(folder)
    database = opened.database
    joiner = await joiner_of(folder, opened)
    await database.copy_to(tmp_path / "copy.db")

    class Sketch(Note):
        kind = "sketch"

    copy = Database(tmp_path / "copy.db", [Note, Sketch], identity=opened.identity)
    written = copy.create(Note if how == "set aside" else Sketch)
    written.body.insert(0, "Not shown")
    copy.commit()
    (range_,) = (Range(replica, 1, head.seq) for replica, head in copy.heads.items())
    (change,) = copy.read([range_], 1, 1)
    copy.close()
    if how == "set aside":
        database.core.store.set_aside(change, database.device, "a copy wrote it")
    else:
        await database.receive([change])
    await joiner.join(await granted(desk, opened), ADD)
    assert len(kept_libraries(folder)) == 1
    await database.close()


@pytest.mark.asyncio
async def test_a_note_whose_origin_is_there_is_passed_over(
    desk: AsyncDatabase, folder: Folder
) -> None:
    """As after two devices of one library have joined another, each with the same notes."""
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    oid, *_ = await write(opened.database, "Mine", "Mine too")
    there = desk.create(Note)
    there.body.insert(0, "Mine, brought by another device and edited since")
    there.origin.set([opened.database.library, oid])
    await desk.release(there)
    await joiner.join(await granted(desk, opened), ADD)
    assert joiner.line == "Your notes are added once the notes of the other device are here"
    await sync(desk, opened.database)
    assert await joiner.add() == 1
    assert joiner.line == ""
    texts = [text for text, *_ in await contents(opened.database)]
    assert texts == ["Mine too", "Mine, brought by another device and edited since", "Of desk"]
    assert await joiner.add() == 0
    await opened.database.close()


@pytest.mark.asyncio
async def test_the_order_of_notes_stays(desk: AsyncDatabase, folder: Folder) -> None:
    opened = await joined(desk, folder, ADD)
    joiner = await joiner_of(folder, opened)
    await joiner.add()
    rows = joiner._notes.rows.values()
    brought = [row for row in rows if row.origin]
    assert {row.origin[0] for row in brought} == {joiner.pending or brought[0].origin[0]}
    assert len(brought) == len(TEXTS)
    await opened.database.close()


@pytest.mark.asyncio
async def test_joining_two_libraries_one_after_the_other_adds_all(
    desk: AsyncDatabase, folder: Folder, tmp_path: Path
) -> None:
    """The notes of the first wait still when the second is joined."""
    opened = await joined(desk, folder, ADD)
    await opened.database.close()
    other = Folder(tmp_path / "office")
    other.path.mkdir()
    office = await settled(other)
    await write(office.database, "Of office")
    again = await joined(office.database, folder, ADD)
    await again.database.close()
    last = await settled(folder)
    texts = [text for text, *_ in await contents(last.database)]
    assert texts == sorted([*TEXTS, "Of desk", "Of office"])
    await last.database.close()
    await office.database.close()


@pytest.mark.asyncio
async def test_a_copy_that_cannot_be_written_changes_nothing(
    desk: AsyncDatabase, folder: Folder
) -> None:
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    await write(opened.database, *TEXTS)
    (folder.path / keeping.KEPT).write_text("in the way")
    library = opened.database.library
    with pytest.raises(StoreError, match="Nothing was changed"):
        await joiner.join(await granted(desk, opened), ADD)
    assert opened.database.library == library
    assert await contents(opened.database) == WANTED
    assert joiner.line == ""
    await opened.database.close()


@pytest.mark.asyncio
async def test_a_grant_for_somebody_else_changes_nothing(
    desk: AsyncDatabase, folder: Folder
) -> None:
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    await write(opened.database, *TEXTS)
    with pytest.raises(LimError):
        await joiner.join(desk.grant(), ADD)
    assert await contents(opened.database) == WANTED
    assert joiner.line == ""
    await opened.database.close()
    again = await open_library(folder)
    await joiner_of(folder, again)
    assert kept_libraries(folder) == [], "a copy that is not needed is not left behind"
    await again.database.close()


@pytest.mark.asyncio
async def test_a_crash_at_any_step_of_joining_loses_nothing(
    desk: AsyncDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count(1):
        folder = Folder(tmp_path / str(step))
        folder.acquire()
        left_open = note_opened(monkeypatch)
        opened = await open_library(folder)
        joiner = await joiner_of(folder, opened)
        await write(opened.database, *TEXTS)
        grant = await granted(desk, opened)
        with monkeypatch.context() as patch:
            done = crash_at(step, patch)
            with suppress(Crash):
                await joiner.join(grant, ADD)
                await sync(desk, opened.database)
                await joiner.add()
        end(left_open)

        opened = await open_library(folder)
        joiner = await joiner_of(folder, opened)
        took = opened.database.library == desk.library
        if took:
            await sync(desk, opened.database)
            await joiner.add()
        found = await contents(opened.database)
        assert found == sorted([*WANTED, *([OF_DESK] if took else [])]), f"before step {step}"
        assert len(kept_libraries(folder)) == took
        await opened.database.close()
        left_open.clear()
        folder.release()
        if done() < step:
            break
    assert step > 15
