"""Python's garbage collector, kept on Qt's thread.

It runs on whatever thread happens to allocate.  On the store's thread it would destroy Qt objects that are
in reference cycles from there, with their timers alive, and that ends the process.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL = 1000
"""Milliseconds between two looks at whether there is enough to collect."""


class GarbageCollector(QObject):
    """Collects when Python would have, but only on the thread that made it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(INTERVAL)

    def look(self) -> None:
        """Collect the oldest generation that is due."""
        filled = zip(gc.get_count(), gc.get_threshold(), strict=True)
        due = [number for number, (made, most) in enumerate(filled) if made > most]
        if due:
            gc.collect(due[-1])

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()
