"""Small widgets that the sync views share."""

from __future__ import annotations

import html

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.status import UNKNOWN
from ui import icons, theme

COPIED_FOR = 2000
"""Milliseconds for which a copy button says that it copied."""


def set_role(widget: QWidget, role: str) -> None:
    """Change what a widget is for the style sheet, which has to look again then."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    for part in (widget, *widget.findChildren(QWidget)):
        part.style().unpolish(part)
        part.style().polish(part)


class Picture(QWidget):
    """An icon that stands beside words, sharp on every screen."""

    def __init__(self, size: int = 20) -> None:
        super().__init__()
        self.name = ""
        self._colour = ""
        self.setFixedSize(size, size)

    def show_icon(self, name: str, colour: str = theme.colours.soft) -> None:
        """Show the icon ``name`` in ``colour``."""
        if (name, colour) != (self.name, self._colour):
            self.name, self._colour = name, colour
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it for the screen that it is on."""
        if self.name:
            ratio = self.devicePixelRatioF()
            painter = QPainter(self)
            painter.drawPixmap(0, 0, icons.pixmap(self.name, self._colour, self.width(), ratio))
            painter.end()


class Words(QLabel):
    """Plain text: other devices choose their names, so markup is never read."""

    def __init__(self, text: str = "", *, role: str = "", wrap: bool = False) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        if role:
            self.setProperty("role", role)


class ElidedWords(Words):
    """Plain text on one line that gives way where there is no room; the tooltip has all of it."""

    def __init__(self, text: str = "", *, role: str = "") -> None:
        super().__init__(text, role=role)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.more = ""
        """What the tooltip tells beyond the text, where there is more."""

    def show_text(self, text: str) -> None:
        """Show ``text``, on one line."""
        self.setText(" ".join(text.split()))

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters is enough."""
        few = self.fontMetrics().averageCharWidth() * 6
        hint = super().minimumSizeHint()
        return QSize(min(few, hint.width()), hint.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what there is room for."""
        where, elide = self.contentsRect(), Qt.TextElideMode.ElideRight
        shown = self.fontMetrics().elidedText(self.text(), elide, where.width())
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeading)
        painter = QPainter(self)
        role = self.foregroundRole()
        enabled, palette = self.isEnabled(), self.palette()
        self.style().drawItemText(painter, where, flags, palette, enabled, shown, role)
        painter.end()

    def event(self, event: QEvent) -> bool:
        """Tell the rest in the tooltip: what is cut, and what there is more."""
        if event.type() == QEvent.Type.ToolTip:
            room = self.contentsRect().width()
            cut = self.fontMetrics().horizontalAdvance(self.text()) > room
            tip = self.more or (self.text() if cut else "")
            self.setToolTip(html.escape(tip))
        return super().event(event)


class Facts(QGridLayout):
    """Names of facts with their values beside them, in columns filled from left to right."""

    def __init__(self, *shares: int) -> None:
        """``shares`` are the columns' shares of the width."""
        super().__init__()
        self._columns = len(shares)
        self._count = 0
        self.setHorizontalSpacing(theme.GAP + 4)
        self.setVerticalSpacing(theme.GAP - 3)
        for column, share in enumerate(shares):
            self.setColumnStretch(2 * column + 1, share)

    def add(self, name: str) -> ElidedWords:
        """Add a fact; gives what shows its value."""
        row, column = divmod(self._count, self._columns)
        self._count += 1
        value = ElidedWords()
        value.setAccessibleName(name)
        self.addWidget(Words(name, role="soft"), row, 2 * column)
        self.addWidget(value, row, 2 * column + 1)
        return value


def tell(shown: ElidedWords, text: str) -> None:
    """Show the value of a fact; one that is not known stands back."""
    shown.show_text(text)
    shown.setAccessibleDescription(text)
    set_role(shown, "faint" if text == UNKNOWN else "")


class CopyButton(QPushButton):
    """Copies a text, and says for a moment that it did."""

    def __init__(self, what: str) -> None:
        """``what`` it copies, for people who hear it."""
        super().__init__()
        self.content = ""
        self.setProperty("role", "quiet")
        self.setAutoDefault(False)
        self.setAccessibleName(what)
        self.setToolTip(what)
        self._timer = QTimer(self, singleShot=True, interval=COPIED_FOR)
        self._timer.timeout.connect(self._rest)
        self.clicked.connect(lambda: self.copy(self.content))
        self._rest()

    def sizeHint(self) -> QSize:
        """Room for either word, so that nothing moves."""
        hint = super().sizeHint()
        longer = max(self.tr("Copied"), self.tr("Copy"), key=self._width)
        return QSize(hint.width() + self._width(longer) - self._width(self.text()), hint.height())

    def _width(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text)

    def set_content(self, content: str) -> None:
        """What it copies; nothing cannot be copied."""
        self.content = content
        self.setEnabled(bool(content))

    def copy(self, content: str) -> None:
        """Copy a text, and say so."""
        QGuiApplication.clipboard().setText(content)
        self._say(self.tr("Copied"), "check")
        self._timer.start()

    def _rest(self) -> None:
        self._say(self.tr("Copy"), "copy")

    def _say(self, text: str, icon: str) -> None:
        self.setText(text)
        self.setIcon(icons.icon(icon, theme.colours.accent))
