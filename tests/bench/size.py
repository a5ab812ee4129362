"""What a database takes that keeps all history: ``automerge-paper``, typed with a change a second.

Ten keystrokes make a change; each is sealed and signed, as with any library.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from liblim.crdt import Text
from liblim.database import Database
from liblim.document import Document
from liblim.trust import Identity

KEYSTROKES = 10
"""A second, and so in a change."""


class Note(Document):
    """What the app's notes have of it."""

    kind = "note"
    body = Text()


class Part(NamedTuple):
    """What something takes, in bytes."""

    name: str
    octets: int


def typed(trace: Path, path: Path) -> int:
    """Type a trace into a new database; returns how many changes that made."""
    with gzip.open(trace) as file:
        patches = [patch for txn in json.load(file)["txns"] for patch in txn["patches"]]
    database = Database(path, [Note], identity=Identity.generate())
    note = database.create(Note)
    for number, (pos, deleted, inserted) in enumerate(patches, 1):
        if deleted:
            note.body.delete(pos, deleted)
        if inserted:
            note.body.insert(pos, inserted)
        if number % KEYSTROKES == 0:
            database.commit()
    database.release(note)
    count = database.count
    database.store.close()
    return count


def parts(path: Path) -> Iterator[Part]:
    """What is in a database file, the whole of it last."""
    db = apsw.Connection(str(path))
    bodies, signatures, changes = next(
        iter(
            db.execute(
                "SELECT sum(length(body)), sum(length(signature)), (SELECT sum(payload) FROM dbstat "
                "WHERE name = 'changes') FROM changes"
            )
        )
    )
    yield Part("bodies, sealed", bodies)
    yield Part("signatures", signatures)
    yield Part("headers", changes - bodies - signatures)
    yield Part("states", db.execute("SELECT sum(length(state)) FROM states").get)
    db.close()
    yield Part("file", path.stat().st_size)


def show(trace: Path) -> None:
    """Measure, and print a line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "notes.db")
        count = typed(trace, path)
        found = list(parts(path))
    *inside, whole = [f"{part.name} {part.octets / 1e6:.2f}" for part in found]
    rest = (found[-1].octets - sum(part.octets for part in found[:-1])) / 1e6
    print(f"database of {count:,} changes, MB: {whole} (asked: under 7)")
    print(f"  of that {', '.join(inside)}, indexes and room in pages {rest:.2f}", flush=True)
