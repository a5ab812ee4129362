"""Devices come and go while links are cut and programs crash: who stays agrees, and who left is shut out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from liblim.change import Range
from liblim.errors import LimError
from liblim.trust import Device as DeviceDocument
from tests.simulation.device import Device, Page
from tests.simulation.network import Link, World, texts
from tests.simulation.shell import at_once

MAX_DEVICES = 7
STEPS = 300
LOTS = 1 << 30


class Club(World):
    """A world in which devices are introduced and removed."""

    def __init__(self, seed: int, folder: str, devices: int) -> None:
        super().__init__(seed, folder, devices)
        self.acts += [
            (0.8, lambda device, link: self.introduce(device)),
            (0.6, lambda device, link: self.remove(device)),
            (1, lambda device, link: device.tend()),
        ]

    def introduce(self, device: Device) -> None:
        """Let a device bring in a new one."""
        if len(self.devices) == MAX_DEVICES:
            return
        newcomer = self.device()
        try:
            device.introduce(newcomer)
        except LimError:
            self.devices.pop().database.close()
            return
        self.links += [
            Link(self, (other, newcomer))
            for other in self.devices[:-1]
            if other is device or self.rng.random() < 0.5
        ]

    def remove(self, device: Device) -> None:
        """Let a device remove another."""
        with contextlib.suppress(LimError):
            device.remove(self.rng.choice(self.devices))

    def meet(self) -> None:
        """Join all who trust each other, and let them do what they owe, until nothing is left to do."""
        self.links += [
            Link(self, (a, b))
            for n, a in enumerate(self.devices)
            for b in self.devices[n + 1 :]
            if not any({a, b} == {*link.ends} for link in self.links)
        ]
        for _ in range(20):
            self.settle()
            before = [device.database.count for device in self.devices]
            for device in self.devices:
                device.tend()
            if before == [device.database.count for device in self.devices]:
                return
        raise AssertionError("there is no end to what they owe each other")

    def circle(self, device: Device) -> list[Device]:
        """The device and all with whom it is in touch."""
        near = [link.ends for link in self.links if not link.down and device in link.ends]
        return [one for one in self.devices if one is device or any(one in ends for ends in near)]


def unread(device: Device) -> list[str]:
    """The epochs under which the log holds what the device cannot read."""
    database = device.database
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    changes = database.read(ranges, LOTS, LOTS)
    return [c.header.epoch for c in changes if c.header.epoch not in database.keys.epochs]


def at_work(device: Device) -> bool:
    """Whether it is a member and has read so: then it does what is owed to the others."""
    database = device.database
    own = database.device
    known = own == database.ledger.founder or database.holds(DeviceDocument, own)
    return known and device.trusts(device)


def agree(world: Club, circle: list[Device]) -> None:
    """All who are in touch hold the same; members read all of it, and write under a key of their own."""
    first = circle[0].database
    shown = texts(circle[0], world.oids)
    for device in circle:
        database = device.database
        assert database.digest == first.digest
        assert database.ledger.members == first.ledger.members
        assert database.ledger.removed == first.ledger.removed
        assert texts(device, world.oids) == shown
        if device.trusts(device):
            assert database.keys.epoch == first.keys.epoch
            # Nobody else here has the key of what it cannot read: its author was removed first.
            held = {name for one in circle for name in one.database.keys.epochs}
            assert not held & set(unread(device))
            others = [d for d in world.devices if database.device in d.database.ledger.certificates]
            if all(other.trusts(device) and device.trusts(other) for other in others):
                assert not unread(device)
    ledger = first.ledger
    for device in world.devices:
        name = device.identity.device
        if name in ledger.members and all(device.trusts(one) for one in circle):
            assert device in circle
        elif name in ledger.certificates.keys() - ledger.members and any(map(at_work, circle)):
            assert first.keys.epoch not in device.database.keys.epochs


def live(seed: int, folder: Path) -> None:
    """One world, from its seed to its end."""
    world = Club(seed, str(folder), 2 + seed % 3)
    for _ in range(STEPS):
        world.step()
    world.meet()
    try:
        for device in world.devices:
            agree(world, world.circle(device))
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    world.close()


@pytest.mark.parametrize("number", range(8))
def test_those_who_stay_agree_and_those_who_left_are_shut_out(number: int, tmp_path: Path) -> None:
    live(number, tmp_path)


def test_members_of_a_seed_of_this_run(seed: int, tmp_path: Path) -> None:
    live(seed, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_members_of_many_seeds(seed: int, tmp_path: Path) -> None:
    for number in range(seed, seed + 500):
        folder = tmp_path / str(number)
        folder.mkdir()
        live(number, folder)


# One thing at a time


@pytest.fixture
def club(seed: int, tmp_path: Path) -> Iterator[Club]:
    """Three devices, that know each other: the first has introduced the others."""
    world = Club(seed, str(tmp_path), 3)
    world.meet()
    yield world
    world.close()


def write(world: Club, device: Device, text: str) -> str:
    """A new page."""
    page = device.database.create(Page)
    page.body.insert(0, text)
    device.database.release(page)
    world.oids.append(page.oid)
    return page.oid


def reads(device: Device, oid: str) -> str | None:
    """A page as the device shows it, if it can."""
    return texts(device, [oid]).get(oid)


def apart(world: Club, *devices: Device) -> None:
    """Take these off the network, until they ``come_back``."""
    for link in world.links:
        if set(link.ends) & set(devices):
            link.cut()
    world.links = [link for link in world.links if not set(link.ends) & set(devices)]


def come_back(world: Club) -> None:
    """Let all devices meet."""
    world.meet()
    for device in world.devices:
        agree(world, world.circle(device))


def test_a_device_that_one_introduces_reaches_the_others(club: Club) -> None:
    a, b, c = club.devices
    old = write(club, a, "old")
    apart(club, c)
    d = club.device()
    b.introduce(d)
    club.meet()
    apart(club, b)
    new = write(club, d, "new")
    come_back(club)
    for device in (a, b, c, d):
        assert club.circle(device) == [a, b, c, d]
        assert (reads(device, old), reads(device, new)) == ("old", "new")


def test_a_removal_while_others_are_offline(club: Club) -> None:
    a, b, c = club.devices
    before = write(club, c, "before")
    club.meet()
    epoch = a.database.keys.epoch
    apart(club, b)
    a.remove(c)
    after = write(club, a, "after")
    come_back(club)
    assert club.circle(b) == [a, b]
    assert club.circle(c) == [c]
    assert b.database.keys.epoch == a.database.keys.epoch != epoch
    assert (reads(b, before), reads(b, after)) == ("before", "after")
    assert (reads(c, before), reads(c, after)) == ("before", None)


def test_two_removals_at_once(club: Club) -> None:
    a, b, c = club.devices
    d, e = club.device(), club.device()
    for newcomer in (d, e):
        a.introduce(newcomer)
    club.meet()
    apart(club, *club.devices)
    b.remove(d)
    c.remove(e)
    epochs = {b.database.keys.epoch, c.database.keys.epoch}
    assert len(epochs) == 2
    come_back(club)
    assert club.circle(a) == [a, b, c]
    assert a.database.keys.epoch not in epochs  # d has the one, e the other


def test_two_that_remove_each_other(club: Club) -> None:
    a, b, c = club.devices
    apart(club, *club.devices)
    b.remove(c)
    c.remove(b)
    club.links = [Link(club, (a, b))]
    club.settle()
    come_back(club)
    # What c has to say against b, nobody hears: b was first.
    assert [club.circle(device) for device in club.devices] == [[a, b], [a, b], [c]]
    assert reads(c, write(club, c, "mine")) == "mine"


def test_a_removal_that_is_seen_late(club: Club) -> None:
    a, b, c = club.devices
    apart(club, a)
    a.remove(b)
    # c has not heard of it.
    text = write(club, b, "from b")
    guest = club.device()
    b.introduce(guest)
    at_once(b.membership.rename(c.database.device, "Called so by b"))
    club.links.append(Link(club, (c, guest)))
    club.settle()
    assert c.trusts(guest)
    assert reads(c, text) == "from b"
    come_back(club)
    assert club.circle(a) == club.circle(c) == [a, c]
    assert not c.trusts(guest)
    assert c.database.ledger.members[c.database.device].name == "New"
    assert reads(a, text) == "from b"


def test_a_removed_device_comes_back_as_a_new_one(club: Club) -> None:
    a, b, c = club.devices
    a.remove(b)
    with pytest.raises(LimError, match="new identity"):
        at_once(a.membership.introduce(b.identity.certificate, "Again"))
    text = write(club, a, "after it was removed")
    again = club.device()
    c.introduce(again)
    come_back(club)
    assert club.circle(a) == [a, c, again]
    assert reads(again, text) == "after it was removed"
