"""The way that most keystrokes go: each follows the one before, so what that made is known already.

An edit at the place of the last one, with nothing between them, lengthens the span or tombstone, the pending
operation and the step to undo that the last one made or lengthened, without a search.  Whatever else its
author does changes ``Author.edits``, and so ends that; for what comes from others the text lets go of it.
What another types goes a way as short, which his next operation elsewhere ends.
"""

from __future__ import annotations

from typing import Any

from liblim.crdt.author import LONGEST_RUN, Author
from liblim.crdt.ops import COUNTER_LIMIT, Op, make_ref
from liblim.crdt.rga import Rga
from liblim.crdt.sequence import LONGEST_TEXT
from liblim.crdt.span import Span
from liblim.crdt.splice import Splice
from liblim.crdt.undo import LONGEST_STEP, MOST_TEXT, History, Step

_splice = tuple.__new__
"""Quicker than calling Splice itself."""


class Typing:
    """The last insert, to which the next one may be appended."""

    __slots__ = ("_author", "_edits", "_field", "_history", "_op", "_rga", "_span", "_step")

    def __init__(self, rga: Rga, author: Author, history: History, op: Op, step: Step) -> None:
        self._field = author.pending[-1][1]
        self._rga = rga
        self._author = author
        self._history = history
        self._span = rga.span
        self._op = op
        self._step = step
        self._edits = author.edits

    def insert(self, pos: int, text: str) -> bool:
        """Append ``text`` if it goes on at ``pos`` where the last insert ended; say whether."""
        author, rga, span, op, n = self._author, self._rga, self._span, self._op, len(text)
        if (
            author.edits != self._edits
            or rga.end != pos
            or rga.span is not span
            or span.counter + span.length != author.counter
            or not n
            or span.length + n > LONGEST_TEXT
            or len(op[2]) > LONGEST_RUN
        ):
            return False
        if not author.pending:
            author.start(n)
            if span.counter + span.length != author.counter or span.replica != author.replica:
                return False
            op = self._op = author.open(self._field, ["+", author.counter - 1, ""])
        rga.grow(text, n)
        op[2] += text
        self._step.length += n
        self._history.caret = pos + n
        author.counter += n
        author.edits = self._edits = self._edits + 1
        return True


class Erasing:
    """The last delete, at one end of a span, from which the next one may take more.

    ``_back`` says that it is the far end, as with Backspace; ``_tombstone`` stands there.
    """

    __slots__ = (
        "_author", "_back", "_edits", "_field", "_history", "_id", "_op", "_rga", "_span", "_step",
        "_tombstone",
    )  # fmt: skip

    def __init__(self, rga: Rga, author: Author, history: History, tombstone: Span) -> None:
        self._rga = rga
        self._author = author
        self._history = history
        self._span = rga.span
        self._tombstone = tombstone
        self._back = tombstone.counter > rga.span.counter
        _, self._field, self._op = author.pending[-1]
        self._step: Step = history.undos[-1][-1]
        self._id = author.counter, author.replica
        self._edits = author.edits

    def delete(self, pos: int, n: int) -> bool:
        """Take ``n`` characters from ``pos`` on more, if they are next to the last ones; say whether."""
        author, rga, span, step = self._author, self._rga, self._span, self._step
        history, back, op = self._history, self._back, self._op
        if (
            author.edits != self._edits
            or rga.end != pos + (n if back else span.length)
            or rga.span is not span
            or not 0 < n < span.length
            or step.length > LONGEST_STEP
            or history.held + n > MOST_TEXT
        ):
            return False
        if not author.pending:
            author.start(0)
            if (author.counter, author.replica) != self._id:
                return False
            low = self._tombstone.counter if back else span.counter
            ref = make_ref((low, span.replica), author.replica)
            op = self._op = author.open(self._field, ["-", ref, 0])
        assert step.text is not None
        gone = rga.shrink(n, self._tombstone, back)
        if back:
            step.text = gone + step.text
            step.counter -= n
            if isinstance(op[1], int):
                op[1] -= n
            else:
                op[1][0] -= n
        else:
            step.text += gone
        step.length += n
        op[2] += n
        history.held += n
        history.caret = pos
        author.edits = self._edits = self._edits + 1
        return True


class Following:
    """The last insert of another, to which his next one may be appended.

    Nothing is between: what stands behind that insert has a lesser id, so also than what is appended.
    """

    __slots__ = ("_author", "_edits", "_history", "_last", "_replica", "_rga", "_span")

    def __init__(self, rga: Rga, author: Author, history: History) -> None:
        self._rga = rga
        self._author = author
        self._history = history
        self._span: Span | None = None
        self._replica = ""
        self._last = 0
        self._edits = 0

    def forget(self) -> None:
        """Learn that something else came from others."""
        self._span = None

    def begin(self, last: int) -> None:
        """Learn that an insert whose last counter is this was integrated just now."""
        span = self._rga.span
        end = last + 1
        if (
            end == span.counter + span.length == self._rga.ids[span.replica].end()
            and end < COUNTER_LIMIT - LONGEST_TEXT
        ):
            self._span, self._replica, self._last = span, span.replica, last
            self._edits = self._author.edits

    def insert(self, counter: Any, replica: Any, kind: Any, left: Any, text: Any) -> Splice | None:
        """Append what an operation inserts, if it goes on where the last one ended; else do nothing."""
        rga = self._rga
        span = rga.span
        if (
            span is not self._span
            or left != self._last
            or counter != left + 1
            or kind != "+"
            or replica != self._replica
            or type(left) is not int
            or type(counter) is not int
            or type(text) is not str
            or self._author.edits != self._edits
            or not text.isascii()
        ):
            return None
        n = len(text)
        if not n or span.length + n > LONGEST_TEXT:
            return None
        pos = rga.end
        rga.grow(text, n)
        self._last += n
        splice = _splice(Splice, (pos, 0, text))
        if self._history.open:
            self._history.moved(splice)
        return splice


def typing(rga: Rga, author: Author, history: History, op: Op, step: Step) -> Typing | None:
    """What the insert that was made just now leaves to the next one."""
    if author.counter >= COUNTER_LIMIT - 2 * LONGEST_RUN:
        return None  # each insert has to ask whether there are counters left
    return Typing(rga, author, history, op, step)


def erasing(rga: Rga, author: Author, history: History, pos: int) -> Erasing | None:
    """What the delete of one piece, made at ``pos`` just now, leaves to the next one."""
    tombstone = rga.beside(pos)
    return None if tombstone is None else Erasing(rga, author, history, tombstone)
