"""Where a reader is in an editor: caret, selection and scroll position, kept through edits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PySide6.QtGui import QTextBlock, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

from liblim.crdt import Bias
from ui.splices import shift


@dataclass(frozen=True, slots=True)
class Place:
    """Caret, other end of the selection and start of the first visible line, in UTF-16 units.

    ``left`` is the horizontal scroll position and ``drop`` how far below the upper edge the first line
    begins, in pixels.
    """

    caret: int
    anchor: int
    top: int
    left: int = 0
    drop: int = 0

    @classmethod
    def of(cls, editor: QPlainTextEdit) -> Place:
        """Return where the reader is now."""
        cursor = editor.textCursor()
        block = editor.firstVisibleBlock()
        line = editor.verticalScrollBar().value() - block.firstLineNumber()
        top = block.position() + _line_start(editor, block, line)
        return cls(
            cursor.position(),
            cursor.anchor(),
            top,
            editor.horizontalScrollBar().value(),
            _drop(editor, top),
        )

    def after(self, start: int, removed: int, added: int) -> Place:
        """Return the same place after someone else's edit; all in UTF-16 units.

        The caret sticks to its left neighbour, a selection to what is selected, and the first
        visible line stays where it is, unless the caret stands at its start: then the caret does.
        """
        first, last = sorted((self.caret, self.anchor))
        end = shift(last, start, removed, added, Bias.LEFT)
        begin = shift(first, start, removed, added, Bias.RIGHT if first < last else Bias.LEFT)
        begin = min(begin, end)
        hold = Bias.LEFT if self.top == self.caret else Bias.RIGHT
        return replace(
            self,
            caret=begin if self.caret == first else end,
            anchor=begin if self.anchor == first else end,
            top=shift(self.top, start, removed, added, hold),
        )

    def restore(self, editor: QPlainTextEdit) -> None:
        """Bring the reader back here.  What is selected and visible already is left alone."""
        cursor = editor.textCursor()
        if (cursor.anchor(), cursor.position()) != (self.anchor, self.caret):
            cursor.setPosition(self.anchor)
            cursor.setPosition(self.caret, QTextCursor.MoveMode.KeepAnchor)
            editor.setTextCursor(cursor)
        editor.horizontalScrollBar().setValue(self.left)
        block = editor.document().findBlock(self.top)
        line = _line_at(editor, block, self.top - block.position())
        bar, value = editor.verticalScrollBar(), block.firstLineNumber() + line
        bar.setValue(value)
        # Qt rounds the heights of lines up or down, depending on where it came from.
        for detour in (value - 1, value + 1):
            if abs(_drop(editor, self.top) - self.drop) == 1:
                bar.setValue(detour)
                bar.setValue(value)


def _drop(editor: QPlainTextEdit, position: int) -> int:
    cursor = QTextCursor(editor.document())
    cursor.setPosition(position)
    return editor.cursorRect(cursor).top()


def _line_start(editor: QPlainTextEdit, block: QTextBlock, line: int) -> int:
    _lay_out(editor, block)
    layout = block.layout()
    return layout.lineAt(line).textStart() if 0 < line < layout.lineCount() else 0


def _line_at(editor: QPlainTextEdit, block: QTextBlock, offset: int) -> int:
    _lay_out(editor, block)
    line = block.layout().lineForTextPosition(offset)
    return line.lineNumber() if line.isValid() else 0


def _lay_out(editor: QPlainTextEdit, block: QTextBlock) -> None:
    """Make sure that a block has its lines: an edit drops them until something asks."""
    editor.document().documentLayout().blockBoundingRect(block)
