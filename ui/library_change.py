"""The window goes along when all notes are replaced by those of another library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker

from ui.shelves import ALL

if TYPE_CHECKING:
    from ui.mainwindow import MainWindow


class LibraryChange:
    """Closes the open note before the change, and shows what there is after it."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._oid = ""
        service = window.service
        self._hooks = service.before_library_change, service.after_library_change
        service.before_library_change, service.after_library_change = self._before, self._after

    def end(self) -> None:
        """Leave the service as it was: the window closes."""
        service = self._window.service
        service.before_library_change, service.after_library_change = self._hooks

    async def _before(self) -> None:
        """Make everything durable, and open nothing.

        Raises StoreError where that is not possible.
        """
        window = self._window
        self._oid = window.open_note.oid
        window.splitter.setEnabled(False)
        window.notice.dismiss()
        await window.open_note.pause()

    async def _after(self) -> None:
        """Show the note that was open if it is still there, else the newest."""
        window = self._window
        window.open_note.resume()
        window.splitter.setEnabled(True)
        with QSignalBlocker(window.sidebar):
            window.sidebar.choose(ALL)
        window.list.show_shelf(ALL)
        window.sidebar.count(window.service.notes.rows)
        shown = window.list.model.index_of(self._oid).isValid()
        window.show_note(self._oid if shown else window.list.model.oid_at(0))
