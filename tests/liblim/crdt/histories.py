"""What several replicas did to one field, as events: they arrive in any causal order, cut and repeated."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from liblim.crdt import Author, Counter, Field, Flag, GrowSet, Register, Set, Text

FIELDS: tuple[Field, ...] = (Text(), Register(default=0), Set(), GrowSet(), Flag(), Counter())
each_field = pytest.mark.parametrize("prototype", FIELDS, ids=lambda field: type(field).__name__)
NOTHING: tuple[Any, ...] = (None, [], ([], []))
"""The effects of an operation that changes nothing to the eye."""

_LETTERS = "abcä漢🙂\u0301\u200d\0\n"


class Event(NamedTuple):
    """A free-standing operation, and how many events of each replica its author had seen."""

    author: int
    seen: tuple[int, ...]
    op: list[Any]


def write(prototype: Field, rng: Random, steps: int, replicas: int = 3) -> list[Event]:
    """Edits of some replicas that hear of each other now and then, in the order of their making."""
    fields = [prototype.bind("", Author("cab"[k])) for k in range(replicas)]
    made: list[list[Event]] = [[] for _ in fields]
    seen = [[0] * replicas for _ in fields]
    events: list[Event] = []
    for step in range(steps + replicas):
        k = rng.randrange(replicas) if step < steps else step - steps
        if step < steps:
            kind = rng.random()
            if kind < 0.4:
                hear(fields[k], k, made, seen, rng)
                continue
            edit(fields[k], rng)
            if kind < 0.6:
                continue  # goes on before anything is taken
        for op in fields[k].take_ops():
            event = Event(k, tuple(seen[k]), msgspec.json.decode(msgspec.json.encode(op)))
            made[k].append(event)
            events.append(event)
            seen[k][k] += 1
    return events


def hear(field: Field, k: int, made: list[list[Event]], seen: list[list[int]], rng: Random) -> None:
    """Let replica ``k`` hear of another's next events, and of all that these had seen."""
    j = rng.randrange(len(made))
    if j == k:
        return
    upto = list(seen[k])
    if made[j]:
        upto = [max(pair) for pair in zip(upto, made[j][-1].seen, strict=True)]
        upto[j] = max(upto[j], len(made[j]))
    for event in in_order([e for own in made for e in own], rng, seen[k], upto):
        field.apply([event.op])
    seen[k][:] = upto


def in_order(
    events: Sequence[Event], rng: Random, start: Sequence[int] = (), end: Sequence[int] = ()
) -> list[Event]:
    """The same events in another causal order; of each replica those from ``start`` up to ``end``."""
    count = max((len(event.seen) for event in events), default=0)
    queues = [[event for event in events if event.author == k] for k in range(count)]
    have = list(start) or [0] * count
    upto = list(end) or [len(queue) for queue in queues]
    order: list[Event] = []
    while True:
        ready = [
            queue[have[k]]
            for k, queue in enumerate(queues)
            if have[k] < upto[k]
            and all(a >= b for a, b in zip(have, queue[have[k]].seen, strict=True))
        ]
        if not ready:
            assert have == upto
            return order
        order.append(rng.choice(ready))
        have[order[-1].author] += 1


def edit(field: Field, rng: Random) -> None:
    """Do something to a field, by chance."""
    if isinstance(field, Text):
        edit_text(field, rng)
    elif isinstance(field, Register):
        field.set(rng.randrange(4))
    elif isinstance(field, Set):
        rng.choice([field.add, field.add, field.discard])(rng.choice(["x", 1, True, [1.0]]))
    elif isinstance(field, GrowSet):
        field.add(rng.choice(["x", 1, 1.0, True, None, [1], {"a": []}]))
    elif isinstance(field, Flag):
        rng.choice([field.enable, field.disable])()
    else:
        assert isinstance(field, Counter)
        field.add(rng.choice([1, 1, -1, 7, -300, 2**53 - 1, 1 - 2**53]))


def edit_text(text: Text, rng: Random) -> None:
    """Insert, delete, replace, undo or redo."""
    pos = rng.choice([rng.randrange(len(text) + 1), min(len(text), 1), len(text)])
    n = min(rng.choice([1, 1, 2, 5]), len(text) - pos)
    new = "".join(rng.choices(_LETTERS, k=rng.choice([1, 1, 2, 4])))
    kind = rng.randrange(8)
    if kind < 3:
        text.insert(pos, new)
    elif kind < 5:
        text.delete(pos, n)
    elif kind < 6:
        text.replace(pos, n, new)
    else:
        rng.choice([text.undo, text.undo, text.redo])()


def cut(op: list[Any], rng: Random) -> list[list[Any]]:
    """The same operation in two that may overlap, where it is about several elements."""
    counter, replica, kind, *rest = op
    size = len(rest[1]) if kind == "+" else rest[1] if kind == "-" else 1
    if size < 2 or rng.random() < 0.5:
        return [op]
    end = rng.randrange(1, size)
    start = rng.randrange(1, end + 1)
    if kind == "+":
        first = [counter, replica, "+", rest[0], rest[1][:end]]
        return [first, [counter + start, replica, "+", counter + start - 1, rest[1][start:]]]
    low = rest[0] + start if isinstance(rest[0], int) else [rest[0][0] + start, rest[0][1]]
    return [[counter, replica, "-", rest[0], end], [counter, replica, "-", low, size - start]]
