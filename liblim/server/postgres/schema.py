"""The tables, as a list of migrations: entry *n* brings a database from version *n* to *n* + 1.

They stand in a schema of their own.  ``libraries`` has the numbers under which the rows of a library stand
elsewhere, and its row is the lock for writing to that: ``last`` is the position of its last change, ``tick``
counts the transactions that set something aside or kept a receipt, ``octets`` is what it takes, roughly.
No foreign keys: all that is written stands under that lock.
A replica's id is stored as the signed number that its 8 bytes are.  A row of ``changes`` is all that there is
to know of a change (but for the hash of its body), so that none is read by a join: how that would be planned
depends on statistics that PostgreSQL gathers late.  What is sealed does not compress, so bodies are stored as
they are.
"""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg

from liblim.errors import StoreTooNew

SCHEMA: Final = "lim"

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    );

    CREATE TABLE words (
        number BIGINT PRIMARY KEY,
        library TEXT NOT NULL,
        device TEXT NOT NULL,
        certificate BYTEA NOT NULL,
        standing TEXT,
        UNIQUE (library, device)
    );

    CREATE TABLE invitations (
        code TEXT PRIMARY KEY,
        until DOUBLE PRECISION NOT NULL,
        tries INTEGER NOT NULL
    );

    CREATE TABLE libraries (
        number INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        library TEXT NOT NULL UNIQUE,
        last BIGINT NOT NULL DEFAULT 0,
        tick BIGINT NOT NULL DEFAULT 0,
        octets BIGINT NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);

    CREATE TABLE replicas (
        library INTEGER NOT NULL,
        replica BIGINT NOT NULL,
        device TEXT NOT NULL,
        seq BIGINT NOT NULL,
        hash BYTEA NOT NULL,
        ends BIGINT NOT NULL,
        PRIMARY KEY (library, replica)
    ) WITH (fillfactor = 50);

    CREATE TABLE changes (
        library INTEGER NOT NULL,
        position BIGINT NOT NULL,
        replica BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        hash BYTEA NOT NULL,
        prev BYTEA NOT NULL,
        deps BYTEA,
        clock BIGINT NOT NULL,
        n BIGINT NOT NULL,
        at BIGINT NOT NULL,
        epoch BYTEA NOT NULL,
        device TEXT,
        signature BYTEA NOT NULL,
        body BYTEA NOT NULL,
        PRIMARY KEY (library, position),
        UNIQUE (library, replica, seq)
    );

    ALTER TABLE changes ALTER COLUMN body SET STORAGE EXTERNAL;

    CREATE TABLE aside (
        library INTEGER NOT NULL,
        hash BYTEA NOT NULL,
        change BYTEA NOT NULL,
        device TEXT NOT NULL,
        reason TEXT NOT NULL,
        tick BIGINT NOT NULL,
        PRIMARY KEY (library, hash)
    );

    CREATE TABLE receipts (
        library INTEGER NOT NULL,
        device TEXT NOT NULL,
        kept BYTEA NOT NULL,
        position BIGINT NOT NULL,
        tick BIGINT NOT NULL,
        PRIMARY KEY (library, device)
    );
    """,
)

_LOCK = 0x4C494D31
"""The advisory lock of whoever migrates ("LIM1")."""

_IS_NEW: LiteralString = f"SELECT to_regclass('{SCHEMA}.migrations') IS NULL"
_VERSIONS: LiteralString = (
    "CREATE TABLE migrations (version INTEGER PRIMARY KEY, at TIMESTAMPTZ NOT NULL)"
)


def migrate(connection: psycopg.Connection) -> None:
    """Bring the database to this version's tables; processes that start together take turns.

    Raises StoreTooNew, and psycopg.Error.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute(_IS_NEW).fetchone() == (True,):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            connection.execute(_VERSIONS)
        row = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
        version = int(row[0]) if row else 0
        if version > len(MIGRATIONS):
            raise StoreTooNew(
                "The database was written by a newer version of limserver. "
                "Update this one; nothing was changed."
            )
        for number in range(version, len(MIGRATIONS)):
            connection.execute(MIGRATIONS[number])
            connection.execute("INSERT INTO migrations VALUES (%s, now())", (number + 1,))
