"""What a node does for its library beside syncing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random

from liblim.aio import AsyncDatabase
from liblim.errors import LimError
from liblim.membership import Membership
from liblim.net.address import Address
from liblim.net.interfaces import own_addresses
from liblim.net.timing import Timing


class Upkeep:
    """Gives keys to members who lack some, and tells all where this device can be reached.

    Both are done soon after ``ask``, and now and then.  ``trouble`` is told what fails, as a sentence.
    """

    def __init__(
        self,
        database: AsyncDatabase,
        membership: Membership,
        timing: Timing,
        random: Random,
        trouble: Callable[[str], None],
    ) -> None:
        """Do nothing until ``begin``."""
        self._database = database
        self._membership = membership
        self._timing = timing
        self._random = random
        self._trouble = trouble
        self._said = ""
        self._listening: Address | None = None
        self._due = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def begin(self, listening: Address | None) -> None:
        """Begin; this device listens there, or nowhere."""
        self._listening = listening
        self._due.set()
        self._running = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Let go."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    def ask(self) -> None:
        """See to it soon: who is a member may have changed, or the network."""
        self._due.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.upkeep):
                    await self._due.wait()
            self._due.clear()
            # Others saw the same: if all did it at once, all would do it.
            await asyncio.sleep(self._random.uniform(0.0, self._timing.tend))
            await self._attempt(self._membership.tend)
            await self._attempt(self._announce)

    async def _attempt(self, chore: Callable[[], Awaitable[None]]) -> None:
        try:
            await chore()
        except LimError as error:
            if str(error) != self._said:
                self._said = str(error)
                self._trouble(self._said)

    async def _announce(self) -> None:
        members = self._database.ledger.members
        if self._database.device in members and len(members) > 1:
            await self._membership.announce(self._addresses())

    def _addresses(self) -> list[str]:
        if self._listening is None:
            return []
        found = own_addresses(self._listening.port, self._listening.host)
        # A zone is a name that only this computer knows.
        return [str(own.address) for own in found if "%" not in own.address.host]
