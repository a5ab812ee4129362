"""``Paced``: what one device brings to a library, no faster than it may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from liblim.admission import Outcome
from liblim.change import Change, Range
from liblim.errors import StoreError, StoreFull
from liblim.server.limits import Limits
from liblim.server.metrics import Counts
from liblim.server.served import ServedLibrary
from liblim.server.trouble import in_words, refused

MAX_REST = 5.0
"""Seconds for which a connection that brings too much is not read: it must not seem to be dead."""

_log = logging.getLogger(__name__)


class Paced:
    """A library, for the connections of one device: what comes too fast is taken later.

    Nothing is read meanwhile, so that the other end has to wait, and no memory is taken.
    """

    def __init__(self, served: ServedLibrary, limits: Limits, counts: Counts) -> None:
        """Begin with a burst to spare."""
        self._served, self._counts = served, counts
        self._rate, self._burst = limits.changes, limits.burst
        self._loop = asyncio.get_running_loop()
        self._paid_until = float("-inf")

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes; see ``ServedLibrary.receive``.  Raises ProtocolError also for a StoreError."""
        now = self._loop.time()
        self._paid_until = max(self._paid_until, now - self._burst / self._rate)
        self._paid_until += len(changes) / self._rate
        if self._paid_until > now:
            await asyncio.sleep(min(self._paid_until - now, MAX_REST))
            now = self._loop.time()
        with self._trouble_told():
            outcome = await self._served.receive(changes)
        if outcome.entered:  # else nothing was written
            self._counts.full = ""
        self._counts.commits += 1
        self._counts.commit_seconds += self._loop.time() - now
        return outcome

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log.  Raises ProtocolError for a StoreError."""
        with self._trouble_told():
            return await self._served.read(ranges, changes, octets)

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        """Log what is wrong with the storage, and tell the device what concerns it."""
        try:
            yield
        except StoreError as error:
            _log.error("library %s: %s", self._served.library, in_words(error))
            self._counts.failures += 1
            if isinstance(error, StoreFull):
                self._counts.full = in_words(error)
            raise refused(error) from error
