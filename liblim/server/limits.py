"""What a server allows, so that no device and no library takes from the others what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from liblim.admission import Outcome
from liblim.change import Change, Range
from liblim.net.link import Database
from liblim.server.metrics import Counts

MAX_REST = 5.0
"""Seconds for which a connection that brings too much is not read: it must not seem to be dead."""


class Limits(NamedTuple):
    """All can be chosen."""

    octets: int = 4 * 2**30
    """Bytes that a library may take."""
    replicas: int = 200_000
    """Replicas of a library: a device begins one each time its program starts."""
    devices: int = 1000
    """Devices of a library, also those that were removed."""
    connections: int = 500
    """Connections of one library at a time."""
    all_connections: int = 4000
    """Connections in all."""
    changes: float = 2000.0
    """Changes a second of one device, on the average; more are not refused, but read later."""
    burst: int = 10_000
    """Changes beyond that which may come at once."""
    libraries: int = 5000
    all_devices: int = 5000
    """Members in all, beyond which no new library comes: each makes all handshakes a little slower."""


class Paced:
    """A library, for the connections of one device: what comes too fast is taken later.

    Nothing is read meanwhile, so that the other end has to wait, and no memory is taken.
    """

    def __init__(self, served: Database, limits: Limits, counts: Counts) -> None:
        """Begin with a burst to spare."""
        self._served, self._counts = served, counts
        self._rate, self._burst = limits.changes, limits.burst
        self._loop = asyncio.get_running_loop()
        self._paid_until = float("-inf")

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes; see ``Database.receive``."""
        now = self._loop.time()
        self._paid_until = max(self._paid_until, now - self._burst / self._rate)
        self._paid_until += len(changes) / self._rate
        if self._paid_until > now:
            await asyncio.sleep(min(self._paid_until - now, MAX_REST))
            now = self._loop.time()
        outcome = await self._served.receive(changes)
        self._counts.commits += 1
        self._counts.commit_seconds += self._loop.time() - now
        return outcome

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log."""
        return await self._served.read(ranges, changes, octets)
