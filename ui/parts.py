"""Small widgets that the sync views share."""

from __future__ import annotations

import html
from collections.abc import Callable
from unicodedata import bidirectional

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, QSizeF, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from app.words import UNKNOWN
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


class Button(QPushButton):
    """A button that Enter presses where it has the focus, and only there."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setAutoDefault(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter clicks, as Space does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


def button(text: str, role: str = "") -> Button:
    """A button with its role for the style sheet."""
    made = Button(text)
    if role:
        made.setProperty("role", role)
    return made


def heading(text: str = "", *, scale: float = 1.1) -> Words:
    """Words that stand over others."""
    made = Words(text, wrap=scale > 1.2)
    made.setFont(theme.font(made, scale=scale, bold=True))
    return made


def shortened(name: str, length: int = 24) -> str:
    """A name on one line for use in a sentence: others choose their names, and as long as they like."""
    name = " ".join(name.split())
    short = name if len(name) <= length else f"{name[: length - 1].rstrip()}…"
    # Isolated, or one from right to left would turn the sentence round it.
    return f"\u2068{short}\u2069" if any(map(_turns, short)) else short


def from_the_left(sentence: str) -> str:
    """A sentence of ours that may begin with a name from right to left: it goes from left to right."""
    return f"\u200e{sentence}" if any(map(_turns, sentence)) else sentence


def _turns(character: str) -> bool:
    """Whether a character belongs to a script that is written from right to left."""
    return bidirectional(character) in ("R", "AL")


class Switch(QCheckBox):
    """A check box that looks like a switch: Qt draws its own without an edge on dark grounds."""

    def sizeHint(self) -> QSize:
        """Room for the switch and the words."""
        metrics = self.fontMetrics()
        width = _SWITCH.width() + theme.GAP + metrics.horizontalAdvance(self.text())
        return QSize(width, max(metrics.height(), _SWITCH.height()) + 4)

    def minimumSizeHint(self) -> QSize:
        """No less."""
        return self.sizeHint()

    def hitButton(self, pos: QPoint) -> bool:
        """It is clicked on all of it."""
        return self.rect().contains(pos)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it, with a ring where it has the focus."""
        colours, on = theme.colours, self.isChecked()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - _SWITCH.height()) / 2
        pill = QRectF(QPointF(1, top), QSizeF(_SWITCH)).adjusted(0, 0, -1, 0)
        painter.setPen(QPen(QColor(colours.accent if on else colours.idle), 1.2))
        painter.setBrush(QColor(colours.accent if on else colours.page))
        painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.on_accent if on else colours.idle))
        centre = pill.height() / 2
        knob = pill.right() - centre if on else pill.left() + centre
        painter.drawEllipse(QPointF(knob, pill.center().y()), centre - 4, centre - 4)
        words = self.rect().adjusted(_SWITCH.width() + theme.GAP, 0, 0, 0)
        painter.setPen(QColor(colours.accent if self.hasFocus() else colours.text))
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.end()


_SWITCH = QSize(30, 16)


class ChoiceBox(QComboBox):
    """One of a few, with an arrow that is seen: the style sheet takes away the style's own."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the box, and the arrow over it."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.colours.soft), 1.5))
        tip = QPointF(self.width() - 13, self.height() / 2 + 2)
        painter.drawPolyline([tip + QPointF(-4, -4), tip, tip + QPointF(4, -4)])
        painter.end()


class Picture(QWidget):
    """An icon that stands beside words, sharp on every screen."""

    def __init__(self, size: int = 20) -> None:
        super().__init__()
        self.name = ""
        self._colour = ""
        self.setFixedSize(size, size)

    def show_icon(self, name: str, colour: str = "") -> None:
        """Show the icon ``name`` in ``colour``; without one as what stands beside words."""
        colour = colour or theme.colours.soft
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
        return self._add(name, row, column, 1)

    def add_wide(self, name: str, columns: int = 0) -> ElidedWords:
        """Add a fact that begins a row, and takes so many columns of it, or all."""
        row, columns = -(-self._count // self._columns), columns or self._columns
        self._count = row * self._columns + columns
        return self._add(name, row, 0, columns)

    def _add(self, name: str, row: int, column: int, columns: int) -> ElidedWords:
        value = ElidedWords()
        value.setAccessibleName(name)
        self.addWidget(Words(name, role="soft"), row, 2 * column)
        self.addWidget(value, row, 2 * column + 1, 1, 2 * columns - 1)
        return value


def tell(shown: ElidedWords, text: str) -> None:
    """Show the value of a fact; one that is not known stands back."""
    shown.show_text(text)
    shown.setAccessibleDescription(text)
    set_role(shown, "faint" if text == UNKNOWN else "")


class CopyButton(Button):
    """Copies a text, and says for a moment that it did."""

    def __init__(self, what: str) -> None:
        """``what`` it copies, for people who hear it."""
        super().__init__()
        self.content = ""
        self.gather: Callable[[], str] = lambda: self.content
        """What gives the text to copy, for a text that is too long to be kept up to date."""
        self.setProperty("role", "quiet")
        self.set_what(what)
        self._timer = QTimer(self, singleShot=True, interval=COPIED_FOR)
        self._timer.timeout.connect(self._rest)
        self.clicked.connect(lambda: self.copy(self.gather()))
        self._rest()

    def sizeHint(self) -> QSize:
        """Room for either word, so that nothing moves."""
        hint = super().sizeHint()
        longer = max(self.tr("Copied"), self.tr("Copy"), key=self._width)
        return QSize(hint.width() + self._width(longer) - self._width(self.text()), hint.height())

    def set_what(self, what: str) -> None:
        """Say what it copies, to people who hear it or wait over it."""
        self.setAccessibleName(what)
        self.setToolTip(what)

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
