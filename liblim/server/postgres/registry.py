"""The registry of a server in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

from liblim.server.postgres.pool import Connection, Pool
from liblim.store.registry import Invitation, Standing, Word, judge

_LOCK = 0x4C494D52
"""The advisory lock of whoever writes to the journal ("LIMR"): numbers are committed in their order."""

_LOG_TABLES: tuple[LiteralString, ...] = ("changes", "replicas", "aside", "receipts")

_WORD: LiteralString = """
    INSERT INTO words SELECT coalesce(max(number), 0) + 1, %s, %s, %s, %s FROM words
    ON CONFLICT (library, device) DO UPDATE
    SET number = excluded.number, certificate = excluded.certificate, standing = excluded.standing
"""
_KNOWN: LiteralString = """
    SELECT w.device, w.certificate, w.standing
    FROM libraries l LEFT JOIN words w ON w.library = l.library AND w.standing IS NOT NULL
    WHERE l.library = %s
"""


class PostgresRegistry:
    """A ``Registry``: see there."""

    def __init__(self, pool: Pool, written: Callable[[str], None]) -> None:
        """``written`` is told after each commit: of libraries that changed, and of "" for the journal."""
        self._pool = pool
        self._written = written

    def fact(self, name: str) -> str | None:
        """A value kept under ``name``."""
        rows = self._ask("SELECT value FROM facts WHERE name = %s", name)
        return str(rows[0][0]) if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``."""
        self._ask(
            "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
            "RETURNING 1",
            *(name, value),
        )

    def set_fact_once(self, name: str, value: str) -> str:
        """Keep ``value`` unless there is one, in one step; returns what is kept."""
        rows = self._ask(
            "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = facts.value "
            "RETURNING value",
            *(name, value),
        )
        return str(rows[0][0])

    def libraries(self) -> list[str]:
        """All libraries, in the order in which they came."""
        return [row[0] for row in self._ask("SELECT library FROM libraries ORDER BY number")]

    def words(self, after: int) -> list[Word]:
        """The journal behind a number, in order; complete: none with a smaller number comes later."""
        columns: LiteralString = "number, library, device, certificate, standing"
        query = f"SELECT {columns} FROM words WHERE number > %s ORDER BY number"
        return [_word(*row) for row in self._ask(query, after)]

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
        rows = self._ask(_KNOWN, library)
        # Most that is said was said before, by another device: for that nobody waits.
        if rows and not judge(_known(rows), members, authors, withdrawn):
            return
        with self._writing() as db:
            if not by:
                query: LiteralString = (
                    "INSERT INTO libraries (library) VALUES (%s) ON CONFLICT DO NOTHING"
                )
                db.execute(query, (library,))
            known = _known(db.execute(_KNOWN, (library,)).fetchall())
            if by and (by not in known or known[by][1] is not Standing.MEMBER):
                return
            news = judge(known, members, authors, withdrawn)
            for device, (certificate, standing) in news.items():
                db.execute(_WORD, (library, device, certificate, standing.value))
        self._written("")

    def remove(self, library: str) -> bool:
        """Forget a library with its log, its devices and its receipts; whether there was one."""
        with self._writing() as db:
            query: LiteralString = "DELETE FROM libraries WHERE library = %s RETURNING number"
            row = db.execute(query, (library,)).fetchone()
            if row is None:
                return False
            for table in _LOG_TABLES:
                db.execute(f"DELETE FROM {table} WHERE library = %s", row)
            # The new line first: no number is given twice.
            db.execute(_WORD, (library, "", b"", None))
            db.execute("DELETE FROM words WHERE library = %s AND device <> ''", (library,))
        self._written("")
        self._written(library)
        return True

    # The invitation: one at a time

    def invite(self, invitation: Invitation) -> None:
        """Let this one count, and none before it."""
        with self._writing() as db:
            db.execute("DELETE FROM invitations")
            db.execute("INSERT INTO invitations VALUES (%s, %s, %s)", invitation)

    def invitation(self) -> Invitation | None:
        """The one that counts, if any; it may be over by its time or its tries."""
        rows = self._ask("SELECT code, until, tries FROM invitations")
        return Invitation(*rows[0]) if rows else None

    def guess(self, code: str) -> bool:
        """Take a try from the invitation with this code, in one step; whether there was one left."""
        with self._writing() as db:
            query = "UPDATE invitations SET tries = tries - 1 WHERE code = %s AND tries > 0"
            return bool(db.execute(query, (code,)).rowcount)

    def spend(self, code: str) -> bool:
        """Drop the invitation with this code, in one step; whether it was there: it counts once."""
        with self._writing() as db:
            return bool(db.execute("DELETE FROM invitations WHERE code = %s", (code,)).rowcount)

    def _ask(self, query: LiteralString, *values: object) -> list[Any]:
        return self._pool.run(lambda db: db.execute(query, values).fetchall())

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that keeps out other writers of the registry."""
        with self._pool.transaction(_begin) as (connection, _):
            yield connection
            connection.execute("COMMIT")


def _known(rows: Iterable[Any]) -> dict[str, tuple[bytes, Standing]]:
    return {device: (der, Standing(at)) for device, der, at in rows if device is not None}


def _word(number: int, library: str, device: str, certificate: bytes, standing: str | None) -> Word:
    found = None if standing is None else Standing(standing)
    return Word(number, library, device, certificate, found)


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
