"""The elements of a text in their order: spans in a chunked list, found by position and by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from liblim.crdt.ops import Id
from liblim.crdt.span import Chunk, Span, SpanIndex

MOST_SPANS = 96
"""A chunk with more spans is divided."""
FILL = 72
"""Spans in each chunk of a text that was loaded."""
LONGEST_TEXT = 1024
"""Characters in one visible span at most: an edit inside copies them."""
STRIDES = (64, 8)
"""Chunks that are passed at a time on a long way, and then on what is left of it."""


_NOWHERE = Span("", 0, 0, "", Chunk(0))


class Sequence:
    """Spans in document order.

    ``lens[k]`` counts the visible characters of chunk k.  Two fingers make an edit near the last one
    find its place at once: chunk ``_at`` begins at position ``_at_start``, and the span ``span``, if
    it is visible, ends at position ``end`` and is number ``_i`` of its chunk or near that.

    The number of a chunk grows when one before it is divided.  Only the chunk of ``span`` learns that at
    once; of the others :meth:`number_of` finds it, and :meth:`seek` as it comes by.
    """

    __slots__ = ("_at", "_at_start", "_i", "chunks", "end", "ids", "length", "lens", "span")

    def __init__(self) -> None:
        self.chunks = [Chunk(0)]
        self.lens = [0]
        self.length = 0
        self.ids: dict[str, SpanIndex] = {}
        self._at = 0
        self._at_start = 0
        self.span = _NOWHERE
        self._i = 0
        self.end = 0

    # Finding

    def find(self, counter: int, replica: str) -> Span | None:
        """The span that holds the element with this id."""
        span = self.span
        if (
            span.counter <= counter < span.counter + span.length
            and span.replica == replica
            and span.text
        ):
            return span
        index = self.ids.get(replica)
        return None if index is None else index.find(counter)

    def seek(self, pos: int) -> Span:
        """Put the finger on the span that holds visible element ``pos - 1``, and return it.

        ``pos`` is from 1 to ``length``.
        """
        span = self.span
        if 0 <= self.end - pos < len(span.text):
            return span
        number = self._reach(pos)
        chunk = self.chunks[number]
        chunk.number = number
        spans = chunk.spans
        end = self._at_start
        if 2 * (pos - end) <= self.lens[number]:
            for i, span in enumerate(spans):
                end += len(span.text)
                if end >= pos:
                    self._i = i
                    break
        else:  # its end is nearer
            start = end + self.lens[number]
            i = len(spans)
            for span in reversed(spans):
                i -= 1
                end = start
                start -= len(span.text)
                if start < pos:
                    self._i = i
                    break
        self.span, self.end = span, end
        return span

    def number(self) -> int:
        """The number in its chunk of the span that the finger is on."""
        spans, i = self.span.chunk.spans, self._i
        if i >= len(spans) or spans[i] is not self.span:
            i = self._i = spans.index(self.span)
        return i

    def _reach(self, pos: int) -> int:
        """Move the cursor to the chunk that holds visible element ``pos - 1``."""
        lens = self.lens
        number, start = self._at, self._at_start
        if 2 * pos < start:  # the beginning is nearer, or the end
            number, start = 0, 0
        elif 2 * pos > start + self.length:
            number, start = len(lens) - 1, self.length - lens[-1]
        if pos <= start:
            number, start = _back(lens, number, start, pos)
        elif pos > start + lens[number]:
            number, start = _on(lens, number, start, pos)
        self._at, self._at_start = number, start
        return number

    def number_of(self, chunk: Chunk) -> int:
        """The place of ``chunk`` among the chunks: what it says itself, or some more."""
        number = chunk.number
        if self.chunks[number] is not chunk:
            number = chunk.number = self.chunks.index(chunk, number)
        return number

    def start_of(self, chunk: Chunk) -> int:
        """Move the cursor to ``chunk``; return the position where it begins."""
        number, at = self.number_of(chunk), self._at
        if number > at:
            self._at_start += sum(self.lens[at:number])
        elif number < at:
            self._at_start -= sum(self.lens[number:at])
        self._at = number
        return self._at_start

    def place(self, span: Span) -> tuple[int, int]:
        """Put the finger on ``span``; return its number in its chunk, and the position where it begins."""
        chunk = span.chunk
        if span is self.span and span.text:
            return self.number(), self.end - span.length
        pos = self.start_of(chunk)
        i = 0
        for other in chunk.spans:
            if other is span:
                break
            pos += len(other.text)
            i += 1
        self.span, self._i, self.end = span, i, pos + len(span.text)
        return i, pos

    def id_at(self, pos: int) -> Id:
        """The id of the visible element at ``pos``."""
        span = self.seek(pos + 1)
        return span.counter + span.length + pos - self.end, span.replica

    def walk(self) -> Iterator[Span]:
        """All spans in document order."""
        for chunk in self.chunks:
            yield from chunk.spans

    def slice(self, start: int, stop: int) -> str:
        """The visible characters from ``start`` up to ``stop``, both within the text."""
        if start >= stop:
            return ""
        span = self.seek(start + 1)
        i = self.number()
        offset = start - self.end + span.length
        wanted = stop - start + offset
        parts: list[str] = []
        number = span.chunk.number
        while wanted > 0:
            for span in self.chunks[number].spans[i:]:
                parts.append(span.text)
                wanted -= len(span.text)
                if wanted <= 0:
                    break
            number += 1
            i = 0
        return "".join(parts)[offset : offset + stop - start]

    # Changing

    def fill(self, spans: list[Span]) -> None:
        """Hold these spans, the sequence being empty.  Raises OperationError where two share an id."""
        owned: dict[str, list[Span]] = defaultdict(list)
        owner, own = "", list[Span]()
        self.chunks, self.lens = [], []
        for i in range(0, len(spans), FILL):
            chunk = Chunk(len(self.chunks))
            chunk.spans = spans[i : i + FILL]
            length = 0
            for span in chunk.spans:
                span.chunk = chunk
                length += len(span.text)
                if (
                    span.replica is not owner
                ):  # mostly the one before, so its list need not be looked up
                    owner = span.replica
                    own = owned[owner]
                own.append(span)
            self.chunks.append(chunk)
            self.lens.append(length)
        if not spans:
            self.chunks, self.lens = [Chunk(0)], [0]
        for replica, own in owned.items():
            index = self.ids[replica] = SpanIndex()
            index.fill(own)
        self.length = sum(self.lens)

    def resize(self, chunk: Chunk, pos: int, n: int) -> None:
        """Note that ``chunk`` has ``n`` visible characters more at ``pos``, or fewer from there on."""
        number = chunk.number
        if self.chunks[number] is not chunk:
            number = self.number_of(chunk)
        self.lens[number] += n
        self.length += n
        if number < self._at:
            self._at_start += n
        if pos < self.end:
            self.end += n

    def index(self, span: Span) -> None:
        """Let ``span`` be found by its ids."""
        index = self.ids.get(span.replica)
        if index is None:
            index = self.ids[span.replica] = SpanIndex()
        index.add(span)

    def cut(self, span: Span, i: int, offset: int) -> None:
        """Divide ``span``, which is number ``i`` of its chunk, before its element ``offset``."""
        chunk = span.chunk
        tail = Span(
            span.replica, span.counter + offset, span.length - offset, span.text[offset:], chunk
        )
        span.length = offset
        span.text = span.text[:offset]
        chunk.spans.insert(i + 1, tail)
        self.index(tail)
        if span is self.span:
            self.span = tail

    def put(self, chunk: Chunk, i: int, pos: int, counter: int, replica: str, text: str) -> None:
        """Place new visible elements, which begin at ``pos``, before span ``i`` of ``chunk``."""
        new: list[Span] = []
        for offset in range(0, len(text), LONGEST_TEXT):
            part = text[offset : offset + LONGEST_TEXT]
            span = Span(replica, counter + offset, len(part), part, chunk)
            new.append(span)
            self.index(span)
        chunk.spans[i:i] = new
        self.resize(chunk, pos, len(text))
        self.span, self._i, self.end = new[-1], i, pos + len(text)
        self.balance(chunk)

    def balance(self, chunk: Chunk) -> None:
        """Divide a chunk that has grown too large."""
        spans = chunk.spans
        if len(spans) <= MOST_SPANS:
            return
        start = self.start_of(chunk)
        number = chunk.number
        size = len(spans) // (2 * len(spans) // MOST_SPANS) + 1
        pieces = [spans[i : i + size] for i in range(0, len(spans), size)]
        fresh = [chunk] + [Chunk(number + k) for k in range(1, len(pieces))]
        for piece, owner in zip(pieces, fresh, strict=True):
            owner.spans = piece
            for span in piece:
                span.chunk = owner
        self.chunks[number : number + 1] = fresh
        self.lens[number : number + 1] = [sum(len(s.text) for s in piece) for piece in pieces]
        finger = self.span.chunk
        if finger.number > number and finger not in fresh:
            finger.number += len(pieces) - 1
        self._at, self._at_start = number, start

    # Proving

    def check_invariants(self) -> None:
        """Raise AssertionError where the structure contradicts itself.  Takes time linear in its size."""
        found: dict[str, list[Span]] = {}
        assert len(self.chunks) == len(self.lens)
        for number, chunk in enumerate(self.chunks):
            assert chunk.number <= number
            assert self.lens[number] == sum(len(span.text) for span in chunk.spans)
            assert len(chunk.spans) <= MOST_SPANS
            for span in chunk.spans:
                assert span.chunk is chunk
                assert span.length > 0
                assert span.counter > 0
                assert len(span.text) in (0, span.length)
                assert len(span.text) <= LONGEST_TEXT
                found.setdefault(span.replica, []).append(span)
        assert self.length == sum(self.lens)
        assert self._at_start == sum(self.lens[: self._at])
        if self.span.text:
            assert self.chunks[self.span.chunk.number] is self.span.chunk
            pos = self.place(self.span)[1]
            assert self.end == pos + len(self.span.text)
        for replica, spans in found.items():
            self.ids[replica].check_invariants(sorted(spans, key=lambda span: span.counter))
        assert found.keys() == {replica for replica, index in self.ids.items() if index.end()}


def _back(lens: list[int], number: int, start: int, pos: int) -> tuple[int, int]:
    """From a chunk that begins at ``start``, from ``pos`` on, back to the one that begins before ``pos``."""
    for stride in STRIDES:
        while number > stride and (far := start - sum(lens[number - stride : number])) >= pos:
            number, start = number - stride, far
    while start >= pos:
        number -= 1
        start -= lens[number]
    return number, start


def _on(lens: list[int], number: int, start: int, pos: int) -> tuple[int, int]:
    """From a chunk that begins at ``start`` and ends before ``pos``, on to the first that does not."""
    for stride in STRIDES:
        while (far := start + sum(lens[number : number + stride])) < pos:
            number, start = number + stride, far
    while (end := start + lens[number]) < pos:
        number, start = number + 1, end
    return number, start
