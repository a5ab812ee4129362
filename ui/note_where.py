"""The line beside the open note that says on which other devices it is, kept true by itself."""

from __future__ import annotations

import time
from contextlib import suppress

from PySide6.QtCore import QObject, QTimer

from app.service import Service
from app.whereabouts import Whereabouts
from liblim.errors import LimError
from ui.notepane import NotePane
from ui.opennote import OpenNote
from ui.tasks import Tasks

NOWHERE_AFTER = 2000
"""Milliseconds until "on no other device yet" is said: mostly what was typed is there before."""
_REST = 200
"""Milliseconds between two looks, however much happens."""


class NoteWhere(QObject):
    """Looks where the open note is whenever that may have changed, and has the pane show it.

    While something in it is not saved nothing is said: what was confirmed is not all of it.
    """

    def __init__(self, service: Service, open_note: OpenNote, pane: NotePane, tasks: Tasks) -> None:
        super().__init__(pane)
        self._service, self._open_note, self._pane, self._tasks = service, open_note, pane, tasks
        self._shown_for = ""
        self._state = 0
        """Counts up whenever what is being asked for counts no more."""
        self._found = Whereabouts()
        self._again = self._busy = False
        self._late = QTimer(self, singleShot=True, interval=NOWHERE_AFTER)
        self._late.timeout.connect(self._show)
        self._rest = QTimer(self, singleShot=True, interval=_REST)
        self._rest.timeout.connect(self._rested)
        open_note.opened.connect(lambda _: self.look())
        pane.saved_changed.connect(self.look)

    def look(self) -> None:
        """Something may have changed."""
        oid = self._open_note.oid
        if oid != self._shown_for or not self._pane.is_saved:
            self._forget(oid)
        if self._busy or self._rest.isActive():
            self._again = True
        elif oid and self._pane.is_saved:
            self._busy, self._again = True, False
            self._tasks.start(self._ask(oid))

    def stop(self) -> None:
        """Look no more."""
        self._late.stop()
        self._rest.stop()

    def _forget(self, oid: str) -> None:
        self._shown_for, self._found = oid, Whereabouts()
        self._state += 1
        self._late.stop()
        self._pane.show_where("", "")

    async def _ask(self, oid: str) -> None:
        try:
            with suppress(LimError):  # the sync line says what is wrong
                state, found = self._state, await self._service.whereabouts(oid)
                if state == self._state and oid == self._open_note.oid:
                    self._take(found)
        finally:
            self._busy = False
            self._rest.start()

    def _take(self, found: Whereabouts) -> None:
        self._found = found
        if found.on or not found.not_yet:
            self._late.stop()
            self._show()
        elif not self._late.isActive():
            # What was said before is not true any more; the new is said when it lasts.
            self._pane.show_where("", "")
            self._late.start()

    def _show(self) -> None:
        self._pane.show_where(self._found.line, self._found.more(time.time()))

    def _rested(self) -> None:
        if self._again:
            self.look()
