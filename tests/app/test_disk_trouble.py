"""What a person meets of a full disk: told at once, nothing lost, and on by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from app import control
from app.service import Service
from tests.app.services import pair, started, texts, until, write
from tests.liblim.store.disk import Disk


class Place(NamedTuple):
    """A data folder on a disk that can be full and be well again."""

    folder: Path
    fill: Callable[[], None]
    clear: Callable[[], None]


@pytest.fixture(params=["simulated", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    yield from (_on_tmpfs if request.param == "tmpfs" else _simulated)(tmp_path)


def _simulated(folder: Path) -> Iterator[Place]:
    with Disk().in_use() as disk:
        disk.within = str(folder / "lap")
        yield Place(folder / "lap", lambda: disk.fail(apsw.FullError), disk.mend)


def _on_tmpfs(folder: Path) -> Iterator[Place]:
    """A real file system of 4 MB, which takes the right to mount one."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    point = folder / "tmpfs"
    point.mkdir()
    command = [mount or "", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(point)]
    if not mount or not umount or subprocess.call(command, stderr=subprocess.DEVNULL):
        pytest.skip("this user may not mount a file system")
    filler = point / "filler"

    def fill() -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    try:
        yield Place(point / "lap", fill, filler.unlink)
    finally:
        subprocess.run([umount, str(point)], check=True)


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
