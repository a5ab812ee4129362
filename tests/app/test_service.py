"""The service: start and stop, pairing by address, and what the command line gets of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from app import cli
from app.folder import AlreadyRunning, Folder
from app.service import Service
from app.status import State
from liblim.errors import LimError, StoreTooNew

ANY_PORT = "127.0.0.1:4300"  # or the next free one


async def started(folder: Path) -> Service:
    service = Service(folder, listen=ANY_PORT)
    await service.start()
    return service


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


async def until(service: Service, true: Callable[[], bool]) -> None:
    """Wait until something that the service tells of is true."""
    changed = asyncio.Event()
    stops = [
        service.subscribe(changed.set),
        service.notes.subscribe(lambda oids: changed.set()),
    ]
    async with asyncio.timeout(10):
        while not true():
            await changed.wait()
            changed.clear()
    for stop in stops:
        stop()


async def write(service: Service, text: str) -> str:
    note = await service.notes.create()
    note.body.insert(0, text)
    await service.notes.close(note)
    return note.oid


@pytest.mark.asyncio
async def test_pairing_an_empty_library_takes_the_others(desk: Service, lap: Service) -> None:
    oid = await write(desk, "A note")
    sentence = await lap.pair(desk.status().listening)
    assert sentence == f"Paired with {desk.name}."
    await until(lap, lambda: oid in lap.notes.rows)
    assert lap.status().library == desk.status().library
    assert await lap.notes.text(oid) == "A note"
    for service in (desk, lap):
        await until(service, lambda: service.status().devices[0].state is State.UP_TO_DATE)  # noqa: B023
    device = lap.status().devices[0]
    assert (device.they_lack, device.we_lack, device.identical) == (0, 0, True)
    assert not device.incoming
    assert desk.status().devices[0].incoming
    assert "were paired already" in await lap.pair(desk.status().listening)


@pytest.mark.asyncio
async def test_an_empty_device_may_be_dialled_too(desk: Service, lap: Service) -> None:
    oid = await write(desk, "A note")
    await desk.pair(lap.status().listening)
    await until(lap, lambda: oid in lap.notes.rows)


@pytest.mark.asyncio
async def test_what_was_just_typed_counts_as_a_note(desk: Service, lap: Service) -> None:
    note = await lap.notes.create()
    note.body.insert(0, "not yet on disk")
    await lap.pair(desk.status().listening)
    await until(desk, lambda: note.oid in desk.notes.rows)
    await lap.notes.close(note)


@pytest.mark.asyncio
async def test_two_libraries_with_notes_are_not_mixed(desk: Service, lap: Service) -> None:
    await write(desk, "mine")
    await write(lap, "yours")
    with pytest.raises(LimError, match="notes of its own"):
        await lap.pair(desk.status().listening)
    assert [row.title for row in lap.notes.rows.values()] == ["yours"]
    assert lap.status().devices == desk.status().devices == ()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "Enter the address"),
        ("127.0.0.1:1", "Nothing listens at 127.0.0.1:1"),
        ("127.0.0.1:port", "no port"),
        ("192.0.2.1:4242", "not this computer"),
    ],
)
@pytest.mark.asyncio
async def test_pairing_that_fails_says_why(desk: Service, address: str, says: str) -> None:
    with pytest.raises(LimError, match=says):
        await desk.pair(address)


@pytest.mark.asyncio
async def test_pairing_with_oneself_is_refused(desk: Service) -> None:
    with pytest.raises(LimError, match="same device"):
        await desk.pair(desk.status().listening)


@pytest.mark.asyncio
async def test_unpaired_devices_are_forgotten_and_keep_their_notes(
    desk: Service, lap: Service
) -> None:
    oid = await write(desk, "A note")
    await lap.pair(desk.status().listening)
    await until(lap, lambda: oid in lap.notes.rows)
    await lap.unpair(desk.status().device)
    assert lap.status().devices == ()
    assert oid in lap.notes.rows


@pytest.mark.asyncio
async def test_port_name_and_pairing_are_remembered(desk: Service, tmp_path: Path) -> None:
    first = await started(tmp_path / "one")
    await first.rename("  Lap  ")
    with pytest.raises(LimError):
        await first.rename(" ")
    await first.pair(desk.status().listening)
    listening, device = first.status().listening, first.status().device
    await first.stop()
    again = Service(tmp_path / "one")
    await again.start()
    assert (again.name, again.status().listening) == ("Lap", listening)
    assert [found.device for found in again.status().devices] == [desk.status().device]
    await until(again, lambda: again.status().devices[0].connected)
    await until(desk, lambda: [d.name for d in desk.status().devices] == ["Lap"])
    assert desk.status().devices[0].device == device
    await again.stop()
    offline = Service(tmp_path / "one", offline=True)
    await offline.start()
    assert [found.connected for found in offline.status().devices] == [False]
    assert offline.status().listening == ""
    await offline.stop()


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
    with pytest.raises(LimError, match="on this computer only"):
        await Service(tmp_path / "other", listen="192.0.2.1:4242").start()


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
        assert facts["changes"] == 2
        assert facts["devices"] == []
        assert bool(facts["listening"]) == running
        assert f"2 changes, digest {facts['digest'][:8]}" in command(tmp_path, "status")
        listed = msgspec.json.decode(command(tmp_path, "list", "--json"))
        assert [row["oid"] for row in listed] == [oid]
        assert command(tmp_path, "list", "--trash") == ""
        assert "Nothing listens" in command(tmp_path, "pair", "127.0.0.1:1", code=1)


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
