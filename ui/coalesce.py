"""Many small changes, looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from time import perf_counter

from PySide6.QtCore import QObject, QTimer

_REST = 8
"""How many times as long as a look took, the next one waits: the rest of the time is for typing."""


class Coalesced(QObject):
    """Gathers what changed, and passes it on after a short while, at most ``at_most`` at once."""

    def __init__(
        self,
        take: Callable[[set[str]], None],
        milliseconds: int,
        parent: QObject | None = None,
        *,
        at_most: int = 500,
    ) -> None:
        super().__init__(parent)
        self._take, self._at_most = take, at_most
        self._changed: set[str] = set()
        self._least = milliseconds
        self._clock = QTimer(self, singleShot=True, interval=milliseconds)
        self._clock.timeout.connect(self._look)

    def add(self, changed: Iterable[str] = ()) -> None:
        """Something changed."""
        self._changed.update(changed)
        if not self._clock.isActive():
            self._clock.start()

    def stop(self) -> None:
        """Pass on nothing more of what was gathered."""
        self._clock.stop()

    def flush(self) -> None:
        """Pass on at once all that was gathered."""
        self._clock.stop()
        changed, self._changed = self._changed, set()
        self._take(changed)

    def _look(self) -> None:
        changed = set(islice(self._changed, self._at_most))
        self._changed -= changed
        began = perf_counter()
        self._take(changed)
        taken = (perf_counter() - began) * 1000
        self._clock.setInterval(max(self._least, int(taken * _REST)))
        if self._changed:
            self._clock.start()
