"""The main window: sidebar, note list and editor, with the sync line below."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QMessageBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.service import Service
from ui import icons
from ui.about import about_text, keys_text
from ui.actions import Actions
from ui.coalesce import Coalesced
from ui.identity_banner import IdentityBanner
from ui.library_change import LibraryChange
from ui.memory import Memory
from ui.network_changes import NetworkChanges
from ui.note_where import NoteWhere
from ui.notelist import NoteListPane
from ui.notemodel import title_of
from ui.notepane import NotePane
from ui.notice import Notice
from ui.opennote import OpenNote
from ui.other_library import product_name
from ui.pair_dialog import PairDialog
from ui.shelves import ALL, SHELVES, TRASH, Shelf
from ui.sidebar import Sidebar
from ui.sync_line import SyncLine
from ui.sync_panel import SyncPanel
from ui.tasks import Tasks
from ui.theme import GAP

_ROWS_EVERY = 40
_STATUS_EVERY = 80
"""Milliseconds for which changes are gathered before the window shows them."""


class MainWindow(QMainWindow):
    """Shows a started service.  ``closing`` asks whoever runs the window to end it in good order."""

    closing = Signal()

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.notice = Notice(self)
        self.tasks = Tasks(self.notice.warn)
        self._memory = Memory(service.data_dir)
        self._may_close = False
        self._starting = False
        self._product = product_name(service.data_dir)
        self.pair_dialog: PairDialog | None = None
        self._build()
        self.open_note = OpenNote(service.notes, self.pane, self.tasks)
        self.actions_ = Actions(self)
        self.panel = SyncPanel(service, self.tasks, self)
        self.where = NoteWhere(service, self.open_note, self.pane, self.tasks)
        self._network = NetworkChanges(service.network_changed, self)
        self._connect()
        self._library_change = LibraryChange(self)
        self._unsubscribe = (
            self._library_change.end,
            service.notes.subscribe(self._rows.add),
            service.subscribe(self._status.add),
        )
        self._restore()

    # Building

    def _build(self) -> None:
        notes = self.service.notes
        self.setObjectName("mainWindow")
        self.setWindowTitle(self._product)
        self.setWindowIcon(icons.app_icon())
        self.sidebar = Sidebar(SHELVES, self)
        self.list = NoteListPane(notes.rows, self)
        self.list.add_below(self.notice)
        self.pane = NotePane(notes, self)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.splitter.setHandleWidth(1)
        self.splitter.setChildrenCollapsible(False)
        for widget, least in ((self.sidebar, 150), (self.list, 220), (self.pane, 300)):
            widget.setMinimumWidth(least)
            self.splitter.addWidget(widget)
        self.splitter.setStretchFactor(2, 1)
        self.setCentralWidget(self._with_banner(self.splitter))
        self._build_status_bar()

    def _with_banner(self, below: QWidget) -> QWidget:
        self.banner = IdentityBanner(self.service, self.tasks)
        self.banner.setObjectName("topBanner")
        both = QWidget(self)
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(below, 1)
        return both

    def _build_status_bar(self) -> None:
        self.sync_line = SyncLine(self)
        self.saved = QLabel(self)
        self.saved.setProperty("role", "soft")
        self.saved.setContentsMargins(GAP, 0, GAP, 0)
        self.saved.setText(self.tr("Saved here"))
        self.saved.setMinimumWidth(self.saved.sizeHint().width())  # so that nothing moves
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.setContentsMargins(GAP // 2, 2, GAP // 2, 2)
        bar.addWidget(self.sync_line, 1)
        bar.addPermanentWidget(self.saved)

    def _connect(self) -> None:
        self._rows = Coalesced(self._show_rows, _ROWS_EVERY, self)
        self._status = Coalesced(lambda _: self.show_status(), _STATUS_EVERY, self)
        self.sidebar.chosen.connect(self._show_shelf)
        self.list.view.chosen.connect(self.open_note.show)
        self.list.view.entered.connect(self.pane.focus_editor)
        self.list.view.trash_wanted.connect(self.trash_open)
        self.list.pair_wanted.connect(self.pair)
        for source in (self.sidebar, self.list):
            source.new_wanted.connect(self.new_note)
        self.pane.trash_wanted.connect(self.trash_open)
        self.pane.restore_wanted.connect(self.restore_open)
        self.pane.editor.edited.connect(self._edited)
        self.open_note.opened.connect(self._opened)
        self.notice.offer_changed.connect(lambda offers: self._claim_undo(not offers))
        self.pane.editor.edited.connect(lambda: self._claim_undo(True))
        self.sync_line.clicked.connect(self.toggle_panel)
        for wanting in (self.panel, self.banner):
            wanting.pair_wanted.connect(self.pair)

    # What is shown

    def _show_rows(self, changed: set[str]) -> None:
        self.list.refresh(changed)
        self.sidebar.count(self.service.notes.rows)
        oid = self.open_note.oid
        if oid in changed:
            self._show_open_row()
            if not self.list.view.currentIndex().isValid():
                self.list.view.select(oid)  # A new note has got its row.

    def _show_open_row(self) -> None:
        row = self.service.notes.rows.get(self.open_note.oid)
        self.actions_.enable_for(row)
        if self.open_note.oid:
            self.pane.show_row(row)
        title = title_of(row) if self.open_note.oid else ""
        self.setWindowTitle(f"{title} — {self._product}" if title else self._product)

    def _edited(self) -> None:
        self._status.add()

    def show_status(self) -> None:
        """Show how sync stands."""
        status = self.service.status()
        self.banner.show_status(status)
        self.sync_line.show_status(status, starting=self._starting)
        self.saved.setText(self.tr("Saving…") if status.unsaved else self.tr("Saved here"))
        self.panel.show_status(status, starting=self._starting)
        self.where.look()
        if self.pair_dialog is not None:
            self.pair_dialog.show_status(status)

    def _opened(self, oid: str) -> None:
        self.list.view.select(oid)
        self.list.hold(oid)
        self._show_open_row()

    def _show_shelf(self, shelf: Shelf) -> None:
        self.list.show_shelf(shelf)
        row = self.service.notes.rows.get(self.open_note.oid)
        if row is not None and shelf.holds(row):
            self.list.view.select(row.oid)
        else:
            self.show_note(self.list.model.oid_at(0))

    def show_note(self, oid: str) -> None:
        """Open a note and select it; an empty ``oid`` for none."""
        self.list.view.select(oid)
        self.open_note.show(oid)

    # What people do

    def new_note(self) -> None:
        """Open a new note, ready to be written in."""
        if self.list.shelf is not ALL:
            with QSignalBlocker(self.sidebar):
                self.sidebar.choose(ALL)
            self.list.show_shelf(ALL)
        self.list.view.select("")
        self.open_note.create()

    def trash_open(self) -> None:
        """Move the open note to the trash, and go on to the next."""
        row = self.service.notes.rows.get(self.open_note.oid)
        if row is None:
            return
        if row.trashed:
            self.notice.say(
                self.tr("It is in the trash already"), self.tr("Restore"), self.restore_open
            )
            return
        self.show_note(self.list.neighbour(row.oid))
        self.tasks.start(self._trash(row.oid, title_of(row)))

    async def _trash(self, oid: str, title: str) -> None:
        await self.service.notes.trash(oid)
        self._rows.flush()
        self.notice.say(
            self.tr("Moved “{title}” to the trash").format(title=_shortened(title)),
            self.tr("Undo"),
            lambda: self.tasks.start(self._take_back(oid)),
        )

    def restore_open(self) -> None:
        """Take the open note out of the trash, or say that it stays."""
        row = self.service.notes.rows.get(self.open_note.oid)
        if row is not None and (row.trashed or row.kept):
            self.tasks.start(self._take_back(row.oid))

    async def _take_back(self, oid: str) -> None:
        await self.service.notes.restore(oid)
        self._rows.flush()
        if self.list.shelf is TRASH:
            with QSignalBlocker(self.sidebar):
                self.sidebar.choose(ALL)
            self.list.show_shelf(ALL)
        self.show_note(oid)
        # The button that was pressed for it may be gone.
        self.pane.focus_editor()

    def undo(self) -> None:
        """Take back what was done last: what the notice offers to, or the last edit of the text."""
        if self.notice.offers and not self.pane.editor.claims_undo:
            self.notice.act()
        else:
            self.pane.editor.undo()

    def _claim_undo(self, claims: bool) -> None:
        """Let the keys of undo be for the text, unless something else was done after its last edit."""
        self.pane.editor.claims_undo = claims

    def redo(self) -> None:
        """Do again what was undone in the text."""
        self.pane.editor.redo()

    def focus_pane(self, at: int) -> None:
        """Go to the sidebar (0), the list (1) or the text (2), where there is anything to go to."""
        target = self._panes()[at]
        if target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def next_pane(self, step: int) -> None:
        """Go to the next pane, or the one before."""
        panes = [pane for pane in self._panes() if pane is not None]
        focus = QApplication.focusWidget()
        at = panes.index(focus) if focus in panes else -1 if step > 0 else 0
        panes[(at + step) % len(panes)].setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _panes(self) -> tuple[QWidget | None, ...]:
        return self.sidebar.list, self.list.focus_target, self.pane.focus_target

    # Other windows

    def pair(self) -> None:
        """Pair with another device."""
        if self.pair_dialog is None:
            parent = self.panel if self.panel.isActiveWindow() else self
            self.pair_dialog = PairDialog(self.service, parent)
            self.pair_dialog.finished.connect(self._forget_dialog)
        self.pair_dialog.open()

    def _forget_dialog(self) -> None:
        self.pair_dialog = None

    def toggle_panel(self) -> None:
        """Open the sync status panel, or close it."""
        if self.panel.isVisible() and self.panel.isActiveWindow():
            self.panel.close()
            return
        self.panel.show()
        self.raise_up(self.panel)

    def raise_up(self, window: QWidget | None = None) -> None:
        """Bring this window, or one of its others, to the front."""
        window = window or self
        window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
        window.show()
        window.raise_()
        window.activateWindow()

    def show_keys(self) -> None:
        """Say which keys do what."""
        self._tell(self.tr("Keys"), keys_text())

    def show_about(self) -> None:
        """Say what this program is."""
        self._tell(self.tr("About Lim Notes"), about_text())

    def _tell(self, title: str, text: str) -> None:
        box = QMessageBox(QMessageBox.Icon.NoIcon, title, text, parent=self)
        box.setIconPixmap(icons.app_icon().pixmap(64, 64))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # Beginning and end

    def _restore(self) -> None:
        memory = self._memory
        if not self.restoreGeometry(memory.octets("geometry")):
            self.resize(1080, 700)
        if not self.splitter.restoreState(memory.octets("splitter")):
            self.splitter.setSizes([190, 290, 600])
        self.panel.restoreGeometry(memory.octets("panel"))
        self.pane.editor.set_zoom(memory.number("zoom"))
        self.sidebar.count(self.service.notes.rows)
        self.show_status()
        self._show_open_row()

    def begin(self) -> None:
        """Open the note that was open last, or the newest; needs the running loop."""
        last = self._memory.text("note")
        # Where not all rows are there yet, it is opened all the same, and found in the list later.
        shown = self.list.model.index_of(last).isValid() or (last and self.service.notes.reading)
        self.show_note(last if shown else self.list.model.oid_at(0))
        self.list.view.setFocus()

    def go_online(self) -> None:
        """Connect with the other devices, behind; what comes of it is shown."""
        self._starting = True
        self.show_status()
        self.tasks.start(self._go_online())

    async def _go_online(self) -> None:
        try:
            await self.service.online()
        finally:
            self._starting = False
            self.show_status()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask to be ended in good order; the window goes when that is done."""
        if self._may_close:
            event.accept()
            return
        event.ignore()
        self.closing.emit()

    async def finish(self) -> None:
        """Remember sizes, make the open note durable, and close everything.

        Raises StoreError where that is not possible; then the window stays as it is.
        """
        oid = self.open_note.oid
        await self.open_note.close()
        self.keep_memory(oid)
        self.shut()

    def keep_memory(self, oid: str) -> None:
        """Remember sizes, positions and which note was open."""
        self._memory.keep(
            geometry=self.saveGeometry(),
            splitter=self.splitter.saveState(),
            panel=self.panel.saveGeometry(),
            zoom=self.pane.editor.zoom,
            note=oid if oid in self.service.notes.rows else "",
        )

    def shut(self) -> None:
        """Close for good, without a look at what is unsaved."""
        if self._may_close:
            return
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for gathered in (self._rows, self._status, self.where):
            gathered.stop()
        self._may_close = True
        self.panel.close()
        if self.pair_dialog is not None:
            self.pair_dialog.reject()
        self.close()


def _shortened(title: str) -> str:
    return title if len(title) <= 40 else title[:39].rstrip() + "…"
