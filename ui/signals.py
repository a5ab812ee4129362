"""Signals that ask the program to end: Ctrl+C in a terminal, and the system's own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_LOOK_EVERY = 300


def on_end(loop: asyncio.AbstractEventLoop, end: Callable[[], None], parent: QObject) -> None:
    """Call ``end`` on the loop when a signal asks for it; ``parent`` lives as long as that holds."""
    if sys.platform == "win32":
        _on_windows(end, parent)
        return
    for number in _NUMBERS:
        loop.add_signal_handler(number, end)


def ignore() -> None:
    """Take note that the program is ending: whoever asks again need not be heard."""
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def _on_windows(end: Callable[[], None], parent: QObject) -> None:
    """Python runs a handler between two of its own steps only, so see to it that there are some."""
    for number in _NUMBERS:
        signal.signal(number, lambda *_: end())
    clock = QTimer(parent, interval=_LOOK_EVERY)
    clock.timeout.connect(lambda: None)
    clock.start()
