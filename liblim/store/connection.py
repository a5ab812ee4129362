"""Opening a database file: pragmas, migrations, and SQLite's errors put into words."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from liblim.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly, StoreTooNew
from liblim.store.schema import MIGRATIONS

APPLICATION_ID = 0x4C494D31
"""Marks the file as liblim's ("LIM1"), so that another program's database is never taken for one."""

MEMORY = ":memory:"

_MAGIC = b"SQLite format 3\x00"
_HEADER = 100
# Read from the file itself (https://www.sqlite.org/fileformat.html, section 1.3), because SQLite
# would write beside it even to look.

_LOCK = "PRAGMA locking_mode = EXCLUSIVE;"
_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = ON;
"""
# FULL: NORMAL loses acknowledged commits in a power cut.  The two fullfsync pragmas: macOS is not durable
# without.

PATIENCE = 5000
"""Milliseconds for which another process that writes is waited for."""
_SHARING = 3051003
# The first version of SQLite whose write-ahead log two connections may use: before that, one that was reset
# in between could lose what was committed (https://www.sqlite.org/wal.html, "The WAL-Reset Bug").


class _Form(NamedTuple):
    """What kind of database a file is, and how it came to be as it is."""

    migrations: Sequence[str]
    application_id: int


def open_connection(path: str | Path) -> apsw.Connection:
    """Open or create the database at ``path``, bring it to this version's schema, and lock it.

    Raises StoreTooNew, StoreReadOnly, StoreBusy or StoreError; the file is untouched by the first.
    """
    return _open(path, _Form(MIGRATIONS, APPLICATION_ID), f"{_LOCK} {_PRAGMAS}", 0)


def open_shared(
    path: str | Path,
    migrations: Sequence[str] = MIGRATIONS,
    application_id: int = APPLICATION_ID,
) -> apsw.Connection:
    """Likewise, without locking it: other processes may read and write it between transactions."""
    if apsw.SQLITE_VERSION_NUMBER < _SHARING:
        raise StoreError("A server needs SQLite 3.51.3 or newer. Update the package apsw.")
    return _open(path, _Form(migrations, application_id), _PRAGMAS, PATIENCE)


def _open(path: str | Path, form: _Form, pragmas: str, patience: int) -> apsw.Connection:
    with errors_in_words(path):
        if str(path) != MEMORY:
            _check_before_writing(Path(path), form)
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(patience)
            # A statement that answers stops the execution until its answer is fetched.
            connection.execute(pragmas).fetchall()
            _migrate(connection, Path(path), form)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_before_writing(path: Path, form: _Form) -> None:
    """Refuse a file that is not ours or not of our time, before anything could write to it."""
    if not path.exists():
        _check_writable(path.parent)
        path.touch(mode=0o600)  # SQLite would let everybody read it
        give_to_owner(path)
        return
    _check_writable(path.parent, path)
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header:
        return  # made a moment ago, by a process that was killed then
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise apsw.NotADBError
    version, owner = struct.unpack(">60xI4xI28x", header)
    if owner != form.application_id:
        raise StoreError(f"{path} is a database of another program. Choose another data folder.")
    _check_version(path, version, form)


def _check_version(path: Path, version: int, form: _Form) -> None:
    if version > len(form.migrations):
        raise StoreTooNew(
            f"{path} was written by a newer version of this program. "
            "Update this one; nothing was changed."
        )


def _check_writable(*paths: Path) -> None:
    for path in paths:
        if not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, "not writable", str(path))


def give_to_owner(path: Path) -> None:
    """Let what root makes in another user's folder be that user's, as SQLite does with what it makes.

    Else a service that runs as nobody else could not open what its administrator was the first to look at.
    """
    if sys.platform != "win32" and os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def _pragma(connection: apsw.Connection, name: str) -> int:
    value = connection.pragma(name)
    assert isinstance(value, int)
    return value


def _migrate(connection: apsw.Connection, path: Path, form: _Form) -> None:
    version = _pragma(connection, "user_version")
    _check_version(path, version, form)
    if version == len(form.migrations):
        return
    for number in range(version, len(form.migrations)):
        with transaction(connection):
            if _pragma(connection, "user_version") > number:
                continue  # another process has done so a moment ago
            connection.execute(form.migrations[number])
            connection.execute(f"PRAGMA application_id = {form.application_id}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
    # So that the version stands in the file itself, for `_check_before_writing`.
    connection.pragma("wal_checkpoint", "TRUNCATE")


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Commit what the block writes in one go, durably, or not at all; it does not nest.

    Not apsw's own ``with connection``: that holds the interpreter's lock while the disk is flushed, and with
    it every other thread.
    """
    # At once for writing: one that begins with reading could not go on to write where another process did.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a disk's error may have ended it already
            connection.execute("ROLLBACK")
        raise


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
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(
            f"{path} is damaged or not a database. Nothing was overwritten; "
            "put a backup in its place, or choose another data folder."
        ) from error
    except apsw.CantOpenError as error:
        raise StoreError(f"{path} cannot be opened. Check the folder and its rights.") from error
    except apsw.Error as error:
        if _lacks_room(error):
            raise StoreFull(
                "The disk is full. Free some space; what you write is kept in memory until then."
            ) from error
        raise StoreError(f"The database cannot be read or written: {error}") from error
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _read_only(path) from error
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error


def _lacks_room(error: apsw.Error) -> bool:
    """Whether the disk is full; what processes share of a write-ahead log is a file, too."""
    shared = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
    return shared or isinstance(error, apsw.FullError)


def _read_only(path: str | Path) -> StoreReadOnly:
    return StoreReadOnly(
        f"{path} cannot be written. Make the file and its folder writable, "
        "or choose another data folder."
    )
