"""A log in memory, and two sessions joined by an imaginary wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from liblim.change import Change, Dep, Head, Range, digest
from liblim.errors import LimError
from liblim.sync import Arrived, Closed, Event, Session, State, Wanted
from tests.liblim.changes import make

LIBRARY = "1" * 32


class MemoryLog:
    """The simplest log there is: a list, with the rule that what comes early waits (at most ``room``)."""

    def __init__(self, letter: str, library: str = LIBRARY, room: int = 1000) -> None:
        self.library = library
        self.device = letter * 32
        self.heads: dict[str, Head] = {}
        self.changes: list[Change] = []
        self.waiting: list[Change] = []
        self.room = room

    @property
    def count(self) -> int:
        return len(self.changes)

    @property
    def digest(self) -> str:
        return digest(self.heads)

    @property
    def frontier(self) -> tuple[Dep, ...]:
        past = {(dep.replica, dep.seq) for change in self.changes for dep in change.header.deps}
        heads = sorted(self.heads.items())
        return tuple(
            Dep(replica, *head) for replica, head in heads if (replica, head.seq) not in past
        )

    def seq(self, replica: str) -> int:
        return self.heads[replica].seq if replica in self.heads else 0

    def _fits(self, change: Change) -> bool:
        deps = change.header.deps
        return change.seq == self.seq(change.replica) + 1 and all(
            self.seq(dep.replica) >= dep.seq for dep in deps
        )

    def receive(self, changes: Sequence[Change]) -> list[Change]:
        """Admit what can be, with what waited for it."""
        entered: list[Change] = []
        for change in changes:
            if change.seq > self.seq(change.replica) and len(self.waiting) < self.room:
                self.waiting.append(change)
            while ready := [other for other in self.waiting if self._fits(other)]:
                entered.append(ready[0])
                self.changes.append(ready[0])
                self.heads[ready[0].replica] = Head(ready[0].seq, ready[0].hash)
                self.waiting = [c for c in self.waiting if c.seq > self.seq(c.replica)]
        return entered

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        found: list[Change] = []
        for change in self.changes:
            if any(r.replica == change.replica and r.first <= change.seq <= r.last for r in ranges):
                found.append(change)
                octets -= len(change.body or b"")
                if len(found) == changes or octets <= 0:
                    break
        return found

    def write(self, letter: str, **header: Any) -> Change:
        """A new change by a replica here, on top of all that the log holds."""
        replica = letter * 16
        prev = next((c for c in reversed(self.changes) if c.replica == replica), None)
        seen = {c.replica: c for c in self.changes if c.replica != replica}
        change = make(letter, prev, list(seen.values()), **header)
        assert self.receive([change]) == [change]
        return change


class End:
    """One end of a wire: a session with its log, and a shell that does what the session says."""

    def __init__(self, log: MemoryLog, peer: str, now: float = 0.0, **options: Any) -> None:
        self.log = log
        self.session = Session(log, now=now, peer=peer * (32 // len(peer)), **options)
        self.seen: list[Event] = []
        self.others: list[End] = []
        self.sent = bytearray()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def closed(self) -> Closed:
        (closed,) = self.of(Closed)
        assert isinstance(closed, Closed)
        assert self.session.state is State.CLOSED
        return closed

    def take(self, now: float) -> bytes:
        """What the session sends now."""
        data = b"".join(iter(self.session.data_to_send, b""))
        self.sent += data
        return data

    def work(self, now: float) -> None:
        """Do what the session asks for."""
        while events := self.session.events():
            for event in events:
                self.seen.append(event)
                self.handle(event, now)

    def handle(self, event: Event, now: float) -> None:
        match event:
            case Arrived(changes):
                entered = self.log.receive(changes)
                for end in [self, *self.others]:
                    end.session.committed(entered, now)
                self.session.settled(changes, now)
            case Wanted(request, ranges, changes=number, octets=octets):
                self.session.supply(request, self.log.read(ranges, number, octets), now)

    def give(self, data: bytes, now: float = 0.0) -> None:
        self.session.receive_data(data, now)
        self.work(now)

    def write(self, letter: str, now: float = 0.0, **header: Any) -> Change:
        change = self.log.write(letter, **header)
        for end in [self, *self.others]:
            end.session.committed([change], now)
        return change

    def refuse(self, error: LimError, now: float = 0.0) -> None:
        self.session.refuse(error)
        self.work(now)


Chunks = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def run(*wires: tuple[End, End], now: float = 0.0, chunks: Chunks = whole) -> None:
    """Carry bytes over all wires until nobody says anything."""
    busy = True
    rounds = 0
    while busy:
        rounds += 1
        assert rounds < 10_000, "the sessions never come to rest"
        busy = False
        for wire in wires:
            for one, other in (wire, wire[::-1]):
                one.work(now)
                data = one.take(now)
                busy = busy or bool(data)
                for chunk in chunks(data):
                    other.give(chunk, now)


def paired(one: MemoryLog, other: MemoryLog, now: float = 0.0) -> tuple[End, End]:
    """A wire between two devices."""
    return End(one, other.device, now, name="One"), End(other, one.device, now, name="Other")
