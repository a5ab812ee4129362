"""``limserver`` as a process of its own."""

from __future__ import annotations

import asyncio
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from liblim.net.address import Address

ROOT = Path(__file__).parents[3]
TIMEOUT = 30.0


def limserver(data: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with a folder or the address of a database."""
    command = [sys.executable, "-m", "liblim.server.cli", *_where(data), *arguments]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": TIMEOUT}
    return subprocess.run(command, check=False, cwd=ROOT, **options)


def _where(place: Path | str) -> list[str]:
    return ["--data" if isinstance(place, Path) else "--database", str(place)]


def code_for(data: Path | str) -> str:
    """A new invitation's code."""
    found = re.search(r"Code: +(\d{4}) (\d{4})", limserver(data, "invite").stdout)
    assert found is not None
    return found[1] + found[2]


class Process:
    """One that serves, until the end of the block."""

    def __init__(
        self,
        data: Path,
        port: int,
        *options: str,
        database: str = "",
        files: tuple[int, int] | None = None,
        log: Path | None = None,
    ) -> None:
        """``files`` may be open in it, softly and in all."""
        self.data = data
        self._where = _where(database or data)
        soft, hard = files or (0, 0)
        limit = f'ulimit -S -n {soft} && ulimit -H -n {hard} && exec "$@"'
        self._shell = ["/bin/sh", "-c", limit, "sh"] if files else []
        self.address = Address("127.0.0.1", port)
        self.options = options
        self.log = log or data.with_suffix(".log")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [*self._shell, sys.executable, "-u", "-m", "liblim.server.cli", *self._where]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "run", "--listen", str(self.address), *self.options],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )
        assert self._process.stdout is not None
        line = b""
        while b"limserver serves" not in line:
            assert select.select([self._process.stdout], [], [], TIMEOUT)[0], "it does not start"
            line = self._process.stdout.readline()
            assert line, f"it ended: {self.log.read_text()}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self.ended()

    def end(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self, within: float = TIMEOUT) -> int:
        """Wait for its end; returns the exit code."""
        code = self._process.wait(within)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.kill()


async def ask(where: Address, request: str) -> tuple[int, str]:
    """Status and body of an answer."""
    reader, writer = await asyncio.open_connection(*where)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body
