"""The database: convergence, durability, derived state, documents in use."""

from __future__ import annotations

import random
import stat
from pathlib import Path
from typing import Any

import apsw
import pytest

from liblim.crdt import Register, Text
from liblim.database import Database, Entry
from liblim.document import Document
from liblim.errors import LimError, StoreBusy, StoreError, StoreTooNew
from tests.liblim.things import Thing, memory, pull


def test_two_databases_converge() -> None:
    a, b = memory(1), memory(2)
    mine = a.create(Thing)
    mine.body.insert(0, "shared ground")
    a.commit()
    pull(b, a)
    theirs = b.get(Thing, mine.oid)
    mine.body.insert(0, "A: ")
    theirs.body.insert(len(theirs.body), " :B")
    theirs.tags.add("t")
    a.commit()
    b.commit()
    assert a.digest != b.digest
    pull(a, b)
    pull(b, a)
    assert str(mine.body) == str(theirs.body) == "A: shared ground :B"
    assert a.digest == b.digest
    assert a.count == b.count == 3


class Fleet:
    """Several databases on disk that are edited, restarted and brought together at random."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.paths = [str(folder / f"{n}.db") for n in range(self.rng.randint(2, 4))]
        self.databases = [self._open(path) for path in self.paths]
        self.oids: list[str] = []

    def _open(self, path: str) -> Database:
        return memory(self.rng.getrandbits(32), path)

    def step(self) -> None:
        at = self.rng.randrange(len(self.databases))
        database = self.databases[at]
        action = self.rng.choices(["create", "edit", "commit", "pull", "restart"], [2, 10, 2, 5, 1])
        if action == ["create"] or not self.oids:
            thing = database.create(Thing)
            thing.body.insert(0, "new")
            self.oids.append(thing.oid)
        elif action == ["edit"]:
            _edit(database, self.rng.choice(self.oids), self.rng)
        elif action == ["commit"]:
            database.commit()
        elif action == ["pull"]:
            pull(database, self.rng.choice([d for d in self.databases if d is not database]))
        else:
            database.close()
            self.databases[at] = self._open(self.paths[at])

    def settle(self) -> None:
        for database in self.databases:
            database.commit()
        for _ in self.databases:
            for target in self.databases:
                for source in self.databases:
                    pull(target, source)


@pytest.mark.parametrize("seed", range(12))
def test_random_databases_and_links_converge(seed: int, tmp_path: Path) -> None:
    fleet = Fleet(seed, tmp_path)
    for _ in range(80):
        fleet.step()
    fleet.settle()
    assert len({database.digest for database in fleet.databases}) == 1, f"seed {seed}"
    for oid in fleet.oids:
        assert len({_text(database, oid) for database in fleet.databases}) == 1, f"seed {seed}"
    for database in fleet.databases:
        listed = {entry.oid: entry for entry in database.entries()}
        assert listed == {entry.oid: entry for entry in database.rebuild()}, f"seed {seed}"
        assert all(listed[oid].summary["body"] == _text(database, oid)[0] for oid in fleet.oids)
        assert {head.replica for head in database.frontier} == database.store.frontier()
        database.close()


def _edit(database: Database, oid: str, rng: random.Random) -> None:
    try:
        thing = database.get(Thing, oid)
    except LimError:
        return  # it has not come here yet
    size = len(thing.body)
    if rng.random() < 0.6 or not size:
        thing.body.insert(rng.randint(0, size), rng.choice(["a", "bc", "😀", "xyz\n"]))
    else:
        start = rng.randrange(size)
        thing.body.delete(start, min(size - start, rng.randint(1, 4)))
    if rng.random() < 0.2:
        thing.tags.add(rng.randint(0, 3))
        thing.place.set(str(rng.randint(0, 9)))
    if rng.random() < 0.5:
        database.release(thing)


def _text(database: Database, oid: str) -> tuple[str, str, str]:
    thing = database.get(Thing, oid)
    return str(thing.body), str(thing.place.value), str(sorted(map(str, thing.tags)))


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    database = memory(1, path)
    thing = database.create(Thing)
    thing.body.insert(0, "durable")
    database.commit()
    digest, oid = database.digest, thing.oid
    thing.body.insert(0, "lost with the process: ")
    database.store.close()  # as a crash would
    again = memory(2, path)
    assert again.digest == digest
    assert str(again.get(Thing, oid).body) == "durable"
    again.close()


def test_release_saves_a_state_that_replays_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    database = memory(1, path)
    thing = database.create(Thing)
    for n in range(5):
        thing.body.insert(n, str(n))
        database.commit()
    database.release(thing)
    assert database.load(thing.oid).replayed == 0
    assert str(database.get(Thing, thing.oid).body) == "01234"
    database.close()


def test_a_damaged_state_is_replayed_from_the_log() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "text")
    database.release(thing)
    database.store.save_state(thing.oid, b"garbage", 1)
    assert str(database.get(Thing, thing.oid).body) == "text"


def test_the_same_document_is_shared_until_released() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "x")
    database.commit()
    assert database.get(Thing, thing.oid) is thing
    database.release(thing)
    assert database.get(Thing, thing.oid) is thing
    database.release(thing)
    database.release(thing)
    assert database.get(Thing, thing.oid) is not thing


def test_watchers_hear_of_received_changes_only() -> None:
    a, b = memory(1), memory(2)
    mine = a.create(Thing)
    mine.body.insert(0, "x")
    a.commit()
    pull(b, a)
    theirs = b.get(Thing, mine.oid)
    heard: list[object] = []
    stop = b.desk.watch(theirs.oid, heard.extend)
    theirs.body.insert(1, "own")
    b.commit()
    assert heard == []
    mine.body.insert(0, "y")
    a.commit()
    pull(b, a)
    assert [effect.field for effect in heard] == ["body"]  # type: ignore[attr-defined]
    stop()
    mine.body.insert(0, "z")
    a.commit()
    pull(b, a)
    assert len(heard) == 1


def test_entries_follow_own_and_received_changes() -> None:
    a, b = memory(1), memory(2)
    heard: list[Entry] = []
    b.on_entries = heard.extend
    mine = a.create(Thing)
    mine.body.insert(0, "x")
    a.commit()
    pull(b, a)
    assert [entry.summary["body"] for entry in heard] == ["x"]
    assert heard == b.entries()
    theirs = b.get(Thing, mine.oid)
    theirs.body.insert(1, "y")
    b.commit()
    assert [entry.summary["body"] for entry in heard] == ["x", "xy"]
    assert heard[-1] == b.entries()[0]


def test_entries_that_fell_behind_catch_up(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    a = memory(1, path)
    thing = a.create(Thing)
    thing.body.insert(0, "x")
    a.settle(a.admit(a.close_change()))  # and then the power went
    a.store.close()
    again = memory(2, path)
    assert again.entries() == []
    assert [entry.summary["body"] for entry in again.derive()] == ["x"]
    again.close()


def test_a_commit_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "one")

    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(database.store, "append", full)
        for text in (" two", " three"):
            with pytest.raises(StoreError):
                database.commit()
            assert not database.is_saved(thing)
            thing.body.insert(len(thing.body), text)
    database.commit()
    assert database.is_saved(thing)
    assert str(database.load(thing.oid).document.body) == "one two three"  # type: ignore[attr-defined]


def test_kinds_of_a_newer_version_are_kept_and_forwarded() -> None:
    class Later(Document):
        kind = "later"
        thought = Text()

    class NewThing(Document):
        kind = "thing"
        body = Text()
        mood = Register(default="")

    newer = Database(":memory:", [Later, NewThing])
    later = newer.create(Later)
    later.thought.insert(0, "hm")
    thing = newer.create(NewThing)
    thing.body.insert(0, "ab")
    thing.mood.set("good")
    thing.body.insert(2, "cd")
    newer.commit()
    old, older = memory(1), memory(2)
    pull(old, newer)
    pull(older, old)
    assert older.digest == newer.digest
    entries = {entry.oid: entry for entry in older.entries()}
    assert set(entries) == {thing.oid}
    assert entries[thing.oid].newer
    assert entries[thing.oid].summary["body"] == "abcd"
    with pytest.raises(LimError, match="newer version"):
        older.get(Later, later.oid)


@pytest.mark.parametrize("restarts", [0, 1])
def test_what_an_older_version_passed_over_is_read_after_the_update(
    restarts: int, tmp_path: Path
) -> None:
    """Unknown kinds, fields, operations and whole bodies."""

    class Later(Document):
        kind = "later"
        thought = Text()

        def summary(self) -> dict[str, Any]:
            return {"thought": str(self.thought)}

    class NewThing(Thing):
        kind = "thing"
        mood = Register(default="")

        def summary(self) -> dict[str, Any]:
            return {**super().summary(), "mood": self.mood.value}

    newer = Database(":memory:", [Later, NewThing])
    later, thing = newer.create(Later), newer.create(NewThing)
    later.thought.insert(0, "hm")
    thing.body.insert(0, "ab")
    thing.mood.set("good")
    newer.commit()
    path = str(tmp_path / "a.db")
    for turn in range(1 + restarts):
        old = memory(turn, path)
        pull(old, newer)
        found = old.get(Thing, thing.oid)
        assert found.newer
        found.body.insert(2, "cd")
        old.release(found)
        assert [entry.newer for entry in old.entries()] == [True]
        old.close()
    updated = Database(path, [Later, NewThing])
    updated.derive()
    entries = {entry.oid: entry for entry in updated.entries()}
    assert entries.keys() == {later.oid, thing.oid}
    assert entries[later.oid].summary == {"thought": "hm"}
    assert entries[thing.oid].summary["mood"] == "good"
    assert not any(entry.newer for entry in entries.values())
    assert updated.get(NewThing, thing.oid).mood.value == "good"
    assert str(updated.get(Later, later.oid).thought) == "hm"
    updated.close()


def test_a_document_of_another_type_is_said_so() -> None:
    class Other(Document):
        kind = "other"
        text = Text()

    database = Database(":memory:", [Thing, Other])
    thing = database.create(Thing)
    thing.body.insert(0, "x")
    database.release(thing)
    with pytest.raises(LimError, match="'thing', not a 'other'"):
        database.get(Other, thing.oid)
    assert str(database.get(Thing, thing.oid).body) == "x"


def test_unknown_documents_are_said_so() -> None:
    with pytest.raises(LimError):
        memory().get(Thing, "f" * 32)


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    first = memory(1, path)
    with pytest.raises(StoreBusy):
        memory(2, path)
    first.close()
    memory(3, path).close()


def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = memory(1, str(path))
    database.store._db.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="newer version"):
        memory(2, str(path))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]


def test_other_files_are_refused_and_untouched(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match="damaged"):
        memory(1, str(garbage))
    assert garbage.read_bytes().startswith(b"not a database")
    with pytest.raises(StoreError):
        memory(1, str(tmp_path / "nowhere" / "a.db"))
    foreign = tmp_path / "foreign.db"
    other = apsw.Connection(str(foreign))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        memory(1, str(foreign))
    assert foreign.read_bytes() == before


def test_a_file_that_a_killed_process_only_just_made_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    memory(1, str(tmp_path / "a.db")).close()


def test_the_file_is_durable_private_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = memory(1, str(path))
    pragma = database.store._db.pragma
    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("locking_mode") == "exclusive"
    assert pragma("fullfsync") == 1
    assert pragma("checkpoint_fullfsync") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database.close()
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]
