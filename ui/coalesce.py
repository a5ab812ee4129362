"""Many small changes, looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from PySide6.QtCore import QObject, QTimer

_REST = 8
"""How many times as long as a look took, the next one waits: the rest of the time is for typing."""


class Coalesced(QObject):
    """Gathers what changed, and passes it on after a short while; ``take`` gets it all at once."""

    def __init__(
        self, take: Callable[[set[str]], None], milliseconds: int, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._take = take
        self._changed: set[str] = set()
        self._least = milliseconds
        self._clock = QTimer(self, singleShot=True, interval=milliseconds)
        self._clock.timeout.connect(self.flush)

    def add(self, changed: Iterable[str] = ()) -> None:
        """Something changed."""
        self._changed.update(changed)
        if not self._clock.isActive():
            self._clock.start()

    def flush(self) -> None:
        """Pass on at once what was gathered."""
        self._clock.stop()
        changed, self._changed = self._changed, set()
        began = perf_counter()
        self._take(changed)
        taken = (perf_counter() - began) * 1000
        self._clock.setInterval(max(self._least, int(taken * _REST)))
