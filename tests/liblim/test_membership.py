"""Introducing, naming and removing over real databases: what the others then read, and with which key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from liblim import membership as membership_module
from liblim.aio import AsyncDatabase
from liblim.change import Change, Range
from liblim.errors import CertificateError, IdentityLocked, LimError
from liblim.membership import Membership
from liblim.trust import Device, Identity, Library, epoch_name
from tests.liblim.things import Thing

LOTS = 1 << 30


class Place:
    """A device: its database and what it says of the library."""

    def __init__(self, database: AsyncDatabase) -> None:
        self.database = database
        self.membership = Membership(database)
        self.device = database.device
        self.identity = database.keys.identity

    @property
    def epoch(self) -> str:
        return self.database.keys.epoch

    @property
    def members(self) -> set[str]:
        return set(self.database.ledger.members)

    async def join(self, giver: Place, name: str = "") -> None:
        """Become a member of the giver's library."""
        await giver.membership.introduce(self.identity.certificate, name)
        await self.database.take_on(giver.database.grant())
        await self.database.load_trust()

    async def changes(self) -> list[Change]:
        ranges = [Range(r, 1, head.seq) for r, head in self.database.heads.items()]
        return await self.database.read(ranges, LOTS, LOTS) if ranges else []

    async def write(self, text: str) -> str:
        thing = self.database.create(Thing)
        thing.body.insert(0, text)
        await self.database.release(thing)
        return thing.oid

    async def read(self, oid: str) -> str:
        thing = await self.database.get(Thing, oid)
        text = str(thing.body)
        await self.database.release(thing)
        return text


NewPlace = Callable[[], Awaitable[Place]]


@pytest_asyncio.fixture
async def place() -> AsyncIterator[NewPlace]:
    places: list[Place] = []

    async def make() -> Place:
        database = await AsyncDatabase.open(":memory:", [Thing], identity=Identity.generate())
        await database.load_trust()
        places.append(Place(database))
        return places[-1]

    yield make
    for found in places:
        await found.database.close()


async def sync(*places: Place) -> None:
    """Let these read each other's changes."""
    for _ in places:
        for giver in places:
            changes = await giver.changes()
            for taker in places:
                assert (await taker.database.receive(changes)).refused is None


async def library_of(place: NewPlace, count: int) -> list[Place]:
    """So many devices of one library, that have read everything."""
    places = [await place() for _ in range(count)]
    for number, joiner in enumerate(places[1:], 1):
        await joiner.join(places[0], f"Device {number}")
    await sync(*places)
    return places


async def settle(*places: Place) -> None:
    """Sync, and do what is owed, until nothing is."""
    for _ in range(4):
        await sync(*places)
        before = [found.database.count for found in places]
        for found in places:
            await found.membership.tend()
        if before == [found.database.count for found in places]:
            return
    pytest.fail("there is no end to it")


@pytest.mark.asyncio
async def test_an_introduced_device_reads_and_is_read(place: NewPlace) -> None:
    a, b = await library_of(place, 2)
    assert a.members == b.members == {a.device, b.device}
    assert a.database.ledger.members[b.device].name == "Device 1"
    assert a.epoch == b.epoch
    oid = await b.write("hello")
    await sync(a, b)
    assert await a.read(oid) == "hello"
    # What is known is not written again.
    count = a.database.count
    await a.membership.introduce(b.identity.certificate, "Other")
    assert a.database.count == count


@pytest.mark.asyncio
async def test_no_stranger_is_introduced_by_rubbish(place: NewPlace) -> None:
    a = await place()
    with pytest.raises(CertificateError):
        await a.membership.introduce(b"rubbish", "Rubbish")
    assert a.database.count == 0


@pytest.mark.asyncio
async def test_devices_are_named_and_say_where_they_listen(place: NewPlace) -> None:
    a, b = await library_of(place, 2)
    await a.membership.rename(b.device, " Desk\n")
    await b.membership.announce(["192.0.2.1:4242", "", "x" * 500])
    await sync(a, b)
    for found in (a, b):
        member = found.database.ledger.members[b.device]
        assert (member.name, member.addresses) == ("Desk", ("192.0.2.1:4242",))
    count = a.database.count
    await a.membership.rename(b.device, "Desk")
    await b.membership.announce(["192.0.2.1:4242"])
    assert (a.database.count, b.database.count) == (count, count)
    await b.membership.announce([])
    assert b.database.ledger.members[b.device].addresses == ()
    with pytest.raises(LimError, match="needs a name"):
        await a.membership.rename(b.device, " ")
    with pytest.raises(LimError, match="does not belong"):
        await a.membership.rename("0" * 32, "Nobody")


@pytest.mark.asyncio
async def test_a_removed_device_cannot_read_what_comes_after(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    before = await c.write("before")
    await sync(a, b, c)
    old, count = a.epoch, a.database.count
    await a.membership.remove(c.device)
    # One change: nobody sees the removal without the epoch that goes with it.
    assert a.database.count == count + 1
    assert a.members == {a.device, b.device}
    assert a.epoch != old
    after = await a.write("after")
    await sync(a, b, c)
    assert b.epoch == a.epoch
    assert (await b.read(before), await b.read(after)) == ("before", "after")
    assert set(c.database.ledger.removed) == {c.device}
    assert await c.read(before) == "before"
    assert a.epoch not in c.database.keys.epochs
    with pytest.raises(LimError):
        await c.read(after)
    assert not a.database.ledger.duties(a.device, a.database.keys.epochs).new_epoch
    count = a.database.count
    await settle(a, b)
    assert a.database.count == count


@pytest.mark.asyncio
async def test_who_was_offline_gets_the_epochs_later_and_who_joins_gets_all(
    place: NewPlace,
) -> None:
    a, b, c = await library_of(place, 3)
    await a.membership.remove(c.device)
    texts = {await a.write("one"): "one"}
    d = await place()
    await d.join(a, "Newcomer")
    texts |= {await d.write("two"): "two"}
    await a.membership.remove(d.device)
    texts |= {await a.write("three"): "three"}
    e = await place()
    await e.join(a)
    await settle(a, b, d, e)
    assert a.epoch == b.epoch == e.epoch
    for found in (a, b, e):
        assert found.members == {a.device, b.device, e.device}
        assert {oid: await found.read(oid) for oid in texts} == texts
    assert len(b.database.keys.epochs) == 3


@pytest.mark.asyncio
async def test_an_epoch_whose_announcement_is_lost_with_a_disk_is_handed_on(
    place: NewPlace, tmp_path: Path
) -> None:
    a, b, c = await library_of(place, 3)
    backup = tmp_path / "backup.db"
    await a.database.copy_to(backup)
    d = await place()
    await a.membership.remove(c.device)
    await d.join(a)
    # The disk of a is lost, with the removal and the introduction.
    database = await AsyncDatabase.open(backup, [Thing], identity=a.identity)
    await database.load_trust()
    again = Place(database)
    await again.membership.introduce(d.identity.certificate, "Paired again")
    text = await d.write("sealed with a key that nobody has announced")
    await settle(again, b, d)
    assert again.database.digest == b.database.digest == d.database.digest
    for found in (again, b, d):
        assert await found.read(text) == "sealed with a key that nobody has announced"
    await database.close()


@pytest.mark.asyncio
async def test_removing_has_its_limits(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    with pytest.raises(LimError, match="cannot remove itself"):
        await a.membership.remove(a.device)
    with pytest.raises(LimError, match="does not belong"):
        await a.membership.remove("0" * 32)
    await a.membership.remove(c.device)
    count = a.database.count
    await a.membership.remove(c.device)
    assert a.database.count == count
    with pytest.raises(LimError, match="new identity"):
        await a.membership.introduce(c.identity.certificate, "Back again")
    await sync(a, b, c)
    for attempt in (
        c.membership.remove(a.device),
        c.membership.rename(b.device, "Mine"),
        c.membership.announce(["192.0.2.1:1"]),
        c.membership.introduce(Identity.generate().certificate, "Puppet"),
    ):
        with pytest.raises(LimError, match="was removed"):
            await attempt
    await c.membership.tend()
    assert c.database.count == count


@pytest.mark.asyncio
async def test_a_removal_sees_all_that_the_removed_one_wrote_and_no_more(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    d, e = await place(), await place()
    await d.join(c, "Seen")
    await c.write("a note")
    await sync(a, b, c, d)
    await a.membership.remove(c.device)
    await e.join(c, "Not seen")
    oid = await e.write("from e")
    await settle(a, b, d)
    assert a.members == {a.device, b.device, d.device}
    await sync(a, b, c, d, e)
    for found in (a, b, c, d, e):
        assert found.members == {a.device, b.device, d.device}
    # Texts are taken all the same.
    assert await a.read(oid) == "from e"
    # What the removed one did in vain, a member can do.
    await b.membership.introduce(e.identity.certificate, "Not seen")
    assert e.device in b.members
    await settle(a, b, d, e)
    assert a.epoch == b.epoch == d.epoch == e.epoch
    assert a.database.ledger.members[e.device].name == "Not seen"


@pytest.mark.asyncio
async def test_two_that_remove_each_other_are_out_and_the_others_go_on(place: NewPlace) -> None:
    a, b, c, d = await library_of(place, 4)
    await a.membership.remove(b.device)
    await b.membership.remove(a.device)
    await sync(a, b, c, d)
    await settle(c, d)
    assert c.members == d.members == {c.device, d.device}
    assert c.epoch == d.epoch
    oid = await c.write("private")
    await sync(a, b, c, d)
    assert await d.read(oid) == "private"
    for found in (a, b):
        assert set(found.database.ledger.removed) == {a.device, b.device}
        assert c.epoch not in found.database.keys.epochs
        with pytest.raises(LimError):
            await found.read(oid)


@pytest.mark.asyncio
async def test_two_removals_at_once_lead_to_an_epoch_that_neither_knows(place: NewPlace) -> None:
    a, b, c, d, e = await library_of(place, 5)
    await a.membership.remove(d.device)
    await b.membership.remove(e.device)
    assert a.epoch != b.epoch
    await sync(a, b)
    await settle(a, b, c)
    assert a.members == {a.device, b.device, c.device}
    assert a.epoch == b.epoch == c.epoch
    await sync(a, b, c, d, e)
    for found in (d, e):
        assert a.epoch not in found.database.keys.epochs


@pytest.mark.asyncio
async def test_an_epoch_made_beside_an_introduction_reaches_the_newcomer(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    d = await place()
    await b.membership.remove(c.device)
    oid = await b.write("sealed without d")
    await d.join(a, "Newcomer")
    await sync(a, b, d)
    assert b.epoch not in d.database.keys.epochs
    await settle(a, b, d)
    assert a.epoch == b.epoch == d.epoch
    assert await d.read(oid) == "sealed without d"


@pytest.mark.asyncio
async def test_the_founder_can_be_removed(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    await b.membership.remove(a.device)
    d = await place()
    await d.join(b)
    await settle(b, c, d)
    assert b.members == c.members == d.members == {b.device, c.device, d.device}
    assert b.epoch == c.epoch == d.epoch
    oid = await d.write("without the founder")
    await sync(a, b, c, d)
    assert await c.read(oid) == "without the founder"
    with pytest.raises(LimError):
        await a.read(oid)


@pytest.mark.asyncio
async def test_a_name_that_a_removed_device_gave_in_vain_can_be_given(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    await a.membership.remove(c.device)
    await c.membership.rename(b.device, "Desk")
    await sync(a, b, c)
    assert a.database.ledger.members[b.device].name == "Device 1"
    await a.membership.rename(b.device, "Desk")
    await sync(a, b)
    assert b.database.ledger.members[b.device].name == "Desk"


@pytest.mark.asyncio
async def test_a_large_library_gets_its_keys_in_several_elements(
    place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_module, "KEYS_EACH", 2)
    places = await library_of(place, 6)
    await places[0].membership.remove(places[5].device)
    await settle(*places[:5])
    assert len({found.epoch for found in places[:5]}) == 1
    document = await places[1].database.get(Library, places[1].database.library)
    assert len(document.epochs) == 3
    await places[1].database.release(document)


@pytest.mark.asyncio
async def test_a_device_that_can_have_no_secrets_does_not_stop_a_removal(
    place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = await library_of(place, 3)
    wrap_for = a.database.keys.wrap_for

    def wrap(device: str, epoch: str) -> bytes:
        if device == b.device:
            raise CertificateError("This is not the certificate of a device.")
        return wrap_for(device, epoch)

    monkeypatch.setattr(a.database.keys, "wrap_for", wrap)
    await a.membership.remove(c.device)
    assert a.members == {a.device, b.device}
    count = a.database.count
    await a.membership.tend()
    await a.membership.tend()
    assert a.database.count == count


@pytest.mark.asyncio
async def test_a_removal_while_the_key_is_locked_is_kept_and_made_later(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    key, a.identity._key = a.identity._key, None
    with pytest.raises(IdentityLocked):
        await a.membership.remove(c.device)
    with pytest.raises(IdentityLocked):
        await a.membership.tend()
    old = a.epoch
    a.identity._key = key
    assert c.device in a.members
    await a.membership.tend()
    assert a.members == {a.device, b.device}
    assert a.epoch != old
    assert len(a.database.keys.epochs) == 2


@pytest.mark.asyncio
async def test_many_at_once_take_turns(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    await asyncio.gather(
        a.membership.remove(c.device),
        a.membership.remove(c.device),
        *(a.membership.rename(b.device, f"Name {n}") for n in range(5)),
        *(a.membership.tend() for _ in range(5)),
    )
    assert len(a.database.keys.epochs) == 2
    assert a.database.ledger.members[b.device].name == "Name 4"
    document = await a.database.get(Device, b.device)
    assert document.name.value == "Name 4"
    await a.database.release(document)


@pytest.mark.asyncio
async def test_saw_is_bounded_and_keeps_what_matters(
    place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = await library_of(place, 3)
    d = await place()
    await d.join(c, "Introduced by c")
    clock = c.database.core._clock
    drift = 0.0
    monkeypatch.setattr(type(clock), "wall", lambda self: 1e9 + drift)
    monkeypatch.setattr(type(clock), "monotonic", lambda self: 1e9)
    for _ in range(5):
        drift += 10  # each write is by another replica
        await c.write("a note")
    await sync(a, b, c, d)
    monkeypatch.setattr(membership_module, "MAX_SAW", 2)
    await a.membership.remove(c.device)
    document = await a.database.get(Library, a.database.library)
    (element,) = document.removed
    await a.database.release(document)
    assert len(element["saw"]) == 2
    assert a.members == {a.device, b.device, d.device}


@pytest.mark.asyncio
async def test_typing_goes_on_under_the_epoch_in_use(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    await a.membership.remove(c.device)
    thing = a.database.create(Thing)
    thing.body.insert(0, "before ")
    await a.membership.introduce(Identity.generate().certificate, "Newcomer")
    thing.body.insert(7, "after")
    await a.database.release(thing)
    await sync(a, b, c)
    assert await b.read(thing.oid) == "before after"
    with pytest.raises(LimError):
        await c.read(thing.oid)
    first = epoch_name(a.database.grant().epochs[0])
    for change in await a.changes():
        body = a.database.core._admission.read_body(change)
        assert body is not None
        if body.kind == "library" or body.ops[0][0] == "certificate":
            assert change.header.epoch == first
        elif body.kind == "thing":
            assert change.header.epoch == a.epoch != first


@pytest.mark.asyncio
async def test_a_chain_of_newcomers_waits_for_nobodys_key(place: NewPlace) -> None:
    a, b, c, g = await library_of(place, 4)
    await b.membership.remove(c.device)
    await sync(a, b)
    f, d = await place(), await place()
    await f.join(g, "Joined beside the removal")
    await d.join(a, "Joined after it")
    oid = await d.write("from d")
    await sync(a, d)
    # What a hands to f comes after what d wrote: f has to know d before it has the key.
    await sync(a, g)
    await a.membership.tend()
    await sync(a, f)
    assert d.device in f.members
    assert await f.read(oid) == "from d"


async def live(random: Random, place: NewPlace, steps: int) -> tuple[list[Place], dict[str, Place]]:
    """Devices that do random things; returns them, and the notes with who wrote them."""
    places = [await place()]
    notes: dict[str, Place] = {}

    async def join(one: Place, _: Place) -> None:
        if len(places) < 8:
            joiner = await place()
            await joiner.join(one)
            places.append(joiner)

    async def remove(one: Place, other: Place) -> None:
        if random.random() < 0.4:
            await one.membership.remove(other.device)

    async def write(one: Place, _: Place) -> None:
        notes[await one.write(f"note {len(notes)}")] = one

    async def tend(one: Place, _: Place) -> None:
        await one.membership.tend()

    acts: list[Callable[[Place, Place], Awaitable[None]]]
    acts = [join, remove, write, write, tend, sync, sync, sync, sync]
    for _ in range(steps):
        act = random.choice(acts)
        # One that was removed, or may not do it for another reason, does not do it.
        with contextlib.suppress(LimError):
            await act(random.choice(places), random.choice(places))
    return places, notes


async def check_life(random: Random, place: NewPlace) -> None:
    places, notes = await live(random, place, 70)
    await sync(*places)
    left = [found for found in places if found.device in places[0].members]
    await settle(*left)
    assert len({found.epoch for found in left}) <= 1
    for found in left:
        for oid in [oid for oid, author in notes.items() if author in left]:
            await found.read(oid)
    for found in places:
        assert found in left or all(found.epoch != one.epoch for one in left)


@pytest.mark.asyncio
async def test_random_lives_end_with_one_epoch(place: NewPlace, seed: int) -> None:
    for turn in range(4):
        await check_life(Random(f"{seed} {turn}"), place)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.asyncio
async def test_many_random_lives_end_with_one_epoch(place: NewPlace, seed: int) -> None:
    for turn in range(150):
        await check_life(Random(f"{seed} {turn}"), place)


@pytest.mark.asyncio
async def test_a_hostile_member_cannot_take_the_place_of_trust_documents(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    newcomer = await place()
    for oid in (a.database.library, newcomer.device):
        false = await c.database.ensure(Thing, oid)
        false.pinned.enable()
        await c.database.release(false)
    await sync(a, b, c)
    await newcomer.join(a, "Newcomer")
    await a.membership.remove(c.device)
    await settle(a, b, newcomer)
    for found in (a, b, newcomer):
        assert found.members == {a.device, b.device, newcomer.device}
        words = found.database.core.read_trust()
        assert {word.body.oid for word in words} >= {a.database.library, newcomer.device}


@pytest.mark.asyncio
async def test_who_has_read_nothing_yet_says_nothing(place: NewPlace) -> None:
    a, b, c = await library_of(place, 3)
    d, e = await place(), await place()
    await d.join(b)
    for attempt in (
        d.membership.remove(a.device),
        d.membership.introduce(e.identity.certificate, ""),
    ):
        with pytest.raises(LimError, match="sync"):
            await attempt
    assert d.database.count == 0
    await sync(a, b, c, d)
    await d.membership.remove(a.device)
    await settle(a, b, c, d)
    assert b.members == {b.device, c.device, d.device}
