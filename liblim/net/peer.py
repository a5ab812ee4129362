"""One paired device: what is remembered of it, what goes on with it, and trying to reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from msgspec.structs import replace

from liblim.net.facts import PeerStatus
from liblim.net.link import Link
from liblim.net.timing import BackOff, Timing
from liblim.peers import PeerRecord
from liblim.sync import Closed
from liblim.sync.messages import on_one_line
from liblim.sync.refusals import REFUSALS


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no connection, and since when."""

    text: str
    since: float
    refused: bool = False


class Peer:
    """A paired device.  ``link`` is the connection to it, once both sides accepted each other."""

    def __init__(self, record: PeerRecord, timing: Timing, random: Random) -> None:
        self.record = record
        self.agent = ""
        self.link: Link | None = None
        self.connecting = False
        self.next_try: float | None = None
        self.trouble: Trouble | None = None
        self.left = False
        """Whether it left in good order, so that not reaching it is no surprise."""
        self._back_off = BackOff(timing, random)
        self._wake = asyncio.Event()

    @property
    def label(self) -> str:
        """What to call it."""
        return self.record.name or "A device without a name"

    @property
    def linked(self) -> bool:
        """Whether there is a connection to it."""
        return self.link is not None

    # Trying to reach it

    async def keep_connected(self, connect: Connect, clock: Callable[[], float]) -> None:
        """Connect whenever there is no connection, less and less often while that fails.

        ``connect`` returns when the connection is over, or could not be made; ``clock`` gives Unix
        seconds.
        """
        while True:
            self._wake.clear()
            if self.linked or not self.record.dial or not self.record.address:
                await self._wake.wait()
                continue
            self.connecting, self.next_try = True, None
            try:
                await connect(self)
            finally:
                self.connecting = False
            await self._rest(clock)

    async def _rest(self, clock: Callable[[], float]) -> None:
        """Wait before the next try, unless there is reason not to."""
        if self.linked or self._wake.is_set():
            return
        delay = self._back_off.next()
        self.next_try = clock() + delay
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    def nudge(self) -> None:
        """Try at once: there is reason to think that it works."""
        self._back_off.reset()
        self._wake.set()

    # What happens

    def accept(self, link: Link, record: PeerRecord) -> None:
        """Take note of a connection that both sides accepted."""
        self.record, self.link = record, link
        self.agent = on_one_line(link.session.hello.agent) if link.session.hello else ""
        self.connecting, self.next_try, self.trouble = False, None, None

    def lose(self, link: Link, closed: Closed, now: float) -> None:
        """Take note that a connection that both sides had accepted is over."""
        session, record = link.session, self.record
        self.record = replace(
            record,
            last_seen=now,
            changes_in=record.changes_in + session.changes_in,
            changes_out=record.changes_out + session.changes_out,
            bytes_in=record.bytes_in + session.bytes_in,
            bytes_out=record.bytes_out + session.bytes_out,
        )
        if link is not self.link:
            return
        self.link = None
        if closed.code not in REFUSALS:
            # It worked until now, so it may again; after a refusal it will most likely not.
            self._back_off.reset()
        if not link.expected:
            self._wake.set()  # it was not the connector's own, which knows by itself

    def failed(self, text: str, now: float, *, refused: bool = False) -> bool:
        """Take note of why there is no connection; says whether that is news."""
        if self.trouble is not None and self.trouble.text == text:
            return False
        self.trouble = Trouble(text, now, refused)
        return True

    def status(self, now: float) -> PeerStatus:
        """All facts, for whoever shows them; ``now`` in Unix seconds."""
        record, link, trouble = self.record, self.link, self.trouble
        session = link.session if link else None
        return PeerStatus(
            device=record.device,
            name=record.name,
            agent=self.agent,
            address=record.address,
            connected=session is not None,
            connecting=self.connecting and session is None,
            incoming=link is not None and link.target is None,
            last_seen=now if session else record.last_seen or None,
            count=session.count if session else None,
            digest=session.digest if session else "",
            identical=session.identical if session else None,
            they_lack=session.they_lack if session else None,
            we_lack=session.we_lack if session else None,
            waiting_for=session.waiting_for if session else "",
            changes_in=record.changes_in + (session.changes_in if session else 0),
            changes_out=record.changes_out + (session.changes_out if session else 0),
            bytes_in=record.bytes_in + (session.bytes_in if session else 0),
            bytes_out=record.bytes_out + (session.bytes_out if session else 0),
            round_trip=session.round_trip if session else None,
            error=trouble.text if trouble else "",
            error_since=trouble.since if trouble else None,
            refused=trouble.refused if trouble else False,
            next_try=self.next_try,
        )


Connect: TypeAlias = Callable[[Peer], Awaitable[None]]
