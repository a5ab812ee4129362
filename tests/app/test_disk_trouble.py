"""What a person meets of a full disk: told at once, nothing lost, and on by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from app import control
from app.commands import run
from app.service import Service
from liblim.errors import StoreError
from liblim.store.connection import open_connection
from tests.app.services import pair, started, texts, until, write
from tests.liblim.store.disk import Disk
from tests.liblim.store.small_disk import Place, small_disk


@pytest.fixture(params=["simulated", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "tmpfs":
        with small_disk(tmp_path) as place:
            yield place._replace(folder=place.folder / "lap")
    else:
        yield from _simulated(tmp_path)


def _simulated(folder: Path) -> Iterator[Place]:
    with Disk().in_use() as disk:
        disk.within = str(folder / "lap")
        yield Place(folder / "lap", lambda: disk.fail(apsw.FullError), disk.mend)


@pytest.mark.asyncio
@pytest.mark.usefixtures("none_left")
async def test_a_full_disk_is_told_and_costs_nothing(place: Place, tmp_path: Path) -> None:
    desk, lap = await started(tmp_path / "desk"), await started(place.folder)
    await pair(desk, lap)
    before = await write(desk, "Before")
    await until(lap, lambda: before in lap.notes.rows)
    note = await lap.notes.create()
    note.body.insert(0, "Lap's")

    place.fill()
    # The disk's last free pages, and what SQLite has of its own, may take a little yet.
    typed = 0
    while "disk is full" not in lap.status().line():
        typed += 1
        note.body.insert(len(note.body), "x" * 4000)
        await until(lap, lambda: lap.status().problem or not lap.status().unsaved)
    note.body.insert(len(note.body), " words")
    assert lap.status().unsaved
    assert "kept in memory" in lap.status().problem
    theirs = await write(desk, "Meanwhile")

    place.clear()
    await until(lap, lambda: not lap.status().problem and not lap.status().unsaved)
    await until(lap, lambda: theirs in lap.notes.rows)
    await until(desk, lambda: note.oid in desk.notes.rows)
    wanted = "Lap's" + "x" * 4000 * typed + " words"
    await until(desk, lambda: _same(desk, lap))
    assert await desk.notes.text(note.oid) == str(note.body) == wanted
    await lap.notes.close(note)
    await lap.stop()
    again = await started(place.folder)
    assert texts(again) == texts(desk)
    assert len(texts(again)) == 3
    assert await again.notes.text(note.oid) == wanted
    await again.stop()
    await desk.stop()


def _same(one: Service, other: Service) -> bool:
    return one.status().digest == other.status().digest


@pytest.mark.asyncio
@pytest.mark.usefixtures("none_left")
async def test_a_start_on_a_full_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes can be read and written in; that is kept in memory, and said."""
    monkeypatch.setattr("app.service.CONTROL_RETRY", 0.01)
    first = await started(place.folder)
    oid = await write(first, "Mine")
    await first.stop()
    place.fill()
    lap = await started(place.folder)
    assert await lap.notes.text(oid) == "Mine"
    note = await lap.notes.open(oid)
    note.body.insert(4, ", too" * 1000)
    # The last free pages may take it, where the disk is a real one.
    await until(lap, lambda: lap.status().problem or not lap.status().unsaved)
    place.clear()
    await until(lap, lambda: not lap.status().problem and not lap.status().unsaved)
    await lap.notes.close(note)
    await asyncio.wait_for(asyncio.gather(*lap._tasks), 15)
    shown = await asyncio.to_thread(control.ask, lap._folder, "show", {"note": oid})
    assert shown == str(note.body)
    await lap.stop()
    again = await started(place.folder)
    assert await again.notes.text(oid) == "Mine" + ", too" * 1000
    await again.stop()


@pytest.mark.asyncio
@pytest.mark.usefixtures("none_left")
async def test_a_start_on_a_full_disk_with_a_list_that_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash: what is listed can be read, and the rest once the list can be brought up to date."""
    monkeypatch.setattr("app.service.CONTROL_RETRY", 0.01)
    monkeypatch.setattr("app.notes.AGAIN", 0.01)
    monkeypatch.setattr("app.notes.FIRST_ROWS", 1)
    monkeypatch.setattr("app.notes.SLICE", 1)
    with Disk().in_use() as disk:
        first = await started(tmp_path / "lap")
        listed = {await write(first, f"Listed {number}") for number in range(3)}
        behind = await write(first, "Behind")
        database = first._folder.database
        await first.stop()
        connection = open_connection(database)
        query = "UPDATE documents SET listed = 0, summary = NULL WHERE oid = ?"
        connection.execute(query, (behind,))
        connection.close()
        disk.fail(apsw.FullError)
        lap = await started(tmp_path / "lap")
        await until(lap, lambda: set(lap.notes.rows) == listed)
        assert await lap.notes.text(behind) == "Behind"
        async with asyncio.timeout(15):
            with pytest.raises(StoreError, match="disk is full"):
                await run(lap, "list", {})
            for oid in listed:
                assert str(await run(lap, "show", {"note": oid})).startswith("Listed")
        disk.mend()
        await until(lap, lambda: set(lap.notes.rows) == {*listed, behind})
        assert len(await run(lap, "list", {})) == 4
        await lap.stop()


@pytest.mark.asyncio
@pytest.mark.skipif(os.name == "nt", reason="a file that is open can be made read-only there")
async def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    """At the start; the notes are as they were once it may be written again."""
    with Disk().in_use() as disk:
        service = Service(tmp_path / "lap", offline=True)
        await service.start()
        await service.look(to_write=True)
        oid = await write(service, "Mine")
        await service.stop()
        disk.fail(apsw.ReadOnlyError)
        with pytest.raises(Exception, match="cannot be written"):
            await service.start()
        disk.mend()
        await service.start()
        assert await service.notes.text(oid) == "Mine"
        await service.stop()
