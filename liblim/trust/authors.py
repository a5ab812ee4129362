"""What each device wrote about the library, merged and bounded, so that no member can fill the memory.

All of it is the same in whatever order the operations come, and however often.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nlargest
from typing import Generic, NamedTuple, TypeVar

from liblim.change import MAX_COUNTER
from liblim.crdt.ops import BEGINNING, Id

LIMIT = 1000
"""Epochs of one author that are remembered."""
WRAPS = 10_000
"""Wrapped keys of one author that are remembered."""

K = TypeVar("K")


class Last(Generic[K]):
    """The ``limit`` keys that were written last, by their greatest ids; the same in whatever order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[K, Id] = {}

    def put(self, key: K, written: Id) -> bool:
        """Take a write; return whether it may be news."""
        if self._found.get(key, BEGINNING) >= written:
            return False
        self._found[key] = written
        if len(self._found) > 2 * self._limit:
            self._found = dict(self._last())
        return True

    def _last(self) -> list[tuple[K, Id]]:
        return nlargest(self._limit, self._found.items(), key=lambda item: item[1])

    def __iter__(self) -> Iterator[tuple[K, Id]]:
        """The keys, each with its greatest id."""
        return iter(self._last() if len(self._found) > self._limit else self._found.items())


class Removals(NamedTuple):
    """One device's removals of another, as one: the first, the last, and what all of them saw."""

    first: Id
    at: int
    last: Id
    saw: dict[str, int]

    def __or__(self, other: Removals) -> Removals:
        first, at = min(self[:2], other[:2])
        return Removals(first, at, max(self.last, other.last), seen_by_both(self.saw, other.saw))


def seen_by_both(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The last counters of each replica that two removals saw both."""
    return {replica: min(one[replica], other[replica]) for replica in one.keys() & other.keys()}


class Author:
    """What one device wrote; by replica, because a removal tells those apart in what it saw."""

    def __init__(self) -> None:
        self.introduced: dict[tuple[str, str], int] = {}
        """The least counters, by device and replica."""
        self.removed: dict[str, Removals] = {}
        self.announced: Last[tuple[str, str]] = Last(LIMIT)
        """By epoch and replica."""
        self.wrapped: Last[tuple[str, str, str]] = Last(WRAPS)
        """By epoch, device and replica."""

    def replicas(self) -> set[str]:
        """The replicas that wrote anything but removals, which hold anyway."""
        found = {replica for _, replica in self.introduced}
        return found.union(
            (replica for (_, replica), _ in self.announced),
            (replica for (_, _, replica), _ in self.wrapped),
        )

    def introduce(self, device: str, written: Id) -> bool:
        """Take an introduction; return whether it is news."""
        counter, replica = written
        if self.introduced.get((device, replica), MAX_COUNTER + 1) <= counter:
            return False
        self.introduced[device, replica] = counter
        return True

    def remove(self, device: str, removals: Removals) -> bool:
        """Take a removal; return whether it is news."""
        before = self.removed.get(device)
        self.removed[device] = removals | before if before else removals
        return self.removed[device] != before
