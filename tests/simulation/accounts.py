"""The account of every character that was ever shown as saved: present, or deleted by somebody.

What is promised: a character that a device showed as saved outlives crashes, cuts, clock jumps, restored
backups and devices that leave, for as long as one log holds it.  Where a disk is lost with what no other log
holds (by restoring an older backup over it, or with its device), exactly that is written off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Id: TypeAlias = tuple[int, str]
"""Counter and replica of an element."""


def visible(text: Any) -> set[Id]:
    """The characters that a text shows."""
    return {(counter, replica) for counter, replica, character in text.elements() if character}


class Accounts:
    """What was shown as saved, what somebody deleted, and what went with the only disk that had it."""

    def __init__(self) -> None:
        self.saved: dict[str, set[Id]] = {}
        self.deleted: set[Id] = set()
        self.written_off: set[Id] = set()
        self.disks_lost = 0

    def show(self, oid: str, text: Any) -> None:
        """Somebody sees this text, with the word "saved" beside it."""
        self.saved.setdefault(oid, set()).update(visible(text))

    def edit(self, before: set[Id], text: Any) -> None:
        """Somebody has edited a text that showed ``before``."""
        self.deleted |= before - visible(text)

    def lose(self, logs: Iterable[Mapping[str, int]]) -> None:
        """A disk is lost; ``logs`` are all that are left, as the last counter of each replica.

        A log holds all of a replica up to its last counter.
        """
        self.disks_lost += 1
        ends: dict[str, int] = {}
        for log in logs:
            for replica, end in log.items():
                ends[replica] = max(end, ends.get(replica, 0))
        for oid, ids in self.saved.items():
            gone = {one for one in ids if one[0] > ends.get(one[1], 0)}
            self.written_off |= gone
            self.saved[oid] = ids - gone

    def missing(self, oid: str, text: Any) -> set[Id]:
        """What should be in a text (``None``: there is none), or have been deleted, and is neither."""
        shown = visible(text) if text is not None else set()
        return self.saved.get(oid, set()) - shown - self.deleted
