"""The ledger says the same in whatever order it was told, and what a naive one says."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import pytest

from liblim.trust import authors, ledger
from liblim.trust.documents import bytes_of, writes
from liblim.trust.identity import device_of
from liblim.trust.ledger import Ledger
from tests.liblim.trust.trusting import LIBRARY, WRAP, Pen, World, device, epoch, take


class Life:
    """Devices that do what devices do, and what they never should."""

    def __init__(self, random: Random, names: str) -> None:
        self.random = random
        self.names = names
        self.world = World(names[0])
        self.pens = [Pen(self.world, names[0])]

    def live(self, steps: int) -> None:
        """Do so many random things."""
        acts = [self.gossip] * 5 + [self.introduce] * 3 + [self.rename, self.rename, self.move]
        acts += [self.remove, self.remove, self.announce, self.announce, self.hostile, self.restart]
        for _ in range(steps):
            self.random.choice(acts)(self.random.choice(self.pens))

    def gossip(self, pen: Pen) -> None:
        """Read another's."""
        pen.read(self.random.choice(self.pens))

    def introduce(self, pen: Pen, clock: int | None = None) -> None:
        """Introduce anybody, also somebody who is known already."""
        other = pen.introduce(self.random.choice(self.names), clock)
        if all(known.device != other.device for known in self.pens):
            self.pens.append(other)

    def rename(self, pen: Pen) -> None:
        """Name anybody."""
        pen.rename(self.random.choice(self.names), f"name {self.random.randrange(99)}")

    def move(self, pen: Pen) -> None:
        """Listen elsewhere."""
        pen.announce_addresses(f"192.0.2.{self.random.randrange(9)}:1")

    def remove(self, pen: Pen) -> None:
        """Remove anybody who is known, with a new epoch or without."""
        if self.random.random() < 0.4:
            into = self.random.choice(["", f"epoch {self.random.randrange(6)}"])
            pen.remove(self.random.choice(self.pens).name, into)

    def announce(self, pen: Pen) -> None:
        """Announce an epoch, or hand one on."""
        some = self.random.sample(self.names, self.random.randrange(1, 4))
        devices = self.random.choice([None, [device(name) for name in some]])
        pen.announce(f"epoch {self.random.randrange(6)}", devices)

    def hostile(self, pen: Pen) -> None:
        """Write with an old clock, or claim to have seen anything."""
        if self.random.random() < 0.5:
            other = self.random.choice(self.pens)
            saw = {other.replica: self.random.randrange(1, 99)}
            pen.remove(other.name, saw=self.random.choice([{}, saw]))
        else:
            pen.restart()
            self.introduce(pen, clock=1)

    def restart(self, pen: Pen) -> None:
        """Start the program again."""
        pen.restart()


def answers(ledger: Ledger, of: str) -> Any:
    """All that a ledger says."""
    epochs = [epoch(f"epoch {n}") for n in range(6)]
    holdings = [set(epochs), set(epochs[::2]), {epochs[1]}, set()]
    return (
        ledger.members,
        ledger.removed,
        ledger.certificates,
        [ledger.epoch(held) for held in holdings],
        [ledger.duties(device(name), held) for name in of for held in holdings],
        [ledger.replicas(device(name)) for name in of],
    )


def causal_order(random: Random, world: World) -> list[int]:
    """The numbers of all changes, each after those that its author had read."""
    left = set(range(len(world.words)))
    order: list[int] = []
    while left:
        ready = sorted(n for n in left if not world.words[n].past & left)
        order.append(random.choice(ready))
        left.discard(order[-1])
    return order


def check_orders(random: Random, steps: int, anyhow: bool = True) -> None:
    """Compare causal orders, and where ``anyhow`` holds, orders that are none."""
    life = Life(random, "abcdefg")
    life.live(steps)
    world = life.world
    expected = answers(world.all(), life.names)
    for _ in range(3):
        order = causal_order(random, world)
        ledger = world.ledger()
        for n in order:
            take(ledger, world.words[n])
            if random.random() < 0.1:
                answers(ledger, life.names)
            if random.random() < 0.1:
                take(ledger, world.words[n])
        assert answers(ledger, life.names) == expected
        if anyhow:
            random.shuffle(order)
        assert answers(world.ledger(world.words[n] for n in order), life.names) == expected


def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    for turn in range(25):
        check_orders(Random(f"{seed} {turn}"), 60)


def test_it_does_not_matter_at_the_bounds_either(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authors, "LIMIT", 2)
    monkeypatch.setattr(authors, "WRAPS", 3)
    monkeypatch.setattr(ledger, "LATEST", 1)
    for turn in range(15):
        check_orders(Random(f"{seed} {turn}"), 120, anyhow=False)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_order_of_arrival_never_matters(seed: int) -> None:
    for turn in range(1000):
        check_orders(Random(f"{seed} {turn}"), 80)
        check_naive(Random(f"{seed} {turn}"), 80)
        check_settling(Random(f"{seed} {turn}"), 80)


# What a naive one says


class Said(NamedTuple):
    """An operation."""

    id: tuple[int, str]
    author: str
    oid: str
    field: str
    value: Any


class Naive:
    """The rules, one by one, over a list of all operations."""

    def __init__(self, world: World) -> None:
        self.said = [
            Said(write.id, word.author, word.body.oid, write.field, write.value)
            for word in world.words
            for write in writes(word.change, word.body)
        ]
        self.root = device(world.founder)
        ever = self.introduced(self.introductions())
        self.removals = [
            said for said in self.said if said.field == "add removed" and said.author in ever
        ]
        self.legitimate = self.introduced([s for s in self.introductions() if not self.void(s)])
        self.held_good = [
            said for said in self.said if said.author in self.legitimate and not self.void(said)
        ]

    def introductions(self) -> list[Said]:
        """The operations that name a certificate which fits."""
        return [
            said
            for said in self.said
            if said.field == "= certificate" and device_of(bytes_of(said.value)) == said.oid
        ]

    def introduced(self, introductions: list[Said]) -> set[str]:
        """Whom these lead to from the founder."""
        found = {self.root}
        while more := {s.oid for s in introductions if s.author in found} - found:
            found |= more
        return found

    def void(self, said: Said) -> bool:
        """Whether a removal of its author did not see it."""
        counter, replica = said.id
        return any(
            counter > removal.value["saw"].get(replica, 0)
            for removal in self.removals
            if removal.value["device"] == said.author
        )

    def members(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The names and addresses of the members."""
        gone = {said.value["device"] for said in self.removals}
        return {
            one: (self.last(one, "= name", ""), tuple(self.last(one, "= addresses", [])))
            for one in self.legitimate - gone
        }

    def last(self, oid: str, field: str, default: Any) -> Any:
        """What a register holds."""
        found = [s for s in self.held_good if (s.oid, s.field) == (oid, field)]
        return max(found).value if found else default

    def epochs(self) -> list[str]:
        """The announced epochs, the last first; of a replica the last announcement of each counts."""
        announced = {
            (said.value["epoch"], said.id[1]): said
            for said in sorted(self.said, key=lambda said: said.id)
            if said.field == "add epochs" and said.author in said.value["keys"]
        }
        last: dict[str, tuple[int, str]] = {}
        for (name, _), said in announced.items():
            if said in self.held_good:
                last[name] = max(last.get(name, said.id), said.id)
        return sorted(last, key=lambda name: last[name], reverse=True)


def check_naive(random: Random, steps: int) -> None:
    life = Life(random, "abcdefg")
    life.live(steps)
    naive, ledger = Naive(life.world), life.world.all()
    members = {one: (m.name, m.addresses) for one, m in ledger.members.items()}
    assert members == naive.members()
    assert set(ledger.removed) == {said.value["device"] for said in naive.removals}
    names = naive.epochs()
    while names:
        assert ledger.epoch(set(names)) == names.pop(0)
    assert ledger.epoch(set()) == ""


def test_it_says_what_a_naive_one_says(seed: int) -> None:
    for turn in range(40):
        check_naive(Random(f"{seed} {turn}"), 60)


# Where it leads


def held_by(pen: Pen) -> set[str]:
    """The epochs whose keys a device was given in what it has read."""
    elements = [
        op[2] for n in pen.seen for op in pen.world.words[n].body.ops if op[:2] == ["epochs", "add"]
    ]
    return {element["epoch"] for element in elements if pen.device in element["keys"]}


def do_duties(pen: Pen, turn: int) -> bool:
    """Write what the ledger asks for; return whether it asked for anything."""
    duties = pen.ledger().duties(pen.device, held_by(pen))
    if duties.new_epoch:
        pen.announce(f"made good by {pen.name} {turn}")
    for name, devices in duties.wraps.items():
        element = {"epoch": name, "keys": dict.fromkeys(devices, WRAP)}
        pen.write("library", LIBRARY, ["epochs", "add", element])
    return duties.new_epoch or bool(duties.wraps)


def check_settling(random: Random, steps: int) -> None:
    """Devices that read everything and do their duties soon share an epoch that no other knows."""
    life = Life(random, "abcdefg")
    life.live(steps)
    for turn in range(4):
        for pen in life.pens:
            pen.read(*life.pens)
        if sum(do_duties(pen, turn) for pen in life.pens) == 0:
            break
    else:
        pytest.fail("there is no end to it")
    ledger = life.world.all()
    members = [pen for pen in life.pens if pen.device in ledger.members]
    assert len(members) == len(ledger.members)
    assert len({ledger.epoch(held_by(pen)) for pen in members}) <= 1
    for pen in members:
        current = ledger.epoch(held_by(pen))
        given = [
            one
            for said in Naive(life.world).held_good
            if said.field == "add epochs" and said.value["epoch"] == current
            for one in said.value["keys"]
        ]
        assert set(given) <= ledger.members.keys()
        assert current or not ledger.removed.keys() & ledger.certificates.keys()


def test_all_settle_on_one_epoch_that_only_members_know(seed: int) -> None:
    for turn in range(25):
        check_settling(Random(f"{seed} {turn}"), 60)
