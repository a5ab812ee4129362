"""Connections to PostgreSQL: a few that threads take turns with, and PostgreSQL's errors put into words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from liblim.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly
from liblim.server.postgres.schema import SCHEMA

R = TypeVar("R")
Connection = psycopg.Connection[tuple[object, ...]]

SIZE = 16
"""Connections of a process for the work of its threads."""
PATIENCE = 10.0
"""Seconds for which PostgreSQL may be away before what waits for it fails."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 2.0
"""Seconds between two attempts to connect: doubled after each."""

_DEFAULTS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "limserver",
}
"""So that a host that went without a word is noticed; the address of the database may say otherwise."""

_SETTINGS = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",  # a database may be set to lose acknowledged commits
    # A transaction takes milliseconds.  A process that was stopped within one loses it, and is not waited for
    # without end: that would keep a thread from other libraries.
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "5s",
}


def connection_info(database: str) -> str:
    """The address of a database with what is set for each connection.

    Raises StoreError where it is none; its text is not repeated, as it may hold a password.
    """
    try:
        given = conninfo_to_dict(database)
    except psycopg.ProgrammingError:
        raise StoreError(
            "The address of the database cannot be read. It should look like "
            "postgresql://user@host/database."
        ) from None
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    given["options"] = f"{given.get('options') or ''} {options}".strip()
    return make_conninfo("", **{**_DEFAULTS, **given})


def connect(info: str) -> Connection:
    """Open a connection.  Raises psycopg.Error."""
    connection = psycopg.connect(info, autocommit=True)
    # One type for all numbers, else each width would be another statement to prepare.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    return connection


class Pool:
    """A few connections; whoever comes when all are in use waits."""

    def __init__(self, database: str, size: int = SIZE, patience: float = PATIENCE) -> None:
        """``patience`` is for how many seconds to go on trying when PostgreSQL does not answer.

        Raises StoreError where the address cannot be read.
        """
        self.info = connection_info(database)
        self.patience = patience
        self._idle: list[Connection] = []
        self._slots = threading.BoundedSemaphore(size)
        self._closed = threading.Event()

    def close(self) -> None:
        """Close what is idle, now, and what is in use when it is given back."""
        self._closed.set()
        while (connection := self._idle_one()) is not None:
            connection.close()

    def run(self, work: Callable[[Connection], R]) -> R:
        """Do work that may be done twice: where PostgreSQL went meanwhile it is done again.

        Raises StoreError.
        """
        with errors_in_words(), self._slot() as until:
            connection, done = self._try(work, until)
            self._give_back(connection)
            return done

    @contextmanager
    def transaction(self, begin: Callable[[Connection], R]) -> Iterator[tuple[Connection, R]]:
        """A transaction that ``begin`` has begun, as a work that may be done twice.

        What the block leaves open is rolled back.  Raises StoreError.
        """
        with errors_in_words(), self._slot() as until:
            connection, begun = self._try(begin, until)
            try:
                yield connection, begun
            finally:
                self._give_back(connection)

    @contextmanager
    def _slot(self) -> Iterator[float]:
        """The right to a connection, and until when to try to get one."""
        until = time.monotonic() + self.patience
        if not self._slots.acquire(timeout=self.patience):
            raise StoreError("The database is too slow for what is asked of it.")
        try:
            yield until
        finally:
            self._slots.release()

    def _try(self, work: Callable[[Connection], R], until: float) -> tuple[Connection, R]:
        while True:
            connection = self._take(until)
            try:
                return connection, work(connection)
            except BaseException as error:
                gone = _is_gone(connection, error)
                self._give_back(connection)
                if not gone or self._closed.is_set() or time.monotonic() > until:
                    raise

    def _take(self, until: float) -> Connection:
        """An idle connection, which PostgreSQL may have ended, or a new one."""
        connection = self._idle_one()
        if connection is not None:
            return connection
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                return connect(self.info)
            except psycopg.OperationalError:
                if time.monotonic() + pause > until:
                    raise
            self._closed.wait(pause)
            pause = min(2 * pause, LAST_PAUSE)
        raise StoreError("The database was closed.")

    def _idle_one(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _give_back(self, connection: Connection) -> None:
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            _roll_back(connection)
        if connection.closed or self._closed.is_set():
            connection.close()
        else:
            self._idle.append(connection)


def _is_gone(connection: Connection, error: BaseException) -> bool:
    """Whether PostgreSQL left, rather than refused."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return connection.closed or error.diag.severity_nonlocalized == "FATAL"


def _roll_back(connection: Connection) -> None:
    try:
        if not connection.closed:
            connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turn PostgreSQL's errors into StoreError with a sentence for people."""
    try:
        yield
    except errors.DiskFull as error:
        raise StoreFull(
            "The disk of the database is full. Free some space there; until then nothing is taken."
        ) from error
    except (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege) as error:
        raise StoreReadOnly(
            "The database may not be written. Give limserver's role the rights on its schema "
            f'"{SCHEMA}", and name the primary server.'
        ) from error
    except errors.LockNotAvailable as error:
        raise StoreBusy("Another process has been writing to this library for too long.") from error
    except psycopg.OperationalError as error:
        raise StoreError(f"The database does not answer: {_first_line(error)}.") from error
    except psycopg.Error as error:
        raise StoreError(
            f"The database cannot be read or written: {_first_line(error)}."
        ) from error


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
