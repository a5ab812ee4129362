"""Restored backups, copied folders and homes: nothing lost, and nothing waits for what never comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.service import Service
from tests.app.services import free_port, in_step, pair, started, texts, until, write

pytestmark = pytest.mark.usefixtures("none_left")


class Home:
    """A data folder on a computer, which is backed up and restored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = folder.with_suffix(".backup")
        self.listen = f"127.0.0.1:{free_port()}"

    async def start(self, folder: Path | None = None) -> Service:
        return await started(folder or self.folder, self.listen)

    def save(self) -> None:
        shutil.copytree(self.folder, self.backup)

    def restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.backup, self.folder)


async def open_and_append(service: Service, oid: str, text: str) -> None:
    note = await service.notes.open(oid)
    note.body.insert(len(note.body), text)
    await service.notes.close(note)


async def assert_nothing_is_aside(*services: Service) -> None:
    for service in services:
        assert await service._open_library.database.aside() == []


@pytest.mark.asyncio
async def test_a_restored_backup_goes_on(tmp_path: Path) -> None:
    """It writes before it has heard what it wrote itself since: all of it is there in the end, once."""
    home = Home(tmp_path / "lap")
    desk, lap = await started(tmp_path / "desk"), await home.start()
    await pair(desk, lap)
    oid = await write(lap, "one")
    await in_step(desk, lap)
    await lap.stop()
    home.save()

    lap = await home.start()
    await open_and_append(lap, oid, " two")
    await write(lap, "Written after the backup")
    await in_step(desk, lap)
    await lap.stop()
    home.restore()

    alone = Service(home.folder, offline=True)
    await alone.start()
    await alone.look(to_write=True)
    assert await alone.notes.text(oid) == "one"
    await open_and_append(alone, oid, " three")
    await write(alone, "Written after the restore")
    await alone.stop()
    lap = await home.start()
    await in_step(desk, lap)
    wanted = ["Written after the backup", "Written after the restore"]
    assert [title for title in texts(lap) if title.startswith("Written")] == wanted
    assert sorted((await desk.notes.text(oid)).split()) == ["one", "three", "two"]
    await assert_nothing_is_aside(desk, lap)
    await lap.stop()
    await desk.stop()


@pytest.mark.asyncio
async def test_a_copied_folder_that_goes_on_beside_the_first(tmp_path: Path) -> None:
    """Both have one key, and take turns; each run writes as a replica of its own, so nothing contradicts."""
    home = Home(tmp_path / "lap")
    desk, lap = await started(tmp_path / "desk"), await home.start()
    await pair(desk, lap)
    oid = await write(lap, "one")
    await in_step(desk, lap)
    await lap.stop()
    home.save()
    for number in range(2):
        for folder, who in ((home.folder, "first"), (home.backup, "copy")):
            service = await home.start(folder)
            await open_and_append(service, oid, f" {who}{number}")
            await in_step(desk, service)
            await assert_nothing_is_aside(service)
            await service.stop()
    lap = await home.start()
    await in_step(desk, lap)
    words = (await desk.notes.text(oid)).split()
    assert sorted(words) == ["copy0", "copy1", "first0", "first1", "one"]
    await assert_nothing_is_aside(desk, lap)
    await lap.stop()
    await desk.stop()


@pytest.mark.asyncio
async def test_both_copies_of_a_folder_at_once(tmp_path: Path) -> None:
    """They hold one key, so the other device talks with one at a time; both are heard all the same."""
    home = Home(tmp_path / "lap")
    desk, lap = await started(tmp_path / "desk"), await home.start()
    await pair(desk, lap)
    await in_step(desk, lap)
    await lap.stop()
    home.save()
    first = await home.start()
    copy = await started(home.backup, f"127.0.0.1:{free_port()}")
    for number in range(3):
        await write(first, f"first {number}")
        await write(copy, f"copy {number}")
    wanted = sorted(f"{who} {number}" for who in ("copy", "first") for number in range(3))
    await until(desk, lambda: texts(desk) == wanted)
    for service in (first, copy):
        service.sync_now()
    await until(first, lambda: texts(first) == wanted)
    await until(copy, lambda: texts(copy) == wanted)
    await assert_nothing_is_aside(desk, first, copy)
    for service in (first, copy, desk):
        await service.stop()


@pytest.mark.asyncio
async def test_a_home_that_is_restored_while_its_device_never_comes_back(tmp_path: Path) -> None:
    """What it had not sent is gone with it; all the rest comes back, and the others wait for nothing."""
    home = Home(tmp_path / "lap")
    desk, lap = await started(tmp_path / "desk"), await home.start()
    await pair(desk, lap)
    oid = await write(lap, "one")
    await in_step(desk, lap)
    await lap.stop()
    home.save()

    lap = await home.start()
    await open_and_append(lap, oid, " sent")
    await in_step(desk, lap)
    await open_and_append(desk, oid, " desk")
    await in_step(desk, lap)
    await lap.stop()
    alone = Service(home.folder, offline=True)
    await alone.start()
    await alone.look(to_write=True)
    await open_and_append(alone, oid, " never sent")
    await alone.stop()

    home.restore()  # the computer is gone, and with it what it had not sent
    lap = await home.start()
    await open_and_append(lap, oid, " new")
    await in_step(desk, lap)
    for service in (desk, lap):
        assert sorted((await service.notes.text(oid)).split()) == ["desk", "new", "one", "sent"]
        await until(service, lambda: all(d.identical for d in service.status().devices))  # noqa: B023
        device = service.status().devices[0]
        assert (device.they_lack, device.we_lack) == (0, 0)
    await assert_nothing_is_aside(desk, lap)
    await lap.stop()
    await desk.stop()
