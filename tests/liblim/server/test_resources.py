"""What many connections need of the system: the real process sees to it, and bears it where it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liblim.net import listener as module
from liblim.net.listener import EXHAUSTED, Listener
from liblim.net.tls import PAIR, client_context
from liblim.server.resources import SPARE, TLS_BUFFER
from liblim.server.sqlite import SqliteStorage
from liblim.sync.messages import Nm, Sup
from tests.app.services import free_port
from tests.liblim.net.devices import device
from tests.liblim.server.guests import household, no_mistakes
from tests.liblim.server.processes import ROOT, TIMEOUT, Process, code_for
from tests.liblim.server.serving import in_step, on_folder, pair, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc, and limits of POSIX")


def files_of(process: int) -> tuple[int, int]:
    """How many files a process may open, softly and in all."""
    said = Path(f"/proc/{process}/limits").read_text(encoding="ascii")
    found = re.search(r"Max open files +(\d+) +(\d+)", said)
    assert found is not None
    return int(found[1]), int(found[2])


def test_a_low_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    wanted = 300
    with Process(
        tmp_path / "server", free_port(), "--connections", str(wanted), files=(64, 1000)
    ) as server:
        assert files_of(server.pid) == (wanted + SPARE, 1000)
        assert "files may be open" not in server.log.read_text()


def test_where_it_cannot_be_raised_that_is_said(tmp_path: Path) -> None:
    with Process(
        tmp_path / "server", free_port(), "--connections", "300", files=(64, 128)
    ) as server:
        assert files_of(server.pid) == (128, 128)
        said = server.log.read_text()
        assert "Only 128 files may be open here, and 300 connections need 500." in said
        assert "LimitNOFILE" in said


_TELLING = """
import sys
from liblim.server import cli, door

def tell(self, streams):
    print("buffer", len(streams[1].transport._ssl_protocol._ssl_buffer), flush=True)
    streams[1].transport.abort()

door.Door._let_in = tell
sys.exit(cli.main(sys.argv[1:]))
"""


def test_connections_have_small_buffers_for_tls(tmp_path: Path) -> None:
    """The program itself, but for telling of a connection instead of letting it in."""
    port = free_port()
    run = ["--data", str(tmp_path / "server"), "run", "--listen", f"127.0.0.1:{port}"]
    command = [sys.executable, "-u", "-c", _TELLING, *run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        try:
            lines = _lines(process)
            next(line for line in lines if line.startswith("limserver serves"))
            context = client_context(None, None, PAIR)
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain),
            ):
                told = next(line for line in lines if line.startswith("buffer"))
            assert told.split() == ["buffer", str(TLS_BUFFER)]
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    while select.select([process.stdout], [], [], TIMEOUT)[0]:
        line = process.stdout.readline()
        assert line, "it ended"
        yield line


@on_folder
async def test_no_more_files_than_there_are_connections(folder: Path) -> None:
    """Who is connected stays so, what was written is kept, and others come once there is room."""
    with (
        Process(folder / "server", free_port(), files=(60, 60)) as server,
        contextlib.ExitStack() as stack,
    ):
        async with device("Lap", unheard=True) as lap:
            await pair(lap, server.address, await asyncio.to_thread(code_for, server.data))
            await lap.write("before")
            await in_step(lap)
            # Connected, as far as the system goes; the server can take only some of them.
            flood = [stack.enter_context(socket.socket()) for _ in range(100)]
            for one in flood:
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    one.connect(tuple(server.address))
            async with asyncio.timeout(TIMEOUT):
                while _open_in(server.pid) < 60:  # noqa: ASYNC110 (nobody tells of it)
                    await asyncio.sleep(0.01)
            for number in range(3):
                await lap.write(f"meanwhile {number}")
                await in_step(lap)
            assert [line.text for line in lap.lines if line.level != "info"] == []
            for one in flood:
                one.close()
            async with device("Desk") as desk:
                await pair(desk, server.address, await asyncio.to_thread(code_for, server.data))
                await in_step(desk)
        assert "Traceback" not in server.log.read_text()


def _open_in(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@on_folder
async def test_a_server_that_can_open_no_more_files_does_not_try_all_the_time(folder: Path) -> None:
    storage = SqliteStorage(folder)
    tries, loop = 0, asyncio.get_running_loop()
    take = Listener._take

    def counted(self: Listener, listening: socket.socket) -> None:
        nonlocal tries
        tries += 1
        take(self, listening)

    with no_mistakes(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Listener, "_take", counted)
        async with serving(storage) as server, (await household(server)).come() as guest:
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.socket() as knocking, socket.socket() as spare:
                knocking.setblocking(False)
                tries, began = 0, loop.time()
                resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno(), limits[1]))
                try:
                    with contextlib.suppress(BlockingIOError):
                        knocking.connect(tuple(server.address))
                    while tries < 3:
                        await guest.say(Sup(tries))
                        await guest.hear_of(Nm)
                    assert tries <= (loop.time() - began) / EXHAUSTED + 1
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                listening = server.server.door._listener
                assert listening is not None
                async with asyncio.timeout(20):
                    while not listening.strangers:  # noqa: ASYNC110 (it says nothing of strangers)
                        await asyncio.sleep(0.01)
    storage.close()
