"""What asyncio is to the real shell: timers in virtual time, and coroutines that get on step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from liblim.aio import AsyncDatabase
from liblim.document import Document
from liblim.holdings import Holdings

if TYPE_CHECKING:
    from tests.simulation.device import Device


class Turn:
    """A bare ``await``: others have their turn."""

    def __await__(self) -> Any:
        """Give way once."""
        yield


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what only ever lets others have their turn."""
    with contextlib.suppress(StopIteration):
        while True:
            work.send(None)


class Order:
    """A lock that takes turns."""

    def __init__(self) -> None:
        self.taken = False

    async def __aenter__(self) -> None:
        while self.taken:
            await Turn()
        self.taken = True

    async def __aexit__(self, *error: object) -> None:
        self.taken = False


class AtOnce:
    """A device's database as the shell's parts want it; what the store does takes a turn, and no time."""

    def __init__(self, device: Device) -> None:
        self.finish = device.finish
        self.core = device.database
        self.holdings = Holdings()
        self._order = Order()
        self.core.subscribe(self.holdings.grow)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    load_receipts = AsyncDatabase.load_receipts
    save_receipts = AsyncDatabase.save_receipts
    forget_receipt = AsyncDatabase.forget_receipt
    lacking = AsyncDatabase.lacking

    async def _on_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        await Turn()
        result = work(*arguments)
        await Turn()
        return result

    async def load_trust(self) -> None:
        """It is loaded."""

    async def commit(self) -> None:
        """Commit."""
        self.finish()

    async def ensure(self, document_type: type[Document], oid: str) -> Document:
        """A document."""
        return self.core.ensure(document_type, oid)

    async def release(self, document: Document) -> None:
        """Let it go."""
        self.finish()
        self.core.release(document)


class Timer:
    """Something to do at a time of a device's monotonic clock."""

    def __init__(self, loop: Loop, due: float, callback: Callable[[], None]) -> None:
        self.loop = loop
        self.due = due
        self.callback = callback

    def cancel(self) -> None:
        """Leave it."""
        if self in self.loop.timers:
            self.loop.timers.remove(self)


class Loop:
    """The timers and coroutines of one run of a device's program."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.timers: list[Timer] = []
        self.chores: list[Coroutine[Any, Any, None]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Do something then."""
        self.timers.append(Timer(self, self.clock() + seconds, callback))
        return self.timers[-1]

    def run_timers(self) -> None:
        """Do what is due."""
        for timer in [timer for timer in self.timers if timer.due <= self.clock()]:
            if timer in self.timers:
                self.timers.remove(timer)
                timer.callback()

    def go_on(self) -> bool:
        """Do what is due, and let one coroutine get on; says whether there was any."""
        self.run_timers()
        if not self.chores:
            return False
        chore = self.chores.pop(0)
        try:
            chore.send(None)
        except StopIteration:
            return True
        self.chores.append(chore)
        return True

    def stop(self) -> None:
        """End at once."""
        self.timers.clear()
        for chore in self.chores:
            chore.close()
        self.chores.clear()
