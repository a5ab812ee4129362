"""The service: start and stop, its devices, and what the command line gets of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from app import cli
from app.facts import REMOVED_US
from app.folder import AlreadyRunning, Folder
from app.service import Service
from app.status import State
from liblim.change import Range
from liblim.errors import LimError, StoreTooNew
from liblim.net import parse_address
from liblim.net.discovery import Discovery, Found
from tests.app.services import free_port, in_step, pair, started, texts, until, write


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Service]:
    service = await started(tmp_path / "desk")
    yield service
    await service.stop()


@pytest_asyncio.fixture
async def lap(tmp_path: Path) -> AsyncIterator[Service]:
    service = await started(tmp_path / "lap")
    yield service
    await service.stop()


@pytest.mark.asyncio
async def test_what_two_paired_devices_tell(desk: Service, lap: Service) -> None:
    oid = await write(desk, "A note")
    await pair(desk, lap)
    await until(lap, lambda: oid in lap.notes.rows)
    assert lap.status().library == desk.status().library
    assert await lap.notes.text(oid) == "A note"
    for service in (desk, lap):
        await until(service, lambda: service.status().devices[0].state is State.UP_TO_DATE)  # noqa: B023
    device = lap.status().devices[0]
    assert (device.they_lack, device.we_lack, device.identical) == (0, 0, True)
    assert (device.name, device.words) == (desk.name, desk.status().words)
    assert len(device.words.split()) == 4
    assert {device.incoming, desk.status().devices[0].incoming} == {True, False}


@pytest.mark.asyncio
@pytest.mark.usefixtures("none_left")
async def test_the_sync_log_of_an_earlier_run_is_there(lap: Service, tmp_path: Path) -> None:
    desk = await started(tmp_path / "one")
    await pair(desk, lap)
    await in_step(desk, lap)
    said = "holds the same as this device"
    await until(desk, lambda: any(said in event.text for event in desk.events))
    texts = [event.text for event in desk.events]
    await desk.stop()
    printed = await asyncio.to_thread(command, tmp_path / "one", "log", "same", "digest")
    lines = printed.splitlines()
    assert len(lines) == sum(said in text for text in texts)
    assert lines[0].split(maxsplit=1)[1].startswith(f"info     {lap.name} {said}: ")
    again = Service(tmp_path / "one", offline=True)
    await again.start()
    assert [event.text for event in again.events][: len(texts)] == texts
    await again.stop()


@pytest.mark.asyncio
async def test_a_full_disk_is_told_in_the_log_and_its_end_too(desk: Service) -> None:
    desk._open_library.database._trouble = "The disk is full."
    desk.changed()
    await write(desk, "A note")
    told = [(event.level, event.text) for event in desk.events][-2:]
    assert told[0] == ("error", "The disk is full.")
    assert told[1][0] == "info"
    assert desk.status().problem == ""


@pytest.mark.asyncio
async def test_what_was_set_aside_is_named_and_issued_again(desk: Service, lap: Service) -> None:
    oid = await write(desk, "Bread")
    await pair(desk, lap)
    await in_step(desk, lap)
    known = dict(desk._open_library.database.heads)
    await desk.stop()
    await lap.notes.append(oid, "and butter")
    there = lap._open_library.database
    replica = there.core.writer.replica
    first = known[replica].seq + 1 if replica in known else 1
    (change,) = await there.read([Range(replica, first, first)], 1, 10**6)
    await desk.start()
    here = desk._open_library.database
    await here.load_trust()
    await here._on_thread(here.core.store.set_aside, change, there.device, "a fork")
    desk._say("error", "as the node says of it")
    await until(desk, lambda: desk.status().aside)
    (found,) = desk.status().aside
    assert (found.name, found.changes, found.notes) == (lap.name, 1, ("Bread",))
    assert await desk.issue_again() == 1
    assert desk.status().aside == ()
    assert await desk.notes.text(oid) == "Bread\nand butter"
    assert "What had been set aside came into 1 note" in desk.events[-1].text
    assert await desk.issue_again() == 0


@pytest.mark.asyncio
@pytest.mark.usefixtures("none_left")
async def test_port_name_and_pairing_are_remembered(desk: Service, tmp_path: Path) -> None:
    first = await started(tmp_path / "one", f"127.0.0.1:{free_port()}")
    await first.rename("  Lap  ")
    with pytest.raises(LimError):
        await first.rename(" ")
    await pair(desk, first)
    listening, device = first.status().listening, first.status().device
    await first.stop()
    again = Service(tmp_path / "one", discovery=False)
    await again.start()
    assert again.name == "Lap"
    await again.online()
    assert again.status().listening.rpartition(":")[2] == listening.rpartition(":")[2]
    assert [found.device for found in again.status().devices] == [desk.status().device]
    await until(again, lambda: again.status().devices[0].connected)
    await until(desk, lambda: [d.name for d in desk.status().devices] == ["Lap"])
    assert desk.status().devices[0].device == device
    await again.stop()
    offline = Service(tmp_path / "one", offline=True)
    await offline.start()
    await offline.look()
    assert [found.connected for found in offline.status().devices] == [False]
    assert offline.status().listening == ""
    await offline.stop()


@pytest.mark.asyncio
async def test_a_device_may_be_named_from_another(desk: Service, lap: Service) -> None:
    await pair(desk, lap)
    await desk.rename_device(lap.status().device, "Kitchen")
    assert desk.status().devices[0].name == "Kitchen"
    await until(lap, lambda: lap.name == "Kitchen")
    with pytest.raises(LimError, match="not in the library"):
        await desk.rename_device("0" * 32, "Nobody")


@pytest.mark.asyncio
async def test_a_removed_device_is_told_keeps_its_notes_and_comes_back_with_a_new_key(
    desk: Service, lap: Service
) -> None:
    await write(desk, "Before")
    await pair(desk, lap)
    await in_step(desk, lap)
    old = lap.status().device
    await desk.rename_device(old, "Kitchen")
    await until(lap, lambda: lap.name == "Kitchen")
    await desk.remove(old)
    assert desk.status().devices == ()
    await until(lap, lambda: lap.status().removed_by)
    assert lap.status().removed_by == desk.name
    assert lap.status().devices[0].error == REMOVED_US
    found = Found(desk.status().device, "Desk", (parse_address("192.0.2.1"),), True)
    lap.network.discovery = cast(
        Discovery, SimpleNamespace(found={found.device: found}, problem="")
    )
    assert [near.name for near in lap.pairing.nearby] == ["Desk"], "it may be paired with again"
    assert "sync no more" in lap.status().line()
    await write(desk, "After")
    await write(lap, "Alone")
    assert texts(lap) == ["Alone", "Before"]
    await pair(desk, lap)
    await in_step(desk, lap)
    assert texts(lap) == texts(desk) == ["After", "Alone", "Before"]
    assert lap.status().device != old
    assert not lap.status().removed_by
    assert [lap.name, desk.status().devices[0].name] == ["Kitchen", "Kitchen"]


@pytest.mark.asyncio
async def test_a_device_cannot_remove_itself_or_nobody(desk: Service) -> None:
    with pytest.raises(LimError, match="this device itself"):
        await desk.remove(desk.status().device)
    with pytest.raises(LimError, match="not in the library"):
        await desk.remove("0" * 32)


@pytest.mark.asyncio
async def test_a_key_in_order_is_not_made_anew(desk: Service) -> None:
    with pytest.raises(LimError, match="in order"):
        await desk.renew()


@pytest.mark.asyncio
async def test_discovery_is_remembered(tmp_path: Path) -> None:
    for wanted in (True, False):
        service = Service(tmp_path / "one", listen="off")
        await service.start()
        assert service.status().discovery == wanted
        await service.set_discovery(False)
        assert not service.status().discovery
        await service.stop()


@pytest.mark.asyncio
async def test_a_folder_serves_one_service(desk: Service) -> None:
    with pytest.raises(AlreadyRunning):
        await Service(desk.data_dir).start()
    await write(desk, "still works")


@pytest.mark.asyncio
async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    service = await started(tmp_path)
    await service.stop()
    path = tmp_path / "notes.db"
    octets = bytearray(path.read_bytes())
    octets[60:64] = (99).to_bytes(4, "big")  # user_version
    path.write_bytes(octets)
    with pytest.raises(StoreTooNew):
        await Service(tmp_path).start()
    assert path.read_bytes() == octets
    folder = Folder(tmp_path)
    folder.acquire()
    folder.release()


@pytest.mark.asyncio
async def test_a_start_that_fails_late_reads_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.notes.FIRST_ROWS", 1)
    monkeypatch.setattr("app.notes.SLICE", 1)
    first = await started(tmp_path / "lap")
    for number in range(5):
        await write(first, f"note {number}")
    await first.stop()

    async def fails(*arguments: object) -> None:
        raise LimError("What is to be added cannot be read.")

    monkeypatch.setattr("app.kept.recall", fails)
    service = Service(tmp_path / "lap", offline=True)
    with pytest.raises(LimError, match="to be added"):
        await service.start()
    assert not service.notes.reading


@pytest.mark.asyncio
async def test_trouble_that_is_told_while_the_notes_are_closed(desk: Service) -> None:
    await desk.stop()
    desk._say("error", "The disk is full.")
    assert await asyncio.gather(*desk._tasks, return_exceptions=True) == [None]
    await desk._sync_log.close()


@pytest.mark.asyncio
async def test_what_cannot_be_listened_at_is_said_and_the_notes_are_there(tmp_path: Path) -> None:
    with pytest.raises(LimError, match="port"):
        await Service(tmp_path / "other", listen="127.0.0.1:x").start()
    service = Service(tmp_path / "other", listen="198.51.100.1:4242", discovery=False)
    await service.start()
    with pytest.raises(LimError) as caught:
        await service.online()
    assert service.status().problem == str(caught.value)
    await write(service, "still works")
    service._network._listen = "off"
    service.sync_now()
    await until(service, lambda: service.network.online)
    assert service.status().problem == ""
    await service.stop()


# The command line


class Running:
    """A service in a thread of its own, as another process would run it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        service = await started(self._folder)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await service.stop()

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def command(folder: Path, *words: str, code: int = 0) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert cli.main([*words, "--data-dir", str(folder)]) == code, err.getvalue()
    return out.getvalue() if code == 0 else err.getvalue()


@pytest.mark.parametrize("running", [True, False], ids=["running", "nobody runs"])
def test_the_command_line(tmp_path: Path, running: bool) -> None:
    with Running(tmp_path) if running else contextlib.nullcontext():
        oid = command(tmp_path, "new", "Milk,", "bread\n😀").strip()
        assert command(tmp_path, "list").startswith(f"{oid[:8]}  Milk, bread  (")
        assert command(tmp_path, "append", oid[:6], "more") == ""
        assert command(tmp_path, "show", "Milk, bread") == "Milk, bread\n😀\nmore\n"
        assert "There is no note" in command(tmp_path, "show", "zzz", code=1)
        facts: dict[str, Any] = msgspec.json.decode(command(tmp_path, "status", "--json"))
        assert len(facts["words"].split()) == 4
        assert facts["devices"] == []
        assert bool(facts["listening"]) == running
        assert f"digest {facts['digest'][:8]}" in command(tmp_path, "status")
        listed = msgspec.json.decode(command(tmp_path, "list", "--json"))
        assert [row["oid"] for row in listed] == [oid]
        assert command(tmp_path, "list", "--trash") == ""
        shown = msgspec.json.decode(command(tmp_path, "show", oid, "--json"))
        assert (shown["text"], shown["saved"]) == ("Milk, bread\n😀\nmore", True)
        assert (shown["where"], shown["on"], shown["not_yet"]) == ("", [], [])
        listening = "Listening at" in command(tmp_path, "log", "--level", "info", "LISTENING")
        assert listening == running
        assert command(tmp_path, "log", "--level", "error") == ""
        assert command(tmp_path, "issue-again") == "Nothing is set aside.\n"
        device = facts["device"][:8]
        assert command(tmp_path, "rename", device, "Desk") == ""
        assert command(tmp_path, "status").startswith("Desk: ")
        assert "this device itself" in command(tmp_path, "remove", "Desk", code=1)
        assert "There is no device" in command(tmp_path, "remove", "Lap", code=1)
        assert "in order" in command(tmp_path, "identity", "new", code=1)
        assert "already" in command(tmp_path, "identity", "keep")


def from_elsewhere(folder: Path) -> None:
    """Make a data folder look as if it came from another computer."""
    path = folder / "identity.json"
    facts = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**facts, "machine": "0" * 64}))


def test_a_folder_from_another_computer_goes_online_when_somebody_said_what_it_is(
    tmp_path: Path,
) -> None:
    command(tmp_path, "new", "A note")
    from_elsewhere(tmp_path)
    for words in (["--headless"], ["pair", "--show"]):
        said = command(tmp_path, *words, code=1)
        assert "limnotes identity keep" in said
        assert "limnotes identity new" in said
    assert "A note" in command(tmp_path, "list")
    before = msgspec.json.decode(command(tmp_path, "status", "--json"))
    assert before["elsewhere"]
    assert "same device" in command(tmp_path, "identity", "keep")
    after = msgspec.json.decode(command(tmp_path, "status", "--json"))
    assert (after["elsewhere"], after["device"]) == (False, before["device"])
    from_elsewhere(tmp_path)
    assert "new key" in command(tmp_path, "identity", "new")
    after = msgspec.json.decode(command(tmp_path, "status", "--json"))
    assert after["device"] != before["device"]
    assert after["outside"]


def test_a_lost_key_is_made_anew_by_command_only(tmp_path: Path) -> None:
    command(tmp_path, "new", "A note")
    (tmp_path / "identity.pem").unlink()
    assert "limnotes identity new" in command(tmp_path, "list", code=1)
    assert "limnotes identity new" in command(tmp_path, "identity", "keep", code=1)
    assert not (tmp_path / "identity.pem").exists()
    assert "new key" in command(tmp_path, "identity", "new")
    assert "A note" in command(tmp_path, "list")


def test_a_locked_key_is_said_where_something_is_written(tmp_path: Path) -> None:
    command(tmp_path, "new", "A note")
    (tmp_path / "identity.key").unlink()
    assert "A note" in command(tmp_path, "list")
    assert "locked" in command(tmp_path, "new", "More", code=1)
    assert "locked" in command(tmp_path, "append", "A note", "more", code=1)
    assert command(tmp_path, "show", "A note") == "A note\n"
    assert "locked" in command(tmp_path, "pair", "--show", code=1)


def test_a_library_that_was_kept_is_neither_heard_nor_found(tmp_path: Path) -> None:
    async def listening(folder: Path) -> tuple[str, bool]:
        service = Service(folder)
        await service.start()
        await service.online()
        status = service.status()
        await service.stop()
        return status.listening, status.discovery

    assert asyncio.run(listening(tmp_path / "kept" / "2026-03-14-abcdef01")) == ("", False)


def test_there_is_no_window_without_one(tmp_path: Path) -> None:
    assert "--headless" in command(tmp_path, code=1)


def test_a_window_is_not_opened_beside_a_running_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[cli.Options] = []

    def open_window(options: cli.Options) -> int:
        opened.append(options)
        return 0

    arguments = ["--data-dir", str(tmp_path)]
    assert cli.main(arguments, open_window) == 0
    assert [options.data_dir for options in opened] == [tmp_path]
    with Running(tmp_path):
        assert cli.main(arguments, open_window) == 1
    assert "without a window" in capsys.readouterr().err
    assert len(opened) == 1


def test_wrong_usage_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["fly"])
    assert ended.value.code == 2
    assert "fly" in capsys.readouterr().err
