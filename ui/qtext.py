"""Characters on their way into and out of a ``QTextDocument``.

A document keeps most of Unicode as it is, NUL and U+FFFC included.  What it does not: it breaks the
line at CR, U+2028, U+2029 and, as its own frame marks, U+FDD0 and U+FDD1; PySide swallows a leading
U+FEFF of a string and byte-swaps the whole after a leading U+FFFE, taking both for byte order
marks; and lone surrogates vanish on the way back to Python.
"""

from __future__ import annotations

from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit

from ui.utf16 import units

_BREAKS = "\r\u2028\u2029\ufdd0\ufdd1"
_SHOWN = dict(zip(_BREAKS, "\u240d\n\n\ufffd\ufffd", strict=True))
_ORDER_MARKS = ("\ufeff", "\ufffe")


def normalise(text: str) -> str:
    """Return the text as a note takes it from keyboard and clipboard.

    Every kind of line break becomes LF, and what is no character (a lone surrogate) U+FFFD.
    """
    text = _replace(text.replace("\r\n", "\n"), dict.fromkeys(_BREAKS, "\n"))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str) -> str:
    """Return what a document shows for a note's text: one character for one, so positions agree.

    Other devices and programs may have put anything into a note.
    """
    return _replace(text, _SHOWN)


def _replace(text: str, table: dict[str, str]) -> str:
    # Not str.translate: these are rare, and `replace` does nothing quickly.
    for character, substitute in table.items():
        text = text.replace(character, substitute)
    return text


def content(document: QTextDocument) -> str:
    """Return a whole document with LF between blocks, as it is."""
    return read(document, 0, document.characterCount() - 1)


def read(document: QTextDocument, start: int, end: int) -> str:
    """Return the document's text between two UTF-16 positions, with LF between blocks.

    Lone surrogates, and line breaks within a block, stay what they are: see ``normalise``.
    """
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    text = cursor.selectedText()
    if units(text) != end - start:
        text = "".join(document.characterAt(unit) for unit in range(start, end))
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text.replace("\u2029", "\n")


def insert(cursor: QTextCursor, text: str) -> None:
    """Insert a text in the place of the cursor's selection, a leading byte order mark included."""
    if text[:1] not in _ORDER_MARKS:
        cursor.insertText(text)
        return
    cursor.beginEditBlock()
    cursor.removeSelectedText()
    start = cursor.position()
    cursor.insertText("x" + text)
    end = cursor.position()
    cursor.setPosition(start)
    cursor.deleteChar()
    cursor.setPosition(end - 1)
    cursor.endEditBlock()


def fill(editor: QPlainTextEdit, text: str) -> None:
    """Show another text in an editor to whose document nothing is bound."""
    if text[:1] not in _ORDER_MARKS:
        editor.setPlainText(text)
        return
    editor.setPlainText("x" + text)
    QTextCursor(editor.document()).deleteChar()
