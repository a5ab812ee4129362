"""The first line of a note stands out: it is the title."""

from __future__ import annotations

from PySide6.QtGui import QFont, QSyntaxHighlighter, QTextCharFormat

_BEFORE, _AFTER = 0, 1
"""States of a line: whether the title comes after it, or stands in it or before it."""


class TitleStyle(QSyntaxHighlighter):
    """Writes the first line that is not blank in a heavier font."""

    def highlightBlock(self, text: str) -> None:
        """Look at one line; Qt goes on to the next while states change."""
        if self.previousBlockState() == _AFTER or not text.strip():
            self.setCurrentBlockState(max(self.previousBlockState(), _BEFORE))
            return
        self.setCurrentBlockState(_AFTER)
        # Not larger: lines of unequal height make the editor's scrolling uneven.
        form = QTextCharFormat()
        form.setFontWeight(QFont.Weight.DemiBold)
        self.setFormat(0, self.currentBlock().length(), form)
