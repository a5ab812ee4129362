"""The control channel: how a second launch and the command line speak to the running process.

One line of JSON asks, one line answers.  A Unix socket in the runtime folder; where that cannot be, loopback
TCP.  ``control.json`` in the data folder, readable by its owner alone, says which, with a token that has to
be shown: so the right to speak is the right to read that file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import socket
import stat
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from app.folder import Folder
from liblim.errors import LimError

MAX_LINE = 16 * 1024 * 1024
"""Bytes of a request or an answer; a note may be large."""
CONNECT_TIMEOUT = 2.0
ANSWER_TIMEOUT = 60.0
_UNIX_PATH_MAX = 100
"""Systems differ in how long a socket's path may be; 104 bytes is the shortest limit."""

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class NotRunning(LimError):
    """No process serves the control channel of this data folder."""


class Endpoint(msgspec.Struct):
    """Where the running process listens: ``path`` of a Unix socket, or a loopback ``port``."""

    token: str
    path: str = ""
    port: int = 0


class _Request(msgspec.Struct):
    token: str
    command: str
    arguments: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    result: Any = None
    error: str = ""


class ControlServer:
    """Serves the control channel of a data folder that this process holds."""

    def __init__(self, folder: Folder, handler: Handler) -> None:
        """``handler(command, arguments)`` answers with JSON-able data or raises LimError."""
        self._folder = folder
        self._handler = handler
        self._token = secrets.token_hex(16)
        self._server: asyncio.AbstractServer | None = None
        self._path = ""
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, and say where.

        Raises LimError; then it may be tried again.
        """
        try:
            self._path = _socket_path(self._folder)
            if self._path:
                Path(self._path).unlink(missing_ok=True)  # left by a process that was killed
                self._server = await asyncio.start_unix_server(
                    self._serve, self._path, limit=MAX_LINE
                )
                endpoint = Endpoint(self._token, path=self._path)
            else:
                self._server = await asyncio.start_server(
                    self._serve, "127.0.0.1", 0, limit=MAX_LINE
                )
                port = self._server.sockets[0].getsockname()[1]
                endpoint = Endpoint(self._token, port=port)
            _write_private(self._folder.endpoint, msgspec.json.encode(endpoint))
        except OSError as error:
            await self.stop()
            raise LimError(f"The control channel cannot be opened: {error.strerror}") from error

    async def stop(self) -> None:
        """Stop listening and end what is being served."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._folder.endpoint.unlink(missing_ok=True)
            if self._path:
                Path(self._path).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            line = await asyncio.wait_for(reader.readline(), CONNECT_TIMEOUT)
            writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
            await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # one that asks for nothing, or for too much, gets nothing
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> _Answer:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _Answer(error="The request cannot be read.")
        if not hmac.compare_digest(request.token.encode(), self._token.encode()):
            return _Answer(error="The request does not show this data folder's token.")
        try:
            return _Answer(result=await self._handler(request.command, request.arguments))
        except LimError as error:
            return _Answer(error=str(error))


def ask(folder: Folder, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """Ask the running process; blocks until it has answered.

    Raises NotRunning where there is none, or LimError with the sentence it refused with.
    """
    try:
        endpoint = msgspec.json.decode(folder.endpoint.read_bytes(), type=Endpoint)
        connection = _connect(endpoint)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotRunning("Lim Notes is not running with this data folder.") from error
    request = _Request(endpoint.token, command, arguments or {})
    with connection:
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            line = _read_line(connection)
        except OSError as error:
            # Not to be done again here: it may have been done there.
            raise LimError(
                "Lim Notes does not answer. Look whether it did what you asked."
            ) from error
    try:
        answer = msgspec.json.decode(line, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LimError("Lim Notes ended before it answered. Try again.") from None
    if answer.error:
        raise LimError(answer.error)
    return answer.result


def _connect(endpoint: Endpoint) -> socket.socket:
    if not endpoint.path:
        connection = socket.create_connection(("127.0.0.1", endpoint.port), CONNECT_TIMEOUT)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.connect(endpoint.path)
        except BaseException:
            connection.close()
            raise
    connection.settimeout(ANSWER_TIMEOUT)
    return connection


def _read_line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.readline(MAX_LINE)


def _socket_path(folder: Folder) -> str:
    """Where the folder's socket goes; empty where a Unix socket cannot be used safely."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(asyncio, "start_unix_server"):
        return ""
    with warnings.catch_warnings():
        # It warns of a fall-back in the folder for temporary files, which is looked at below.
        warnings.simplefilter("ignore")
        runtime = Path(platformdirs.user_runtime_dir("limnotes", appauthor=False))
    name = sha256(str(folder.path.resolve()).encode()).hexdigest()[:16]
    path = str(runtime / f"{name}.sock")
    if len(path.encode()) > _UNIX_PATH_MAX or not _is_private(runtime):
        return ""
    return path


def _is_private(folder: Path) -> bool:
    """Make a folder that nobody else can use; whether it is one."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return ours and not found.st_mode & 0o077


def _write_private(path: Path, data: bytes) -> None:
    """Replace a file in one step; only its owner can read it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
