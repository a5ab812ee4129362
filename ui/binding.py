"""The binding between a ``QPlainTextEdit`` and the text of a note; it lives outside the CRDT.

Local edits are read off the document: Qt reports a span, often a coarse one, which is compared with a
*shadow* of what the document showed before, and only what differs is recorded in the text.  Splices
that the text already has, remote ones and those of undo, are shown by a cursor of their own under
the flag ``_showing``, so nothing echoes.  While an input method composes, they wait in a queue.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

from liblim.crdt import Anchor, Bias, Splice, Text
from ui import qtext
from ui.place import Place
from ui.splices import cross, growth, shift, trim
from ui.utf16 import Utf16Text, chars, units

CHECK = "LIMNOTES_CHECK"
"""Environment variable: "1" compares document and text after each event and mends a difference,
"raise" raises ``Mismatch`` instead."""

TYPING_PAUSE = 1000
"""Milliseconds without an edit that end a step of undo."""

_log = logging.getLogger(__name__)


class Mismatch(Exception):
    """The editor shows something else than its note holds.  This is a bug, not a state of things."""


class Binding(QObject):
    """Shows a text in an editor, and records in the text what is edited there.

    ``edited`` follows each local edit, undo and redo included; Qt is in the middle of the change, so
    its slots leave the document alone.  The two ``..._available`` signals say when undo and redo
    begin and cease to be possible.
    """

    edited = Signal()
    undo_available = Signal(bool)
    redo_available = Signal(bool)

    def __init__(self, editor: QPlainTextEdit, text: Text) -> None:
        super().__init__(editor)
        self._editor = editor
        self._document = editor.document()
        self._text = text
        self._queue: list[Splice] = []
        self._showing = False
        self._ragged: tuple[int, int] | None = None
        self._available = (False, False)
        self._check = os.environ.get(CHECK, "")
        self._pause = QTimer(self, singleShot=True, interval=TYPING_PAUSE)
        self._pause.timeout.connect(self.end_group)
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._contents_changed)
        self._fill()
        self._document.contentsChange.connect(self._contents_change)
        self._document.contentsChanged.connect(self._contents_changed)
        editor.cursorPositionChanged.connect(self._caret_moved)
        self._announce()

    @property
    def text(self) -> Text:
        """The text that is shown."""
        return self._text

    @property
    def composing(self) -> bool:
        """Whether an input method is composing: what it shows is not in the document yet."""
        layout = self._editor.textCursor().block().layout()
        # Qt has no layout to give in the middle of QTextDocument.clear().
        return bool(layout and layout.preeditAreaText())  # type: ignore[truthy-bool]

    def release(self) -> None:
        """Let go of the editor.  Its content stays, and no longer has to do with the text."""
        self.end_group()
        self._soon.stop()
        self._document.contentsChange.disconnect(self._contents_change)
        self._document.contentsChanged.disconnect(self._contents_changed)
        self._editor.cursorPositionChanged.disconnect(self._caret_moved)
        self.deleteLater()

    def apply_remote(self, splices: Sequence[Splice]) -> None:
        """Show splices that the text has already applied, without disturbing the one who writes.

        Call it before anything else is done with the text or the editor.
        """
        self._queue += splices
        if not self.composing:
            self._flush()
        self._verify()
        self._announce()

    def undo(self) -> None:
        """Take back this replica's last step, show it, and put the caret there."""
        if self._text.can_undo:
            self._travel(self._text.undo)

    def redo(self) -> None:
        """Do again what was last undone."""
        if self._text.can_redo:
            self._travel(self._text.redo)

    def end_group(self) -> None:
        """End the current step of undo: what is typed from here on is undone apart from it."""
        self._pause.stop()
        self._text.end_group()

    def anchor(self, unit: int, bias: Bias) -> Anchor:
        """Return an anchor in the text for a position in the document (UTF-16 units)."""
        position = self._shadow.to_chars(unit)
        for splice in self._queue:
            position = shift(position, splice.pos, splice.removed, len(splice.inserted), bias)
        return self._text.anchor(position, bias)

    def unit(self, anchor: Anchor) -> int:
        """Return the position in the document (UTF-16 units) of an anchor in the text."""
        return self._shadow.to_units(self._text.position(anchor))

    def check(self) -> None:
        """Compare the document with the text.

        Raises:
            Mismatch: they differ; it says where.
        """
        document = qtext.content(self._document)
        if document != str(self._shadow):
            raise Mismatch(f"the shadow is not the document: {_where(document, self._shadow)}")
        expected = Utf16Text(document)
        for splice in self._queue:
            expected.replace(splice.pos, splice.removed, qtext.shown(splice.inserted))
        wanted = qtext.shown(str(self._text))
        if str(expected) != wanted:
            raise Mismatch(f"the document is not the text: {_where(str(expected), wanted)}")

    # ---- from the document to the text

    def _contents_change(self, position: int, removed: int, added: int) -> None:
        if self._showing:
            return
        splice = self._edit(position, removed, added)
        self._caret = self._editor.textCursor().position()
        if not splice.removed and not splice.inserted:
            return
        self._shadow.replace(*splice)
        mine, self._queue = cross([splice], self._queue)
        for part in mine:
            self._text.replace(*part)
        self._pause.start()
        self.edited.emit()
        self._announce()

    def _edit(self, position: int, removed: int, added: int) -> Splice:
        """Return what was really edited in a span as Qt reports it, in code points.

        Qt counts the final separator now and then, reports (0, 0, 1) for ``setPlainText("")``, and
        the whole block or edit block where one character changed.  So only the position and the
        untouched rest are taken from it.
        """
        before, after = self._shadow.units, self._document.characterCount() - 1
        position = min(position, before, after)
        rest = max(min(before - position - removed, after - position - added), 0)
        start, end = self._shadow.to_chars(position), self._shadow.to_chars(before - rest)
        if self._shadow.to_units(end) < before - rest:
            end += 1  # A span that ends inside a surrogate pair takes in the whole pair.
        first, last = self._shadow.to_units(start), after - before + self._shadow.to_units(end)
        raw = qtext.read(self._document, first, last)
        new = qtext.normalise(raw)
        if new != raw:
            self._ragged = (first, last)
        caret = chars(new, max(self._editor.textCursor().position() - first, 0))
        splice = trim(self._shadow.slice(start, end), new, caret)
        return splice._replace(pos=start + splice.pos)

    def _contents_changed(self) -> None:
        """Do what could not be done while Qt was in the middle of the change."""
        if self._showing:
            return
        if self._ragged:
            self._smooth(*self._ragged)
        if self._queue and not self.composing:
            self._flush()
        self._verify()

    def _smooth(self, start: int, end: int) -> None:
        """Replace a span of the document by its normal form, which the shadow already holds."""
        self._ragged = None
        place = Place.of(self._editor)
        text = self._shadow.slice(self._shadow.to_chars(start), self._shadow.to_chars(end))
        with self._cursor() as cursor:
            self._replace(cursor, start, end, text)
        place.restore(self._editor)

    def _caret_moved(self) -> None:
        """End the step of undo where the caret jumps; while one types, it goes with the edit."""
        caret = self._editor.textCursor().position()
        if not self._showing and caret != self._caret:
            self._caret = caret
            self.end_group()
            if self._queue:
                self._soon.start()  # A program may have taken the caret out of a composition.

    # ---- from the text to the document

    def _fill(self) -> None:
        text = qtext.shown(str(self._text))
        self._shadow = Utf16Text(text)
        qtext.fill(self._editor, text)
        self._caret = self._editor.textCursor().position()

    def _flush(self) -> None:
        splices, self._queue = self._queue, []
        self._show(splices)

    def _show(self, splices: Sequence[Splice]) -> None:
        place = Place.of(self._editor)
        with self._cursor() as cursor:
            for splice in splices:
                text = qtext.shown(splice.inserted)
                start = self._shadow.to_units(splice.pos)
                end = self._shadow.to_units(splice.pos + splice.removed)
                self._replace(cursor, start, end, text)
                self._shadow.replace(splice.pos, splice.removed, text)
                place = place.after(start, end - start, units(text))
            self._end = cursor.position()
        with self._silence():
            place.restore(self._editor)
        self._caret = place.caret

    def _travel(self, step: Callable[[], list[Splice]]) -> None:
        self.end_group()
        splices = step()
        self.apply_remote(splices)
        if splices and not self._queue:
            cursor = self._editor.textCursor()
            cursor.setPosition(self._end)
            self._editor.setTextCursor(cursor)
            self._editor.ensureCursorVisible()
        self.edited.emit()

    @contextlib.contextmanager
    def _silence(self) -> Iterator[None]:
        """Mark what happens to the document as ours, so that it is not recorded as an edit."""
        self._showing = True
        try:
            yield
        finally:
            self._showing = False

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[QTextCursor]:
        """Give a cursor that changes the document in one go, with nothing recorded."""
        cursor = QTextCursor(self._document)
        with self._silence():
            cursor.beginEditBlock()
            try:
                yield cursor
            finally:
                cursor.endEditBlock()

    @staticmethod
    def _replace(cursor: QTextCursor, start: int, end: int, text: str) -> None:
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        qtext.insert(cursor, text)

    # ---- both

    def _announce(self) -> None:
        available = (self._text.can_undo, self._text.can_redo)
        before, self._available = self._available, available
        if available[0] != before[0]:
            self.undo_available.emit(available[0])
        if available[1] != before[1]:
            self.redo_available.emit(available[1])

    def _verify(self) -> None:
        """Notice where document and text differ, log it and show the text afresh."""
        try:
            self._compare_lengths()
            if self._check:
                self.check()
        except Mismatch as mismatch:
            if self._check == "raise":
                raise
            _log.error("The editor is mended: %s", mismatch)
            self._rebuild()

    def _compare_lengths(self) -> None:
        shown, document = self._shadow.units, self._document.characterCount() - 1
        if shown != document:
            raise Mismatch(f"the document has {document} units, the shadow {shown}")
        waiting = len(self._shadow) + growth(self._queue)
        if waiting != len(self._text):
            raise Mismatch(f"the text has {len(self._text)} characters, the editor {waiting}")

    def _rebuild(self) -> None:
        document, wanted = qtext.content(self._document), qtext.shown(str(self._text))
        self._queue.clear()
        self._shadow = Utf16Text(document)
        caret = chars(document, self._editor.textCursor().position())
        self._show([trim(document, wanted, caret)])


def _where(one: object, other: object) -> str:
    """Say where two texts begin to differ."""
    a, b = str(one), str(other)
    at = trim(a, b, 0).pos
    return f"{a[at : at + 40]!r} instead of {b[at : at + 40]!r} at {at} of {len(a)} and {len(b)}"
