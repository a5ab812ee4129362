"""Spans, chunks and the index by id: with bounds so small that all of them are met."""

from __future__ import annotations

from random import Random

import pytest

from liblim.crdt import Text, rga, sequence, span, state, stroke
from liblim.crdt.span import Chunk, Span, SpanIndex
from liblim.errors import OperationError
from tests.liblim.crdt.histories import in_order, write
from tests.liblim.crdt.network import Network
from tests.oracle import NaiveRga


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of the structure that even short texts go beyond."""
    monkeypatch.setattr(span, "LOAD", 2)
    monkeypatch.setattr(sequence, "MOST_SPANS", 4)
    monkeypatch.setattr(sequence, "FILL", 3)
    monkeypatch.setattr(sequence, "STRIDES", (4, 2))
    monkeypatch.setattr(rga, "MOST_SPANS", 4)
    for module in (sequence, rga, state, stroke):
        monkeypatch.setattr(module, "LONGEST_TEXT", 5)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("case", range(40))
def test_random_histories(case: int) -> None:
    Network(Random(case).choice([1, 2, 3]), Random(case)).run(70)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("case", range(20))
def test_jumping_about(case: int) -> None:
    rng = Random(case)
    text, shadow = Text.new("a"), ""
    for _ in range(300):
        pos = rng.randrange(len(shadow) + 1)
        removed = rng.choice([0, 0, 1, 3]) if pos + 3 <= len(shadow) else 0
        inserted = rng.choice(["", "x", "yz", "a longer one"])
        text.delete(pos, removed)
        text.insert(pos, inserted)
        shadow = shadow[:pos] + inserted + shadow[pos + removed :]
        start = rng.randrange(len(shadow) + 1)
        n = rng.randrange(len(shadow) - start + 1)
        assert text.slice(start, n) == shadow[start : start + n]
        text.check_invariants()
    assert str(text) == shadow
    again = Text.decode(text.encode(), "b")
    again.check_invariants()
    assert list(again.elements()) == list(text.elements())


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("case", range(20))
def test_what_others_type_on_where_somebody_looks(case: int) -> None:
    """Operations come singly, and somebody looks at their left neighbours, which moves the finger there."""
    rng = Random(case)
    text, naive = Text.new("z"), NaiveRga()
    for event in in_order(write(Text(), rng, 150), rng):
        _, replica, kind, ref, _ = event.op
        seen = [row for row in text.elements() if row[2]]
        left = (ref, replica) if isinstance(ref, int) else (ref[0], ref[1])
        if kind == "+" and (at := [k for k, row in enumerate(seen) if row[:2] == left]):
            text.slice(at[0], 1)
        text.apply([event.op])
        naive.apply([event.op])
        text.check_invariants()
        assert list(text.elements()) == naive.rows()


@pytest.mark.usefixtures("_small")
def test_what_others_type_on_looks_into_the_next_chunk() -> None:
    text = Text.new("z")
    text.apply([[1, "a", "+", 0, "ab"], [3, "b", "+", [2, "a"], "X"]])
    text.apply([[4, "b", "+", 0, "p"], [6, "b", "+", 0, "q"]])
    text = Text.decode(text.encode(), "z")
    assert [len(chunk.spans) for chunk in text._rga.chunks] == [3, 1]
    text.slice(3, 1)
    text.apply([[3, "a", "+", 2, "c"]])
    assert str(text) == "qpabXc"


def spans(text: Text) -> list[tuple[int, int, str]]:
    """Counter, length and text of each span."""
    return [(s.counter, s.length, s.text) for s in text._rga.walk()]


def test_typing_makes_one_span() -> None:
    text = Text.new("a")
    for k, char in enumerate("one span"):
        text.insert(k, char)
    assert spans(text) == [(1, 8, "one span")]


def test_tombstones_join_whatever_the_order_of_deleting() -> None:
    for order in ((4, 3, 2, 1), (1, 1, 1, 1), (2, 2, 1, 1), (1, 3, 1, 1)):
        text = Text.new("a")
        text.insert(0, "abcdef")
        for pos in order:
            text.delete(pos, 1)
        assert spans(text) == [(1, 1, "a"), (2, 4, ""), (6, 1, "f")]
        text.check_invariants()


def test_remote_typing_makes_one_span_too() -> None:
    a, b = Text.new("a"), Text.new("b")
    for k, char in enumerate("one span"):
        a.insert(k, char)
        b.apply(a.take_ops())
    assert spans(b) == [(1, 8, "one span")]


def test_a_long_insert_is_divided() -> None:
    text = Text.new("a")
    text.insert(0, "x" * (sequence.LONGEST_TEXT + 5))
    assert [s[1] for s in spans(text)] == [sequence.LONGEST_TEXT, 5]


@pytest.mark.usefixtures("_small")
def test_the_index() -> None:
    rng = Random(7)
    index, chunk = SpanIndex(), Chunk(0)
    counters = list(range(1, 200, 3))
    held = [Span("a", counter, 2, "", chunk) for counter in counters]
    for one in rng.sample(held, len(held)):
        index.add(one)
    index.check_invariants(held)
    for counter in range(1, 205):
        found = index.find(counter)
        assert (found is not None) == (counter % 3 != 0 and counter < 201)
        assert index.next(counter) == (
            0 if counter > 200 else counter + (counter % 3 == 0) if counter < 200 else 200
        )
    assert index.end() == 201
    for one in rng.sample(held, len(held)):
        index.discard(one)
        held.remove(one)
        index.check_invariants(held)
    assert (index.end(), index.find(1), index.next(1)) == (0, None, 0)


def test_an_index_refuses_ids_that_overlap() -> None:
    chunk = Chunk(0)
    with pytest.raises(OperationError):
        SpanIndex().fill([Span("a", 5, 2, "", chunk), Span("a", 4, 2, "", chunk)])
