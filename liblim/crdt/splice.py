"""The visible effect of operations on a text."""

from __future__ import annotations

from typing import NamedTuple


class Splice(NamedTuple):
    """At ``pos``, ``removed`` characters go and ``inserted`` comes; code points all.

    In a list of splices each speaks of the text as those before it left it.
    """

    pos: int
    removed: int
    inserted: str


def append(splices: list[Splice], splice: Splice) -> None:
    """Append a splice, or widen the last one by it where one can say both."""
    if splices:
        pos, removed, inserted = splices[-1]
        if not removed and not splice.removed and splice.pos == pos + len(inserted):
            splices[-1] = Splice(pos, 0, inserted + splice.inserted)
            return
        touches = pos in (splice.pos, splice.pos + splice.removed)
        if not inserted and not splice.inserted and touches:
            splices[-1] = Splice(splice.pos, removed + splice.removed, "")
            return
    splices.append(splice)


def difference(before: str, after: str) -> Splice:
    """One splice that makes ``after`` of ``before``."""
    most = min(len(before), len(after))
    start = next((i for i in range(most) if before[i] != after[i]), most)
    left = most - start
    end = next((i for i in range(left) if before[-1 - i] != after[-1 - i]), left)
    return Splice(start, len(before) - start - end, after[start : len(after) - end])
