"""The pane in the middle: the notes of the chosen shelf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStackedWidget,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.notes import NoteRow
from ui import theme
from ui.empty import EmptyPage
from ui.notedelegate import NoteDelegate
from ui.notemodel import Index, NoteModel
from ui.shelves import ALL, Shelf
from ui.theme import GAP

_MINUTE = 60_000
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class NoteListView(QTableView):
    """The list itself.  What a person chooses is told; what the program selects is not.

    A table of one column, because QListView lays out all its rows anew at each change: 20 ms with
    10,000 notes.

    A row that goes away leaves nothing selected, so that nobody is taken to a note not asked for.
    """

    chosen = Signal(str)
    entered = Signal()
    trash_wanted = Signal()

    def __init__(self, model: NoteModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notes = model
        self._silent = False
        self.setModel(model)
        self.setItemDelegate(NoteDelegate(self))
        self.setObjectName("noteList")
        self.setAccessibleName(self.tr("Notes"))
        self.setMouseTracking(True)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.horizontalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._fit_rows()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.verticalScrollBar().setSingleStep(24)
        self._clock = QTimer(self, interval=_MINUTE)
        self._clock.timeout.connect(self.viewport().update)  # "Yesterday" comes by itself.
        self._clock.start()

    def _fit_rows(self) -> None:
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        height = self.itemDelegate().sizeHint(option, QModelIndex()).height()
        self.verticalHeader().setDefaultSectionSize(height)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Choose nothing only because the focus comes: Qt would take the first row."""
        chosen = self.currentIndex().isValid()
        self._silent = True
        super().focusInEvent(event)
        if not chosen:
            self._deselect()
        self._silent = False

    def changeEvent(self, event: QEvent) -> None:
        """Follow the size of the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_rows()

    def select(self, oid: str) -> None:
        """Select a note, and show where it is; nothing where it is not in the list."""
        index = self._notes.index_of(oid)
        if index == self.currentIndex() and index.isValid():
            return
        self._silent = True
        try:
            if index.isValid():
                self.setCurrentIndex(index)
            else:
                self._deselect()
        finally:
            self._silent = False

    def choose(self, oid: str) -> None:
        """Select a note as a person does."""
        self.setCurrentIndex(self._notes.index_of(oid))

    def _deselect(self) -> None:
        self.selectionModel().setCurrentIndex(
            QModelIndex(), QItemSelectionModel.SelectionFlag.Clear
        )

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Tell what a person chose."""
        super().currentChanged(current, previous)
        if current.isValid() and not self._silent:
            self.chosen.emit(self._notes.oid_at(current.row()))

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Home and End go to the first and the last note, not to the ends of a row."""
        if action == QAbstractItemView.CursorAction.MoveHome:
            return self.model().index(0, 0)
        if action == QAbstractItemView.CursorAction.MoveEnd:
            return self.model().index(self.model().rowCount() - 1, 0)
        return super().moveCursor(action, modifiers)

    def rowsAboutToBeRemoved(self, parent: Index, start: int, end: int) -> None:
        """Select nothing where Qt would go on to a neighbour."""
        if start <= self.currentIndex().row() <= end:
            self._deselect()
        super().rowsAboutToBeRemoved(parent, start, end)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the current row in sight where it was: a notice may come up below."""
        seen = self.visualRect(self.currentIndex()).bottom() <= event.oldSize().height()
        super().resizeEvent(event)
        if seen and self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter goes to the text; Delete and Ctrl+Backspace move to the trash."""
        command = event.modifiers() == Qt.KeyboardModifier.ControlModifier
        if event.key() in _ENTER:
            self.entered.emit()
        elif event.key() == Qt.Key.Key_Delete or (command and event.key() == Qt.Key.Key_Backspace):
            self.trash_wanted.emit()
        else:
            super().keyPressEvent(event)
            return
        event.accept()


class NoteListPane(QWidget):
    """The list with its heading, what stands in its place while it is empty, and notices below."""

    new_wanted = Signal()
    pair_wanted = Signal()

    def __init__(self, rows: Mapping[str, NoteRow], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("listPane")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.shelf = ALL
        self.model = NoteModel(rows, self)
        self.view = NoteListView(self.model, self)
        self.empty = EmptyPage(self)
        self._title, self._count = QLabel(self), QLabel(self)
        self._pages = QStackedWidget(self)
        self._pages.setContentsMargins(0, GAP // 2, 0, 0)
        self._pages.addWidget(self.view)
        self._pages.addWidget(self.empty)
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._heading())
        layout.addWidget(self._pages, 1)
        self.new_button = self.empty.add_button(self.tr("New note"), primary=True)
        self.new_button.clicked.connect(self.new_wanted)
        self.pair_button = self.empty.add_button(self.tr("Pair with a device…"))
        self.pair_button.clicked.connect(self.pair_wanted)
        for changed in (self.model.rowsInserted, self.model.rowsRemoved, self.model.modelReset):
            changed.connect(self._count_rows)
        self._open = ""
        self.settle_clock = QTimer(self, singleShot=True)
        self.settle_clock.timeout.connect(self._settle)
        self.show_shelf(ALL)

    def _heading(self) -> QWidget:
        heading = QWidget(self)
        heading.setObjectName("listHeader")
        heading.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        heading.setFixedHeight(theme.HEADER)
        self._title.setFont(theme.font(self, scale=1.1, bold=True))
        self._count.setProperty("role", "faint")
        row = QHBoxLayout(heading)
        row.setContentsMargins(2 * GAP, 0, 2 * GAP, 0)
        row.addWidget(self._title)
        row.addWidget(self._count)
        row.addStretch(1)
        return heading

    def show_shelf(self, shelf: Shelf) -> None:
        """Show the notes of another shelf."""
        self.shelf = shelf
        self._title.setText(shelf.name)
        self.view.setAccessibleName(shelf.name)
        self.empty.show_words(shelf.icon, shelf.empty, shelf.hint)
        for button in (self.new_button, self.pair_button):
            button.setVisible(shelf is ALL)
        self.model.show(shelf.holds)

    @property
    def focus_target(self) -> QWidget | None:
        """What takes the keys of this pane."""
        if self.model.rowCount():
            return self.view
        return self.new_button if self.shelf is ALL else None

    def refresh(self, oids: Iterable[str]) -> None:
        """Take over changed rows, without moving what is being read."""
        with self._in_place():
            self.model.refresh(oids)

    def hold(self, oid: str) -> None:
        """Keep the open note where it stands in the list while it is edited.

        The one before finds its place a little later: a second click must not hit another row.
        """
        self._open = oid
        self.model.hold(self.model.held | {oid})
        self.settle_clock.start(QApplication.doubleClickInterval())

    def _settle(self) -> None:
        with self._in_place():
            self.model.hold({self._open})

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Scroll so that a row that was seen stays where it was on the screen.

        A list that shows its beginning goes on showing it: who is there wants to see what is new.
        """
        bar = self.view.verticalScrollBar()
        seen = QPersistentModelIndex(self._seen_row() if bar.value() else QModelIndex())
        before = self.view.visualRect(seen).top()
        yield
        if seen.isValid():
            bar.setValue(bar.value() + self.view.visualRect(seen).top() - before)

    def _seen_row(self) -> QModelIndex:
        """The current row where it is in sight, else the first that is."""
        current, viewport = self.view.currentIndex(), self.view.viewport().rect()
        if current.isValid() and viewport.intersects(self.view.visualRect(current)):
            return current
        return self.view.indexAt(viewport.topLeft())

    def neighbour(self, oid: str) -> str:
        """The note that takes a leaving one's place: the next one, or the one before."""
        row = self.model.index_of(oid).row()
        return self.model.oid_at(row + 1) or self.model.oid_at(row - 1)

    def add_below(self, widget: QWidget) -> None:
        """Add a widget below the list."""
        self._layout.addWidget(widget)

    def _count_rows(self) -> None:
        count = self.model.rowCount()
        self._count.setText(f"{count:,}" if count else "")
        self._pages.setCurrentWidget(self.view if count else self.empty)
