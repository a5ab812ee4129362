"""A notice: one sentence that comes unasked, what can be done about it, and goes by itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from ui import icons, theme
from ui.parts import Words
from ui.theme import GAP

_STAYS = 12_000
"""Milliseconds that a notice with nothing bad in it stays."""


class Notice(QWidget):
    """Shows one notice at a time, the newest; hidden while there is none."""

    offer_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action: Callable[[], object] | None = None
        frame = QWidget(self)
        frame.setObjectName("notice")
        self._mark = QLabel(frame)
        self._words = Words(wrap=True)
        self.button = QPushButton(frame)
        self.button.clicked.connect(self.act)
        close = QToolButton(frame)
        close.setIcon(icons.icon("close", theme.colours.on_notice))
        close.setIconSize(theme.icon_size() * 0.8)
        close.setAccessibleName(self.tr("Close the notice"))
        close.clicked.connect(self.dismiss)
        inner = QHBoxLayout(frame)
        inner.setContentsMargins(GAP + 4, 6, 6, 6)
        for widget in (self._mark, self._words, self.button, close):
            inner.addWidget(widget)
        inner.setStretch(1, 1)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(GAP, 0, GAP, GAP)
        outer.addWidget(frame)
        self.clock = QTimer(self, singleShot=True, interval=_STAYS)
        self.clock.timeout.connect(self.dismiss)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence that is shown; empty while there is none."""
        return "" if self.isHidden() else self._words.text()

    @property
    def offers(self) -> bool:
        """Whether something can be done by ``act``."""
        return self._action is not None

    def say(self, words: str, label: str = "", action: Callable[[], object] | None = None) -> None:
        """Show a sentence for a while, with a button where there is an action."""
        self._show(words, label, action)
        self.clock.start()

    def warn(self, words: str) -> None:
        """Show what went wrong, until it is closed."""
        self._show(words, "", None)
        colour, ratio = theme.colours.notice_wait, self.devicePixelRatioF()
        self._mark.setPixmap(icons.pixmap("alert", colour, 18, ratio))
        self._mark.show()
        self.clock.stop()

    def _show(self, words: str, label: str, action: Callable[[], object] | None) -> None:
        self._action = action
        self._mark.hide()
        self._words.setText(words)
        self._words.setAccessibleName(words)
        self.button.setText(label)
        self.button.setVisible(action is not None)
        self.show()
        self.offer_changed.emit(self.offers)

    def act(self) -> None:
        """Do what the notice offers."""
        action = self._action
        self.dismiss()
        if action:
            action()

    def dismiss(self) -> None:
        """Take the notice away."""
        self._action = None
        self.clock.stop()
        self.hide()
        self.offer_changed.emit(False)
