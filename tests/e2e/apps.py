"""Starting the app in processes of its own, and a wire between two of them that can be cut."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

TIMEOUT = 20.0
"""Seconds until something that should happen counts as not happening."""


class App:
    """One running app, worked through ``tests/e2e/driver.py``."""

    def __init__(self, data_dir: Path, *arguments: str, wait: bool = True) -> None:
        self.data_dir = data_dir
        self.arguments = arguments
        self.log = data_dir.with_suffix(".log")
        self.start(wait=wait)

    def start(self, *, wait: bool = True) -> None:
        """Start the process, and wait until its window shows."""
        driver = Path(__file__).with_name("driver.py")
        command = [sys.executable, "-u", str(driver), "--data-dir", str(self.data_dir)]
        command.append("--no-discovery")  # other tests run on this computer
        # Comparing every character after every event is for the small texts of tests.
        environment = {
            **os.environ,
            "LIMNOTES_CHECK": "raise",
            "LIMNOTES_BEHIND_ROUTER": "yes",
            "PYTHONFAULTHANDLER": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=Path(__file__).parent.parent.parent,
            )
        if wait:
            self.wait("ready", True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if kind is not None:
            print(f"--- {self.log.name}\n{self.log.read_text()}")

    def do(self, name: str, **arguments: Any) -> Any:
        """Have something done; returns the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode({"do": name, **arguments}) + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            raise TimeoutError(f"{name} {arguments} in {self.data_dir.name}: no answer")
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"{self.data_dir.name} ended: {self.process.wait()}")
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise AssertionError(f"{name} {arguments}: {answer['error']}")
        return answer["result"]

    def wait(self, what: str, value: Any, **arguments: Any) -> None:
        """Wait until a fact has this value."""
        self.do("wait", what=what, value=value, **arguments)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again with the same data."""
        self.__exit__(None, None, None)
        self.start()

    def shut(self) -> int:
        """Close the window, and wait for the end; returns the exit code."""
        self.do("shut")
        return self.process.wait(TIMEOUT)

    def terminate(self) -> int:
        """Ask it to end, as the system does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)


class Wire:
    """A port that leads to another one, until it is cut."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._whole = threading.Event()
        self._whole.set()
        self._sockets: list[socket.socket] = []
        self.carried = bytearray()
        """All that went through, in both directions."""
        threading.Thread(target=self._accept, daemon=True).start()

    def retarget(self, target: str) -> None:
        """Lead to another port from now on."""
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)

    @property
    def address(self) -> str:
        """Where to connect to."""
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection, in the middle of whatever it carries, and let none through."""
        self._whole.clear()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                # A reset instead of an orderly end.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets.clear()

    def mend(self) -> None:
        """Let connections through again."""
        self._whole.set()

    def close(self) -> None:
        """End it for good."""
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._whole.is_set():
                near.close()
                continue
            self._sockets.append(near)
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._sockets.append(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.carried += data
                sink.sendall(data)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


def eventually(look: Any, seconds: float = TIMEOUT) -> None:
    """Wait until ``look()`` is true; for facts outside the apps."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
