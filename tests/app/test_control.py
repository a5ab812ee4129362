"""The control channel: answers, refusals, and what a stranger gets."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from app import control
from app.control import ControlServer, NotRunning, ask
from app.folder import Folder
from liblim.errors import LimError


async def handle(command: str, arguments: dict[str, Any]) -> Any:
    if command == "fail":
        raise LimError("It cannot be done.")
    return [command, arguments]


@pytest.fixture(params=["unix", "tcp"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Folder:
    if request.param == "tcp":
        monkeypatch.setattr(control, "_socket_path", lambda folder: "")
    elif not hasattr(socket, "AF_UNIX"):
        pytest.skip("no Unix sockets here")
    return Folder(tmp_path)


@pytest_asyncio.fixture
async def server(folder: Folder) -> AsyncIterator[ControlServer]:
    server = ControlServer(folder, handle)
    await server.start()
    yield server
    await server.stop()


@pytest.mark.asyncio
async def test_answers_and_refusals(server: ControlServer, folder: Folder) -> None:
    text = "x" * 200_000 + "é😀\n"
    assert await asyncio.to_thread(ask, folder, "new", {"text": text}) == ["new", {"text": text}]
    with pytest.raises(LimError, match="It cannot be done"):
        await asyncio.to_thread(ask, folder, "fail")


@pytest.mark.asyncio
async def test_only_the_owner_can_read_the_token(server: ControlServer, folder: Folder) -> None:
    assert stat.S_IMODE(folder.endpoint.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_a_wrong_token_gets_nothing(server: ControlServer, folder: Folder) -> None:
    endpoint = msgspec.json.decode(folder.endpoint.read_bytes())
    endpoint["token"] = "0" * 32
    folder.endpoint.write_bytes(msgspec.json.encode(endpoint))
    with pytest.raises(LimError, match="token"):
        await asyncio.to_thread(ask, folder, "status")


@pytest.mark.parametrize("line", [b"garbage\n", b"[" * 5000 + b"\n", b"{}\n", b"\xff\n", b""])
@pytest.mark.asyncio
async def test_garbage_disturbs_nobody(server: ControlServer, folder: Folder, line: bytes) -> None:
    endpoint = msgspec.json.decode(folder.endpoint.read_bytes(), type=control.Endpoint)

    def speak() -> bytes:
        with control._connect(endpoint) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()

    assert b"cannot be read" in await asyncio.to_thread(speak)
    assert await asyncio.to_thread(ask, folder, "status") == ["status", {}]


@pytest.mark.asyncio
async def test_nobody_there(folder: Folder) -> None:
    with pytest.raises(NotRunning):
        ask(folder, "status")
    server = ControlServer(folder, handle)
    await server.start()
    await server.stop()
    assert not folder.endpoint.exists()
    folder.endpoint.write_bytes(b"what a killed process left")
    with pytest.raises(NotRunning):
        ask(folder, "status")


@pytest.mark.asyncio
async def test_what_a_killed_process_left_is_replaced(folder: Folder) -> None:
    first = ControlServer(folder, handle)
    await first.start()
    second = ControlServer(folder, handle)
    await second.start()
    assert await asyncio.to_thread(ask, folder, "status") == ["status", {}]
    await second.stop()
    await first.stop()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_runtime_folder_that_others_can_use_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_UNIX_PATH_MAX", 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert control._socket_path(Folder(tmp_path)).startswith(str(tmp_path))
    (tmp_path / "limnotes").chmod(0o777)
    assert control._socket_path(Folder(tmp_path)) == ""
