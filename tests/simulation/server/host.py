"""The machine that the server runs on: it starts, is killed, stops, is backed up and restored."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from inspect import CORO_CREATED, getcoroutinestate
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast
from unittest.mock import patch

from liblim.errors import StoreError
from liblim.net.address import Address
from liblim.net.dial import Streams
from liblim.server.server import Server, identity_of
from liblim.server.shelf import LOOK
from liblim.server.sqlite import SqliteStorage
from tests.simulation.server.disk import Disk, Trouble
from tests.simulation.server.loop import Loop, Threads
from tests.simulation.server.pipe import Pipe

if TYPE_CHECKING:
    from tests.simulation.server.town import Town

T = TypeVar("T")

ENDLESS = 20_000
"""Turns after which a loop that is still busy will be so for ever."""


class _Listener:
    """In the place of sockets: it hands over connections that the world makes."""

    def __init__(self, accept: Callable[[Streams], None]) -> None:
        self.accept = accept

    async def close(self) -> None:
        """Listen no more."""


class Mistakes(logging.Handler):
    """What the server's code logs as its own mistakes, and what its loop complains of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what has a traceback."""
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


class Host:
    """One machine with at most one server process, whose files survive it."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.trouble = Trouble()
        self.mistakes = Mistakes()
        self._town = town
        self._place = folder
        self._folders = 0
        self.folder = self._new_folder()
        self._logs: dict[str, str] = {}
        self._up: Server | None = None
        self._begin()

    def _new_folder(self) -> Path:
        self._folders += 1
        return self._place / f"server-{self._folders}"

    @property
    def server(self) -> Server:
        """The process that runs."""
        assert self._up is not None
        return self._up

    @property
    def is_up(self) -> bool:
        """Whether one runs, and lets devices in."""
        return self._up is not None and self._up.listening is not None

    def note_log_of(self, library: str) -> None:
        """Take note of the name of a library's file."""
        self._logs[library] = self.storage.registry.file_of(library).name

    def log_of(self, library: str) -> Path:
        """The file of a library's log."""
        return self.folder / "libraries" / self._logs[library]

    # A process, from start to end

    def start(self) -> None:
        """Start the server, if the disk lets it."""
        if self._up is None:
            try:
                self._begin()
            except StoreError:
                self._town.saw("starts in vain")
                self._forget_process()

    def _begin(self) -> None:
        rng = self._town.rng
        self.storage = Disk(self.folder, self.trouble)
        self._right = self.storage.writing()
        self._right.__enter__()
        with patch("liblim.server.server.os", SimpleNamespace(urandom=rng.randbytes)):
            self.identity = identity_of(self.storage.registry)
        self.threads = Threads()
        self.loop = Loop(lambda: self._town.now, self.threads)
        self._pipes: list[Pipe] = []
        with (
            patch("liblim.server.server.ThreadPoolExecutor", lambda *a, **k: self.threads),
            patch("liblim.server.door.listen", self._listen),
        ):
            self._up = Server(self.storage, self.identity)
            self.run(self._up.start())

    async def _listen(
        self, context: Any, accept: Callable[[Streams], None], *where: Any, **more: Any
    ) -> tuple[_Listener, Address]:
        self._listener = _Listener(accept)
        return self._listener, Address("server", 1)

    def pins(self, device: str) -> bool:
        """Whether TLS takes a device."""
        return device in self.server.shelf._pinned

    def knock(self, certificate: bytes, room: int, tap: Callable[[bytes], None]) -> Pipe:
        """Connect, with a certificate that TLS takes."""
        pipe = Pipe(self.loop, certificate, room, tap)
        self._pipes = [one for one in self._pipes if not one.over or one.wrong] + [pipe]
        self.loop.call_soon(self._listener.accept, pipe.streams)
        return pipe

    def kill(self) -> None:
        """End the process at once: what it has not committed is lost, its connections break off."""
        if self._up is None:
            return
        self._town.saw("kills at work" if self.threads.jobs else "kills")
        self.check_mistakes()
        left = self.folder
        self.folder = self._new_folder()
        # What the system has of the files of a process that was killed: without those that SQLite locks with.
        shutil.copytree(left, self.folder, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
        self._forget_process()
        shutil.rmtree(left)

    def stop(self) -> None:
        """End the process in good order, while its connections go on as they may."""
        if self._up is None:
            return
        self._town.saw("stops")
        stopping = self.loop.create_task(self._up.stop())
        while not stopping.done():
            self._town.now += 0.05
            self.serve()
            self._town.carry_some()
        stopping.result()
        self.check_mistakes()
        self._forget_process()

    def _forget_process(self) -> None:
        """Lay to rest what is left of a process, which does nothing any more that anybody would notice."""
        for pipe in self._pipes:
            pipe.process_ended()
        self.threads.jobs.clear()
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                work = cast("Coroutine[Any, Any, Any]", task.get_coro())
                if getcoroutinestate(work) != CORO_CREATED:  # else it begins in the next turn
                    task.cancel()
            self.loop.turn()
            self.threads.jobs.clear()
        self.mistakes.found.clear()
        self.loop.close()
        self.storage.let_go()
        self._right.__exit__(None, None, None)
        self._up = None

    def check_mistakes(self) -> None:
        """The server has said nothing wrong, and raised nothing that nobody is meant to catch."""
        for pipe in self._pipes:
            if pipe.wrong is not None:
                raise pipe.wrong
        found = [*self.mistakes.found, *self.loop.mistakes]
        assert not found, f"the server made a mistake: {found[0]}"

    # What it does

    def serve(self, most: int = 12) -> None:
        """Let it get on: turns of its loop, and work on its threads, in an order of chance."""
        if self._up is None:
            return
        rng = self._town.rng
        for _ in range(rng.randint(1, most)):
            self._get_on()

    def settle(self) -> None:
        """Let it do all that there is to do now."""
        for _ in range(ENDLESS):
            if self._up is None or not (self.loop.busy or self.threads.jobs):
                return
            self._get_on()
        raise AssertionError("the server never comes to rest")

    @property
    def owes_receipts(self) -> bool:
        """Whether there are receipts that it gathers before it hands them on."""
        circles = self.server.shelf.circles.values() if self._up is not None else ()
        return any(circle._spreading for circle in circles)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let it do something, and all else that is due."""
        task = self.loop.create_task(work)
        for _ in range(ENDLESS):
            if task.done():
                return task.result()
            self._get_on()
        raise AssertionError("the server never comes to an end of it")

    def _get_on(self) -> None:
        rng = self._town.rng
        if self.threads.jobs and rng.random() < 0.5:
            self.threads.work(rng.randrange)
        else:
            self.loop.turn()

    # Its files

    def back_up(self) -> Path:
        """Copy all that it keeps, as another process does while it runs; returns where to."""
        copy = self._new_folder()
        storage = SqliteStorage(self.folder)
        try:
            storage.back_up(copy)
        finally:
            storage.close()
        return copy

    def remove(self, library: str) -> None:
        """Remove a library, as another process does, and let the server see it."""
        storage = SqliteStorage(self.folder)
        try:
            assert storage.registry.remove(library)
        finally:
            storage.close()
        for _ in range(3):  # it may have been looking just before
            self._town.now += LOOK + 0.1
            self.settle()
        assert library not in self.server.shelf.libraries, "it serves what was removed"

    def restore(self, copy: Path) -> None:
        """Put a copy in the place of all files, and start."""
        self.kill()
        shutil.rmtree(self.folder)
        self.folder = self._new_folder()
        shutil.copytree(copy, self.folder)
        registry = SqliteStorage(self.folder)
        for library in self._logs:
            self._logs[library] = registry.registry.file_of(library).name
        registry.close()
        self.start()

    def close(self) -> None:
        """End."""
        if self._up is not None:
            self._forget_process()
