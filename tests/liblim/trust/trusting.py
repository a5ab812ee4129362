"""Devices on paper: what they have read, and the changes on trust documents that they write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from liblim.change import Body, Change, Header
from liblim.crdt.ops import width
from liblim.errors import OperationError
from liblim.trust.documents import text_of
from liblim.trust.grant import Granted
from liblim.trust.identity import Identity
from liblim.trust.ledger import Ledger

LIBRARY = "1b" * 16
WRAP = "d3JhcA=="


@cache
def certificate(name: str) -> bytes:
    """The certificate (DER) of the device that the tests call so."""
    return Identity.generate().certificate


@cache
def device(name: str) -> str:
    """The id of the device that the tests call so."""
    return Identity(certificate(name)).device


def epoch(name: str) -> str:
    """The name of an epoch."""
    return sha256(name.encode()).hexdigest()[:32]


class Word(NamedTuple):
    """A change on a trust document, its author, and what the author had read."""

    change: Change
    author: str
    body: Body
    past: frozenset[int]


class World:
    """All that was written, by whomever."""

    def __init__(self, founder: str = "a") -> None:
        self.words: list[Word] = []
        self.founder = founder
        self.base = [Granted(certificate(founder), True)]
        self.count = 0

    def ledger(self, words: Iterable[Word] = ()) -> Ledger:
        """A ledger that has read these."""
        ledger = Ledger(LIBRARY, self.base, device(self.founder))
        for word in words:
            take(ledger, word)
        return ledger

    def all(self) -> Ledger:
        """A ledger that has read everything."""
        return self.ledger(self.words)


def take(ledger: Ledger, word: Word) -> bool:
    """Let a ledger read a change."""
    return ledger.take(word.change, word.author, word.body)


class Pen:
    """A device that writes; ``seen`` are the numbers of the changes that it has read."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.device = device(name)
        self.seen: set[int] = set()
        self.restart()

    def restart(self) -> None:
        """Write as another replica from now on."""
        self.world.count += 1
        self.replica = sha256(f"{self.name}{self.world.count}".encode()).hexdigest()[:16]
        self.seq = 0

    def read(self, *others: Pen) -> None:
        """Read what others have read."""
        for other in others:
            self.seen |= other.seen

    def ledger(self) -> Ledger:
        """What this device says."""
        return self.world.ledger(self.world.words[n] for n in sorted(self.seen))

    def write(self, kind: str, oid: str, *ops: Any, clock: int | None = None) -> Word:
        """One change on a document."""
        words = self.world.words
        self.seq += 1
        header = Header(
            replica=self.replica,
            seq=self.seq,
            prev=b"",
            deps=(),
            clock=clock or 1 + max((words[n].change.header.end for n in self.seen), default=0),
            n=max(1, sum(map(_width, ops))),
            at=len(words),
            epoch="",
            device=self.device,
            body=bytes(32),
        )
        body = Body(oid, kind, list(ops))
        words.append(Word(Change(header, b"", b""), self.device, body, frozenset(self.seen)))
        self.seen.add(len(words) - 1)
        return words[-1]

    def introduce(self, name: str, clock: int | None = None) -> Pen:
        """Write another device's certificate; that one has read all that this one has."""
        op = ["certificate", "=", text_of(certificate(name))]
        self.write("device", device(name), op, clock=clock)
        other = Pen(self.world, name)
        other.read(self)
        return other

    def rename(self, name: str, to: str) -> None:
        """Name a device."""
        self.write("device", device(name), ["name", "=", to])

    def announce_addresses(self, *addresses: str) -> None:
        """Say where this device listens."""
        self.write("device", self.device, ["addresses", "=", list(addresses)])

    def serve(self, name: str, called: str, address: str) -> None:
        """Let a server be known."""
        ops = (
            ["certificate", text_of(certificate(name))],
            ["name", called],
            ["addresses", [address]],
        )
        self.write("server", device(name), *([field, "=", value] for field, value in ops))

    def saw(self, name: str) -> dict[str, int]:
        """The last counters that this device has read of another."""
        words = [self.world.words[n] for n in self.seen]
        return {
            word.change.replica: max(
                other.change.header.end
                for other in words
                if other.change.replica == word.change.replica
            )
            for word in words
            if word.author == device(name)
        }

    def remove(self, name: str, into: str = "", saw: dict[str, int] | None = None) -> None:
        """Remove a device, and announce the epoch ``into`` for the others."""
        element = {"device": device(name), "saw": self.saw(name) if saw is None else saw}
        ops = [["removed", "add", element]]
        if into:
            others = [found for found in self.ledger().members if found != device(name)]
            ops.append(_announcement(into, others))
        self.write("library", LIBRARY, *ops)

    def announce(self, name: str, devices: Sequence[str] | None = None) -> None:
        """Announce an epoch, wrapped for these devices; without any, for all members."""
        wrapped = list(self.ledger().members) if devices is None else devices
        self.write("library", LIBRARY, _announcement(name, wrapped))


def _announcement(name: str, devices: Iterable[str]) -> list[Any]:
    return ["epochs", "add", {"epoch": epoch(name), "keys": dict.fromkeys(devices, WRAP)}]


def _width(op: Sequence[Any]) -> int:
    try:
        return width(list(op[1:]))
    except OperationError:
        return 0


def names(ledger: Ledger, of: str = "abcdefgxyz") -> str:
    """The members, in the letters that the tests call them by."""
    assert len(ledger.members) == sum(device(letter) in ledger.members for letter in of)
    return "".join(letter for letter in of if device(letter) in ledger.members)


def library_of(letters: str) -> tuple[World, list[Pen]]:
    """A library in which the first device introduced the others, and all have read it."""
    world = World(letters[0])
    founder = Pen(world, letters[0])
    pens = [founder, *(founder.introduce(letter) for letter in letters[1:])]
    for pen in pens:
        pen.read(*pens)
    return world, pens
