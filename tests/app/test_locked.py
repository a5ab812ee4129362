"""A key that cannot be used right now, and a data folder from another computer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app import network
from app.service import Service
from liblim.errors import IdentityLocked, LimError
from liblim.trust import vault
from tests.app.services import pair, started, texts, until, write

pytestmark = pytest.mark.usefixtures("none_left")


def lock(folder: Path) -> Path:
    """Take away what opens the key; returns where it is put."""
    return (folder / "identity.key").rename(folder / "elsewhere")


def unlock(folder: Path) -> None:
    (folder / "elsewhere").rename(folder / "identity.key")


async def with_a_note(folder: Path) -> None:
    """Make a library with a note."""
    service = await started(folder)
    await write(service, "A note")
    await service.stop()


@pytest.mark.asyncio
async def test_notes_are_read_and_what_is_typed_waits_until_it_can_be_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_a_note(tmp_path)
    lock(tmp_path)
    service = await started(tmp_path)
    assert texts(service) == ["A note"]
    assert "locked" in service.status().locked
    assert service.status().listening == ""
    with pytest.raises(IdentityLocked):
        await write(service, "Typed while locked")
    assert service.status().unsaved
    assert service.status().line() == service.status().problem
    with pytest.raises(IdentityLocked):
        await service.unlock()
    service.pairing.show()
    assert service.pairing.view.error == service.status().locked
    unlock(tmp_path)
    await service.unlock()
    assert service.status().locked == ""
    assert not service.status().unsaved
    assert service.status().listening
    assert texts(service) == ["A note", "Typed while locked"]
    await service.stop()
    again = await started(tmp_path)
    assert texts(again) == ["A note", "Typed while locked"]
    await again.stop()


@pytest.mark.asyncio
async def test_a_locked_key_is_tried_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(network, "LAST_RETRY", 0.02)
    await with_a_note(tmp_path)
    lock(tmp_path)
    service = await started(tmp_path)
    assert service.status().locked
    unlock(tmp_path)
    await until(service, lambda: service.status().listening)
    await service.stop()


@pytest.mark.asyncio
async def test_what_was_typed_while_locked_does_not_keep_from_joining(tmp_path: Path) -> None:
    await with_a_note(tmp_path / "lap")
    lock(tmp_path / "lap")
    lap = await started(tmp_path / "lap")
    with pytest.raises(IdentityLocked):
        await write(lap, "Typed while locked")
    unlock(tmp_path / "lap")
    await lap.unlock()
    desk, other = await started(tmp_path / "desk"), await started(tmp_path / "other")
    await pair(desk, other)  # so it is lap that joins
    await pair(desk, lap)
    await until(desk, lambda: texts(desk) == ["A note", "Typed while locked"])
    for service in (desk, lap, other):
        await service.stop()


@pytest.mark.asyncio
async def test_a_key_locked_for_ever_is_replaced_on_request_only(tmp_path: Path) -> None:
    await with_a_note(tmp_path)
    lock(tmp_path)
    service = await started(tmp_path)
    device = service.status().device
    await service.renew()
    assert service.status().device != device
    assert service.status().locked == ""
    await until(service, lambda: texts(service) == ["A note"] and not service.status().adding)
    assert service.status().devices == ()
    await write(service, "goes on")
    await service.stop()


@pytest.mark.asyncio
async def test_a_new_key_is_not_made_while_something_is_not_saved(tmp_path: Path) -> None:
    await with_a_note(tmp_path)
    lock(tmp_path)
    service = await started(tmp_path)
    with pytest.raises(IdentityLocked):
        await write(service, "Typed while locked")
    device = service.status().device
    with pytest.raises(LimError, match="copy it elsewhere"):
        await service.renew()
    assert service.status().device == device
    unlock(tmp_path)
    await service.unlock()
    await service.stop()


async def moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service on a folder that was made on another computer."""
    monkeypatch.setattr(vault, "machine_mark", lambda: "here")
    await with_a_note(folder)
    monkeypatch.setattr(vault, "machine_mark", lambda: "there")
    return await started(folder)


@pytest.mark.asyncio
async def test_a_moved_folder_goes_online_once_somebody_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await moved(tmp_path, monkeypatch)
    status = service.status()
    assert status.elsewhere
    assert status.listening == ""
    await write(service, "Typed before the answer")
    assert texts(service) == ["A note", "Typed before the answer"]
    await service.answer_moved(stay=True)
    assert not service.status().elsewhere
    assert service.status().listening
    assert service.status().device == status.device
    await service.stop()
    again = await started(tmp_path)
    assert again.status().listening
    await again.stop()


@pytest.mark.asyncio
async def test_a_copied_folder_becomes_a_device_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And paired with the original, both hold the same library."""
    service = await moved(tmp_path / "copy", monkeypatch)
    before = service.status()
    await service.answer_moved(stay=False)
    after = service.status()
    assert after.device != before.device
    assert after.library == before.library
    assert after.outside
    assert "pair it again" in after.line()
    await service.stop()


@pytest.mark.asyncio
async def test_a_copy_and_its_original_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_a_note(tmp_path / "desk")
    shutil.copytree(tmp_path / "desk", tmp_path / "copy")
    desk = await started(tmp_path / "desk")
    await write(desk, "More")
    monkeypatch.setattr(vault, "machine_mark", lambda: "there")
    copy = await started(tmp_path / "copy")
    if not copy.status().elsewhere:
        pytest.skip("this computer has no mark")
    await copy.answer_moved(stay=False)
    await write(copy, "Apart")
    await pair(desk, copy)
    for service in (desk, copy):
        await until(service, lambda: texts(service) == ["A note", "Apart", "More"])  # noqa: B023
        assert not service.status().outside
    for service in (desk, copy):
        await service.stop()
