"""Spans, the pieces that a text is stored in, and how they are found by id."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import attrgetter

from liblim.errors import OperationError

LOAD = 256
"""A bucket of the index is halved when it holds twice as many spans."""

_COUNTER = attrgetter("counter")


class Span:
    """A run of elements with consecutive ids of one replica, side by side, all visible or all deleted.

    Its elements are ``counter`` to ``counter + length - 1`` of ``replica``.  ``text`` holds their characters;
    it is empty where they are deleted.
    """

    __slots__ = ("chunk", "counter", "length", "replica", "text")

    def __init__(self, replica: str, counter: int, length: int, text: str, chunk: Chunk) -> None:
        self.replica = replica
        self.counter = counter
        self.length = length
        self.text = text
        self.chunk = chunk


class Chunk:
    """Some dozens of spans that follow each other; ``number`` is its place among the chunks."""

    __slots__ = ("number", "spans")

    def __init__(self, number: int) -> None:
        self.number = number
        self.spans: list[Span] = []


class SpanIndex:
    """The spans of one replica in order of their counters, in buckets.

    ``firsts[b]`` is at most the lowest counter in bucket b and above every counter in the bucket before.
    """

    __slots__ = ("buckets", "firsts")

    def __init__(self) -> None:
        self.buckets: list[list[Span]] = [[]]
        self.firsts = [0]

    def fill(self, spans: list[Span]) -> None:
        """Hold these spans, the index being empty.  Raises OperationError where two share an id."""
        spans.sort(key=_COUNTER)
        end = 0
        for span in spans:
            if span.counter < end:
                raise OperationError("Two elements have one id.")
            end = span.counter + span.length
        self.buckets = [spans[i : i + LOAD] for i in range(0, len(spans), LOAD)]
        self.firsts = [0] + [bucket[0].counter for bucket in self.buckets[1:]]

    def find(self, counter: int) -> Span | None:
        """The span that holds the element with this counter."""
        b = bisect_right(self.firsts, counter) - 1
        bucket = self.buckets[b]
        i = bisect_right(bucket, counter, key=_COUNTER)
        if i == 0:
            if b == 0:
                return None
            bucket = self.buckets[b - 1]
            i = len(bucket)
        span = bucket[i - 1]
        return span if counter < span.counter + span.length else None

    def next(self, counter: int) -> int:
        """The lowest counter of an element from ``counter`` on; 0 where there is none."""
        if self.find(counter) is not None:
            return counter
        b = bisect_right(self.firsts, counter) - 1
        for bucket in self.buckets[b : b + 2]:
            i = bisect_right(bucket, counter, key=_COUNTER)
            if i < len(bucket):
                return bucket[i].counter
        return 0

    def end(self) -> int:
        """One more than the highest counter."""
        bucket = self.buckets[-1]
        return bucket[-1].counter + bucket[-1].length if bucket else 0

    def add(self, span: Span) -> None:
        """Take in a span."""
        counter = span.counter
        b = bisect_right(self.firsts, counter) - 1
        bucket = self.buckets[b]
        if not bucket or bucket[-1].counter < counter:
            bucket.append(span)
        else:
            bucket.insert(bisect_right(bucket, counter, key=_COUNTER), span)
        if len(bucket) > 2 * LOAD:
            self.buckets.insert(b + 1, bucket[LOAD:])
            self.firsts.insert(b + 1, bucket[LOAD].counter)
            del bucket[LOAD:]

    def discard(self, span: Span) -> None:
        """Let go of a span."""
        b = bisect_right(self.firsts, span.counter) - 1
        bucket = self.buckets[b]
        del bucket[bisect_right(bucket, span.counter, key=_COUNTER) - 1]
        if not bucket and len(self.buckets) > 1:
            del self.buckets[b]
            del self.firsts[b]
            self.firsts[0] = 0

    def lowered(self, span: Span, counter: int) -> None:
        """Learn that ``span``, which began at ``counter``, begins lower now."""
        b = bisect_right(self.firsts, counter) - 1
        if self.firsts[b] > span.counter:
            self.firsts[b] = span.counter

    def check_invariants(self, spans: list[Span]) -> None:
        """Raise AssertionError unless it holds exactly these, which are in order of their counters."""
        held = [span for bucket in self.buckets for span in bucket]
        assert len(held) == len(spans)
        assert all(a is b for a, b in zip(held, spans, strict=True))
        for before, after in pairwise(spans):
            assert before.counter + before.length <= after.counter
        for b, bucket in enumerate(self.buckets):
            assert bucket or len(self.buckets) == 1
            assert not bucket or self.firsts[b] <= bucket[0].counter
            assert not b or self.buckets[b - 1][-1].counter < self.firsts[b]
