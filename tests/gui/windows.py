"""What the tests of the main window share: rows, and a window on a real service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app.notes import NoteRow
from app.service import Service
from ui.mainwindow import MainWindow

PATIENCE = 10.0
"""Seconds until something that should happen counts as not happening."""


def row(oid: str, changed: int = 0, title: str = "", *, trashed: bool = False) -> NoteRow:
    """A row, with a title of its own unless told otherwise."""
    return NoteRow(
        oid=oid,
        title=title or f"Note {oid}",
        snippet="and more",
        changed=changed,
        trashed=trashed,
        kept=False,
        newer=False,
    )


async def until(true: Callable[[], object]) -> None:
    """Wait for something to happen."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is looked at has no event of its own
            await asyncio.sleep(0.002)


@asynccontextmanager
async def a_window(folder: Path) -> AsyncIterator[MainWindow]:
    """A shown window on a service that leaves the network alone; nothing of it stays behind."""
    service = Service(folder, offline=True)
    await service.start()
    await service.look(to_write=True)
    window = MainWindow(service)
    window.show()
    window.begin()
    try:
        await until(window.isActiveWindow)  # only then it takes keys
        yield window
        await window.finish()
    finally:
        window.shut()
        await window.tasks.settle()
        await service.stop()
        window.deleteLater()
        QCoreApplication.sendPostedEvents(window, QEvent.Type.DeferredDelete)
    left = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    assert not left


async def write(window: MainWindow, *texts: str) -> list[str]:
    """Write notes, the newest last, so that there is nothing to undo in them; returns their oids."""
    notes, oids = window.service.notes, []
    for text in texts:
        note = await notes.create()
        note.body.insert(0, text)
        note.body.load_history(b"")
        await notes.close(note)
        oids.append(note.oid)
        written = time.time()
        await until(lambda: time.time() > written + 0.001)  # noqa: B023 - lists tell them apart by the millisecond
    await until(lambda: all(window.list.model.index_of(oid).isValid() for oid in oids))
    return oids


async def opened(window: MainWindow, oid: str) -> None:
    """Open a note as a person does, and wait until it is there."""
    window.list.view.choose(oid)
    await until(lambda: window.open_note.oid == oid)


def keys(target: QWidget, sequence: str) -> None:
    """Press keys."""
    QTest.keySequence(target, sequence)


def titles(window: MainWindow) -> list[str]:
    """The titles in the list, from top to bottom."""
    model = window.list.model
    return [
        model.data(model.index(at), Qt.ItemDataRole.DisplayRole) for at in range(model.rowCount())
    ]
