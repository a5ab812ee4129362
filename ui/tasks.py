"""Coroutines started from slots: kept, and never failing unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from liblim.errors import LimError


class Tasks:
    """Runs coroutines on the loop and tells people what went wrong in them.

    ``report`` is given the sentence of a LimError; any other exception is a bug, and goes to the
    loop's exception handler as well.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` until it ends or everything is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, LimError):
            self._report(str(error))
            return
        self._report("Something went wrong in Lim Notes. What you wrote is kept.")
        task.get_loop().call_exception_handler(
            {"message": "a task of the window failed", "exception": error, "task": task}
        )

    async def settle(self) -> None:
        """Wait until nothing runs any more."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def cancel(self) -> None:
        """End what still runs."""
        for task in self._running:
            task.cancel()
        await self.settle()
