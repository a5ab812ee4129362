"""A server's registry in one SQLite file: which libraries it serves, and who may speak for them.

Its methods may be called on any thread, and other processes may use the file at the same time.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from liblim.store.connection import errors_in_words, open_shared, transaction

APPLICATION_ID = 0x4C494D53
"""Marks the file as a server's registry ("LIMS")."""

MIGRATIONS = (
    """
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE libraries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        library TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE words (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        library TEXT NOT NULL,
        device TEXT NOT NULL,
        certificate BLOB NOT NULL,
        standing TEXT,
        UNIQUE (library, device)
    ) STRICT;

    CREATE TABLE invitation (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        code TEXT NOT NULL,
        until REAL NOT NULL,
        tries INTEGER NOT NULL
    ) STRICT;
    """,
)


class Standing(enum.Enum):
    """What a library says of a device."""

    MEMBER = "member"
    """It may connect, and its signature counts."""
    AUTHOR = "author"
    """Its signature counts: it wrote something, and is no member."""
    WITHDRAWN = "withdrawn"
    """Likewise, for ever: it was a member, and was removed."""


class Word(NamedTuple):
    """One line of the registry's journal: a device's standing in a library from there on.

    ``number`` grows from line to line.  ``certificate`` (DER) may be empty where one that was never heard of
    is withdrawn.  Where ``standing`` is ``None`` the library was removed, with all that was said of it.
    """

    number: int
    library: str
    device: str
    certificate: bytes
    standing: Standing | None


class Invitation(NamedTuple):
    """A code with which a device may come; ``until`` in Unix seconds, ``tries`` are those that are left."""

    code: str
    until: float
    tries: int

    def __repr__(self) -> str:
        """Nothing of the code."""
        return f"<Invitation with {self.tries} tries>"


def judge(
    known: Mapping[str, tuple[bytes, Standing]],
    members: Mapping[str, bytes],
    authors: Mapping[str, bytes],
    withdrawn: Collection[str],
) -> dict[str, tuple[bytes, Standing]]:
    """What becomes another by what a member says of its library, by the rules of ``Registry.vouch``."""
    news: dict[str, tuple[bytes, Standing]] = {}
    gone = {device for device, (_, standing) in known.items() if standing is Standing.WITHDRAWN}
    fresh = set(withdrawn) - gone
    said = {**authors, **members}
    for device in fresh:
        kept = known[device][0] if device in known else b""
        news[device] = kept or said.get(device, b""), Standing.WITHDRAWN
    gone |= fresh
    for device, (certificate, standing) in known.items():
        if not certificate and device in said and device not in news:
            news[device] = said[device], standing
        if fresh and standing is Standing.MEMBER and device not in members and device not in gone:
            news[device] = certificate, Standing.AUTHOR
    for device, certificate in members.items():
        der, at = known.get(device, (b"", Standing.AUTHOR))
        if device not in gone and at is not Standing.MEMBER:
            news[device] = der or certificate, Standing.MEMBER
    for device, certificate in authors.items():
        kept, before = known.get(device, (certificate, None))
        # Also one that is a member here: who vouched for it may not have known of a removal.
        if device not in gone and device not in members and before is not Standing.AUTHOR:
            news[device] = kept or certificate, Standing.AUTHOR
    return news


class RegistryFile:
    """The registry; every method may raise StoreError."""

    def __init__(self, path: str | Path) -> None:
        """Open or create the file.

        Raises StoreTooNew, StoreReadOnly, StoreBusy or StoreError.
        """
        self.path = path
        self._db: apsw.Connection = open_shared(path, MIGRATIONS, APPLICATION_ID)
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._turn, errors_in_words(self.path):
            self._db.close()

    @contextmanager
    def _at_work(self) -> Iterator[apsw.Connection]:
        """One thread at a time; what the block writes is durable after it, or not written."""
        with self._turn, errors_in_words(self.path), transaction(self._db):
            yield self._db

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._turn, errors_in_words(self.path):
            return self._db.execute(query, values).fetchall()

    # Facts

    def fact(self, name: str) -> str | None:
        """A value kept under ``name``."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``."""
        with self._at_work() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def set_fact_once(self, name: str, value: str) -> str:
        """Keep ``value`` unless there is one, in one step; returns what is kept."""
        with self._at_work() as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
            return str(db.execute("SELECT value FROM facts WHERE name = ?", (name,)).get)

    # Libraries and devices

    def libraries(self) -> list[str]:
        """All libraries, in the order in which they came."""
        return [str(row[0]) for row in self._rows("SELECT library FROM libraries ORDER BY number")]

    def number(self, library: str) -> int | None:
        """A number of a library that it has until it is removed, and no other ever had."""
        rows = self._rows("SELECT number FROM libraries WHERE library = ?", library)
        return int(rows[0][0]) if rows else None

    def words(self, after: int) -> list[Word]:
        """The journal behind a number: of each device in a library the last line."""
        query = (
            "SELECT number, library, device, certificate, standing FROM words "
            "WHERE number > ? ORDER BY number"
        )
        return [_word(*row) for row in self._rows(query, after)]

    def vouch(
        self,
        library: str,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Collection[str],
        *,
        by: str = "",
    ) -> None:
        """Take what a member says of its library; see ``liblim.server.stores.Registry``."""
        with self._at_work() as db:
            if not by:
                db.execute("INSERT OR IGNORE INTO libraries (library) VALUES (?)", (library,))
            rows = db.execute(
                "SELECT device, certificate, standing FROM words "
                "WHERE library = ? AND standing IS NOT NULL",
                (library,),
            )
            known = {device: (der, Standing(standing)) for device, der, standing in rows}
            if by and (by not in known or known[by][1] is not Standing.MEMBER):
                return
            for device, (der, standing) in judge(known, members, authors, withdrawn).items():
                db.execute(
                    "INSERT OR REPLACE INTO words (library, device, certificate, standing) "
                    "VALUES (?, ?, ?, ?)",
                    (library, device, der, standing.value),
                )

    def remove(self, library: str) -> bool:
        """Forget a library; whether there was one."""
        with self._at_work() as db:
            db.execute("DELETE FROM libraries WHERE library = ?", (library,))
            if not db.changes():
                return False
            db.execute("DELETE FROM words WHERE library = ?", (library,))
            db.execute(
                "INSERT INTO words (library, device, certificate) VALUES (?, '', x'')", (library,)
            )
            return True

    # The invitation

    def invite(self, invitation: Invitation) -> None:
        """Let this one count, and none before it."""
        with self._at_work() as db:
            db.execute("INSERT OR REPLACE INTO invitation VALUES (1, ?, ?, ?)", invitation)

    def invitation(self) -> Invitation | None:
        """The one that counts, if any; it may be over by its time or its tries."""
        rows = self._rows("SELECT code, until, tries FROM invitation")
        return Invitation(*rows[0]) if rows else None

    def guess(self, code: str) -> bool:
        """Take a try from the invitation with this code, in one step; whether there was one left."""
        with self._at_work() as db:
            db.execute(
                "UPDATE invitation SET tries = tries - 1 WHERE code = ? AND tries > 0", (code,)
            )
            return bool(db.changes())

    def spend(self, code: str) -> bool:
        """Drop the invitation with this code, in one step; whether it was there."""
        with self._at_work() as db:
            db.execute("DELETE FROM invitation WHERE code = ?", (code,))
            return bool(db.changes())

    def copy_to(self, path: Path) -> None:
        """Write a copy into a new file."""
        with self._turn, errors_in_words(path):
            path.touch(mode=0o600, exist_ok=False)  # SQLite would let everybody read it
            self._db.execute("VACUUM INTO ?", (str(path),))


def _word(number: int, library: str, device: str, certificate: bytes, standing: str | None) -> Word:
    found = None if standing is None else Standing(standing)
    return Word(number, library, device, certificate, found)
