"""A replica's id belongs to the device that began it: nobody else can take it, and jam others with that."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from liblim.change import Body, Change, pack_body
from liblim.database import Database
from liblim.trust import Identity
from tests.liblim.test_library import changes_of, make, pair, read, sync, write


def squatter(thief: Database, taken: Change, **members: object) -> Change:
    """A change under another device's replica id, sealed and signed by the thief with its own key."""
    members = {"device": thief.device, "deps": (), "clock": 1, "n": 1, "body": b"", **members}
    header = msgspec.structs.replace(taken.header, **members)
    sealed = thief.keys.seal(pack_body(Body("ab" * 16, "thing", [["body", "+", 0, "x"]])), header)
    header = msgspec.structs.replace(header, body=sha256(sealed).digest())
    unsigned = Change(header, b"", sealed)
    return Change(header, thief.keys.sign(unsigned.hash), sealed)


def test_no_device_writes_under_anothers_replica_id() -> None:
    victim = make(identity=Identity.generate())
    thief, third = pair(victim, Identity.generate()), pair(victim, Identity.generate())
    sync(victim, thief, third)
    run = pair(victim, Identity.generate())  # a replica that the third has not heard of
    sync(victim, thief, run)
    third.receive(changes_of(victim))
    oid = write(run, "genuine")
    thief.receive(changes_of(run))
    (first,) = [change for change in changes_of(run) if change.replica not in third.heads]
    for members in ({}, {"prev": bytes(32)}, {"prev": b""}, {"device": run.device}):
        outcome = third.receive([squatter(thief, first, **members)])
        assert outcome.refused is not None, members
        assert not outcome.entered
        assert not outcome.aside
    outcome = third.receive(changes_of(run))
    assert outcome.refused is None
    assert read(third, oid) == "genuine"
    # And where the genuine one came first, what contradicts it is refused, not set aside.
    assert third.receive([squatter(thief, first)]).refused is not None


def test_a_member_that_cannot_write_sense_jams_nobody() -> None:
    """A sealed and signed body that is no text at all is kept, and passed over."""
    desk = make()
    lap = pair(desk, Identity.generate())
    sync(desk, lap)
    write(lap, "before")
    *_, last = changes_of(lap)
    header = msgspec.structs.replace(last.header, seq=last.seq + 1, prev=last.hash, body=b"")
    header = msgspec.structs.replace(header, clock=last.header.end + 1, n=1, deps=(), device="")
    sealed = lap.keys.seal(b'\x00{"oid":"\x81"}', header)
    header = msgspec.structs.replace(header, body=sha256(sealed).digest())
    odd = Change(header, lap.keys.sign(Change(header, b"", sealed).hash), sealed)
    outcome = desk.receive([*changes_of(lap), odd])
    assert outcome.refused is None
    assert outcome.entered[-1].body is None
