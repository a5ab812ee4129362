"""The little graph of a device's card: what came in and went out of late."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.status import LITTLE, Flow
from app.traffic import POINTS
from app.words import changes_in_words, size_in_words
from ui import theme

_GAP = 1


class FlowGraph(QWidget):
    """Bars for what came in, upwards, and for what went out, downwards; the right edge is now.

    A bar's height goes with the square root of the bytes, so that a single sentence is seen beside a first
    sync.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flow: Flow | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Traffic"))
        self.summary = ""
        """What it shows, in words."""

    def sizeHint(self) -> QSize:
        """Wide enough for its points."""
        return QSize(180, 48)

    def minimumSizeHint(self) -> QSize:
        """It may be narrow."""
        return QSize(60, 36)

    def show_flow(self, flow: Flow | None) -> None:
        """Show what went in and out."""
        if flow == self._flow:
            return
        self._flow = flow
        self.summary = self._in_words(flow) if flow else ""
        self.setToolTip(self.summary)
        self.setAccessibleDescription(self.summary)
        self.update()

    def _in_words(self, flow: Flow) -> str:
        text = self.tr("In the last {minutes} min\nIn (above): {into}\nOut (below): {out}")
        return text.format(
            minutes=math.ceil(flow.seconds / 60),
            into=_amount(flow.changes_in, flow.bytes_in),
            out=_amount(flow.changes_out, flow.bytes_out),
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the middle line and the bars."""
        painter = QPainter(self)
        middle = self.height() // 2
        painter.setFont(theme.font(self, scale=0.85))
        painter.setPen(QColor(theme.colours.faint))
        for above, word in ((0, self.tr("in")), (middle, self.tr("out"))):
            half = QRectF(0, above, self.width(), middle)
            painter.drawText(half, Qt.AlignmentFlag.AlignVCenter, word)
        painter.fillRect(0, middle, self.width(), 1, QColor(theme.colours.line_strong))
        if self._flow is not None:
            top = math.sqrt(max(LITTLE, *self._flow.bytes_in, *self._flow.bytes_out))
            room = middle - 1
            for numbers, colour, up in (
                (self._flow.bytes_in, theme.colours.busy, True),
                (self._flow.bytes_out, theme.colours.good, False),
            ):
                self._draw(
                    painter, [room * math.sqrt(n) / top for n in numbers], QColor(colour), up
                )
        painter.end()

    def _draw(self, painter: QPainter, heights: list[float], colour: QColor, up: bool) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        step, middle = self.width() / POINTS, self.height() // 2
        for at, height in enumerate(heights, POINTS - len(heights)):
            if height:
                tall = max(1.0, height)
                top = middle - tall if up else middle + 1
                painter.drawRect(QRectF(at * step, top, max(1.0, step - _GAP), tall))


def _amount(changes: tuple[int, ...], octets: tuple[int, ...]) -> str:
    return f"{changes_in_words(sum(changes))}, {size_in_words(sum(octets))}"
