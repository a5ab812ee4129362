"""Opening a database file: pragmas, migrations, and SQLite's errors put into words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from liblim.errors import StoreBusy, StoreError, StoreReadOnly, StoreTooNew
from liblim.store.schema import MIGRATIONS

APPLICATION_ID = 0x4C494D31
"""Marks the file as liblim's ("LIM1"), so that another program's database is never taken for one."""

MEMORY = ":memory:"

_PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = ON;
"""
# One connection that keeps its lock: SQLite's WAL-reset bug needs two.  FULL: NORMAL loses
# acknowledged commits in a power cut.  The two fullfsync pragmas: macOS is not durable without.


def open_connection(path: str | Path) -> apsw.Connection:
    """Open or create the database at ``path``, bring it to this version's schema, and lock it.

    Raises StoreTooNew, StoreReadOnly, StoreBusy or StoreError; the file is untouched by the first.
    """
    with errors_in_words(path):
        if str(path) != MEMORY:
            _check_before_writing(Path(path))
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(0)
            connection.execute(_PRAGMAS)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_before_writing(path: Path) -> None:
    """Refuse a file that is not ours or not of our time, before anything could write to it."""
    if not path.exists():
        _check_writable(path.parent)
        return
    _check_writable(path.parent, path)
    flags = apsw.SQLITE_OPEN_READONLY
    peek = apsw.Connection(str(path), flags=flags)
    try:
        version = _pragma(peek, "user_version")
        owner = _pragma(peek, "application_id")
        tables = peek.execute("SELECT count(*) FROM sqlite_schema").get
    finally:
        peek.close()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise StoreError(f"{path} is a database of another program. Choose another data folder.")
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{path} was written by a newer version of this program. "
            "Update this one; nothing was changed."
        )


def _check_writable(*paths: Path) -> None:
    for path in paths:
        if not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, "not writable", str(path))


def _pragma(connection: apsw.Connection, name: str) -> int:
    value = connection.pragma(name)
    assert isinstance(value, int)
    return value


def _migrate(connection: apsw.Connection) -> None:
    version = _pragma(connection, "user_version")
    for number in range(version, len(MIGRATIONS)):
        with connection:
            connection.execute(MIGRATIONS[number])
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")


@contextmanager
def errors_in_words(path: str | Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into StoreError with a sentence for people."""
    try:
        yield
    except (apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise _read_only(path) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(
            f"{path} is in use by another program. Close that one, or choose another data folder."
        ) from error
    except apsw.FullError as error:
        raise StoreError(
            "The disk is full. Free some space; what you write is kept in memory until then."
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(
            f"{path} is damaged or not a database. Nothing was overwritten; "
            "put a backup in its place, or choose another data folder."
        ) from error
    except apsw.CantOpenError as error:
        raise StoreError(f"{path} cannot be opened. Check the folder and its rights.") from error
    except apsw.Error as error:
        raise StoreError(f"The database cannot be read or written: {error}") from error
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _read_only(path) from error
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error


def _read_only(path: str | Path) -> StoreReadOnly:
    return StoreReadOnly(
        f"{path} cannot be written. Make the file and its folder writable, "
        "or choose another data folder."
    )
