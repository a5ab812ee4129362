"""What this replica did to a text, so that it can be undone and redone.

Undoing is editing: own inserts are deleted again, and own deletions inserted again, under new ids.
Steps name elements by id; so wherever elements were brought back, the other steps that name them
learn the new ids.

A history can be kept on the device that made it: encoded, it is the JSON ``[0, undos, redos]``, where each
step is ``[counter, replica, n]`` for an insert and ``[counter, replica, "chars"]`` for a deletion.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import msgspec

from liblim.crdt.ops import Id, check_id, check_text
from liblim.crdt.rga import Piece
from liblim.crdt.splice import Splice
from liblim.crdt.values import read
from liblim.errors import OperationError

MOST_GROUPS = 1000
"""So many groups can be undone; older ones are forgotten."""
MOST_TEXT = 16 * 2**20
"""So many deleted characters are kept for undoing."""
LONGEST_STEP = 4096
"""A longer deletion is not widened: that would copy it with every keystroke."""
KEPT_GROUPS = 100
"""So many groups are kept of those to undo, and of those to redo, when a history is encoded."""
KEPT_SIZE = 2**20
"""Characters that an encoded history holds about, of either: the groups beyond, the oldest, are left out."""
_STEP_SIZE = 32
"""What a step counts beside its text."""

_Groups = list[list[tuple[int, str, int | str]]]
_KEPT: Any = tuple[Literal[0], _Groups, _Groups]
_START = itemgetter(0)


class Step:
    """Elements with consecutive ids that were inserted, or deleted: then ``text`` is what they were."""

    __slots__ = ("counter", "length", "replica", "text")

    def __init__(self, counter: int, replica: str, length: int, text: str | None) -> None:
        self.counter = counter
        self.replica = replica
        self.length = length
        self.text = text


Group = list[Step]


class Renames:
    """For elements that were brought back: from the old ids to the new ones."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: dict[str, list[tuple[int, int, int, str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, old: Id, n: int, new: Id) -> None:
        """The ``n`` elements from ``old`` on are those from ``new`` on now."""
        ranges = self._ranges.setdefault(old[1], [])
        ranges.insert(bisect_right(ranges, old[0], key=_START), (old[0], n, *new))

    def follow(self, step: Step) -> Iterator[tuple[int, str, int]]:
        """The elements of an insert as ranges (counter, replica, n) of the ids that they have now."""
        counter, end = step.counter, step.counter + step.length
        ranges = self._ranges.get(step.replica, [])
        i = max(0, bisect_right(ranges, counter, key=_START) - 1)
        for start, n, new, owner in ranges[i:]:
            low, high = max(start, counter), min(start + n, end)
            if low >= high:
                continue
            if counter < low:
                yield counter, step.replica, low - counter
            yield new + low - start, owner, high - low
            counter = high
        if counter < end:
            yield counter, step.replica, end - counter

    def apply(self, group: Group) -> None:
        """Let the inserts in a group name the new ids."""
        if not any(step.text is None and step.replica in self._ranges for step in group):
            return
        steps: Group = []
        for step in group:
            if step.text is None:
                steps += [Step(*range_, None) for range_ in self.follow(step)]
            else:
                steps.append(step)
        group[:] = steps


class History:
    """The groups of steps that can be undone and redone.

    Edits that follow each other at one place, all inserts or all deletes, make one group; while it is
    ``open`` the next edit belongs to it if it is made at ``caret``.  ``held`` counts the deleted characters
    that are kept.
    """

    __slots__ = ("_inserting", "caret", "held", "open", "redos", "undos")

    def __init__(self) -> None:
        self.undos: list[Group] = []
        self.redos: list[Group] = []
        self.open = False
        self._inserting = False
        self.caret = 0
        self.held = 0

    def end_group(self) -> None:
        """Let the next edit begin a group."""
        self.open = False

    def inserted(self, pos: int, counter: int, replica: str, n: int) -> Step:
        """Note that this replica inserted ``n`` elements from this id on at ``pos``; return what holds it."""
        if not (self.open and self._inserting and pos == self.caret):
            self._begin(inserting=True)
        self.caret = pos + n
        group = self.undos[-1]
        if group:
            last = group[-1]
            if (
                last.counter + last.length == counter
                and last.replica == replica
                and last.text is None
            ):
                last.length += n
                return last
        step = Step(counter, replica, n, None)
        group.append(step)
        return step

    def deleted(self, pos: int, n: int, pieces: list[Piece]) -> None:
        """Note that this replica deleted these pieces, ``n`` characters at ``pos``."""
        near = self.caret in (pos, pos + n)
        if not (self.open and not self._inserting and near):
            self._begin(inserting=False)
        self.caret = pos
        self.held += n
        group = self.undos[-1]
        for counter, replica, text, _ in reversed(pieces):
            if not (group and _widen(group[-1], counter, replica, text)):
                group.append(Step(counter, replica, len(text), text))
        if self.held > MOST_TEXT:
            self._forget()

    def replacing(self) -> None:
        """Let the insert that follows, at the place of the last delete, belong to its group."""
        self._inserting = True

    def _begin(self, *, inserting: bool) -> None:
        """Begin a group; what was undone can no more be redone."""
        while self.redos:
            self.held -= _size(self.redos.pop())
        self.undos.append([])
        self._inserting = inserting
        self.open = True
        self._forget()

    def _forget(self) -> None:
        """Drop the oldest groups that are beyond the bounds."""
        while len(self.undos) > MOST_GROUPS or (self.held > MOST_TEXT and len(self.undos) > 1):
            self.held -= _size(self.undos.pop(0))

    def moved(self, splice: Splice) -> None:
        """Note that somebody else's edit moved the place of the last one."""
        if splice.pos < self.caret:
            kept = max(splice.pos, self.caret - splice.removed)
            self.caret = kept + len(splice.inserted)

    def steps(self) -> Iterator[Step]:
        """All steps, those to undo and those to redo."""
        return chain.from_iterable(self.undos + self.redos)

    def count(self) -> None:
        """Count anew the characters that are kept."""
        self.held = sum([_size(group) for group in self.undos + self.redos])

    def turn(self, source: list[Group], target: list[Group], reverse: Group, new: Renames) -> None:
        """Move on from the last group of ``source`` to its reverse, which goes to ``target``."""
        self.held += _size(reverse) - _size(source.pop())
        if reverse:
            target.append(reverse)
        if new:
            for group in self.undos + self.redos:
                new.apply(group)


def encode_history(history: History) -> bytes:
    """The last steps to undo and to redo; empty where there are none."""
    undos, redos = _newest(history.undos), _newest(history.redos)
    return msgspec.json.encode((0, undos, redos)) if undos or redos else b""


def _newest(groups: list[Group]) -> _Groups:
    """The newest of these groups, within the bounds."""
    kept: _Groups = []
    room = KEPT_SIZE
    for group in reversed(groups[-KEPT_GROUPS:]):
        room -= _size(group) + _STEP_SIZE * len(group)
        if room < 0:
            break
        kept.append([(s.counter, s.replica, s.text or s.length) for s in group])
    return kept[::-1]


def decode_history(blob: bytes) -> History:
    """The history that these bytes hold.  Raises OperationError where they hold none."""
    history = History()
    if not blob:
        return history
    undos: _Groups
    redos: _Groups
    _, undos, redos = read(blob, _KEPT, "a history of undoing")
    history.undos = [[_step(*step) for step in group] for group in undos if group]
    history.redos = [[_step(*step) for step in group] for group in redos if group]
    history.count()
    return history


def _step(counter: int, replica: str, what: int | str) -> Step:
    text = what if isinstance(what, str) else None
    n = what if isinstance(what, int) else len(what)
    if n < 1:
        raise OperationError("A step of undoing is about one element at least.")
    check_id(counter, replica, n)
    if text is not None:
        check_text(text)
    return Step(counter, replica, n, text)


def _size(group: Group) -> int:
    """How many characters a group keeps."""
    return sum([len(step.text) for step in group if step.text is not None])


def _widen(step: Step, counter: int, replica: str, text: str) -> bool:
    """Let a deletion take in its neighbour, where the ids go on."""
    if step.text is None or step.replica != replica or step.length > LONGEST_STEP:
        return False
    if counter + len(text) == step.counter:
        step.counter = counter
        step.text = text + step.text
    elif step.counter + step.length == counter:
        step.text += text
    else:
        return False
    step.length += len(text)
    return True
