"""Which note is open: opening and closing, one after the other, and the last wish wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.notes import Note, Notes
from ui.editor import ViewState
from ui.notepane import NotePane
from ui.tasks import Tasks

_NEW = "new"
"""The wish for a note that is not there yet; no oid is written like this."""


class OpenNote(QObject):
    """Keeps a note pane showing the note that is wanted.

    ``opened`` tells the oid of the note that is shown now, empty where none is.
    """

    opened = Signal(str)

    def __init__(self, notes: Notes, pane: NotePane, tasks: Tasks) -> None:
        super().__init__(pane)
        self._notes, self._pane, self._tasks = notes, pane, tasks
        self._note: Note | None = None
        self._wish: str | None = None
        self._work: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self._views: dict[str, ViewState] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._paused = False

    @property
    def oid(self) -> str:
        """The open note; empty where none is."""
        return self._note.oid if self._note else ""

    def show(self, oid: str) -> None:
        """Open a note in place of the one that is open; an empty ``oid`` opens none."""
        if oid != (self.oid if self._wish is None else self._wish):
            self._want(oid)

    def create(self) -> None:
        """Open a new note; it is kept once something is written in it."""
        self._want(_NEW)
        if not self._paused:
            self._pane.focus_editor()

    async def pause(self) -> None:
        """Close the open note, and open none until ``resume``: the notes become others.

        Raises StoreError; then the note stays open.
        """
        self._paused = True
        await self.close()
        self._views.clear()

    def resume(self) -> None:
        """Notes can be opened again."""
        self._paused = False

    async def close(self) -> None:
        """Close the open note, with everything in it made durable.

        Raises StoreError; then the note stays open.
        """
        if self._work is not None:
            await asyncio.wait([self._work])
        if self._closing:
            await asyncio.wait(set(self._closing))
        if self._note is not None:
            await self._notes.close(self._note)
            self._unwatch()
            self._note = None
            self._pane.show_nothing()

    def _want(self, wish: str) -> None:
        if self._paused:
            return
        self._wish = wish
        self._put_away()
        self._pane.expect()
        if self._work is None:
            self._work = self._tasks.start(self._fulfil())

    def _put_away(self) -> None:
        """Let go of the open note; what is unsaved in it is saved behind."""
        note, self._note = self._note, None
        if note is None:
            return
        view = self._pane.editor.view_state()
        if view is not None:
            self._views[note.oid] = view
        self._unwatch()
        self._close_behind(note)

    def _close_behind(self, note: Note) -> None:
        task = self._tasks.start(self._notes.close(note))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _fulfil(self) -> None:
        try:
            while self._wish is not None:
                await self._go(self._wish)
        finally:
            self._work = None
            self.opened.emit(self.oid)

    async def _go(self, wish: str) -> None:
        """Open what is wished for, unless something else is by the time that it is there."""
        note: Note | None = None
        try:
            if wish == _NEW:
                note = await self._notes.create()
            elif wish:
                note = await self._notes.open(wish)
        except BaseException:
            self._wish = None
            self._pane.show_nothing()
            raise
        if wish == self._wish:
            self._wish = None
            self._enter(note)
        elif note is not None:
            self._close_behind(note)

    def _enter(self, note: Note | None) -> None:
        self._note = note
        if note is None:
            self._pane.show_nothing()
            return
        self._unwatch = self._notes.watch(note, self._pane.editor.apply_remote)
        self._pane.show_note(note, self._notes.rows.get(note.oid))
        if note.oid in self._views:
            self._pane.editor.restore_view_state(self._views[note.oid])
