"""Databases that older versions wrote are read for good.

Each file of ``formats`` is the dump of a database that a program of its version wrote: a document's state,
and changes that came after it, of several runs.  Those of version 4 are those of version 3, brought up to
date by a program of version 4.  The key of the device that sealed some of them is not
there: reading takes none.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from liblim.change import Range
from liblim.database import Database
from liblim.store.schema import MIGRATIONS
from liblim.trust import Identity
from tests.liblim.things import Thing, memory, pull

FORMATS = sorted(Path(__file__).with_name("formats").glob("*.sql"))
WORDS = "wörld 🙂, these words were written by an older program. " + (
    "Hello, wörld 🙂, these words were written by an older program. " * 2
)
each_format = pytest.mark.parametrize("dump", FORMATS, ids=lambda dump: dump.stem)


def restored(dump: Path, folder: Path) -> Path:
    """The database of a dump."""
    path = folder / "old.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(dump.read_text("utf-8"))
    return path


def opened(dump: Path, path: Path, seed: int) -> Database:
    """The database as this version opens it, with keys if it was sealed."""
    identity = {"identity": Identity.generate()} if dump.stem.endswith("sealed") else {}
    return memory(seed, str(path), **identity)


def read(database: Database) -> Thing:
    """The one document, which has to be as it was written."""
    (row,) = database.store.documents([Thing.kind])
    thing = database.get(Thing, row.oid)
    thing.body.check_invariants()
    text = str(thing.body)
    assert text.replace("<b>", "").removeprefix("new ") == f"A later {WORDS}"
    assert sorted(map(str, thing.tags)) in (["['y', 1]", "z"], ["['y', 1]", "x"])
    assert (thing.place.value, bool(thing.pinned), thing.newer) == ("there", True, False)
    return thing


def test_each_version_has_a_dump() -> None:
    versions = {int(dump.stem.split("-")[1]) for dump in FORMATS}
    assert versions == set(range(1, len(MIGRATIONS) + 1))


@each_format
def test_it_is_read_written_on_and_read_again(dump: Path, tmp_path: Path) -> None:
    path = restored(dump, tmp_path)
    database = opened(dump, path, 11)
    digest, count = database.digest, database.count
    thing = read(database)
    if dump.stem.endswith("sealed"):
        database.store.close()  # another device's: it can be read here, and is not written on
        return
    thing.body.insert(0, "new ")
    database.commit()
    database.close()
    again = opened(dump, path, 12)
    assert (again.digest != digest, again.count) == (True, count + 1)
    assert str(read(again).body).startswith("new ")
    again.close()


@each_format
def test_its_state_and_its_log_say_the_same(dump: Path, tmp_path: Path) -> None:
    database = opened(dump, restored(dump, tmp_path), 11)
    before = read(database).encode()
    database.release(read(database))
    database.rebuild()
    assert read(database).encode() == before
    database.store.close()


@each_format
def test_its_changes_are_taken_by_others(dump: Path, tmp_path: Path) -> None:
    database = opened(dump, restored(dump, tmp_path), 11)
    for change in database.read([Range(name, 1, 99) for name in database.heads], 99, 10**6):
        change.check()
        stored = change.__dict__.pop("hash")
        assert change.hash == stored  # worked out anew
    if not dump.stem.endswith("sealed"):
        other = memory(13)
        pull(other, database)
        assert other.digest == database.digest
        assert str(read(other).body) == str(read(database).body)
    database.store.close()


@pytest.mark.parametrize("name", ["version-3", "version-3-sealed"])
def test_what_could_be_undone_still_can(name: str, tmp_path: Path) -> None:
    dump = next(dump for dump in FORMATS if dump.stem == name)
    thing = read(database := opened(dump, restored(dump, tmp_path), 11))
    beginnings = []
    while thing.body.can_undo:
        thing.body.undo()
        beginnings.append(str(thing.body).replace("<b>", "")[:7])
    assert beginnings == ["A wörld", "wörld 🙂", "Hello, ", ""]
    database.store.close()
