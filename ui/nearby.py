"""The list of devices nearby, to be clicked instead of typing an address."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QCoreApplication,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFocusEvent, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from app.pairing import Nearby
from ui import icons, theme
from ui.theme import GAP, ICON, colours

_NEARBY = Qt.ItemDataRole.UserRole
_ROWS = 3
"""Rows that are seen without scrolling."""


class NearbyList(QListWidget):
    """Devices that were found.  ``chosen`` tells which one is selected, ``entered`` that it is the one."""

    chosen = Signal(Nearby)
    entered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nearby")
        self.setAccessibleName(self.tr("Devices nearby"))
        self.setItemDelegate(_Delegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.currentItemChanged.connect(self._choose)
        self.itemClicked.connect(self._enter)
        self._silent = False

    @property
    def shown(self) -> list[Nearby]:
        """The devices in the list."""
        return [self.item(at).data(_NEARBY) for at in range(self.count())]

    def show_devices(self, devices: Sequence[Nearby]) -> None:
        """Show these; the one that is chosen stays so."""
        if list(devices) == self.shown:
            return
        row = self.currentRow()
        current = self.shown[row].device if row >= 0 else ""
        self._silent = True
        self.clear()
        for device in devices:
            self._add(device, current)
        self._silent = False
        self.updateGeometry()

    def _add(self, device: Nearby, current: str) -> None:
        item = QListWidgetItem(" ".join(device.name.split()), self)
        item.setData(_NEARBY, device)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{item.text()}, {_note(device)}")
        if device.device == current:
            self.setCurrentItem(item)

    def forget_choice(self) -> None:
        """Choose none: another address was entered."""
        self._silent = True
        self.setCurrentRow(-1)
        self._silent = False

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None and not self._silent:
            self.chosen.emit(item.data(_NEARBY))

    def _enter(self, item: QListWidgetItem) -> None:
        self._choose(item)  # again, where the address was changed since
        self.entered.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter means the chosen one."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentRow() >= 0:
            self._enter(self.currentItem())
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Choose nothing only because the focus comes: Qt would take the first row."""
        row, self._silent = self.currentRow(), True
        super().focusInEvent(event)
        self.setCurrentRow(row)
        self._silent = False

    def sizeHint(self) -> QSize:
        """As high as its rows, up to a few."""
        rows = min(max(self.count(), 1), _ROWS)
        height = self.sizeHintForRow(0) if self.count() else _row_height(self.fontMetrics())
        margins = self.contentsMargins()
        return QSize(200, rows * height + margins.top() + margins.bottom() + 2)

    def minimumSizeHint(self) -> QSize:
        """No less."""
        return QSize(120, self.sizeHint().height())


def _note(device: Nearby) -> str:
    words = QCoreApplication.translate("NearbyList", "shows a code now")
    return words if device.pairing else device.address


def _row_height(metrics: QFontMetrics) -> int:
    return metrics.height() + 2 * GAP


class _Delegate(QStyledItemDelegate):
    """Paints an icon, the name, and at the end what is known of it."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(120, _row_height(QFontMetrics(option.font)))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        device: Nearby = index.data(_NEARBY)
        painter.save()
        self._paint_ground(painter, option)
        area = option.rect.adjusted(GAP + 2, 0, -GAP - 2, 0)
        ratio = option.widget.devicePixelRatioF()
        picture = icons.pixmap("device", colours.accent, ICON, ratio)
        painter.drawPixmap(area.left(), area.center().y() - ICON // 2 + 1, picture)
        self._paint_words(painter, option, area.adjusted(ICON + GAP, 0, 0, 0), device, index.data())
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        under = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if not chosen and not under:
            return
        focus = option.widget.hasFocus()
        ground = colours.chosen if focus else colours.chosen_idle
        painter.setBrush(QColor(ground if chosen else colours.hover))
        painter.setPen(QColor(colours.accent) if chosen and focus else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(option.rect.adjusted(2, 2, -3, -3), theme.RADIUS, theme.RADIUS)

    def _paint_words(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        area: QRect,
        device: Nearby,
        name: str,
    ) -> None:
        metrics, middle = QFontMetrics(option.font), Qt.AlignmentFlag.AlignVCenter
        note = metrics.elidedText(_note(device), Qt.TextElideMode.ElideMiddle, area.width() // 2)
        painter.setFont(option.font)
        painter.setPen(QColor(colours.good if device.pairing else colours.soft))
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | middle, note)
        room = area.adjusted(0, 0, -metrics.horizontalAdvance(note) - GAP, 0)
        shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, room.width())
        painter.setPen(QColor(colours.text))
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | middle, shown)
