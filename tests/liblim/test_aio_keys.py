"""The asyncio shell with keys: the ledger, locked keys, joining."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liblim.aio import AsyncDatabase
from liblim.database import Database
from liblim.errors import IdentityLocked, LimError
from liblim.trust import Device, Identity
from liblim.trust.documents import text_of
from tests.liblim.test_library import changes_of, introduce, write
from tests.liblim.things import Thing

pytestmark = pytest.mark.asyncio


async def test_the_ledger_is_filled_when_it_is_asked_for(tmp_path: Path) -> None:
    desk, lap = Identity.generate(), Identity.generate()
    first = Database(tmp_path / "a.db", [Thing], identity=desk)
    introduce(first, lap)
    first.close()
    database = await AsyncDatabase.open(tmp_path / "a.db", [Thing], identity=desk)
    told: list[int] = []
    database.subscribe_trust(lambda: told.append(len(database.ledger.members)))
    await database.load_trust()
    await database.load_trust()
    assert told == [2]
    await database.close()


async def test_what_arrives_before_the_ledger_is_filled_counts(tmp_path: Path) -> None:
    desk, lap, tab = (Identity.generate() for _ in range(3))
    first = Database(tmp_path / "a.db", [Thing], identity=desk)
    introduce(first, lap)
    first.close()
    database = await AsyncDatabase.open(tmp_path / "a.db", [Thing], identity=desk)
    thing = await database.ensure(Device, tab.device)
    thing.certificate.set(text_of(tab.certificate))
    await database.release(thing)
    assert set(database.ledger.members) == {desk.device, lap.device, tab.device}
    await database.close()


async def test_with_a_locked_key_edits_are_kept_and_committed_once_it_is_unlocked() -> None:
    whole = Identity.generate()
    identity = Identity(whole.certificate)
    database = await AsyncDatabase.open(":memory:", [Thing], identity=identity)
    saved = asyncio.Event()
    database.on_saved = saved.set
    thing = database.create(Thing)
    thing.body.insert(0, "kept")
    with pytest.raises(IdentityLocked):
        await database.commit()
    assert "locked" in database.problem
    assert not database.core.is_saved(thing)
    identity._key, identity._agreement = whole._key, whole._agreement
    while not database.core.is_saved(thing):
        saved.clear()
        await asyncio.wait_for(saved.wait(), 10)
    assert database.problem == ""
    await database.close()


async def test_joining_drops_the_old_log_and_tells_who_listens() -> None:
    newcomer = Identity.generate()
    desk = Database(":memory:", [Thing], identity=Identity.generate())
    introduce(desk, newcomer)
    lap = await AsyncDatabase.open(":memory:", [Thing], identity=newcomer)
    told: list[str] = []
    lap.subscribe_trust(lambda: told.append(lap.library))
    thing = lap.create(Thing)
    thing.body.insert(0, "of the old library")
    with pytest.raises(LimError, match="open"):
        await lap.take_on(desk.grant())
    await lap.release(thing)
    await lap.take_on(desk.grant())
    assert told[-1] == desk.library
    assert (lap.count, await lap.entries()) == (0, [])
    assert newcomer.device in lap.ledger.members
    await lap.close()


async def test_what_one_library_set_aside_is_not_issued_in_another(tmp_path: Path) -> None:
    newcomer = Identity.generate()
    desk = Database(":memory:", [Thing], identity=Identity.generate())
    introduce(desk, newcomer)
    lap = await AsyncDatabase.open(tmp_path / "lap.db", [Thing], identity=newcomer)
    await lap.load_trust()
    await lap.copy_to(tmp_path / "copy.db")
    copy = Database(tmp_path / "copy.db", [Thing], identity=newcomer)
    write(copy, "of the old library")
    change = changes_of(copy)[-1]
    copy.close()
    lap.core.store.set_aside(change, newcomer.device, "a copy wrote it")
    issued, _ = await asyncio.gather(lap.issue_again(), lap.take_on(desk.grant()))
    assert issued == 1
    assert lap.library == desk.library
    assert (lap.count, await lap.entries()) == (0, [])
    await lap.close()


async def test_a_copy_holds_what_was_written_up_to_now(tmp_path: Path) -> None:
    identity = Identity.generate()
    database = await AsyncDatabase.open(":memory:", [Thing], identity=identity)
    thing = database.create(Thing)
    thing.body.insert(0, "copied")
    await database.copy_to(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    copy = Database(tmp_path / "copy.db", [Thing], identity=identity)
    assert str(copy.get(Thing, thing.oid).body) == "copied"
    assert copy.library == database.library
    copy.close()
    await database.close()
