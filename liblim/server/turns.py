"""``Turns``: work on one log, on threads that all libraries share, one piece at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class _Turn(NamedTuple):
    work: Callable[[], Any]
    settle: Callable[[Any], None]
    future: asyncio.Future[Any]


class Turns:
    """Carries out what it is given in that order, whether or not anybody still waits for it.

    So a caller that is cancelled does not part what was done to the log from what is known of it.
    """

    def __init__(self, executor: Executor) -> None:
        """Have nothing to do; belongs to the loop that runs."""
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._turns: deque[_Turn] = deque()
        """The first is under way."""

    def take(
        self, work: Callable[[], R], settle: Callable[[R], None] = lambda result: None
    ) -> asyncio.Future[R]:
        """Have ``work`` done on a thread, and then ``settle`` called with its result on the loop.

        The future has the result, or what was raised.
        """
        turn = _Turn(work, settle, self._loop.create_future())
        self._turns.append(turn)
        if len(self._turns) == 1:
            self._begin()
        return turn.future

    def _begin(self) -> None:
        try:
            self._executor.submit(self._work, self._turns[0].work)
        except RuntimeError as error:  # all is over
            self._loop.call_soon(self._end, None, error)

    def _work(self, work: Callable[[], Any]) -> None:
        """Do it, on a thread.  The loop is told by ourselves, as ``run_in_executor`` costs twice as much."""
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        self._loop.call_soon_threadsafe(self._end, result, error)

    def _end(self, result: Any, error: BaseException | None) -> None:
        turn = self._turns.popleft()
        if self._turns:
            self._begin()
        if error is None:
            try:
                turn.settle(result)
            except Exception as raised:
                error = raised
        if turn.future.done():  # cancelled: nobody is left to be told
            return
        if error is None:
            turn.future.set_result(result)
        else:
            turn.future.set_exception(error)
