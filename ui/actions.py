"""The menus, and every key that does something in the whole window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

from app.notes import NoteRow
from ui.other_library import OtherLibraries

if TYPE_CHECKING:
    from ui.mainwindow import MainWindow

_Key = QKeySequence.StandardKey


class Actions(QObject):
    """The actions of a window, each once: menus, keys and buttons share them."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._file()
        self._edit()
        self._view()
        self._sync()
        self._help()
        view = window.list.view
        view.addActions([self.new, self.trash, self.restore])
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def _menu(self, title: str) -> QMenu:
        menu = QMenu(title, self._window)
        self._window.menuBar().addMenu(menu)
        return menu

    def _add(
        self,
        menu: QMenu,
        words: str,
        slot: Callable[[], object],
        *keys: QKeySequence | _Key | str,
    ) -> QAction:
        action = menu.addAction(words)
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.triggered.connect(lambda _: slot())  # which need not know of check marks
        return action

    def _file(self) -> None:
        window, menu = self._window, self._menu(self.tr("&File"))
        self.new = self._add(menu, self.tr("&New note"), window.new_note, _Key.New)
        self.other_libraries = OtherLibraries(window.service, window.notice, menu)
        menu.addSeparator()
        quit_ = self._add(menu, self.tr("&Quit"), window.close, "Ctrl+Q")
        quit_.setMenuRole(QAction.MenuRole.QuitRole)

    def _edit(self) -> None:
        window, menu = self._window, self._menu(self.tr("&Edit"))
        self.undo = self._add(menu, self.tr("&Undo"), window.undo, _Key.Undo)
        self.redo = self._add(menu, self.tr("&Redo"), window.redo, _Key.Redo)
        menu.addSeparator()
        editor = window.pane.editor
        self._add(menu, self.tr("Cu&t"), editor.cut, _Key.Cut)
        self._add(menu, self.tr("&Copy"), editor.copy, _Key.Copy)
        self._add(menu, self.tr("&Paste"), editor.paste, _Key.Paste)
        self._add(menu, self.tr("Select &all"), editor.selectAll, _Key.SelectAll)
        menu.addSeparator()
        self.trash = self._add(menu, self.tr("&Move to trash"), window.trash_open, "Ctrl+Shift+D")
        self.restore = self._add(
            menu, self.tr("R&estore from trash"), window.restore_open, "Ctrl+Shift+E"
        )
        editor.redo_available.connect(self.redo.setEnabled)
        for changed in (editor.undo_available, window.notice.offer_changed):
            changed.connect(self._enable_undo)
        self.redo.setEnabled(False)
        self._enable_undo()

    def _enable_undo(self) -> None:
        window = self._window
        self.undo.setEnabled(window.pane.editor.can_undo or window.notice.offers)

    def enable_for(self, row: NoteRow | None) -> None:
        """Offer what can be done with the open note; ``None`` is a note not yet written in, or none."""
        self.trash.setEnabled(row is not None and not row.trashed)
        self.restore.setEnabled(row is not None and (row.trashed or row.kept))

    def _view(self) -> None:
        window, menu = self._window, self._menu(self.tr("&View"))
        panes = (self.tr("&Shelves"), self.tr("&List of notes"), self.tr("&Text of the note"))
        for at, words in enumerate(panes):
            self._add(menu, words, partial(window.focus_pane, at), f"Ctrl+{at + 1}")
        self._add(menu, self.tr("&Next pane"), partial(window.next_pane, 1), "F6")
        self._add(menu, self.tr("P&revious pane"), partial(window.next_pane, -1), "Shift+F6")
        menu.addSeparator()
        editor = window.pane.editor
        self._add(menu, self.tr("Lar&ger text"), editor.zoom_in, _Key.ZoomIn)
        self._add(menu, self.tr("S&maller text"), editor.zoom_out, _Key.ZoomOut)
        self._add(menu, self.tr("Text as &usual"), editor.zoom_reset, "Ctrl+0")

    def _sync(self) -> None:
        window, menu = self._window, self._menu(self.tr("&Sync"))
        self._add(menu, self.tr("Sync &now"), window.service.sync_now, "F5")
        self._add(menu, self.tr("&Pair with a device…"), window.pair, "Ctrl+P")
        menu.addSeparator()
        self._add(menu, self.tr("Sync &status"), window.toggle_panel, "F9")

    def _help(self) -> None:
        window, menu = self._window, self._menu(self.tr("&Help"))
        self._add(menu, self.tr("&Keys"), window.show_keys, "F1")
        about = self._add(menu, self.tr("&About Lim Notes"), window.show_about)
        about.setMenuRole(QAction.MenuRole.AboutRole)
