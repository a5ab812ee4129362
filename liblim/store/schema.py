"""The tables, as a list of migrations: entry *n* brings a database from version *n* to *n* + 1.

``replicas``, ``changes``, ``frontier``, ``aside``, ``epochs`` and ``certificates`` are the truth.
``documents``, ``states`` (apart, so that reading a list does not read all notes) and ``touches`` are derived
from them.  ``undo`` is this device's own, and may be lost: what can be undone in a document, having seen the
log up to ``position``.  ``receipts`` may be lost, too: what other devices were heard to hold when the log was
at ``position``.
What a change's header says twice is stored once: ``prev`` is the hash of the row before it (of a replica's
first change, the replica's salt), and ``body_hash`` is only there where the body is not.  An epoch's name is
stored once, in ``epoch_names``.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE replicas (
        id INTEGER PRIMARY KEY,
        replica TEXT NOT NULL UNIQUE,
        device TEXT NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        end INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE changes (
        position INTEGER PRIMARY KEY,
        replica INTEGER NOT NULL REFERENCES replicas,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        deps BLOB,
        clock INTEGER NOT NULL,
        n INTEGER NOT NULL,
        at INTEGER NOT NULL,
        epoch TEXT NOT NULL,
        signature BLOB NOT NULL,
        body BLOB,
        body_hash BLOB,
        UNIQUE (replica, seq)
    ) STRICT;

    CREATE TABLE frontier (
        replica INTEGER PRIMARY KEY REFERENCES replicas
    ) STRICT;

    CREATE TABLE aside (
        hash BLOB PRIMARY KEY,
        change BLOB NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;

    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        oid TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        changed INTEGER NOT NULL,
        last INTEGER NOT NULL,
        listed INTEGER NOT NULL DEFAULT 0,
        summary TEXT,
        newer INTEGER NOT NULL DEFAULT 0,
        state BLOB,
        state_position INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE INDEX documents_unlisted ON documents (id) WHERE listed < last;

    CREATE TABLE touches (
        document INTEGER NOT NULL REFERENCES documents,
        position INTEGER NOT NULL REFERENCES changes,
        PRIMARY KEY (document, position)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE peers (
        device TEXT PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE epochs (
        key BLOB PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE certificates (
        device TEXT PRIMARY KEY,
        certificate BLOB NOT NULL,
        member INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE replicas ADD COLUMN salt BLOB NOT NULL DEFAULT x'';
    ALTER TABLE aside ADD COLUMN device TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE undo (
        document INTEGER PRIMARY KEY REFERENCES documents,
        position INTEGER NOT NULL,
        history BLOB NOT NULL
    ) STRICT;

    CREATE TABLE epoch_names (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;

    INSERT INTO epoch_names (name) SELECT DISTINCT epoch FROM changes;
    ALTER TABLE changes ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
    UPDATE changes SET sealed = (SELECT id FROM epoch_names WHERE name = changes.epoch);
    ALTER TABLE changes DROP COLUMN epoch;
    ALTER TABLE changes RENAME COLUMN sealed TO epoch;
    """,
    """
    CREATE TABLE receipts (
        device TEXT PRIMARY KEY,
        kept BLOB NOT NULL,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE states (
        document INTEGER PRIMARY KEY REFERENCES documents,
        position INTEGER NOT NULL,
        state BLOB NOT NULL
    ) STRICT;

    INSERT INTO states SELECT id, state_position, state FROM documents WHERE state IS NOT NULL;
    ALTER TABLE documents DROP COLUMN state;
    ALTER TABLE documents DROP COLUMN state_position;
    CREATE INDEX documents_changed ON documents (changed);
    """,
)
