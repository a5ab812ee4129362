"""Noticing that the computer slept: its clocks jump."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from liblim.net.timing import Timing

JUMP = 10.0
"""Seconds by which the wall clock has to be ahead of what was waited for."""


class WakeWatch:
    """Calls ``on_wake`` soon after the computer woke from sleep; ``clock`` gives Unix seconds.

    While a computer sleeps, Linux and macOS stop the monotonic clock, and Windows does not; the wall clock
    goes on everywhere.  Somebody who sets it forward causes a false alarm, which does no harm.
    """

    def __init__(
        self, clock: Callable[[], float], timing: Timing, on_wake: Callable[[], None]
    ) -> None:
        """Do nothing until ``begin``."""
        self._clock = clock
        self._interval = timing.look
        self._on_wake = on_wake
        self._timer: asyncio.TimerHandle | None = None
        self._looked = 0.0

    def begin(self) -> None:
        """Look at the clock now and then, from now on."""
        self._looked = self._clock()
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        slept = self._clock() - self._looked - self._interval
        self.begin()
        if slept >= JUMP:
            self._on_wake()
