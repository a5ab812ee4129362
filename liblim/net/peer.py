"""Another device of the library: what is known of it, what goes on with it, and trying to reach it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from msgspec.structs import replace

from liblim.errors import LimError
from liblim.net.address import Address, parse_address
from liblim.net.confirmations import Stand
from liblim.net.facts import PeerStatus
from liblim.net.link import Link
from liblim.net.timing import BackOff, Timing
from liblim.peers import PeerRecord
from liblim.sync import Closed, Vouch
from liblim.sync.refusals import REFUSALS
from liblim.trust import Member, words_of
from liblim.words import on_one_line

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no connection, and since when."""

    text: str
    since: float
    refused: bool = False
    pair_again: bool = False


class Peer:
    """Another member.  ``link`` is the connection to it, once both sides accepted each other."""

    def __init__(self, member: Member, record: PeerRecord, timing: Timing, random: Random) -> None:
        """Begin with what the ledger says of it, and what this device remembers."""
        self.member = member
        self.record = record
        self.near: tuple[Address, ...] = ()
        """Where it was found on the local network."""
        self.removed_us = False
        """Whether it said that this device was removed."""
        self.agent = ""
        self.link: Link | None = None
        self.connecting = False
        self.next_try: float | None = None
        self.trouble: Trouble | None = None
        self.left = False
        """Whether it left in good order, so that not reaching it is no surprise."""
        self.vouched: tuple[Link, Sequence[Vouch]] | None = None
        """What it was told last about who is in the library, being a server, and over which connection."""
        self.unheard = 0
        """How often in a row it closed a connection without a word."""
        self._back_off = BackOff(timing, random)
        self._wake = asyncio.Event()
        self._refused = False
        self._hopeless = False

    @property
    def label(self) -> str:
        """What to call it."""
        nameless = "A server without a name" if self.member.server else "A device without a name"
        return self.member.name or self.record.name or nameless

    @property
    def addresses(self) -> list[Address]:
        """Where it may be dialled, the likeliest first."""
        named = map(read_address, (self.record.address, *self.member.addresses))
        last, *others = named
        found = [last, *self.near, *others]
        return list(dict.fromkeys(address for address in found if address is not None))

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
            if self.linked or self._hopeless or not self.record.dial or not self.addresses:
                await self._wake.wait()
                continue
            if self._refused:
                # It connected to us, and one sent the other away: to dial at once would only go round.
                self._refused = False
                await self._rest(clock)
                continue
            self.connecting, self.next_try = True, None
            try:
                await connect(self)
            except Exception as error:  # a mistake of ours must not end the trying
                _log.exception("connecting failed")
                self.failed(f"This program made a mistake: {error!r}. Please report it.", clock())
            finally:
                self.connecting = False
            await self._rest(clock)

    async def _rest(self, clock: Callable[[], float]) -> None:
        """Wait before the next try, unless there is reason not to."""
        if self.linked or self._hopeless or self._wake.is_set():
            return
        delay = self._back_off.next()
        self.next_try = clock() + delay
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    def met(self) -> None:
        """Look again whether there is a connection now: it connected to us."""
        self._wake.set()

    def nudge(self) -> None:
        """Try at once: there is reason to think that it works."""
        self._hopeless = self._refused = False
        self._back_off.reset()
        self._wake.set()

    # What happens

    def accept(self, link: Link, record: PeerRecord) -> None:
        """Take note of a connection that both sides accepted."""
        self.record, self.link = record, link
        self.agent = on_one_line(link.session.hello.agent) if link.session.hello else ""
        self.connecting, self.next_try, self.trouble = False, None, None
        self.removed_us = self._hopeless = False
        self.unheard = 0

    def told(self, *, removed: bool) -> None:
        """Take note of whether it says that it removed this device: then only ``nudge`` has it dialled."""
        self.removed_us = self._hopeless = removed

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
        if link.target is None:
            self._refused = closed.code in REFUSALS
            self._wake.set()  # it was not the connector's own, which knows by itself

    def failed(
        self, text: str, now: float, *, refused: bool = False, pair_again: bool = False
    ) -> bool:
        """Take note of why there is no connection; says whether that is news."""
        if self.trouble is not None and self.trouble.text == text:
            return False
        self.trouble = Trouble(text, now, refused, pair_again)
        return True

    def _address(self) -> str:
        """Where it is, or is looked for first."""
        if self.link is not None and self.link.target is not None:
            return str(self.link.target)
        known = self.addresses
        if known:
            return str(known[0])
        return str(self.link.address) if self.link else ""

    def status(self, now: float, stand: Stand) -> PeerStatus:
        """All facts, for whoever shows them; ``now`` in Unix seconds."""
        record, link, trouble = self.record, self.link, self.trouble
        session = link.session if link else None
        return PeerStatus(
            device=record.device,
            name=self.member.name or record.name,
            agent=self.agent,
            words=words_of(self.member.certificate),
            address=self._address(),
            connected=session is not None,
            connecting=self.connecting and session is None,
            incoming=link is not None and link.target is None,
            last_seen=now if session else record.last_seen or None,
            count=session.count if session else None,
            digest=session.digest if session else "",
            identical=session.identical if session else None,
            they_lack=stand.they_lack,
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
            removed_us=self.removed_us,
            confirmed=stand.confirmed,
            differing=stand.differing,
            pair_again=trouble.pair_again if trouble else False,
            server=self.member.server,
        )


def read_address(text: str) -> Address | None:
    """The address that is written there, if any."""
    try:
        return parse_address(text)
    except LimError:
        return None  # empty, or for a newer version to read


Connect: TypeAlias = Callable[[Peer], Awaitable[None]]
