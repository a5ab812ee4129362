"""The sync log: what happened, newest first, to be filtered and copied."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.status import Event
from app.synclog import LEVELS, matches
from app.words import clock_in_words
from ui import icons, theme
from ui.parts import ChoiceBox, CopyButton, Words, from_the_left

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()
_ROLE = Qt.ItemDataRole
_LOOKS = {"warning": ("alert", "wait"), "error": ("alert", "bad")}
"""The icon and the name of its colour, where a level is not ``info``."""


class EventModel(QAbstractTableModel):
    """The events, newest first; what it tells is the time in column 0 and the text in column 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._events: list[Event] = []

    def show_events(self, events: Iterable[Event]) -> None:
        """Show these events, oldest first as the service keeps them; rows that stay are kept."""
        wanted = list(events)
        fresh = _fresh(wanted, self._events[0] if self._events else None)
        if fresh:
            self.beginInsertRows(QModelIndex(), 0, len(fresh) - 1)
            self._events[:0] = reversed(fresh)
            self.endInsertRows()
        if len(self._events) > len(wanted):
            self.beginRemoveRows(QModelIndex(), len(wanted), len(self._events) - 1)
            del self._events[len(wanted) :]
            self.endRemoveRows()

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        """How many events."""
        return 0 if parent.isValid() else len(self._events)

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        """Time and text."""
        return 0 if parent.isValid() else 2

    def data(self, index: Index, role: int = _ROLE.DisplayRole) -> Any:
        """What a view asks for."""
        event, column = self._events[index.row()], index.column()
        if role == _ROLE.DisplayRole:
            return from_the_left(event.text) if column else clock_in_words(event.at, time.time())
        if role == _ROLE.DecorationRole and column == 0:
            return _icon(event.level)
        if role == _ROLE.ForegroundRole and column == 0:
            return QColor(theme.colours.soft)
        if role == _ROLE.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        if role == _ROLE.AccessibleTextRole and column and event.level != "info":
            return f"{event.level}: {event.text}"
        return None

    def event_at(self, row: int) -> Event:
        """The event in a row."""
        return self._events[row]

    def line(self, row: int) -> str:
        """An event as a line of text."""
        event = self._events[row]
        return f"{clock_in_words(event.at, time.time())}  {event.level:<7}  {event.text}"


def _icon(level: str) -> QIcon:
    name, colour = _LOOKS.get(level, ("info", "faint"))
    return icons.icon(name, getattr(theme.colours, colour))


def _fresh(events: list[Event], last: Event | None) -> list[Event]:
    """The events after the last that is known; all of them where that is gone."""
    for position in range(len(events) - 1, -1, -1):
        if events[position] is last:
            return events[position + 1 :]
    return events


class EventFilter(QSortFilterProxyModel):
    """The events that are at least of a level, and hold all words that are looked for."""

    def __init__(self, model: EventModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._level, self._text, self._model = "", "", model
        self.setSourceModel(model)

    def choose(self, level: str, text: str) -> None:
        """Let these through, from now on."""
        self._level, self._text = level, text
        self.setFilterFixedString(text)  # which looks at all rows again, in every version of Qt

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Whether an event passes."""
        return matches(self._model.event_at(source_row), self._level, self._text)


class _Delegate(QStyledItemDelegate):
    """Puts the icon beside the first line of a text that has more."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Let the icon stand at the top."""
        super().initStyleOption(option, index)
        option.decorationAlignment = Qt.AlignmentFlag.AlignTop


class LogView(QTableView):
    """The events in rows as high as their text.

    Qt's own way to have rows fit measures all of them whenever one comes: half a second for a long log.
    So only those that are seen are measured, when they come to be seen.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("log")
        self.setItemDelegate(_Delegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setIconSize(QSize(16, 16))
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.horizontalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(0)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        self._fitting = QTimer(self, singleShot=True, interval=0)
        self._fitting.timeout.connect(self.fit)
        self.verticalScrollBar().valueChanged.connect(self._fitting.start)

    def show_model(self, model: QAbstractItemModel) -> None:
        """Show the rows of a model, as they come and go."""
        self.setModel(model)
        self.horizontalHeader().setResizeContentsPrecision(0)  # what is seen
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        for moved in (model.rowsInserted, model.rowsRemoved, model.modelReset):
            moved.connect(self._fitting.start)

    def fit(self) -> None:
        """Make the rows that are seen as high as their text."""
        row, end = self.rowAt(0), self.viewport().height()
        while 0 <= row < self.model().rowCount() and self.rowViewportPosition(row) < end:
            self.setRowHeight(row, self.sizeHintForRow(row))
            row += 1

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A text has other lines in another width."""
        super().resizeEvent(event)
        self._fitting.start()


class SyncLog(QWidget):
    """The log with a filter, and a button that copies what is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = EventModel(self)
        self.filtered = EventFilter(self.model, self)
        self.view = LogView()
        self.view.show_model(self.filtered)
        self.view.setAccessibleName(self.tr("Recent sync events"))
        self.filter_field = QLineEdit()
        self.filter_field.setPlaceholderText(self.tr("Filter"))
        self.filter_field.setAccessibleName(self.tr("Filter the events"))
        self.filter_field.setClearButtonEnabled(True)
        self.filter_field.setMaximumWidth(220)
        self.filter_field.textChanged.connect(self._filter)
        self.level_box = ChoiceBox()
        self.level_box.setAccessibleName(self.tr("Least level of the events"))
        for level, words in self._level_words().items():
            self.level_box.addItem(words, level)
        self.level_box.currentIndexChanged.connect(self._filter)
        self.copy_button = CopyButton(self.tr("Copy the events that are shown"))
        self.copy_button.gather = self.shown_text
        self._problem = Words(role="bad", wrap=True)
        self._nothing = Words(role="faint")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        self._tell()

    def _lay_out(self) -> None:
        title = Words(self.tr("Sync log"))
        title.setFont(theme.font(title, scale=1.1, bold=True))
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.level_box)
        head.addWidget(self.filter_field)
        head.addWidget(self.copy_button)
        inside = QVBoxLayout(self.view)
        inside.addWidget(self._nothing)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.GAP)
        layout.addLayout(head)
        layout.addWidget(self._problem)
        layout.addWidget(self.view, 1)

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        return [self.level_box, self.filter_field, self.copy_button, self.view]

    def _level_words(self) -> dict[str, str]:
        words = (self.tr("All"), self.tr("Warnings and errors"), self.tr("Errors"))
        return dict(zip(LEVELS, words, strict=True))

    def show_events(self, events: Iterable[Event], problem: str = "") -> None:
        """Show these events, oldest first; ``problem`` is why they cannot be kept on disk."""
        text = self.tr("The events cannot be written to disk: {problem}. They are kept in memory.")
        self._problem.setText(text.format(problem=problem))
        self._problem.setVisible(bool(problem))
        self.model.show_events(events)
        self._tell()

    def shown_text(self) -> str:
        """The rows that pass the filter as text, oldest first."""
        rows = range(self.filtered.rowCount() - 1, -1, -1)
        return "".join(f"{self._line(row)}\n" for row in rows)

    def _line(self, row: int) -> str:
        return self.model.line(self.filtered.mapToSource(self.filtered.index(row, 0)).row())

    def _filter(self) -> None:
        self.filtered.choose(self.level_box.currentData(), self.filter_field.text())
        self._tell()

    def _tell(self) -> None:
        found = self.filtered.rowCount() > 0
        self.copy_button.setEnabled(found)
        self._nothing.setVisible(not found)
        filtering = self.model.rowCount() > 0
        self._nothing.setText(self.tr("No such event") if filtering else self.tr("Nothing yet"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the chosen rows; Esc empties the filter first."""
        chosen = sorted({index.row() for index in self.view.selectedIndexes()}, reverse=True)
        if event.matches(QKeySequence.StandardKey.Copy) and chosen:
            self.copy_button.copy("".join(f"{self._line(row)}\n" for row in chosen))
        elif event.key() == Qt.Key.Key_Escape and self.filter_field.text():
            self.filter_field.clear()
        else:
            super().keyPressEvent(event)
