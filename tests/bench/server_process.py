"""The processes of the server's bench: storages, the server, and the load; who starts one ends it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from liblim.server.sqlite import SqliteStorage
from liblim.server.stores import Storage
from tests.bench.sync import surroundings

TICKS = os.sysconf("SC_CLK_TCK")


class Place(NamedTuple):
    """A storage: how a server is told of it, how it is opened here, and how it is dropped."""

    options: Sequence[str]
    open: Callable[[], Storage]
    drop: Callable[[], None]


def sqlite(folder: Path) -> Place:
    """An empty folder."""
    place = Path(tempfile.mkdtemp(dir=folder))
    return Place(["--data", str(place)], lambda: SqliteStorage(place), lambda: shutil.rmtree(place))


@contextlib.contextmanager
def postgres() -> Iterator[Callable[[], Place]]:
    """A PostgreSQL of this run; each call gives an empty database."""
    from liblim.server.postgres import PostgresStorage
    from tests.liblim.server.cluster import Cluster, binaries, short_folder

    programs = binaries()
    if programs is None:
        sys.exit("PostgreSQL is not installed (Debian: apt-get install postgresql).")
    folder = short_folder()
    cluster = Cluster(folder, programs, safe=True)

    def place() -> Place:
        address = cluster.new_database()
        return Place(["--database", address], lambda: PostgresStorage(address), lambda: None)

    try:
        yield place
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


class Running:
    """Server processes over one storage, until the end of the block."""

    def __init__(self, place: Place, count: int, *options: str, ports: Sequence[int] = ()) -> None:
        """Start them, at these ports or any, and wait until they listen."""
        storage = place.open()
        try:
            from liblim.server.server import identity_of

            self.certificate = identity_of(storage.registry).certificate
        finally:
            storage.close()
        command = [sys.executable, "-P", "-m", "liblim.server.cli", *place.options, "run"]
        self.ports = list(ports) or [free_port() for _ in range(count)]
        self._processes = [
            subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{port}", *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=surroundings(),
            )
            for port in self.ports
        ]
        for port, process in zip(self.ports, self._processes, strict=True):
            _wait_for(port, process)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)

    def address(self, number: int) -> str:
        """Where a process listens; there are as many as one asks for."""
        return f"127.0.0.1:{self.ports[number % len(self.ports)]}"

    def kill(self) -> None:
        """End all as a crash would."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(30)

    def memory(self) -> int:
        """Bytes that the processes take."""
        return sum(_memory(process.pid) for process in self._processes)

    def used(self) -> float:
        """Seconds of processor that they have used."""
        return sum(_used(process.pid) for process in self._processes)

    def busy(self, seconds: float) -> float:
        """Which part of a processor they use from now on."""
        began = self.used()
        time.sleep(seconds)
        return (self.used() - began) / seconds

    def settle(self) -> None:
        """Wait until they have less to do."""
        for _ in range(20):
            if self.busy(0.5) < 0.3:
                return


class Load:
    """Devices in a process of its own; see ``server_load``."""

    def __init__(self, running: Running | None = None, number: int = 0) -> None:
        """Start it; its devices use one of the server's processes."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.bench.server_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        self._posted = 0
        if running is not None:
            self.ask("at", running.address(number), running.certificate.hex())

    def post(self, task: str, *arguments: Any) -> None:
        """Have something done; ``answers`` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
        self._process.stdin.flush()
        self._posted += 1

    def answers(self) -> list[Any]:
        """The answers to all that was posted.  Raises RuntimeError where the process died."""
        return [self._answer() for _ in range(self._posted)]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._posted -= 1
        if not line:
            raise RuntimeError(f"the load died: {self._process.wait()}")
        return json.loads(line)

    def ask(self, task: str, *arguments: Any) -> Any:
        """Have something done; returns the answer."""
        self.post(task, *arguments)
        return self.answers()[-1]

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.ask("close")
        else:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait(60)


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    raise RuntimeError("the server does not listen")


def _memory(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
