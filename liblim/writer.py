"""The writer: what this run of the program adds to the log.

It holds the causal past as the people at this device have seen it, gathers operations on one document
in one open change, and turns that into changes of its own replica.  It touches no disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

import msgspec

from liblim.change import MAX_BODY, MAX_DEPS, Body, Change, Dep, Head, Header, pack_body
from liblim.crdt.ops import Op, width
from liblim.document import Document
from liblim.trust import Sealer

CLOCK_JUMP = 2.0
"""Seconds that wall clock and monotonic clock may drift apart before a new replica is taken."""
_BODY_ROOM = MAX_BODY - 512
TEXT_PIECE = 20_000
"""Code points of one piece of a long text; JSON takes up to 6 bytes for each.

So a piece fits in behind all deletes that a change may have: a body of deletes alone would take a counter
that its operations did not take, and is never followed by another body.
"""


class Clock(Protocol):
    """The times that a writer needs; a simulation brings its own."""

    def wall(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds that only ever grow while the machine runs."""


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; stands still while the machine sleeps."""
        return time.monotonic()


class Seen(NamedTuple):
    """A change in the causal past: its place in its replica, its hash and its last counter."""

    head: Head
    end: int


@dataclass
class _Open:
    """The one open change: what is fixed at its first operation."""

    document: Document
    clock: int
    deps: tuple[Dep, ...]
    at: int


class Writer:
    """Gathers this process's operations into changes."""

    def __init__(
        self, device: str, sealer: Sealer, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        """Start with an empty causal past; ``entropy(n)`` gives n random bytes."""
        self._device = device
        self._sealer = sealer
        self._clock = clock
        self._entropy = entropy
        self._frontier: dict[str, Seen] = {}
        self._replica = ""
        self._salt = b""
        self._last: Seen | None = None
        self._drift = self._now_drift()
        self._open: _Open | None = None
        self.uncommitted: dict[bytes, Change] = {}
        """Closed changes that the log does not hold yet, in order, by hash; signed when committed."""
        self.on_begin: Callable[[], None] = lambda: None
        """Called when a change opens: something waits to become durable."""

    @property
    def idle(self) -> bool:
        """Whether everything written here is in the log."""
        return self._open is None and not self.uncommitted

    @property
    def edits(self) -> int:
        """How many operations the open change has gathered; 0 where none is open."""
        return self._open.document.author.edits if self._open else 0

    def is_saved(self, oid: str) -> bool:
        """Whether everything written here on a document is in the log."""
        # A closed change is not kept by document: what waits for the disk waits for all.
        return not self.uncommitted and (self._open is None or self._open.document.oid != oid)

    @property
    def replica(self) -> str:
        """The replica that writes now; empty before the first operation."""
        return self._replica

    def abandon(self) -> None:
        """Take a new replica with the next operation.  Only while idle."""
        self._replica = ""

    def observe(self, changes: Iterable[Change]) -> None:
        """Take changes from elsewhere into the causal past; closes the open change first."""
        self.close()
        for change in changes:
            self._see(change)

    def start_from(self, frontier: Iterable[tuple[str, Seen]]) -> None:
        """Take a log's frontier as the causal past."""
        self._frontier = dict(frontier)

    def _see(self, change: Change) -> None:
        header = change.header
        for dep in header.deps:
            seen = self._frontier.get(dep.replica)
            if seen is not None and seen.head.seq == dep.seq:
                del self._frontier[dep.replica]
        self._frontier[header.replica] = Seen(Head(header.seq, change.hash), header.end)

    def begin(self, document: Document) -> None:
        """Open a change on ``document``: called by its author before the first operation."""
        self.close()
        self._choose_replica()
        opened, is_all = self._on_top(document)
        while not is_all:
            # Empty changes gather a past that is too wide for one: a hostile member can make it so.
            self._keep(self._make(opened, [], opened.clock, opened.deps))
            opened, is_all = self._on_top(document)
        document.author.replica, document.author.counter = self._replica, opened.clock
        self._open = opened
        self.on_begin()

    def _on_top(self, document: Document) -> tuple[_Open, bool]:
        """A change on top of as much of the past as one may name; whether that is all."""
        others = sorted(found for found in self._frontier.items() if found[0] != self._replica)
        named = others[:MAX_DEPS]
        past = [seen.end for _, seen in named] + ([self._last.end] if self._last else [])
        deps = tuple(Dep(replica, *seen.head) for replica, seen in named)
        clock = 1 + max(past, default=0)
        return _Open(document, clock, deps, int(self._clock.wall() * 1000)), named == others

    def _choose_replica(self) -> None:
        """Never continue a replica across a run or a jump of the clock.

        A process resumed from a snapshot, or a restored machine, would write one (replica, seq) twice.
        """
        drift = self._now_drift()
        if not self._replica or abs(drift - self._drift) > CLOCK_JUMP:
            self._salt = self._entropy(self._sealer.salt_size)
            bound = self._salt and self._sealer.replica(self._device, self._salt)
            self._replica, self._last = bound or self._entropy(8).hex(), None
        self._drift = drift

    def _now_drift(self) -> float:
        return self._clock.wall() - self._clock.monotonic()

    def close(self) -> None:
        """Close the open change: it, or several where it is large, waits in ``uncommitted``."""
        opened, self._open = self._open, None
        if opened is None:
            return
        clock, deps = opened.clock, opened.deps
        for ops in split_ops(opened.document.author.take()):
            change = self._make(opened, ops, clock, deps)
            self._keep(change)
            clock, deps = change.header.end + 1, ()

    def _keep(self, change: Change) -> None:
        self.uncommitted[change.hash] = change
        self._see(change)
        self._last = Seen(Head(change.seq, change.hash), change.header.end)

    def _make(self, opened: _Open, ops: list[Op], clock: int, deps: tuple[Dep, ...]) -> Change:
        last = self._last
        header = Header(
            replica=self._replica,
            seq=last.head.seq + 1 if last else 1,
            prev=last.head.hash if last else self._salt,
            deps=deps,
            clock=clock,
            n=max(1, sum(width(op[1:]) for op in ops)),
            at=opened.at,
            epoch=self._sealer.epoch,
            device="" if last else self._device,
            body=b"",
        )
        body = Body(opened.document.oid, opened.document.kind, ops)
        sealed = self._sealer.seal(pack_body(body), header)
        header = msgspec.structs.replace(header, body=sha256(sealed).digest())
        return Change(header, b"", sealed)

    def sign(self) -> list[Change]:
        """All closed changes that the log does not hold yet, signed.

        Raises IdentityLocked; they are kept.
        """
        for change in list(self.uncommitted.values()):
            if not change.signature:
                signature = self._sealer.sign(change.hash)
                self.uncommitted[change.hash] = msgspec.structs.replace(change, signature=signature)
        return list(self.uncommitted.values())


def split_ops(taken: Iterable[tuple[int, str, Op]], room: int = _BODY_ROOM) -> list[list[Op]]:
    """Divide operations among as many bodies as they need, each of at most ``room`` bytes of JSON.

    Takes ``(counter, field, op)``, gives ``[field, *op]``.
    """
    bodies: list[list[Op]] = []
    left = 0
    for counter, field, op in taken:
        for piece in _cut(counter, op):
            written = [field, *piece]
            size = len(msgspec.json.encode(written)) + 1
            if size > left:
                bodies.append([])
                left = room
            bodies[-1].append(written)
            left -= size
    return bodies


def _cut(counter: int, op: Op) -> Iterator[Op]:
    """Cut a long insert into pieces, each after the last element of the one before."""
    if op[0] != "+" or len(op[2]) <= TEXT_PIECE:
        yield op
        return
    _, ref, text = op
    for start in range(0, len(text), TEXT_PIECE):
        yield ["+", ref, text[start : start + TEXT_PIECE]]
        ref = counter + min(start + TEXT_PIECE, len(text)) - 1
