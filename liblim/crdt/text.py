"""A text that many edit at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from liblim.crdt import remote
from liblim.crdt import splice as splices
from liblim.crdt.anchor import Anchor, Bias
from liblim.crdt.field import Field, interpreted
from liblim.crdt.ops import check_op, check_text, unknown
from liblim.crdt.rga import Piece, Rga
from liblim.crdt.splice import Splice
from liblim.crdt.state import decode_text, encode_text, glance
from liblim.crdt.stroke import Erasing, Following, Typing, erasing, typing
from liblim.crdt.undo import Group, History, Renames, Step, decode_history, encode_history
from liblim.errors import OperationError


@interpreted
class Text(Field):
    """A sequence of Unicode code points, merged character by character (an RGA).

    Runs that several people type forward at one place do not mix: the one whose first character has the
    greater id stands first.  Deleting wins and is final: what is undone comes back as new characters.
    After Roh et al., "Replicated abstract data types" (2011); ``liblim/crdt/rga.py`` says how.

    Positions and lengths count code points.  Edits take effect at once and wait in the author to be
    taken as operations; what others did comes in by :meth:`apply` or :meth:`apply_op`, which return
    as splices what an editor that shows this text must show now.
    """

    _erasing: Erasing | None
    _following: Following
    _history: History
    _marks: dict[str, int]
    _rga: Rga
    _typing: Typing | None

    def _blank(self) -> Self:
        return type(self)()

    def _reset(self) -> None:
        self._hold(Rga(), {}, History())

    def _hold(self, rga: Rga, marks: dict[str, int], history: History) -> None:
        """Have this state in place of the own."""
        self._rga, self._marks, self._history = rga, marks, history
        self._typing = self._erasing = None
        self._following = Following(rga, self._author, history)

    # Reading

    def __str__(self) -> str:
        return "".join([span.text for span in self._rga.walk()])

    def __len__(self) -> int:
        return self._rga.length

    def slice(self, pos: int, n: int) -> str:
        """The ``n`` characters from ``pos`` on.  Raises IndexError where they are not all there."""
        self._check_range(pos, n)
        return self._rga.slice(pos, pos + n)

    def elements(self) -> Iterator[tuple[int, str, str]]:
        """Every element in order, tombstones too, as (counter, replica, character or "")."""
        for span in self._rga.walk():
            for i in range(span.length):
                yield span.counter + i, span.replica, span.text[i : i + 1]

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of what was applied here (see :class:`Field`)."""
        version = dict(self._marks)
        for replica, index in self._rga.ids.items():
            version[replica] = max(index.end() - 1, version.get(replica, 0))
        return version

    # Editing

    def insert(self, pos: int, text: str) -> None:
        """Insert ``text`` so that it begins at ``pos``.

        Raises IndexError where ``pos`` is outside the text, OperationError for a lone surrogate.
        """
        if type(text) is not str or not text.isascii():
            check_text(text)
        last = self._typing
        if last is not None and last.insert(pos, text):
            return
        rga, n = self._rga, len(text)
        if not 0 <= pos <= rga.length:
            raise IndexError(f"position {pos} is outside a text of {rga.length} characters")
        if not n:
            return
        author = self._author
        author.start(n)
        counter, replica = author.counter, author.replica
        left = rga.write(pos, counter, replica, text)
        op = author.record_insert(self._name, left, text)
        step = self._history.inserted(pos, counter, replica, n)
        self._typing = typing(rga, author, self._history, op, step)

    def delete(self, pos: int, n: int) -> None:
        """Delete the ``n`` characters from ``pos`` on.  Raises IndexError where they are not all there."""
        last = self._erasing
        if last is not None and last.delete(pos, n):
            return
        self._check_range(pos, n)
        if not n:
            return
        rga, author = self._rga, self._author
        author.start(0)
        pieces = rga.erase(pos, n)
        self._record_deletes(pieces)
        self._history.deleted(pos, n, pieces)
        alone = len(pieces) == 1
        self._erasing = erasing(rga, author, self._history, pos) if alone else None

    def replace(self, pos: int, n: int, text: str) -> None:
        """Put ``text`` in place of the ``n`` characters from ``pos`` on: one group to undo.

        Raises IndexError where they are not all there, OperationError for a lone surrogate.
        """
        check_text(text)
        self._check_range(pos, n)
        both = n > 0 and text != ""
        if both:
            self._author.start(len(text))  # before the half of it is done
            self._history.end_group()
        self.delete(pos, n)
        if both:
            self._history.replacing()
        self.insert(pos, text)

    def _record_deletes(self, pieces: list[Piece]) -> None:
        """Record the deletes of all pieces, after :meth:`Author.start`."""
        author = self._author
        for piece in pieces:
            if piece is not pieces[0]:
                author.start(0)
            author.record_delete(self._name, piece[0], piece[1], len(piece[2]))
            self._marks[author.replica] = author.counter

    def _check_range(self, pos: int, n: int) -> None:
        if pos < 0 or n < 0 or pos + n > self._rga.length:
            raise IndexError(f"{n} characters at {pos} are not in a text of {self._rga.length}")

    # Undoing

    @property
    def can_undo(self) -> bool:
        """Whether there are edits made here to undo."""
        return bool(self._history.undos)

    @property
    def can_redo(self) -> bool:
        """Whether there are undone edits to redo."""
        return bool(self._history.redos)

    def end_group(self) -> None:
        """End the group of edits that one undo takes back: after a pause, around a paste."""
        self._typing = self._erasing = None
        self._history.end_group()

    def undo(self) -> list[Splice]:
        """Take back the last group of edits made here, whatever others did since; return what changes.

        Own inserts that are still there go; what was deleted comes back, where its tombstones are, as
        new elements.  Groups of which nothing is left are passed over.
        """
        return self._replay(self._history.undos, self._history.redos)

    def redo(self) -> list[Splice]:
        """Take back the last undo, if nothing was edited here since; return what changes."""
        return self._replay(self._history.redos, self._history.undos)

    def _replay(self, source: list[Group], target: list[Group]) -> list[Splice]:
        """Take back the last group of ``source`` that still has an effect; ``target`` gets its reverse."""
        effect: list[Splice] = []
        self.end_group()
        while source and not effect:
            # Before anything of it is done.
            self._author.start(
                sum([len(step.text) for step in source[-1] if step.text is not None])
            )
            reverse: Group = []
            renames = Renames()
            for step in reversed(source[-1]):
                if step.text is None:
                    self._take_out(renames.follow(step), reverse, effect)
                else:
                    self._bring_back(step, step.text, reverse, renames, effect)
            self._history.turn(source, target, reverse, renames)
        return effect

    def _take_out(
        self, ranges: Iterable[tuple[int, str, int]], reverse: Group, effect: list[Splice]
    ) -> None:
        """Delete what is left of elements that were inserted."""
        for counter, replica, n in ranges:
            self._author.start(0)
            pieces = self._rga.delete(counter, replica, n)
            self._record_deletes(pieces)
            for _, _, text, pos in pieces:
                splices.append(effect, Splice(pos, len(text), ""))
            for start, owner, text, _ in reversed(pieces):
                reverse.append(Step(start, owner, len(text), text))

    def _bring_back(
        self, step: Step, text: str, reverse: Group, renames: Renames, effect: list[Splice]
    ) -> None:
        """Insert deleted elements again, each run of them behind its tombstones."""
        author, rga = self._author, self._rga
        for old, n in rga.runs(step.counter, step.replica, step.length):
            part = text[old - step.counter : old - step.counter + n]
            last = old + n - 1
            author.start(n)
            counter, replica = author.counter, author.replica
            author.record_insert(self._name, (last, step.replica), part)
            span = rga.find(last, step.replica)
            assert span is not None
            pos = rga.insert(span, last + 1 - span.counter, counter, replica, part)
            renames.add((old, step.replica), n, (counter, replica))
            reverse.append(Step(counter, replica, n, None))
            splices.append(effect, Splice(pos, 0, part))

    def delete_elements(self, counter: int, replica: str, n: int) -> list[Splice]:
        """Delete what is still there of the ``n`` elements from this id on; return what changes.

        It cannot be undone: it repeats what was done elsewhere.
        """
        effect: list[Splice] = []
        self.end_group()
        self._take_out([(counter, replica, n)], [], effect)
        return effect

    def encode_history(self) -> bytes:
        """The last 100 groups to undo, and to redo, as bytes: for this device, which made the edits.

        Empty where there are none.  What would make it much longer than 1 MiB is left out, the oldest first.
        """
        return encode_history(self._history)

    def load_history(self, blob: bytes) -> None:
        """Take over an encoded history in place of the own.

        Raises OperationError, with nothing touched, where it is none, or is not of this text: where it names
        elements that are not here, or are not deleted though it deleted them.
        """
        history = decode_history(blob)
        for step in history.steps():
            here = list(self._rga.runs(step.counter, step.replica, step.length))
            if sum([n for _, n in here]) != step.length or (
                step.text is not None
                and any(self._rga.visible(start, step.replica, n) for start, n in here)
            ):
                raise OperationError("This history of undoing is not of this text.")
        self._hold(self._rga, self._marks, history)

    # What others did

    def apply(self, ops: Iterable[Any]) -> list[Any]:
        """Integrate free-standing operations in turn, and return what changed to the eye.

        Raises OperationError as :meth:`Field.apply` does.
        """
        if type(ops) is list and len(ops) == 1:
            free = ops[0]
            if type(free) is list and len(free) == 5:
                counter, replica, kind, left, text = free
                splice = self._following.insert(counter, replica, kind, left, text)
                if splice is not None:
                    self._author.observe(counter + len(text) - 1)
                    return [splice]
        return super().apply(ops)

    def apply_op(self, counter: Any, replica: Any, op: Any) -> list[Splice]:
        """Integrate one operation; return what changed to the eye.

        What is here already is passed over, also the first part of an insert whose rest is new.  Raises
        OperationError, with nothing touched, for what is malformed, names unknown elements, is not newer than
        its left neighbour, or has ids that other characters have.
        """
        following = self._following
        if type(op) is list and len(op) == 3:
            splice = following.insert(counter, replica, op[0], op[1], op[2])
            if splice is not None:
                return [splice]
        check_op(counter, replica, op)
        self._typing = self._erasing = None
        following.forget()
        kind = op[0]
        if kind == "+":
            effect = remote.insert(self._rga, counter, replica, op)
            if effect:
                following.begin(counter + len(op[2]) - 1)
        elif kind == "-":
            effect = remote.delete(self._rga, replica, op)
            self._marks[replica] = max(counter, self._marks.get(replica, 0))
        else:
            raise unknown(op)
        if self._history.open:
            for splice in effect:
                self._history.moved(splice)
        return effect

    def _gather(self, effects: list[Any], effect: Any) -> None:
        if not effects:
            effects += effect
            return
        for splice in effect:
            splices.append(effects, splice)

    # Places

    def anchor(self, pos: int, bias: Bias) -> Anchor:
        """The place ``pos``, as one that stays right under edits.  Raises IndexError outside the text."""
        self._check_range(pos, 0)
        if pos == (0 if bias is Bias.LEFT else len(self)):
            return Anchor(0, "", bias)
        counter, replica = self._rga.id_at(pos - 1 if bias is Bias.LEFT else pos)
        return Anchor(counter, replica, bias)

    def position(self, anchor: Anchor) -> int:
        """Where the place is now; where its element is deleted, where that would be.

        Raises OperationError for a place that is not in this text.
        """
        counter, replica, bias = anchor
        if not counter:
            return 0 if bias is Bias.LEFT else len(self)
        span = self._rga.find(counter, replica) if counter > 0 else None
        if span is None:
            raise OperationError("The anchor names an element that is not here.")
        pos = self._rga.place(span)[1]
        if span.text:
            pos += counter - span.counter + (bias is Bias.LEFT)
        return pos

    # State

    def encode(self) -> bytes:
        """The state as bytes; the history of undoing is not in it (see :meth:`encode_history`)."""
        return encode_text(self._rga, self._marks)

    @staticmethod
    def glance(blob: bytes) -> str:
        """The text of an encoded state, to show it at once: it takes a small part of the time of decoding.

        Raises OperationError where the bytes hold none.  What follows the text in them is not looked at.
        """
        return glance(blob)

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        self._hold(*decode_text(blob), History())

    def check_invariants(self) -> None:
        """Raise AssertionError where the state contradicts itself.  Takes time linear in its size."""
        self._rga.check_invariants()
