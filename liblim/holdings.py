"""What other devices hold of our log, by their own word."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from liblim.change import Change, Dep, Head, Identifier
from liblim.receipt import Receipt
from liblim.store import Store

STEP = 2000
"""Changes that a walk looks at in one go: a few milliseconds."""


class Holding(msgspec.Struct, frozen=True):
    """What a device holds: all of our log but, of each replica in ``lacks``, that change and those after it.

    ``confirmed`` is when it was last heard of, in Unix seconds.
    """

    confirmed: float
    lacks: dict[str, int]

    def grow(self, changes: Iterable[Change]) -> None:
        """Take note of changes that entered our log: it lacks them."""
        for change in changes:
            self.lacks.setdefault(change.replica, change.seq)


class Remembered(msgspec.Struct, frozen=True):
    """What is remembered of a device: its last receipt, and what it is believed to hold.

    ``counted`` says that ``holding`` is no older than the receipt, which came at ``heard`` (Unix seconds).
    """

    device: Identifier
    receipt: Receipt | None = None
    heard: float = 0.0
    counted: bool = False
    holding: Holding | None = None


_decode = msgspec.json.Decoder(Remembered).decode


class Live(Protocol):
    """What a connected device holds, as it says now."""

    def holds(self, replica: str, seq: int) -> bool:
        """Whether it holds a change of ours."""

    def seq(self, replica: str) -> int:
        """The last change of a replica that it holds, 0 for none."""


class Holdings:
    """By device.  What a connected one says goes before what is ``kept``, once it has said all."""

    def __init__(self) -> None:
        """Know of nobody."""
        self.kept: dict[str, Holding] = {}
        self.live: dict[str, Callable[[], Live | None]] = {}

    def clear(self) -> None:
        """Forget all: the log is another one."""
        self.kept.clear()
        self.live.clear()

    def live_belief(self, device: str) -> Live | None:
        """What a connected device says, if it has said all."""
        return self.live[device]() if device in self.live else None

    def grow(self, changes: Sequence[Change]) -> None:
        """Take note of changes that entered our log: whoever is not connected lacks them."""
        for holding in self.kept.values():
            holding.grow(changes)

    def recall(self, device: str) -> dict[str, int] | None:
        """The first change of each replica that a device lacks; ``None`` if nothing is known."""
        holding = self.kept.get(device)
        return holding.lacks if holding else None

    def lacking(self, device: str, heads: Mapping[str, Head]) -> int | None:
        """How many of our changes a device lacks that is not connected; ``None`` if nothing is known."""
        holding = self.kept.get(device)
        if holding is None:
            return None
        told = ((heads[r].seq, first) for r, first in holding.lacks.items() if r in heads)
        return sum(last - first + 1 for last, first in told if last >= first)

    def last_of(self, device: str, replica: str, heads: Mapping[str, Head]) -> int | None:
        """The last change of a replica that a device holds, 0 for none; ``None`` if nothing is known."""
        live = self.live_belief(device)
        if live is not None:
            return live.seq(replica)
        if device not in self.kept:
            return None
        ours = heads[replica].seq if replica in heads else 0
        return self.kept[device].lacks.get(replica, ours + 1) - 1

    def holders(self, wanted: Mapping[str, int], heads: Mapping[str, Head]) -> frozenset[str]:
        """Who holds these changes (replica -> last of it), all of them committed and told of here."""
        if any(seq > (heads[r].seq if r in heads else 0) for r, seq in wanted.items()):
            return frozenset()  # committed a moment ago, and not told yet: nobody can have it
        devices = self.kept.keys() | self.live.keys()
        return frozenset(device for device in devices if self._holds_all(device, wanted))

    def _holds_all(self, device: str, wanted: Mapping[str, int]) -> bool:
        live = self.live_belief(device)
        if live is not None:
            return all(live.holds(replica, seq) for replica, seq in wanted.items())
        if device not in self.kept:
            return False
        lacks = self.kept[device].lacks
        return not any(lacks.get(replica, seq + 1) <= seq for replica, seq in wanted.items())


class Walk:
    """Finds which changes of the log are not in the causal past of some heads.

    It goes backwards from the end, and stops when all are found.  Positions are a causal order, so by the
    time that a change is looked at, all that could have it in their past were.
    """

    def __init__(self, frontier: Collection[Dep], position: int, lacking: int) -> None:
        """Begin at ``position``; ``lacking`` changes are to be found."""
        self.lacks: dict[str, int] = {}
        self._frontier = frontier
        self._past = {head.replica: head.seq for head in frontier}
        self._position = position
        self._left = lacking

    def is_grounded(self, store: Store) -> bool:
        """Whether the log holds these very heads; else it says nothing about what it lacks."""
        found = ((store.lookup(head.replica, head.seq), head.hash) for head in self._frontier)
        return all(known is not None and known[0] == hash for known, hash in found)

    def step(self, store: Store) -> bool:
        """Look at some changes; whether that was all."""
        if self._left <= 0:
            return True
        before = self._position
        for position, replica, seq, deps in store.walk_back(self._position, STEP):
            self._position = position - 1
            if seq > self._past.get(replica, 0):
                self.lacks[replica] = seq
                self._left -= 1
                if self._left <= 0:
                    return True
                continue
            for dep in deps:
                self._past[dep.replica] = max(dep.seq, self._past.get(dep.replica, 0))
        return self._position in (0, before)


def load(store: Store) -> list[Remembered]:
    """What was remembered, with what our log has taken since; what cannot be read is heard again."""
    found = []
    for row, position in store.receipts():
        try:
            kept = _decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if kept.holding is not None:
            for replica, seq in store.first_after(position).items():
                kept.holding.lacks.setdefault(replica, seq)
        found.append(kept)
    return found


def save(store: Store, rows: Iterable[tuple[str, bytes]], position: int) -> None:
    """Remember these, by device and packed, having seen our log up to ``position``."""
    with store.transaction():
        for device, packed in rows:
            store.save_receipt(device, packed, position)
