"""The device of the bench with a window: what a person who types meets while notes arrive.

Keys come from a thread of their own, at their time, whatever the loop is busy with; so a stall counts for all
keys that it holds up.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from time import perf_counter

import qasync
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPaintEvent

from app.service import Service
from tests.bench.sync_device import Device, serve
from ui import application
from ui.editor import NoteEditor
from ui.garbage import GarbageCollector
from ui.mainwindow import MainWindow

EVERY = 0.04
"""Seconds between two keys: some 25 a second, more than anybody types for long."""
BEAT = 0.005
"""Seconds between two looks at whether the loop is free."""
KEYS = "abcdefghij klmnop qrstuv wxyz"


class Typist(QObject):
    """Types into the editor until told to stop, and measures; make it before the editor."""

    pressed = Signal(str, float)
    beaten = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.painted: list[float] = []
        self.stalls: list[float] = []
        self._waiting: list[float] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._type, self._beat)]
        self.pressed.connect(self._press)
        self.beaten.connect(lambda sent: self.stalls.append(perf_counter() - sent))
        paint = NoteEditor.paintEvent

        def painting(editor: NoteEditor, event: QPaintEvent) -> None:
            shown, self._waiting = self._waiting, []  # the text of these keys is there by now
            paint(editor, event)
            now = perf_counter()
            self.painted += [now - sent for sent in shown]

        setattr(NoteEditor, "paintEvent", painting)  # noqa: B010 - a method for a method

    def start(self, editor: NoteEditor) -> None:
        """Begin to type."""
        self._editor = editor
        for thread in self._threads:
            thread.start()

    def _type(self) -> None:
        number, due = 0, perf_counter()
        while not self._stopped.wait(max(0.0, due - perf_counter())):
            self.pressed.emit(KEYS[number % len(KEYS)], perf_counter())
            number += 1
            due += EVERY

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT):
            self.beaten.emit(perf_counter())

    def _press(self, key: str, sent: float) -> None:
        self._waiting.append(sent)
        code = Qt.Key(ord(key.upper()))
        press = QKeyEvent(QEvent.Type.KeyPress, code, Qt.KeyboardModifier.NoModifier, key)
        QCoreApplication.sendEvent(self._editor, press)

    def stop(self) -> dict[str, float]:
        """End typing; returns the figures in milliseconds."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        found = sorted(self.painted)
        return {
            "keys": len(found),
            "p50": found[len(found) // 2] * 1e3,
            "p99": found[int(len(found) * 0.99)] * 1e3,
            "longest": found[-1] * 1e3,
            "stall": max(self.stalls) * 1e3,
        }


class WindowDevice(Device):
    """A device with a window, in which somebody types."""

    window: MainWindow
    typist: Typist

    async def open(self, folder: str, listen: str) -> float:
        """Open a data folder and a window; returns how long that took until it was painted, in seconds."""
        self.typist = Typist()
        began = perf_counter()
        self.service = Service(Path(folder), listen=listen, discovery=False)
        await self.service.start()
        self.window = MainWindow(self.service)
        self.window.show()
        self.window.begin()
        QCoreApplication.processEvents()
        return perf_counter() - began

    async def start_typing(self) -> None:
        """Begin a note, and type in it from now on."""
        self.window.activateWindow()
        self.window.new_note()
        await self._until(lambda: self.window.pane.editor.binding is not None)
        self.typist.start(self.window.pane.editor)

    async def stop_typing(self) -> dict[str, float]:
        """End typing; returns how it went."""
        return self.typist.stop()

    async def close(self) -> None:
        """Close the window and the data folder."""
        await self.window.finish()
        await self.service.stop()


def serve_window() -> None:
    """Serve with Qt's loop."""
    app = application.make_application()
    collector = GarbageCollector(app)
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(serve(WindowDevice()))
    collector.stop()


def start_until_usable(folder: str) -> None:
    """Start the real app; print how long it took from the process's start to a window with its list.

    Usable: painted, with the list and the open note there, so that a key would be taken.
    """
    from app import cli

    begun = _process_start()
    show = MainWindow.begin

    def begin(window: MainWindow) -> None:
        show(window)
        window.tasks.start(_tell(window, begun))

    setattr(MainWindow, "begin", begin)  # noqa: B010 - a method for a method
    application.run(cli.Options(data_dir=Path(folder), listen="off", discovery=False))


async def _tell(window: MainWindow, begun: float) -> None:
    while window.pane.editor.binding is None or not window.list.model.rowCount():  # noqa: ASYNC110
        await asyncio.sleep(0)
    window.repaint()
    print(time.time() - begun, window.list.model.rowCount(), flush=True)
    window.closing.emit()


def _process_start() -> float:
    """When this process began, in Unix seconds, to a hundredth of a second."""
    import os

    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    start_until_usable(sys.argv[1])
