"""Anchors stay at their place under any edits."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Anchor, Bias, Text
from liblim.errors import OperationError
from tests.liblim.crdt.histories import in_order, write
from tests.liblim.crdt.network import spliced
from tests.oracle import NaiveRga


@pytest.mark.parametrize("bias", list(Bias))
def test_an_anchor_finds_its_place(bias: Bias) -> None:
    text = Text.new("a")
    text.insert(0, "abcd")
    text.insert(2, "XY")
    text.delete(1, 1)
    for pos in range(len(text) + 1):
        assert text.position(text.anchor(pos, bias)) == pos


def test_the_bias_says_where_it_goes_when_something_is_inserted_there() -> None:
    text = Text.new("a")
    text.insert(0, "ab")
    left, right = text.anchor(1, Bias.LEFT), text.anchor(1, Bias.RIGHT)
    text.insert(1, "XY")
    assert (text.position(left), text.position(right)) == (1, 3)


def test_the_ends() -> None:
    text = Text.new("a")
    begin, end = text.anchor(0, Bias.LEFT), text.anchor(0, Bias.RIGHT)
    text.insert(0, "abc")
    assert (text.position(begin), text.position(end)) == (0, 3)
    first, last = text.anchor(0, Bias.RIGHT), text.anchor(3, Bias.LEFT)
    text.insert(3, ">")
    text.insert(0, "<")
    assert (text.position(first), text.position(last)) == (1, 4)


def test_a_deleted_neighbour_keeps_the_place() -> None:
    text = Text.new("a")
    text.insert(0, "abcdef")
    left, right = text.anchor(3, Bias.LEFT), text.anchor(3, Bias.RIGHT)
    text.delete(1, 4)
    assert (text.position(left), text.position(right)) == (1, 1)
    text.undo()
    assert str(text) == "abcdef"
    assert 1 <= text.position(left) <= text.position(right) <= 5


def test_an_anchor_goes_through_json() -> None:
    text = Text.new("a")
    text.insert(0, "abc")
    anchor = text.anchor(2, Bias.RIGHT)
    octets = msgspec.json.encode(anchor)
    assert octets == b'[3,"a","right"]'
    assert msgspec.json.decode(octets, type=Anchor) == anchor


def test_an_anchor_of_another_text_is_refused() -> None:
    with pytest.raises(OperationError):
        Text.new("a").position(Anchor(3, "a", Bias.LEFT))


@pytest.mark.parametrize("case", range(30))
def test_anchors_follow_their_characters(case: int) -> None:
    rng = Random(case)
    a, b = Text.new("a"), Text.new("b")
    a.insert(0, "".join(map(chr, range(0x4E00, 0x4E40))))
    b.apply(a.take_ops())
    before = str(a)
    anchors = [(pos, bias, a.anchor(pos, bias)) for pos in range(len(a) + 1) for bias in Bias]
    shadow = before
    for _ in range(30):
        pos = rng.randrange(len(b) + 1)
        b.replace(pos, rng.randrange(min(3, len(b) - pos) + 1), "xy"[: rng.randrange(3)])
        shadow = spliced(shadow, a.apply(b.take_ops()))
    assert str(a) == shadow
    for pos, bias, anchor in anchors:
        now = a.position(anchor)
        if bias is Bias.LEFT:
            if pos == 0:
                assert now == 0
            elif before[pos - 1] in shadow:
                assert now == shadow.index(before[pos - 1]) + 1
        elif pos == len(before):
            assert now == len(shadow)
        elif before[pos] in shadow:
            assert now == shadow.index(before[pos])
        kept = [char for char in before[:pos] if char in shadow]
        assert [char for char in shadow[:now] if char in before] == kept


def defined(rows: list[tuple[int, str, str]], anchor: Anchor) -> int:
    """Where a place is by definition: so many visible characters stand before it."""
    counter, replica, bias = anchor
    if not counter:
        return 0 if bias is Bias.LEFT else sum(1 for row in rows if row[2])
    k = next(k for k, row in enumerate(rows) if row[:2] == (counter, replica))
    return sum(1 for row in rows[: k + (bias is Bias.LEFT)] if row[2])


@settings(deadline=None, max_examples=40)
@given(rng=st.randoms(use_true_random=False))
def test_anchors_are_where_the_naive_list_says(rng: Random) -> None:
    """Under edits by anyone, in any causal order, with reloads; beside deleted elements, too."""
    text, oracle, anchors = Text.new("z"), NaiveRga(), list[Anchor]()
    for event in in_order(write(Text(), rng, 25), rng):
        pos = rng.randrange(len(text) + 1)
        for bias in Bias:
            anchors.append(text.anchor(pos, bias))
            assert text.position(anchors[-1]) == pos
        text.apply([event.op])
        oracle.apply([event.op])
        if rng.random() < 0.1:
            text = Text.decode(text.encode(), "z")
        rows = oracle.rows()
        anchors += [Anchor(*rng.choice(rows)[:2], bias) for bias in Bias]
        for anchor in anchors:
            assert text.position(anchor) == defined(rows, anchor)
            assert text.position(text.anchor(text.position(anchor), anchor.bias)) == text.position(
                anchor
            )


@settings(deadline=None, max_examples=40)
@given(rng=st.randoms(use_true_random=False))
def test_places_stay_in_their_order(rng: Random) -> None:
    text = Text.new("z")
    events = in_order(write(Text(), rng, 25), rng)
    half = rng.randrange(len(events) + 1)
    text.apply([event.op for event in events[:half]])
    anchors = [[text.anchor(pos, bias) for pos in range(len(text) + 1)] for bias in Bias]
    for event in events[half:]:
        text.apply([event.op])
        for places in anchors:
            now = [text.position(anchor) for anchor in places]
            assert now == sorted(now)


def test_both_sides_of_text_that_was_deleted_and_brought_back() -> None:
    """What comes back is new elements behind the old ones: places within stay before it."""
    text = Text.new("a")
    text.insert(0, "abcdef")
    text.end_group()
    inside = [text.anchor(3, bias) for bias in Bias]
    left, right = text.anchor(2, Bias.LEFT), text.anchor(4, Bias.RIGHT)
    text.delete(2, 2)
    assert [text.position(anchor) for anchor in (left, *inside, right)] == [2, 2, 2, 2]
    text.undo()
    assert str(text) == "abcdef"
    assert [text.position(anchor) for anchor in (left, *inside, right)] == [2, 2, 2, 4]


@pytest.mark.parametrize("counter", [-1, 7, 2**53, 2**80])
def test_an_anchor_beyond_what_is_here_is_refused(counter: int) -> None:
    text = Text.new("a")
    text.insert(0, "abcdef")
    with pytest.raises(OperationError):
        text.position(Anchor(counter, "a", Bias.RIGHT))
