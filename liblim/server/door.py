"""The server's door: whose certificates are taken, and which library a device comes for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl

from liblim.errors import LimError, ProtocolError
from liblim.net.address import Address
from liblim.net.dial import Streams
from liblim.net.door import part
from liblim.net.listener import Listener, listen
from liblim.net.tls import PAIR, SYNC, certificate_of, protocol_of
from liblim.server.circle import LINKS, Terms
from liblim.server.inviting import Inviter
from liblim.server.shelf import Shelf
from liblim.server.stores import Standing
from liblim.server.trouble import in_words, refused
from liblim.sync import LineDecoder, Ohai, refusal
from liblim.sync.messages import MAX_GREETING
from liblim.trust import device_of

HANDSHAKES = 512
"""Under way at a time: after a restart all devices come at once."""
MAX_FAREWELLS = 64
"""Devices that are told at a time why they are sent away; more are closed without a word."""
CHUNK = 4096

_log = logging.getLogger(__name__)


class Door:
    """Lets members of libraries in, and whoever has an invitation; nobody else."""

    def __init__(
        self, shelf: Shelf, inviter: Inviter, context: ssl.SSLContext, terms: Terms
    ) -> None:
        """Do nothing until ``open``."""
        self.port = 0
        self._shelf = shelf
        self._inviter = inviter
        self._context = context
        self._terms = terms
        self._listener: Listener | None = None
        self._greeting: dict[asyncio.Task[None], str] = {}
        """Who has not said yet for which library it comes, the oldest first."""
        self._farewells = 0

    @property
    def connections(self) -> int:
        """How many there are."""
        talking = sum(len(circle.links) for circle in self._shelf.circles.values())
        return talking + len(self._greeting)

    async def open(self, host: str, port: int) -> Address:
        """Listen on this very port, or with 0 on any; returns where.  Raises LimError."""
        self._listener, found = await listen(
            lambda: self._context,
            self._let_in,
            host,
            port,
            patience=self._terms.timing.handshake,
            most=HANDSHAKES,
            ports=0,
        )
        self.port = found.port
        return found

    async def close(self) -> None:
        """Listen no more, and send away who has not said yet what it wants."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        for task in self._greeting:
            task.cancel()
        if self._greeting:
            await asyncio.wait(self._greeting)

    def _let_in(self, streams: Streams) -> None:
        """Decide on a connection, before anything of what it says is looked at."""
        certificate = certificate_of(streams[1])
        device = None if certificate is None else device_of(certificate)
        protocol = protocol_of(streams[1])
        if protocol == PAIR and (device is None or device in self._inviter.guests):
            self._inviter.take(streams, certificate)
        elif protocol == SYNC and device is not None:
            self._begin(streams, device)
        else:
            streams[1].transport.abort()

    def _begin(self, streams: Streams, device: str) -> None:
        rivals = [task for task, other in self._greeting.items() if other == device]
        if len(rivals) >= LINKS:
            # Else one device could take the place of all others.
            rivals[0].cancel()
            del self._greeting[rivals[0]]
        task = asyncio.ensure_future(self._greet(streams, device))
        self._greeting[task] = device

        def ended(_: object) -> None:
            self._greeting.pop(task, None)
            if task.cancelled():  # before it began, maybe
                streams[1].transport.abort()

        task.add_done_callback(ended)

    async def _greet(self, streams: Streams, device: str) -> None:
        """Hear for which library a device comes, and let it in there."""
        try:
            if self.connections > self._terms.limits.all_connections:
                raise refusal("over-limit", "it has as many connections as it may have")
            hello, early = await self._hear(streams[0])
            if hello.device != device:
                raise refusal("bad-message", "ØHAI names another device than the certificate")
            await self._admit(streams, device, hello, early)
        except ProtocolError as error:
            await self._send_away(streams, error)
        except OSError:
            streams[1].transport.abort()
        except LimError as error:
            _log.error("%s", in_words(error))
            await self._send_away(streams, refused(error))

    async def _hear(self, reader: asyncio.StreamReader) -> tuple[Ohai, bytes]:
        """The greeting, and all that came with it.  Raises ProtocolError, or OSError at the end."""
        decoder, early = LineDecoder(MAX_GREETING), b""
        patience = self._terms.timing.greeting
        try:
            async with asyncio.timeout(patience):
                while (message := decoder.next()) is None:
                    data = await reader.read(CHUNK)
                    if not data:
                        raise ConnectionResetError
                    early += data
                    decoder.feed(data)
        except TimeoutError:
            raise refusal("too-late", f"{patience:g}") from None
        if not isinstance(message, Ohai):
            raise refusal("bad-message", f"{message.verb} came before ØHAI")
        return message, early

    async def _admit(self, streams: Streams, device: str, hello: Ohai, early: bytes) -> None:
        self._check(hello.library, device)
        circle = await self._shelf.open(hello.library)
        self._check(hello.library, device)  # once more, as opening may take its time
        if len(circle.links) >= self._terms.limits.connections:
            raise refusal("over-limit", "it has as many connections as it may have")
        if streams[1].transport.is_closing():
            raise ConnectionResetError
        circle.welcome(streams, device, early, self.port)

    def _check(self, library: str, device: str) -> None:
        """Raises ProtocolError unless the device may come for the library.

        A library that is not served looks like one that does not know the device.
        """
        standing = self._shelf.standing(library, device)
        if standing is Standing.WITHDRAWN:
            raise refusal("removed")
        if standing is not Standing.MEMBER:
            raise refusal("not-served")

    async def _send_away(self, streams: Streams, why: ProtocolError) -> None:
        self._terms.counts.ended[why.code] += 1
        if self._farewells >= MAX_FAREWELLS:
            streams[1].transport.abort()
            return
        self._farewells += 1
        try:
            with contextlib.suppress(OSError):
                await part(streams, why, self._terms.timing.linger)
        finally:
            self._farewells -= 1
