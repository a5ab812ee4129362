"""A plain text edit that reads like a page: lines of a good length in the middle, and zoom."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPalette, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

LINE_LENGTH = 72
"""Characters of average width in a full line: longer ones are hard to read."""

PADDING = 20
"""Pixels between the text and the edge of the editor, at least."""

ZOOM_RANGE = (-5, 24)
"""Steps of one point that the text can be made smaller and larger by."""

_PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
_DRAGS = (QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease)


class Page(QPlainTextEdit):
    """A plain text edit with a column of readable width.

    ``zoom_changed`` gives the steps from the font's own size, for the settings.
    """

    zoom_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._zoom = 0
        self._wheel = 0
        self._dragging = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setCursorWidth(2)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self.setAutoFillBackground(True)
        self.document().setDocumentMargin(PADDING)
        self._fit()

    @property
    def zoom(self) -> int:
        """By how many points the text is larger than the font's own size."""
        return self._zoom

    def set_zoom(self, steps: int) -> None:
        """Make the text larger or smaller than the font's own size, within ``ZOOM_RANGE``."""
        steps = min(max(steps, ZOOM_RANGE[0]), ZOOM_RANGE[1])
        if steps == self._zoom:
            return
        change, self._zoom = steps - self._zoom, steps
        self.zoomIn(change)
        self.zoom_changed.emit(steps)

    def zoom_in(self) -> None:
        """Make the text one step larger."""
        self.set_zoom(self._zoom + 1)

    def zoom_out(self) -> None:
        """Make the text one step smaller."""
        self.set_zoom(self._zoom - 1)

    def zoom_reset(self) -> None:
        """Go back to the font's own size."""
        self.set_zoom(0)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl and the wheel; a fine wheel reports fractions of the 120 of one notch."""
        if event.modifiers() != Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        self._wheel += event.angleDelta().y()
        notches = int(self._wheel / 120)
        self._wheel -= notches * 120
        self.set_zoom(self._zoom + notches)
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the lines at a length that reads well."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font, whoever changed it."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        metrics = QFontMetricsF(self.font())
        self.setTabStopDistance(4 * metrics.averageCharWidth())
        column = LINE_LENGTH * metrics.averageCharWidth() + 2 * PADDING
        side = max(int((self.width() - column) / 2), 0)
        if self.viewportMargins().left() != side:
            self.setViewportMargins(side, 0, side, 0)
            # Within the first resize event Qt breaks the lines for the width from before.
            super().resizeEvent(QResizeEvent(self.viewport().size(), QSize()))

    def event(self, event: QEvent) -> bool:
        """Claim the mouse beside the lines."""
        if isinstance(event, QMouseEvent) and self._beside(event):
            return self._forward(event)
        return super().event(event)

    def _beside(self, event: QMouseEvent) -> bool:
        """Whether a mouse event began on the margin; the viewport's own end up here as well."""
        if event.type() in _PRESSES:
            self._dragging = not self.viewport().geometry().contains(event.position().toPoint())
            return self._dragging
        return self._dragging and event.type() in _DRAGS

    def _forward(self, event: QMouseEvent) -> bool:
        """Give a mouse event on the margin to the viewport, as if it reached there."""
        inside = QPointF(self.viewport().mapFrom(self, event.position().toPoint()))
        copy = QMouseEvent(
            event.type(),
            inside,
            event.globalPosition(),
            event.button(),
            event.buttons(),
            event.modifiers(),
        )
        return QCoreApplication.sendEvent(self.viewport(), copy)
