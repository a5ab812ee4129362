"""Databases with keys: founding, joining, and what is taken from whom."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from liblim.change import Change, Range
from liblim.crdt.splice import Splice
from liblim.database import Database
from liblim.document import Effect
from liblim.errors import ChangeError, IdentityLocked, LimError, StoreUnsealed
from liblim.trust import (
    MAX_GRANTED,
    Device,
    Grant,
    Granted,
    Identity,
    Library,
    epoch_name,
)
from liblim.trust.documents import text_of
from tests.liblim.things import Thing

LOTS = 1 << 30


def make(path: str | Path = ":memory:", identity: Identity | None = None) -> Database:
    return Database(path, [Thing], identity=identity or Identity.generate())


def introduce(database: Database, newcomer: Identity) -> None:
    document = database.ensure(Device, newcomer.device)
    document.certificate.set(text_of(newcomer.certificate))
    database.release(document)


def pair(giver: Database, identity: Identity, path: str | Path = ":memory:") -> Database:
    """A second device of the giver's library, not synced yet."""
    introduce(giver, identity)
    joiner = make(path, identity)
    joiner.take_on(giver.grant())
    return joiner


def changes_of(database: Database) -> list[Change]:
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    return database.read(ranges, LOTS, LOTS)


def sync(*databases: Database) -> None:
    for _ in databases:
        for giver in databases:
            for taker in databases:
                assert taker.receive(changes_of(giver)).refused is None


def write(database: Database, text: str) -> str:
    thing = database.create(Thing)
    thing.body.insert(0, text)
    database.release(thing)
    return thing.oid


def read(database: Database, oid: str) -> str:
    thing = database.get(Thing, oid)
    text = str(thing.body)
    database.release(thing)
    return text


def test_a_new_library_is_founded_and_found_again(tmp_path: Path) -> None:
    identity = Identity.generate()
    first = make(tmp_path / "a.db", identity)
    oid = write(first, "hello")
    library, epoch = first.library, first.keys.epoch
    first.close()
    again = make(tmp_path / "a.db", identity)
    assert (again.library, again.keys.epoch) == (library, epoch)
    assert again.device == identity.device
    assert set(again.ledger.members) == {identity.device}
    assert read(again, oid) == "hello"
    again.close()


def test_nothing_readable_is_in_what_leaves_the_device() -> None:
    database = make()
    write(database, "a canary in a coal mine")
    for change in changes_of(database):
        assert b"canary" not in msgspec.json.encode(change)
        assert len(change.signature) == 64
        assert change.header.epoch == database.keys.epoch


def test_a_device_that_joined_reads_and_writes() -> None:
    desk = make()
    oid = write(desk, "from the desk")
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    assert read(lap, oid) == "from the desk"
    other = write(lap, "from the lap")
    sync(desk, lap)
    assert read(desk, other) == "from the lap"
    assert desk.digest == lap.digest
    assert set(desk.ledger.members) == set(lap.ledger.members) == {desk.device, lap.device}


def test_entries_do_not_show_trust_documents() -> None:
    desk = make()
    pair(desk, Identity.generate())
    oid = write(desk, "the only one")
    assert [entry.oid for entry in desk.entries()] == [oid]


def test_what_a_stranger_wrote_waits_for_an_introduction() -> None:
    desk = make()
    newcomer = Identity.generate()
    lap = make(identity=newcomer)
    lap.take_on(
        msgspec.structs.replace(
            desk.grant(), devices=(*desk.grant().devices, Granted(newcomer.certificate, True))
        )
    )
    oid = write(lap, "early")
    outcome = desk.receive(changes_of(lap))
    assert (len(outcome.entered), outcome.waiting, outcome.refused) == (0, 1, None)
    introduce(desk, newcomer)
    assert read(desk, oid) == "early"


def test_unsigned_and_wrongly_signed_changes_are_refused_and_others_go_on() -> None:
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    good = write(lap, "good")
    write(lap, "more")
    *_, first, second = changes_of(lap)
    for signature in (b"", second.signature, bytes(64)):
        outcome = desk.receive([msgspec.structs.replace(first, signature=signature)])
        assert isinstance(outcome.refused, ChangeError)
        assert not outcome.entered
    assert desk.receive([first]).refused is None
    assert read(desk, good) == "good"


def test_one_signature_covers_the_run_before_it() -> None:
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    oids = [write(lap, f"number {n}") for n in range(5)]
    *_, a, b, c, d, e = changes_of(lap)
    outcome = desk.receive([msgspec.structs.replace(a, signature=bytes(64)), b, c, d, e])
    assert (len(outcome.entered), outcome.refused) == (5, None)
    assert [read(desk, oid) for oid in oids] == [f"number {n}" for n in range(5)]


def test_of_a_run_with_a_bad_end_the_good_beginning_is_taken() -> None:
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    for n in range(3):
        write(lap, f"number {n}")
    *_, a, b, c = changes_of(lap)
    outcome = desk.receive([a, b, msgspec.structs.replace(c, signature=bytes(64))])
    assert len(outcome.entered) == 2
    assert outcome.refused is not None


def test_changes_of_another_library_are_refused() -> None:
    identity = Identity.generate()
    desk, other = make(), make(identity=identity)
    write(other, "elsewhere")
    introduce(desk, identity)
    outcome = desk.receive(changes_of(other))
    assert outcome.refused is not None
    assert not outcome.entered


def hand_on(giver: Database, epoch: str, taker: Database) -> None:
    """Write the key of an epoch for another device."""
    document = giver.ensure(Library, giver.library)
    wrapped = giver.keys.wrap_for(taker.device, epoch)
    document.epochs.add({"epoch": epoch, "keys": {taker.device: text_of(wrapped)}})
    giver.release(document)


def test_a_body_whose_key_comes_later_is_read_then() -> None:
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    old = desk.keys.epoch
    new = desk.keys.add_epoch(bytes(range(32)))
    desk.keys.use(new)
    oid = write(desk, "under the new one")
    lap.receive(changes_of(desk))
    assert lap.digest == desk.digest
    with pytest.raises(LimError):
        lap.get(Thing, oid)
    desk.keys.use(old)
    hand_on(desk, new, lap)
    outcome = lap.receive(changes_of(desk))
    assert len(outcome.revived) == 1
    assert read(lap, oid) == "under the new one"
    assert oid in {entry.oid for entry in lap.entries()}


def test_a_document_in_use_becomes_what_the_log_says_when_a_key_comes() -> None:
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    thing = desk.create(Thing)
    thing.body.insert(0, "one ")
    desk.commit()
    lap.receive(changes_of(desk))
    shown = lap.get(Thing, thing.oid)
    shown.body.insert(0, "zero ")
    lap.commit()
    told: list[Effect] = []
    lap.desk.watch(thing.oid, told.extend)
    old = desk.keys.epoch
    new = desk.keys.add_epoch(bytes(range(32)))
    desk.keys.use(new)
    thing.body.insert(4, "two ")
    thing.tags.add("unread")
    desk.commit()
    desk.keys.use(old)
    thing.body.insert(8, "three")
    thing.tags.add("read")
    desk.commit()
    lap.receive(changes_of(desk))
    assert [entry.newer for entry in lap.entries()] == [True]
    shown.body.insert(9, "typed ")
    hand_on(desk, new, lap)
    lap.receive(changes_of(desk))
    assert str(shown.body) == "zero one typed two three"
    assert told[-1] == Effect("body", [Splice(15, 0, "two three")])
    assert set(shown.tags) == {"unread", "read"}
    assert [entry.newer for entry in lap.entries()] == [False]
    assert not lap.is_saved(shown)
    shown.body.undo()
    assert str(shown.body) == "zero one two three"
    sync(desk, lap)
    assert str(thing.body) == str(shown.body)
    lap.release(shown)
    assert read(lap, thing.oid) == str(thing.body)


def test_while_the_key_is_locked_what_is_written_is_kept_and_not_committed() -> None:
    identity = Identity.generate()
    database = Database(":memory:", [Thing], identity=Identity(identity.certificate))
    thing = database.create(Thing)
    thing.body.insert(0, "kept")
    with pytest.raises(IdentityLocked):
        database.commit()
    assert not database.is_saved(thing)
    assert database.count == 0
    thing.body.insert(4, " still")
    assert str(thing.body) == "kept still"


def test_a_grant_is_within_its_bounds_and_keeps_what_the_joiner_needs() -> None:
    """Also where a member introduced a thousand others, and handed out as many keys."""
    founder = make()
    giver = pair(founder, Identity.generate())
    sync(founder, giver)
    assert giver.trust is not None
    first = giver.keys.epoch
    for number in range(MAX_GRANTED + 5):
        giver.keys.add_epoch(number.to_bytes(32, "big"))
        giver.keys.certificates[f"{number:032x}"] = b"a puppet's"
    joiner = Identity.generate()
    giver.keys.add_certificate(joiner.certificate)
    giver.keys.certificates |= {f"{n:032x}": b"a puppet's" for n in range(10**4, 11_100)}
    grant = giver.grant(joiner.device)
    assert msgspec.json.decode(msgspec.json.encode(grant), type=Grant) == grant
    held = [granted.certificate for granted in grant.devices]
    wanted = {
        founder.keys.identity.certificate,
        giver.keys.identity.certificate,
        joiner.certificate,
    }
    assert wanted <= set(held)
    # The epoch in use is the first one here, and stands at both ends.
    assert [epoch_name(key) for key in (grant.epochs[0], grant.epochs[-1])] == [first, first]
    giver.keys.use(epoch_name((7).to_bytes(32, "big")))
    grant = giver.grant()
    assert epoch_name(grant.epochs[0]) == first
    assert grant.epochs[-1] == (7).to_bytes(32, "big")
    assert len(grant.epochs) == MAX_GRANTED


def test_a_grant_for_another_device_is_not_taken() -> None:
    desk, lap = make(), make()
    oid = write(lap, "mine")
    with pytest.raises(LimError, match="not for this device"):
        lap.take_on(desk.grant())
    assert read(lap, oid) == "mine"


def test_a_grant_with_a_damaged_certificate_is_not_taken() -> None:
    desk, newcomer = make(), Identity.generate()
    introduce(desk, newcomer)
    lap = make(identity=newcomer)
    before = lap.library
    devices = (*desk.grant().devices, Granted(b"no certificate", True))
    with pytest.raises(LimError, match="damaged"):
        lap.take_on(msgspec.structs.replace(desk.grant(), devices=devices))
    assert lap.library == before


def test_a_grant_is_not_taken_while_documents_are_open() -> None:
    desk = make()
    newcomer = Identity.generate()
    introduce(desk, newcomer)
    lap = make(identity=newcomer)
    thing = lap.create(Thing)
    thing.body.insert(0, "open")
    with pytest.raises(LimError, match="Close them"):
        lap.take_on(desk.grant())
    assert str(thing.body) == "open"


def test_a_new_key_in_the_same_library_is_let_in_again(tmp_path: Path) -> None:
    desk = make()
    lap = pair(desk, Identity.generate(), tmp_path / "lap.db")
    sync(desk, lap)
    oid = write(lap, "before")
    sync(desk, lap)
    lap.close()
    fresh = Identity.generate()
    lap = make(tmp_path / "lap.db", fresh)
    assert lap.device not in lap.ledger.members
    later = write(lap, "meanwhile")
    introduce(desk, fresh)
    lap.take_on(desk.grant())
    sync(desk, lap)
    assert desk.digest == lap.digest
    assert [read(desk, oid), read(desk, later)] == ["before", "meanwhile"]
    lap.close()


def test_an_unsealed_database_is_not_continued_with_keys(tmp_path: Path) -> None:
    old = Database(tmp_path / "old.db", [Thing])
    write(old, "old")
    old.close()
    with pytest.raises(StoreUnsealed):
        make(tmp_path / "old.db")
    again = Database(tmp_path / "old.db", [Thing])
    assert len(again.entries()) == 1
    again.close()
