"""What the tests of the editor share: shown editors, pairs of them, and a person's doings."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt
from PySide6.QtGui import QDropEvent, QInputMethodEvent, QKeyEvent, QTextCursor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from liblim.crdt import Splice, Text
from ui import qtext
from ui.editor import NoteEditor


class Desk:
    """A device as far as an editor goes: a text, an editor that shows it, and a way to others."""

    def __init__(self, qtbot: QtBot, replica: str, text: str = "") -> None:
        self.text = Text.new(replica=replica)
        if text:
            self.text.insert(0, text)
        self.editor = NoteEditor()
        qtbot.addWidget(self.editor)
        self.editor.resize(500, 300)
        self.editor.show()
        self.editor.bind(self.text)

    def __str__(self) -> str:
        return qtext.content(self.editor.document())

    @property
    def caret(self) -> int:
        """The caret's position, in UTF-16 units."""
        return self.editor.textCursor().position()

    @property
    def selection(self) -> tuple[int, int]:
        """Where the selection began and where the caret is."""
        return self.editor.textCursor().anchor(), self.caret

    def settle(self) -> None:
        """End a composition, as the mouse does."""
        if self.editor.textCursor().block().layout().preeditAreaText():
            self.compose("")

    def select(self, anchor: int, caret: int | None = None) -> None:
        """Put the caret somewhere, or select from ``anchor`` to ``caret``, as with the mouse."""
        self.settle()
        cursor = self.editor.textCursor()
        cursor.setPosition(anchor)
        cursor.setPosition(anchor if caret is None else caret, QTextCursor.MoveMode.KeepAnchor)
        self.editor.setTextCursor(cursor)

    def receive(self, ops: list[list[Any]]) -> list[Splice]:
        """Apply operations of others and show them."""
        splices: list[Splice] = self.text.apply(ops)
        self.editor.apply_remote(splices)
        return splices

    def remote(self, pos: int, removed: int, inserted: str) -> None:
        """Let another replica edit what it and this one both have."""
        other = Text.decode(self.text.encode(), replica="remote")
        other.replace(pos, removed, inserted)
        self.receive(other.take_ops())

    def key(self, text: str, key: int = 0) -> None:
        """Press a key that gives any text: a keyboard layout can have an emoji on it."""
        QApplication.sendEvent(
            self.editor,
            QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier, text),
        )

    def compose(self, preedit: str, commit: str = "", start: int = 0, length: int = 0) -> None:
        """Let an input method show what it composes, and commit something."""
        event = QInputMethodEvent(preedit, [])
        event.setCommitString(commit, start, length)
        QApplication.sendEvent(self.editor, event)

    def paste(self, text: str) -> None:
        """Paste a plain text."""
        mime = QMimeData()
        mime.setText(text)
        self.editor.insertFromMimeData(mime)

    def drag(self, target: int) -> None:
        """Drag the selection to a position and drop it there."""
        cursor = QTextCursor(self.editor.document())
        cursor.setPosition(target)
        point = QPointF(self.editor.cursorRect(cursor).center())
        mime = self.editor.createMimeDataFromSelection()
        self.editor.dropEvent(InternalDrop(point, mime, self.editor.viewport()))


class InternalDrop(QDropEvent):
    """A drop of what was dragged from ``source``, which Qt only knows while a real drag goes on."""

    def __init__(self, point: QPointF, mime: QMimeData, source: QWidget) -> None:
        move, left = Qt.DropAction.MoveAction, Qt.MouseButton.LeftButton
        super().__init__(point, move, mime, left, Qt.KeyboardModifier.NoModifier)
        self.setDropAction(move)
        self._source, self._mime = source, mime

    def source(self) -> QWidget:
        """Return the widget that the drag began in."""
        return self._source


def exchange(one: Desk, other: Desk) -> None:
    """Give each what the other has done, until neither has anything."""
    while True:
        ops, replies = one.text.take_ops(), other.text.take_ops()
        if not ops and not replies:
            return
        other.receive(ops)
        one.receive(replies)


def paragraphs(n: int) -> str:
    """Return paragraphs of one to several lines."""
    return "\n".join(f"Paragraph {i}: " + "words and more words " * (1 + i % 9) for i in range(n))
