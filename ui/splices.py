"""Arithmetic on splices: how positions and edits read after other edits.  Pure functions.

A ``Splice(pos, removed, inserted)`` replaces ``removed`` characters at ``pos`` by ``inserted``; in a
list, each one is in the coordinates after the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

from liblim.crdt import Bias, Splice


def shift(position: int, start: int, removed: int, added: int, bias: Bias) -> int:
    """Return where a position is after ``removed`` units at ``start`` became ``added`` others.

    ``Bias.LEFT`` sticks to the left neighbour, so an insert exactly at the position comes after it;
    ``Bias.RIGHT`` is pushed along.  What stood inside the removed part goes to the edge of it on
    the side that it sticks to.
    """
    if position < start or (position == start and bias is Bias.LEFT):
        return position
    if position > start + removed:
        return position - removed + added
    return start if bias is Bias.LEFT else start + added


def trim(old: str, new: str, caret: int) -> Splice:
    """Return the one splice that turns ``old`` into ``new``, without their common ends.

    So that untouched characters keep their ids.  An "a" typed into "aaa" could stand in four
    places: ``caret``, its position in ``new``, says where the edit ended.
    """
    shorter = min(len(old), len(new))
    start = _common(old, new)
    low = shorter - _common(old[::-1], new[::-1])
    if low < start:
        start = min(max(caret - max(len(new) - len(old), 0), low), start)
        tail = shorter - start
    else:
        tail = shorter - low
    return Splice(start, len(old) - tail - start, new[start : len(new) - tail])


def cross(ours: list[Splice], theirs: list[Splice]) -> tuple[list[Splice], list[Splice]]:
    """Take two edits of one text; return each as it reads after the other.

    Both ways then lead to the same text: ``ours`` and the second list, or ``theirs`` and the first.
    What either inserted stays; where both insert at one place, ours comes first.
    """
    if not ours or not theirs:
        return ours, theirs
    if len(ours) > 1:
        half = len(ours) // 2
        head, theirs = cross(ours[:half], theirs)
        tail, theirs = cross(ours[half:], theirs)
        return head + tail, theirs
    if len(theirs) > 1:
        half = len(theirs) // 2
        ours, head = cross(ours, theirs[:half])
        ours, tail = cross(ours, theirs[half:])
        return ours, head + tail
    parts, others = _parts(ours[0]), _parts(theirs[0])
    if len(parts) > 1 or len(others) > 1:
        return cross(parts, others)
    if not parts or not others:
        return parts, others
    return _after(parts[0], others[0], Bias.LEFT), _after(others[0], parts[0], Bias.RIGHT)


def growth(splices: Sequence[Splice]) -> int:
    """Return by how many characters the splices lengthen a text."""
    return sum(len(splice.inserted) - splice.removed for splice in splices)


def _common(a: str, b: str) -> int:
    """Return the length of the common prefix, by bisection: comparing slices is a C loop."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _parts(splice: Splice) -> list[Splice]:
    """Split a splice into a pure delete and a pure insert, leaving out the empty ones."""
    parts = [Splice(splice.pos, splice.removed, ""), Splice(splice.pos, 0, splice.inserted)]
    return [part for part in parts if part.removed or part.inserted]


def _after(mine: Splice, other: Splice, bias: Bias) -> list[Splice]:
    """Return a pure insert or delete as it reads after another pure one."""
    change = (other.pos, other.removed, len(other.inserted))
    if mine.inserted:
        return [mine._replace(pos=shift(mine.pos, *change, bias))]
    end = mine.pos + mine.removed
    if mine.pos < other.pos < end and other.inserted:
        left = other.pos - mine.pos
        # Sequential: once the left part is gone, their insert stands at its start.
        right = Splice(mine.pos + len(other.inserted), mine.removed - left, "")
        return [Splice(mine.pos, left, ""), right]
    start = shift(mine.pos, *change, Bias.RIGHT)
    end = shift(end, *change, Bias.LEFT)
    return [Splice(start, end - start, "")] if end > start else []
