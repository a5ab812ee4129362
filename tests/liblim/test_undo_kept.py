"""What can be undone stays with a document, on this device: when it is closed, and when the program ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from liblim import database as database_module
from liblim import desk
from liblim.aio import AsyncDatabase
from liblim.change import Range
from liblim.database import Database
from tests.liblim.things import Thing, memory, pull


def at(path: Path, seed: int) -> Database:
    """The database there, as a run of the program opens it."""
    return memory(seed, str(path))


def crash(database: Database) -> None:
    """End without releasing or committing anything."""
    database.store.close()


def written(database: Database) -> str:
    """The oid of a document in which "one", "two" and "three" were typed, two of them undone."""
    thing = database.create(Thing)
    for word in ("one ", "two ", "three"):
        thing.body.insert(len(thing.body), word)
        thing.body.end_group()
    thing.body.undo()
    thing.body.undo()
    return thing.oid


def close(database: Database, oid: str) -> None:
    """Let go of a document that was created here."""
    thing = database.get(Thing, oid)
    database.release(thing)
    database.release(thing)
    assert oid not in database.desk


def through(database: Database, oid: str) -> list[str]:
    """The texts on the way back to the beginning, and forth to the end."""
    thing = database.get(Thing, oid)
    texts = []
    while thing.body.can_undo:
        thing.body.undo()
        texts.append(str(thing.body))
    while thing.body.can_redo:
        thing.body.redo()
        texts.append(str(thing.body))
    return texts


ALL = ["", "one ", "one two ", "one two three"]


def test_it_survives_closing_the_document() -> None:
    database = memory()
    oid = written(database)
    close(database, oid)
    assert through(database, oid) == ALL


def test_it_survives_a_restart_though_the_document_was_not_closed(tmp_path: Path) -> None:
    database = at(tmp_path / "a.db", 1)
    oid = written(database)
    database.close()
    assert through(at(tmp_path / "a.db", 2), oid) == ALL


def test_it_survives_a_crash_as_the_text_does(tmp_path: Path) -> None:
    database = at(tmp_path / "a.db", 1)
    oid = written(database)
    database.commit()
    database.get(Thing, oid).body.insert(0, "not committed ")
    crash(database)
    assert through(at(tmp_path / "a.db", 2), oid) == ALL


def test_where_a_crash_parted_text_and_history_nothing_can_be_undone(tmp_path: Path) -> None:
    """The change is committed and the list not brought up to date: the history lacks that edit."""
    database = at(tmp_path / "a.db", 1)
    oid = written(database)
    database.commit()
    database.get(Thing, oid).body.insert(0, "more ")
    database.admit(database.close_change())
    crash(database)
    thing = at(tmp_path / "a.db", 2).get(Thing, oid)
    assert str(thing.body) == "more one "
    assert not thing.body.can_undo
    assert not thing.body.can_redo


def test_what_others_wrote_meanwhile_is_left() -> None:
    mine, theirs = memory(1), memory(2)
    oid = written(mine)
    close(mine, oid)
    pull(theirs, mine)
    theirs.get(Thing, oid).body.insert(2, "<theirs>")
    theirs.commit()
    pull(mine, theirs)
    assert through(mine, oid)[:2] == ["<theirs>", "on<theirs>e "]


def test_a_restored_backup_does_not_undo_beneath_what_was_written_since(tmp_path: Path) -> None:
    """Its own later changes come back from others: the history has not seen them."""
    path, backup, device = tmp_path / "a.db", tmp_path / "b.db", memory(9)
    database = at(path, 1)
    oid = written(database)
    database.commit()
    database.copy_to(backup)
    database.get(Thing, oid).body.insert(0, "later ")
    database.commit()
    pull(device, database)
    restored = at(backup, 2)
    assert restored.get(Thing, oid).body.can_undo
    restored.release(restored.get(Thing, oid))
    restored.close()
    restored = at(backup, 3)
    pull(restored, device)
    thing = restored.get(Thing, oid)
    assert str(thing.body) == "later one "
    assert not thing.body.can_undo


def test_one_that_does_not_fit_is_dropped() -> None:
    database = memory()
    oid = written(database)
    close(database, oid)
    for wrong in (b"{", b'{"version":0,"fields":{"body":[0,[[[1,"zz",1]]],[]]}}'):
        database.store.save_undo(oid, wrong, database.position)
        thing = database.get(Thing, oid)
        assert str(thing.body) == "one "
        assert not thing.body.can_undo
        database.release(thing)
    database.store.save_undo(oid, b'{"version":0,"fields":{"gone":[],"tags":1}}', 10**6)
    assert not database.get(Thing, oid).body.can_undo


def test_it_never_leaves_this_device() -> None:
    mine, theirs = memory(1), memory(2)
    oid = written(mine)
    mine.commit()
    pull(theirs, mine)
    assert not theirs.get(Thing, oid).body.can_undo
    assert theirs.store.undo(oid, theirs.device) is None


def test_a_long_history_waits_for_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "UNDO_AT_COMMIT", 200)
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "x" * 500)
    database.commit()
    assert database.store.undo(thing.oid, database.device) is not None
    thing.body.delete(0, 500)
    database.commit()
    assert database.store.undo(thing.oid, database.device) is None
    database.release(thing)
    again = database.get(Thing, thing.oid)
    again.body.undo()
    assert len(again.body) == 500


def test_what_has_nothing_to_undo_any_more_keeps_nothing() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "x")
    database.commit()
    thing.body.load_history(b"")
    thing.tags.add("tag")
    database.commit()
    assert database.store.undo(thing.oid, database.device) is None


def test_of_many_documents_the_last_written_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "UNDO_DOCUMENTS", 2)
    database = at(tmp_path / "a.db", 1)
    oids = [written(database) for _ in range(4)]
    database.close()
    again = at(tmp_path / "a.db", 2)
    kept = [again.store.undo(oid, again.device) is not None for oid in oids]
    assert kept == [False, False, True, True]


VERSION_2 = """
    DROP TABLE receipts;
    DROP INDEX documents_changed;
    DROP TABLE states;
    ALTER TABLE documents ADD COLUMN state BLOB;
    ALTER TABLE documents ADD COLUMN state_position INTEGER NOT NULL DEFAULT 0;
    DROP TABLE undo;
    ALTER TABLE changes ADD COLUMN name TEXT NOT NULL DEFAULT '';
    UPDATE changes SET name = (SELECT name FROM epoch_names WHERE id = changes.epoch);
    ALTER TABLE changes DROP COLUMN epoch;
    ALTER TABLE changes RENAME COLUMN name TO epoch;
    DROP TABLE epoch_names;
    PRAGMA user_version = 2
"""


def test_a_database_from_before_is_brought_up_to_date(tmp_path: Path) -> None:
    database = at(tmp_path / "a.db", 1)
    oid = written(database)
    database.commit()
    digest = database.digest
    for statement in VERSION_2.split(";"):
        database.store._db.execute(statement)
    crash(database)
    again = at(tmp_path / "a.db", 2)
    thing = again.get(Thing, oid)
    assert again.digest == digest
    (change,) = again.read([Range(replica, 1, 9) for replica in again.heads], 9, 10**6)
    change.check()
    assert change.hash in {head.hash for head in again.heads.values()}
    assert str(thing.body) == "one "
    assert not thing.body.can_undo
    thing.body.insert(0, "more ")
    again.close()
    assert through(at(tmp_path / "a.db", 3), oid) == ["one ", "more one "]


@pytest.mark.asyncio
async def test_it_survives_on_a_loop_too(tmp_path: Path) -> None:
    database = await AsyncDatabase.open(tmp_path / "a.db", [Thing])
    thing = database.create(Thing)
    thing.body.insert(0, "typed")
    await database.release(thing)
    await database.close()
    database = await AsyncDatabase.open(tmp_path / "a.db", [Thing])
    thing = await database.get(Thing, thing.oid)
    thing.body.undo()
    assert str(thing.body) == ""
    await database.close()
