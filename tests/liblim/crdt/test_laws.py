"""What every field promises: the order, the grouping and the repeating of operations make no difference.

And what it comes to is what its documentation says, worked out anew from all operations known.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Counter, Field, Flag, GrowSet, Register, Set, Text
from tests.liblim.crdt.histories import NOTHING, Event, cut, each_field, in_order, write
from tests.liblim.crdt.network import spliced
from tests.oracle import NaiveRga

RANDOM = st.randoms(use_true_random=False)


def fresh(prototype: Field) -> Field:
    """An empty field with the same options."""
    return prototype.bind("", type(prototype).new("z", **_options(prototype))._author)


def _options(prototype: Field) -> dict[str, Any]:
    return {"default": prototype.default} if isinstance(prototype, Register) else {}


def shown(field: Field) -> Any:
    """What a person sees of a field."""
    if isinstance(field, Text):
        return list(field.elements())
    if isinstance(field, Set | GrowSet):
        return sorted(map(repr, field))
    if isinstance(field, Flag):
        return bool(field)
    assert isinstance(field, Register | Counter)
    return field.value


def defined(field: Field, ops: list[list[Any]]) -> Any:
    """What a field is after these operations, by definition."""
    if isinstance(field, Text):
        oracle = NaiveRga()
        oracle.apply(ops)
        assert [row[:2] for row in oracle.rows()] == oracle.tree_order()
        return oracle.rows()
    if isinstance(field, Register):
        return max(((op[:2], op[3]) for op in ops), default=([], field.default))[1]
    if isinstance(field, GrowSet):
        return sorted({repr(op[3]) for op in ops})
    if isinstance(field, Counter):
        return sum(op[3] for op in ops)
    gone = [
        [ref, op[1]] if isinstance(ref, int) else ref
        for op in ops
        if op[2] in ("rm", "off")
        for ref in op[3]
    ]
    standing = [op for op in ops if op[2] in ("add", "on") and op[:2] not in gone]
    return bool(standing) if isinstance(field, Flag) else sorted({repr(op[3]) for op in standing})


def check(field: Field, ops: list[list[Any]]) -> None:
    """Compare with the definition."""
    assert shown(field) == defined(field, ops)
    if isinstance(field, Text):
        field.check_invariants()


def play(prototype: Field, events: list[Event], rng: Random) -> Field:
    """Apply events in another causal order, cut up and repeated, with reloads in between."""
    field, done, plain = fresh(prototype), list[list[Any]](), ""
    for event in in_order(events, rng):
        for op in cut(event.op, rng):
            effects = field.apply([op])
            done.append(op)
            check(field, done)
            if isinstance(field, Text):
                plain = spliced(plain, effects)
                assert str(field) == plain
            before = field.encode()
            assert all(effect in NOTHING for effect in field.apply([rng.choice(done)]))
            assert field.encode() == before
        if rng.random() < 0.2:
            before, version, field = field.encode(), field.version, fresh(prototype)
            field.load(before)
            assert (field.encode(), field.version) == (before, version)
    return field


@each_field
@settings(deadline=None, max_examples=20)
@given(rng=RANDOM)
def test_the_order_makes_no_difference(prototype: Field, rng: Random) -> None:
    events = write(prototype, rng, 20)
    fields = [play(prototype, events, rng) for _ in range(2)]
    assert fields[0].encode() == fields[1].encode()
    assert fields[0].version == fields[1].version


@each_field
@settings(deadline=None, max_examples=20)
@given(rng=RANDOM)
def test_the_grouping_makes_no_difference(prototype: Field, rng: Random) -> None:
    """(A then B) then C is A then (B then C): in batches of any size, saved and loaded between them."""
    ops = [event.op for event in write(prototype, rng, 20)]
    whole = fresh(prototype)
    whole.apply(ops)
    grouped = fresh(prototype)
    while ops:
        size = rng.randrange(1, len(ops) + 1)
        batch, ops = ops[:size], ops[size:]
        grouped.apply(batch)
        blob = grouped.encode()
        grouped = fresh(prototype)
        grouped.load(blob)
    assert grouped.encode() == whole.encode()


@each_field
@settings(deadline=None, max_examples=20)
@given(rng=RANDOM)
def test_repeating_makes_no_difference(prototype: Field, rng: Random) -> None:
    ops = [event.op for event in write(prototype, rng, 20)]
    field = fresh(prototype)
    field.apply(ops)
    before, version = field.encode(), field.version
    for _ in range(2):
        assert all(effect in NOTHING for effect in field.apply(ops))
    assert (field.encode(), field.version) == (before, version)


@pytest.mark.long
@pytest.mark.timeout(0)
@each_field
def test_a_long_campaign(prototype: Field, seed: int) -> None:
    for round_ in range(2000):
        rng = Random(f"{seed}/{round_}")
        events = write(prototype, rng, 60)
        blobs = {play(prototype, events, rng).encode() for _ in range(3)}
        assert len(blobs) == 1, f"round {round_}"
