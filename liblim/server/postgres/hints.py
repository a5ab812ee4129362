"""Hints to other processes that there may be news, and theirs to this one.

They are what LISTEN and NOTIFY bring at once, and what a look at the counters of what is open finds now
and then: a process may be killed between its commit and its hint.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import psycopg

from liblim.server.postgres.pool import FIRST_PAUSE, LAST_PAUSE, Connection, connect

LOOK = 5.0
"""Seconds between two looks at the counters."""
PACE = 0.005
"""Seconds between two commands that send hints: under load a hint for each commit costs as much as that."""

_LOOK = """
    SELECT library, last, tick FROM libraries WHERE library = ANY(%s)
    UNION ALL SELECT '', coalesce(max(number), 0), 0 FROM words
"""
_TELL = "SELECT pg_notify('lim', library) FROM unnest(%s::text[]) library"

log = logging.getLogger(__name__)


class Hints:
    """One thread with one connection.

    Hints are sent apart from what they are about, many at once: a transaction with a NOTIFY holds a lock of
    the whole cluster until its commit is durable, so that no two could become durable together.
    """

    def __init__(self, info: str, opened: Callable[[], Collection[str]]) -> None:
        """``opened`` says which libraries this process has open."""
        self._info = info
        self._opened = opened
        self._hint: Callable[[str], None] = lambda library: None
        self._waiting: set[str] = set()
        self._counters: dict[str, tuple[object, ...]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)

    def listen(self, hint: Callable[[str], None]) -> None:
        """Call ``hint`` with what other processes may have written to."""
        self._hint = hint
        self._start()

    def tell(self, library: str) -> None:
        """Tell other processes that there may be news of a library; "" for the registry."""
        with self._lock:
            first = not self._waiting
            self._waiting.add(library)
        if first:
            self._start()
            self._ring()

    def close(self) -> None:
        """Send what waits, if PostgreSQL is there, and end."""
        self._closed = True
        self._ring()
        if self._thread is not None:
            self._thread.join()
        self._bell.close()
        self._ringer.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="lim-hints", daemon=True)
                self._thread.start()

    def _ring(self) -> None:
        with suppress(OSError):  # it rings already, or all is over
            self._ringer.send(b"!")

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                with connect(self._info) as connection:
                    pause = FIRST_PAUSE
                    self._work(connection)
                    return
            except psycopg.Error as error:
                log.info("no hints from the database for now: %s", error)
            if self._closed:
                return
            self._wait(pause)
            pause = min(2 * pause, LAST_PAUSE)

    def _work(self, connection: Connection) -> None:
        """Send and hear until closed."""
        connection.execute("LISTEN lim")
        due = paced = 0.0
        while True:
            now = time.monotonic()
            if (now >= paced or self._closed) and self._send(connection):
                paced = now + PACE
            if self._closed:
                return
            if now >= due:
                self._look(connection)
                due = now + LOOK
            for word in connection.notifies(timeout=0):
                if word.pid != connection.info.backend_pid:
                    self._hint(word.payload)
            self._wait(min(due, paced if self._waiting else due) - time.monotonic(), connection)

    def _send(self, connection: Connection) -> bool:
        """Send what waits; whether there was any."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        if not waiting:
            return False
        try:
            connection.execute(_TELL, (sorted(waiting),))
        except psycopg.Error:
            with self._lock:
                self._waiting |= waiting
            raise
        return True

    def _look(self, connection: Connection) -> None:
        """Hint at what has other counters than at the last look."""
        found = {
            str(library): tuple(counters)
            for library, *counters in connection.execute(_LOOK, (list(self._opened()),))
        }
        before, self._counters = self._counters, found
        for library, counters in found.items():
            if before.get(library) != counters:
                self._hint(library)

    def _wait(self, timeout: float, connection: Connection | None = None) -> None:
        """Wait until there is something to send or to hear."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.select(max(0.0, timeout))
        with suppress(BlockingIOError):
            self._bell.recv(4096)
