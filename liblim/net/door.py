"""The door: listening, whose certificates are taken, and what each connection may be used for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from liblim.aio import AsyncDatabase
from liblim.errors import ProtocolError
from liblim.net.address import Address
from liblim.net.dial import Streams
from liblim.net.gate import Purpose, decide
from liblim.net.listener import Listener, listen
from liblim.net.pairing import PairingHost
from liblim.net.timing import Timing
from liblim.net.tls import certificate_of, protocol_of, server_context
from liblim.sync import encode, refusal
from liblim.sync.messages import Nowai
from liblim.trust import device_of

MAX_FAREWELLS = 16
"""Removed devices that are told so at a time; more are closed without a word."""
CHUNK = 64 * 1024


class Door:
    """Lets members in to sync, and others to pair while that is wanted; nobody else."""

    def __init__(
        self,
        database: AsyncDatabase,
        pairing: PairingHost,
        welcome: Callable[[Streams, str], None],
        timing: Timing,
    ) -> None:
        """``welcome`` gets the connections of members, with the device."""
        self._database = database
        self._pairing = pairing
        self._welcome = welcome
        self._timing = timing
        self._listener: Listener | None = None
        self._context: ssl.SSLContext | None = None
        self._pinned: frozenset[bytes] = frozenset()
        self._farewells: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> Address:
        """Listen on ``port`` or the next free one; returns where.

        Raises LimError.
        """
        self._make_context()  # a locked key is said here, not to everybody who knocks
        self._listener, found = await listen(
            self._make_context, self._let_in, host, port, patience=self._timing.handshake
        )
        return found

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        if self._farewells:
            await asyncio.wait(self._farewells)

    def _make_context(self) -> ssl.SSLContext:
        """A context that takes the certificates which are known by now."""
        keys = self._database.keys
        pins = frozenset(
            (*self._database.ledger.certificates.values(), *self._pairing.guests.values())
        )
        if self._context is None or pins != self._pinned:
            # Pins can be added to a context, never taken away.
            self._context = server_context(keys.identity, pins)
            self._pinned = pins
        return self._context

    def _let_in(self, streams: Streams) -> None:
        """Decide on a connection, before anything of what it says is looked at."""
        certificate = certificate_of(streams[1])
        device = None if certificate is None else device_of(certificate)
        ledger = self._database.ledger
        purpose = decide(
            protocol_of(streams[1]),
            device,
            members=ledger.members,
            removed=ledger.removed,
            expected=self._pairing.guests,
            window_open=self._pairing.window_open,
        )
        match purpose:
            case Purpose.SYNC if device is not None:
                self._welcome(streams, device)
            case Purpose.PAIR | Purpose.GRANT:
                self._pairing.take(streams, certificate)
            case Purpose.REMOVED if len(self._farewells) < MAX_FAREWELLS:
                task = asyncio.ensure_future(part(streams, refusal("removed"), self._timing.linger))
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            case _:
                streams[1].transport.abort()


async def part(streams: Streams, why: ProtocolError, patience: float) -> None:
    """Say why a connection is closed, and close it; nothing of what it says is looked at."""
    reader, writer = streams
    try:
        with contextlib.suppress(OSError):  # and TimeoutError, which is one
            async with asyncio.timeout(patience):
                writer.write(encode(Nowai(why.code, str(why)[:500], why.mend[:500])))
                await writer.drain()
                # To close with unread input would cut off what was said.
                data = b"x"
                while data:
                    data = await reader.read(CHUNK)
                    await asyncio.sleep(0)
    finally:
        writer.transport.abort()
