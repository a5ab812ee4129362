"""How a note looks in the list: title, when it changed, and the beginning of its text."""

from __future__ import annotations

import unicodedata

from PySide6.QtCore import (
    QDate,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.notes import NoteRow
from ui import icons, moments, theme
from ui.notemodel import ROW, title_of
from ui.theme import GAP, colours

_State = QStyle.StateFlag
_SIDE = 2 * GAP
_INSET = GAP // 2 + 2
"""Pixels between a selected row's ground and the edge of the list."""
_MARK = 15


class NoteDelegate(QStyledItemDelegate):
    """Paints the rows; all are of one height."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Room for two lines and the air around them."""
        title, text = self._fonts(option)
        lines = QFontMetrics(title).height() + QFontMetrics(text).height()
        return QSize(160, lines + 3 * GAP + 2)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint one row."""
        row = index.data(ROW)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter, option)
        self._paint_lines(painter, option, row)
        painter.restore()

    def _fonts(self, option: QStyleOptionViewItem) -> tuple[QFont, QFont]:
        title, text = QFont(option.font), QFont(option.font)
        title.setWeight(QFont.Weight.DemiBold)
        text.setPointSizeF(option.font.pointSizeF() * 0.93)
        return title, text

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & _State.State_Selected:
            focus = option.widget.hasFocus()
            painter.setBrush(QColor(colours.chosen if focus else colours.chosen_idle))
            if focus:
                painter.setPen(QPen(QColor(colours.accent), 1.2))
        elif option.state & _State.State_MouseOver:
            painter.setBrush(QColor(colours.hover))
        else:
            painter.setPen(QColor(colours.line))
            y = option.rect.bottom() + 0.5
            painter.drawLine(QPointF(_SIDE, y), QPointF(option.rect.right() - _SIDE, y))
            return
        ground = QRectF(option.rect).adjusted(_INSET, 1, -_INSET, -1)
        painter.drawRoundedRect(ground, theme.RADIUS, theme.RADIUS)

    def _paint_lines(self, painter: QPainter, option: QStyleOptionViewItem, row: NoteRow) -> None:
        title, text = self._fonts(option)
        title_metrics, text_metrics = QFontMetrics(title), QFontMetrics(text)
        area = option.rect.adjusted(_SIDE, GAP + 2, -_SIDE, 0)
        first = QRect(area.left(), area.top(), area.width(), title_metrics.height())
        top = first.bottom() + 1 + GAP // 2
        second = QRect(area.left(), top, area.width(), text_metrics.height())

        when = moments.short(row.changed, QDate.currentDate())
        _write(painter, first, when, text, colours.soft, end=True)
        first.setRight(first.right() - text_metrics.horizontalAdvance(when) - GAP)
        if row.kept or row.newer:
            first.setRight(first.right() - _MARK - GAP // 2)
            self._paint_mark(painter, option, first, "info" if row.kept else "alert")
        known = colours.text if row.title else colours.faint
        _write(painter, first, title_of(row), title, known)
        _write(
            painter,
            second,
            row.snippet or ("No more text" if row.title else "Nothing in it"),
            text,
            colours.soft if row.snippet else colours.faint,
        )

    def _paint_mark(
        self, painter: QPainter, option: QStyleOptionViewItem, beside: QRect, name: str
    ) -> None:
        ratio = option.widget.devicePixelRatioF()
        mark = icons.pixmap(name, colours.wait, _MARK, ratio)
        y = beside.center().y() - _MARK // 2
        painter.drawPixmap(beside.right() + GAP // 2, y, mark)


def is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left."""
    directions = map(unicodedata.bidirectional, text)
    return next((found != "L" for found in directions if found in ("L", "R", "AL")), False)


def _write(
    painter: QPainter, area: QRect, text: str, font: QFont, colour: str, *, end: bool = False
) -> None:
    """Write one line, shortened to its room; text in a right-to-left script begins at the right."""
    painter.setFont(font)
    painter.setPen(QColor(colour))
    elided = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    side = Qt.AlignmentFlag.AlignLeft
    if end or is_right_to_left(text):
        side = Qt.AlignmentFlag.AlignRight
    painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, elided)
