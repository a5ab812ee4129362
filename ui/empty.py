"""What stands where there is nothing to show: a picture, words, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ui import icons, theme
from ui.theme import GAP, colours

_PICTURE = 44


class EmptyPage(QWidget):
    """A picture, a line and a hint in the middle of a pane, with buttons below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QLabel(self)
        self._words = _line(self, "soft")
        self._words.setFont(theme.font(self, scale=1.1, bold=True))
        self._hint = _line(self, "faint")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 3 * GAP)
        self._layout.setSpacing(GAP)
        self._layout.addStretch(2)
        self._layout.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignHCenter)
        self._layout.addWidget(self._words)
        self._layout.addWidget(self._hint)
        self._layout.addSpacing(GAP)
        self._layout.addStretch(3)

    def add_button(self, text: str, *, primary: bool = False) -> QPushButton:
        """Add a button below the others."""
        button = QPushButton(text, self)
        button.setProperty("role", "primary" if primary else "quiet")
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        last = self._layout.count() - 1
        self._layout.insertWidget(last, button, 0, Qt.AlignmentFlag.AlignHCenter)
        return button

    def show_words(self, icon: str, words: str, hint: str) -> None:
        """Say why there is nothing."""
        ratio = self.devicePixelRatioF()
        self._picture.setPixmap(icons.pixmap(icon, colours.line_strong, _PICTURE, ratio))
        self._words.setText(words)
        self._hint.setText(hint)


def _line(parent: QWidget, role: str) -> QLabel:
    label = QLabel(parent)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    label.setWordWrap(True)
    label.setProperty("role", role)
    return label
