"""What a server runs on: an event loop in virtual time, and threads that work in an order of chance."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

T = TypeVar("T")

THREADS = 8
"""How many pieces of work may overtake each other, as on the server's real threads."""

if TYPE_CHECKING:
    _Base = asyncio.SelectorEventLoop  # what typeshed knows of the insides of loops
else:
    _Base = asyncio.BaseEventLoop


class _Job(NamedTuple):
    work: Callable[[], Any]
    future: Future[Any]


class Threads(Executor):
    """An executor that does nothing by itself: ``work`` does one piece of what waits."""

    def __init__(self) -> None:
        self.jobs: list[_Job] = []
        self._over = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let a piece of work wait for its turn."""
        if self._over:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        self.jobs.append(_Job(lambda: fn(*args, **kwargs), future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more."""
        self._over = True

    def work(self, choose: Callable[[int], int]) -> None:
        """Do one of the pieces that threads would be at; ``choose(n)`` gives a number below n."""
        job = self.jobs.pop(choose(min(THREADS, len(self.jobs))))
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            result = job.work()
        except Exception as error:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)


class _NoSockets:
    """In the place of a selector: nothing comes from outside, and nobody waits."""

    def select(self, timeout: float | None) -> list[Any]:
        """Find nothing."""
        return []


class Loop(_Base):
    """asyncio's own loop, on a clock that others move; ``turn`` is one round of it."""

    def __init__(self, clock: Callable[[], float], threads: Threads) -> None:
        asyncio.BaseEventLoop.__init__(self)
        self.mistakes: list[str] = []
        """What nobody caught."""
        self._clock = clock
        self._threads = threads
        self._selector = _NoSockets()
        # No time passes by itself: a timer that rang too early by so little would ring for ever.
        self._clock_resolution = 0.0
        self.set_exception_handler(lambda loop, context: self.mistakes.append(str(context)))

    def time(self) -> float:
        """The time of the world."""
        return self._clock()

    def turn(self) -> None:
        """Do what is due by now, but not what that brings about."""
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(None)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do before time passes."""
        waiting: list[Any] = self._scheduled  # type: ignore[attr-defined]
        due = any(not timer.cancelled() and timer.when() < self.time() for timer in waiting)
        return due or bool(self._ready)  # type: ignore[attr-defined]

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Have something done on the threads of this world, whichever were meant."""
        return asyncio.wrap_future(self._threads.submit(func, *args), loop=self)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""

    def close(self) -> None:
        """End."""
        asyncio.BaseEventLoop.close(self)
