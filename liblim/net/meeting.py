"""Two devices that have proved the code to each other: their people's answers, and the library's keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from liblim.aio import AsyncDatabase
from liblim.errors import LimError
from liblim.membership import Membership
from liblim.net.address import Address
from liblim.net.dial import Streams, dial
from liblim.net.talk import Talk
from liblim.net.tls import PAIR, client_context
from liblim.net.vouching import vouching
from liblim.trust import MAX_GRANTED, Grant, Identity, device_of
from liblim.trust.pairing import SECONDS, Joining
from liblim.trust.pairing_messages import MAX_GRANT_LINE, About, Accept, Keys, Kthx, Vouch, problem
from liblim.words import on_one_line

AGAIN = 30.0
"""Seconds from both people's accepting to the connection over which the keys cross."""


class Meeting:
    """One pairing after the proof; who made it has to ``close`` it."""

    def __init__(
        self, talk: Talk, other: About, *, joins: bool, address: Address | None = None
    ) -> None:
        """``joins``: this side takes on the other's library; ``address``: where this side dialled."""
        self.other = other
        self.device = device_of(other.certificate)
        self.joins = joins
        self._talk = talk
        self.address = address
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Joining | None] = loop.create_future()
        self._second: asyncio.Future[Streams] | None = loop.create_future()
        """The second connection, until it is taken up."""

    @property
    def server(self) -> bool:
        """Whether the other side is a server, which was dialled: such never come by themselves."""
        return self.other.server and self.address is not None

    @property
    def waits(self) -> bool:
        """Whether the other device is to come once more, for the keys or with them."""
        return self.address is None

    def answer(self, joining: Joining | None) -> None:
        """What the person here says: ``None`` to refuse; the first word counts."""
        if not self._answer.done():
            self._answer.set_result(joining)

    def take(self, streams: Streams) -> None:
        """Take the second connection, which the other device made."""
        if self._second is None or self._second.done():
            streams[1].transport.abort()
        else:
            self._second.set_result(streams)

    def close(self) -> None:
        """Drop a second connection that nobody took up."""
        self._answer.cancel()
        second, self._second = self._second, None
        if second is not None and not second.cancel():
            _, writer = second.result()
            writer.transport.abort()

    # Connection 1: both people

    async def agree(self, waiting: Callable[[], None]) -> Joining:
        """Wait until both people have accepted; ``waiting`` is called when the one here has.

        Raises PairingError.
        """
        try:
            async with asyncio.timeout(SECONDS):
                return await self._agree(waiting)
        except TimeoutError:
            raise problem("too-late") from None

    async def _agree(self, waiting: Callable[[], None]) -> Joining:
        theirs = asyncio.ensure_future(self._talk.hear(Accept, SECONDS))
        # After that nothing more is said here: what ends this wait is that they give up, or are gone.
        more = asyncio.ensure_future(_after(theirs, self._talk))
        try:
            either: list[asyncio.Future[Any]] = [more, self._answer]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if more.done():
                more.result()
            joining = self._answer.result()
            if joining is None:
                raise problem("refused")
            more.cancel()
            await self._talk.say(Accept())
            waiting()
            await theirs
            return joining
        finally:
            more.cancel()
            theirs.cancel()
            await asyncio.gather(more, theirs, return_exceptions=True)

    # Connection 2: the keys

    async def connect_again(self, identity: Identity) -> Talk:
        """The second connection, where both sides show the certificates that they spoke of.

        Raises PairingError; LimError where the own key is locked.
        """
        if self.address is None:
            return Talk(await self._come_again())
        pin = self.other.certificate
        context = client_context(identity, pin, PAIR)
        try:
            return Talk((await dial([self.address], context, AGAIN, pin)).streams)
        except LimError:
            raise problem("lost") from None

    async def _come_again(self) -> Streams:
        """Wait for the other side's second connection, as long as the first one stands."""
        assert self._second is not None
        ends = asyncio.ensure_future(self._talk.hear_line(AGAIN))
        try:
            either: list[asyncio.Future[Any]] = [ends, self._second]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._second.done():
                ends.result()
                raise problem("garbage")
        finally:
            ends.cancel()
            await asyncio.gather(ends, return_exceptions=True)
        streams, self._second = self._second.result(), None
        return streams

    async def give(self, talk: Talk, database: AsyncDatabase, membership: Membership) -> None:
        """Make the other a member, and give it the keys.  Raises LimError."""
        await membership.introduce(self.other.certificate, on_one_line(self.other.name))
        await talk.say(Keys(database.grant(self.device)), SECONDS)
        await talk.hear(Kthx, SECONDS)

    async def entrust(
        self, talk: Talk, database: AsyncDatabase, membership: Membership, where: Address
    ) -> None:
        """Tell the other, a server, who is in the library, and the library's devices of it.

        Raises LimError.
        """
        first, *others = vouching(database.ledger)
        authors = tuple(der for said in others for der in said.authors)[:MAX_GRANTED]
        await talk.say(Vouch(database.library, first.members, authors, first.withdrawn), SECONDS)
        await talk.hear(Kthx, SECONDS)
        name = on_one_line(self.other.name)
        await membership.add_server(self.other.certificate, name, [str(where)])

    async def receive(self, talk: Talk, take_on: Callable[[Grant], Awaitable[None]]) -> None:
        """Get the keys, and keep them.  Raises LimError."""
        keys = await talk.hear(Keys, SECONDS, MAX_GRANT_LINE)
        if keys.grant.library != self.other.library:
            raise problem("garbage")
        await take_on(keys.grant)
        await talk.say(Kthx())


async def _after(theirs: asyncio.Future[Accept], talk: Talk) -> None:
    """End, with an error, only where the other side goes back on its word or breaks the rules."""
    await asyncio.shield(theirs)
    await talk.hear_line(SECONDS)
    raise problem("garbage")
