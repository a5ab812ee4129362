"""The sidebar: the shelves, each with the number of its notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.notes import NoteRow
from ui import icons, theme
from ui.shelves import Shelf
from ui.theme import GAP, ICON, colours

_COUNT = Qt.ItemDataRole.UserRole
_SHELF = Qt.ItemDataRole.UserRole + 1


class Sidebar(QWidget):
    """Chooses among shelves."""

    chosen = Signal(object)
    new_wanted = Signal()

    def __init__(self, shelves: Sequence[Shelf], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._shelves = tuple(shelves)
        self.new_button = QPushButton(
            icons.icon("new", colours.on_accent), self.tr("New note"), self
        )
        self.new_button.setProperty("role", "primary")
        self.new_button.setToolTip(self.tr("New note (Ctrl+N)"))
        self.new_button.clicked.connect(self.new_wanted)
        self.list = self._build_list()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP + GAP // 2, GAP, GAP)
        layout.setSpacing(GAP + GAP // 2)
        layout.addWidget(self.new_button)
        layout.addWidget(self.list, 1)

    def _build_list(self) -> QListWidget:
        widget = QListWidget(self)
        widget.setObjectName("sidebarList")
        widget.setAccessibleName(self.tr("Shelves"))
        widget.setFrameShape(QFrame.Shape.NoFrame)
        widget.setItemDelegate(_ShelfDelegate(widget))
        widget.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        widget.setMouseTracking(True)
        for shelf in self._shelves:
            item = QListWidgetItem(shelf.name, widget)
            item.setData(_SHELF, shelf)
        widget.setCurrentRow(0)
        widget.currentRowChanged.connect(lambda row: self.chosen.emit(self._shelves[row]))
        return widget

    def choose(self, shelf: Shelf) -> None:
        """Choose a shelf, as a person does."""
        self.list.setCurrentRow(self._shelves.index(shelf))

    def count(self, rows: Mapping[str, NoteRow]) -> None:
        """Show how many notes each shelf holds."""
        for at, shelf in enumerate(self._shelves):
            item = self.list.item(at)
            number = sum(map(shelf.holds, rows.values()))
            if item.data(_COUNT) != number:
                item.setData(_COUNT, number)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{shelf.name}, {number} notes")

    def count_of(self, shelf: Shelf) -> int:
        """The number shown beside a shelf."""
        return int(self.list.item(self._shelves.index(shelf)).data(_COUNT) or 0)


class _ShelfDelegate(QStyledItemDelegate):
    """Paints an icon, a name and a number."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(100, QFontMetrics(option.font).height() + 2 * GAP)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        self._paint_ground(painter, option, chosen)
        shelf: Shelf = index.data(_SHELF)
        colour = colours.accent if chosen else colours.soft
        area = option.rect.adjusted(GAP + 2, 0, -GAP - 2, 0)
        ratio = option.widget.devicePixelRatioF()
        y = area.center().y() - ICON // 2 + 1
        painter.drawPixmap(area.left(), y, icons.pixmap(shelf.icon, colour, ICON, ratio))
        self._paint_words(painter, option, area, shelf.name, index.data(_COUNT) or 0)
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem, chosen: bool) -> None:
        if chosen:
            focus = option.widget.hasFocus()
            painter.setBrush(QColor(colours.chosen if focus else colours.chosen_idle))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colours.hover))
        else:
            return
        ring = chosen and option.widget.hasFocus()
        painter.setPen(QPen(QColor(colours.accent), 1.2) if ring else Qt.PenStyle.NoPen)
        ground = QRectF(option.rect).adjusted(1, 1, -1, -1)
        painter.drawRoundedRect(ground, theme.RADIUS, theme.RADIUS)

    def _paint_words(
        self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, name: str, count: int
    ) -> None:
        font = QFont(option.font)
        if option.state & QStyle.StateFlag.State_Selected:
            font.setWeight(QFont.Weight.Medium)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(option.font)
        painter.setPen(QColor(colours.faint))
        number = f"{count:,}" if count else ""
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | middle, number)
        used = QFontMetrics(option.font).horizontalAdvance(number) + GAP
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        room = area.adjusted(ICON + GAP + 2, 0, -used, 0)
        shown = QFontMetrics(font).elidedText(name, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | middle, shown)
