"""The RGA: how inserts and deletes find their place, so that all replicas end with the same text.

After Roh et al., "Replicated abstract data types: Building blocks for collaborative applications" (2011).
An element is inserted after another one; of several after the same one, that with the greatest id stands
first.  Because an element's counter is greater than that of the element that it was put after (Lamport's
rule), the rule comes down to: from the left neighbour, go right past every element with a greater id.
A deleted element stays as a tombstone, for others to insert after.
"""

from __future__ import annotations

from collections.abc import Iterator

from liblim.crdt.ops import BEGINNING, Id
from liblim.crdt.sequence import LONGEST_TEXT, MOST_SPANS, Sequence
from liblim.crdt.span import Chunk, Span
from liblim.errors import OperationError

Piece = tuple[int, str, str, int]
"""Elements that were deleted: counter and replica of the first, their characters, where they began."""


class Rga(Sequence):
    """A sequence with the edits of this replica, by position, and those of all, by id."""

    __slots__ = ()

    # Edits by position, which are this replica's

    def write(self, pos: int, counter: int, replica: str, text: str) -> Id:
        """Insert new elements, with ids above all here, at ``pos``; return their left neighbour.

        That is the visible element before ``pos``, so what replaces deleted text stands before what
        others wrote behind that text meanwhile.
        """
        if not pos:
            self._check_new(BEGINNING, counter, replica)
            self.put(self.chunks[0], 0, 0, counter, replica, text)
            return BEGINNING
        span = self.span
        if pos != self.end or not span.text:
            span = self.seek(pos)
        offset = span.length + pos - self.end
        left = (span.counter + offset - 1, span.replica)
        if offset == span.length and self._lengthen(span, pos, counter, replica, text):
            self.end = pos + len(text)
            return left
        self._check_new(left, counter, replica)
        i = self.number()
        if offset < span.length:
            self.cut(span, i, offset)
        self.put(span.chunk, i + 1, pos, counter, replica, text)
        return left

    def grow(self, text: str, n: int) -> None:
        """Append ``n`` new elements, whose ids go on, to the span that the finger is on."""
        span = self.span
        span.text += text
        span.length += n
        number = span.chunk.number
        self.lens[number] += n
        self.length += n
        self.end += n
        if number < self._at:
            self._at_start += n

    def shrink(self, n: int, tombstone: Span, back: bool) -> str:
        """Let the tombstone beside the span that the finger is on take ``n`` elements of that; return them.

        It stands behind the span where it is ``back``, else before it; some of the span is left.
        """
        span = self.span
        span.length -= n
        if back:
            gone, span.text = span.text[span.length :], span.text[: span.length]
            tombstone.counter -= n
            self.ids[span.replica].lowered(tombstone, tombstone.counter + n)
        else:
            gone, span.text = span.text[:n], span.text[n:]
            span.counter += n
        tombstone.length += n
        number = span.chunk.number
        self.lens[number] -= n
        self.length -= n
        self.end -= n
        if number < self._at:
            self._at_start -= n
        return gone

    def beside(self, pos: int) -> Span | None:
        """The tombstone at that end of the finger's span which is at ``pos``, if their ids go on."""
        span = self.span
        back = self.end == pos
        if not span.text or not (back or self.end - span.length == pos):
            return None
        spans, i = span.chunk.spans, self.number() + (1 if back else -1)
        if not 0 <= i < len(spans) or spans[i].text:
            return None
        tombstone = spans[i]
        low, high = (span, tombstone) if back else (tombstone, span)
        return tombstone if _adjoin(low, high.counter, high.replica) else None

    def _check_new(self, left: Id, counter: int, replica: str) -> None:
        """Refuse to write under ids that are not above those that were seen: nobody would take them."""
        index = self.ids.get(replica)
        if left[0] >= counter or (index is not None and index.end() > counter):
            raise OperationError("The author's counter is behind what this text holds.")

    def erase(self, pos: int, n: int) -> list[Piece]:
        """Delete the ``n`` visible elements from ``pos`` on, and return them."""
        span = self.span
        if not 0 <= self.end - pos - 1 < len(span.text):
            span = self.seek(pos + 1)
        i = self.number()
        chunk = span.chunk
        offset = span.length + pos - self.end
        if offset + n <= span.length:
            text = span.text[offset : offset + n]
            piece = (span.counter + offset, span.replica, text, pos)
            self._bury(span, i, offset, n, pos)
            if len(chunk.spans) > MOST_SPANS:
                self.balance(chunk)
            return [piece]
        return self._erase_across(chunk, i, offset, pos, n)

    def _erase_across(self, chunk: Chunk, i: int, offset: int, pos: int, n: int) -> list[Piece]:
        """Delete ``n`` visible elements, which begin at ``offset`` of span ``i`` of ``chunk``."""
        first = chunk
        gone: list[Piece] = []
        while n:
            if i == len(chunk.spans):
                chunk = self.chunks[self.number_of(chunk) + 1]
                i = 0
            span = chunk.spans[i]
            if not span.text:
                i += 1
                continue
            text = span.text[offset : offset + n]
            gone.append((span.counter + offset, span.replica, text, pos))
            i = self._bury(span, i, offset, len(text), pos)
            n -= len(text)
            offset = 0
        self.balance(chunk)
        if first is not chunk:
            self.balance(first)
        return _joined(gone)

    # Edits by id, which are anybody's

    def insert(self, left: Span | None, offset: int, counter: int, replica: str, text: str) -> int:
        """Insert new elements, of which the first has this id; return their position.

        Their left neighbour is the last of the first ``offset`` elements of the span ``left``; None
        stands for the beginning.  Its counter is lower than theirs.
        """
        chunk, i, pos = self.chunks[0], -1, 0
        if left is not None:
            chunk = left.chunk
            i, pos = self.place(left)
            if offset < left.length and (left.counter + offset, left.replica) < (counter, replica):
                self.cut(left, i, offset)
            pos += len(left.text)
        after, k, skipped = chunk, i, 0
        if i + 1 == len(chunk.spans) or chunk.spans[i + 1].counter >= counter:
            after, k, skipped = self._skip(chunk, i, counter, replica)
        alone = k == i and after is chunk
        if left is not None and alone and self._lengthen(left, pos, counter, replica, text):
            self.span, self._i, self.end = left, i, pos + len(text)
            return pos
        pos += skipped
        self.put(after, k + 1, pos, counter, replica, text)
        return pos

    def _skip(self, chunk: Chunk, i: int, counter: int, replica: str) -> tuple[Chunk, int, int]:
        """The last of the spans behind span ``i`` whose ids are greater, and the visible length of all."""
        found, found_i, skipped = chunk, i, 0
        while True:
            spans = chunk.spans
            i += 1
            while i < len(spans):
                span = spans[i]
                if span.counter < counter or (span.counter == counter and span.replica < replica):
                    return found, found_i, skipped
                found, found_i = chunk, i
                skipped += len(span.text)
                i += 1
            number = self.number_of(chunk) + 1
            if number == len(self.chunks):
                return found, found_i, skipped
            chunk = self.chunks[number]
            i = -1

    def delete(self, counter: int, replica: str, n: int, span: Span | None = None) -> list[Piece]:
        """Delete what is visible of ``n`` elements from this id on, all of which must be here; return it.

        ``span``, where that is known, holds the first.
        """
        gone: list[Piece] = []
        end = counter + n
        while counter < end:
            if span is None:
                span = self.find(counter, replica)
                assert span is not None
            offset = counter - span.counter
            size = min(span.length - offset, end - counter)
            if span.text:
                chunk = span.chunk
                i, pos = self.place(span)
                text = span.text[offset : offset + size]
                gone.append((counter, replica, text, pos + offset))
                self._bury(span, i, offset, size, pos + offset)
                self.balance(chunk)
            counter += size
            span = None
        return _joined(gone)

    def runs(self, counter: int, replica: str, n: int) -> Iterator[tuple[int, int]]:
        """What is here of ``n`` elements from this id on, as (counter, n) of what lies in one span each."""
        index = self.ids.get(replica)
        end = counter + n
        while index is not None and counter < end:
            counter = index.next(counter)
            if not counter or counter >= end:
                return
            span = index.find(counter)
            assert span is not None
            stop = min(end, span.counter + span.length)
            yield counter, stop - counter
            counter = stop

    def holds(self, counter: int, replica: str, n: int) -> bool:
        """Whether all of ``n`` elements from this id on are here."""
        return sum([size for _, size in self.runs(counter, replica, n)]) == n

    def visible(self, counter: int, replica: str, n: int) -> str:
        """The characters of ``n`` elements of one span from this id on; empty where they are deleted."""
        span = self.find(counter, replica)
        assert span is not None
        return span.text[counter - span.counter : counter - span.counter + n]

    # How spans change

    def _lengthen(self, span: Span, pos: int, counter: int, replica: str, text: str) -> bool:
        """Append new elements to ``span``, which ends at ``pos``, if that can hold them; say whether."""
        length = span.length + len(text)
        if (
            span.counter + span.length != counter
            or span.replica != replica
            or not span.text
            or length > LONGEST_TEXT
        ):
            return False
        span.text += text
        span.length = length
        self.resize(span.chunk, pos, len(text))
        return True

    def _bury(self, span: Span, i: int, offset: int, n: int, pos: int) -> int:
        """Make tombstones of ``n`` elements of ``span``, its number ``i``, from ``offset`` and ``pos`` on.

        Return the number of the next span of the chunk behind them.
        """
        spans = span.chunk.spans
        self.resize(span.chunk, pos, -n)
        if n == span.length:
            span.text = ""
            if i and self._join(spans, i - 1):
                i -= 1
            if i + 1 < len(spans):
                self._join(spans, i)
            return i + 1
        if not offset:
            return self._bury_head(spans, i, n)
        if offset + n < span.length:
            self.cut(span, i, offset + n)
        return self._bury_tail(spans, i, offset)

    def _bury_head(self, spans: list[Span], i: int, n: int) -> int:
        """Make tombstones of the first ``n`` elements of span ``i``."""
        span = spans[i]
        counter = span.counter
        span.counter += n
        span.length -= n
        span.text = span.text[n:]
        before = spans[i - 1] if i else None
        if before is not None and not before.text and _adjoin(before, counter, span.replica):
            before.length += n
            return i
        spans.insert(i, self._tombstone(span, counter, n))
        return i + 1

    def _bury_tail(self, spans: list[Span], i: int, offset: int) -> int:
        """Make tombstones of the elements of span ``i`` from ``offset`` on."""
        span = spans[i]
        n = span.length - offset
        span.length = offset
        span.text = span.text[:offset]
        counter = span.counter + offset
        if i + 1 < len(spans):
            after = spans[i + 1]
            if not after.text and after.counter == counter + n and after.replica == span.replica:
                after.counter = counter
                after.length += n
                self.ids[span.replica].lowered(after, counter + n)
                return i + 2
        spans.insert(i + 1, self._tombstone(span, counter, n))
        return i + 2

    def _tombstone(self, span: Span, counter: int, n: int) -> Span:
        """A tombstone for elements that ``span`` held."""
        tombstone = Span(span.replica, counter, n, "", span.chunk)
        self.index(tombstone)
        return tombstone

    def _join(self, spans: list[Span], i: int) -> bool:
        """Join the tombstones ``i`` and ``i + 1``, where they are such and their ids go on."""
        span, after = spans[i], spans[i + 1]
        if span.text or after.text or not _adjoin(span, after.counter, after.replica):
            return False
        span.length += after.length
        self.ids[after.replica].discard(after)
        del spans[i + 1]
        return True


def _adjoin(span: Span, counter: int, replica: str) -> bool:
    """Whether the ids of ``span`` go on with this one."""
    return span.counter + span.length == counter and span.replica == replica


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same pieces with those joined that were neighbours and whose ids go on."""
    if len(pieces) < 2:
        return pieces
    joined: list[Piece] = []
    parts: list[str] = []
    counter, replica, _, start = pieces[0]
    end = counter
    for first, owner, text, pos in pieces:
        if first != end or owner != replica or pos != start:
            joined.append((counter, replica, "".join(parts), start))
            parts = []
            counter, replica, start = first, owner, pos
        parts.append(text)
        end = first + len(text)
    joined.append((counter, replica, "".join(parts), start))
    return joined
