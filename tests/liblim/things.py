"""A document type with every kind of field, a clock to set, and databases in memory."""

from __future__ import annotations

import random
from typing import Any

from liblim.change import Range
from liblim.crdt import Flag, Register, Set, Text
from liblim.database import Database
from liblim.document import Document


class Thing(Document):
    """Every kind of field."""

    kind = "thing"
    body = Text()
    place = Register(default="")
    tags = Set()
    pinned = Flag()

    def summary(self) -> dict[str, Any]:
        """The text and the rest."""
        return {"body": str(self.body), "place": self.place.value}


class ManualClock:
    """Clocks that stand until they are set."""

    def __init__(self) -> None:
        """Start in 2023."""
        self.now = 1_700_000_000.0
        self.running = 1000.0

    def wall(self) -> float:
        """Unix time."""
        return self.now

    def monotonic(self) -> float:
        """Time since start."""
        return self.running

    def advance(self, seconds: float) -> None:
        """Let both run on."""
        self.now += seconds
        self.running += seconds


def memory(seed: int = 0, path: str = ":memory:", **options: Any) -> Database:
    """A database whose ids follow from the seed."""
    rng = random.Random(seed)
    options.setdefault("clock", ManualClock())
    return Database(path, [Thing], entropy=rng.randbytes, **options)


def pull(target: Database, source: Database) -> int:
    """Bring what ``source`` holds and ``target`` lacks; returns how many changes."""
    ranges = []
    for replica, head in source.heads.items():
        held = target.heads.get(replica)
        if held is None or held.seq < head.seq:
            ranges.append(Range(replica, held.seq + 1 if held else 1, head.seq))
    changes = source.read(ranges, 10**6, 10**9) if ranges else []
    outcome = target.receive(changes)
    assert outcome.refused is None
    assert len(outcome.entered) == len(changes)
    return len(changes)
