"""The server's end of a connection: an asyncio transport whose other end is in the hands of the world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from liblim.net.dial import Streams
from liblim.net.tls import SYNC

HIGH, LOW = 64 * 1024, 16 * 1024
"""Bytes that asyncio takes before it lets writers wait, and below which they go on."""


class _Handshake:
    """What is known of a connection after the handshake of TLS."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate

    def getpeercert(self, *, binary_form: bool) -> bytes:
        """The certificate that the device has shown."""
        assert binary_form
        return self._certificate

    def selected_alpn_protocol(self) -> str:
        """What both ends speak."""
        return SYNC


class Pipe(asyncio.Transport):
    """A connection as the server has it.

    What is written goes into ``wire``, as much as the network takes (``room``), and then waits.  ``tap``
    is given all of it first.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        certificate: bytes,
        room: int,
        tap: Callable[[bytes], None],
    ) -> None:
        handshake = _Handshake(certificate)
        super().__init__({"ssl_object": handshake, "sslcontext": handshake})
        self.wire = bytearray()
        """On its way to the device."""
        self.over = False
        """Whether nothing more comes from the server but what is on its way."""
        self.wrong: AssertionError | None = None
        """What the server has said that it should not."""
        self.reading = True
        self._loop = loop
        self._room = room
        self._tap = tap
        self._unsent = bytearray()
        self._closing = self._paused = self._lost = False
        self._hole = False
        reader = asyncio.StreamReader(loop=loop)
        self._protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        self._protocol.connection_made(self)
        self.streams: Streams = (
            reader,
            asyncio.StreamWriter(self, self._protocol, reader, loop),
        )

    # What the server does

    def write(self, data: Any) -> None:
        """Send, as far as there is room."""
        if not self._closing and not self.over:
            try:
                self._tap(bytes(data))
            except AssertionError as wrong:
                self.wrong = self.wrong or wrong
            self._unsent += data
            self.flow()

    def close(self) -> None:
        """Close when all is sent."""
        self._closing = True
        self.flow()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._unsent.clear()
        self._end(None)

    def is_closing(self) -> bool:
        """Whether it was closed, or is broken."""
        return self._closing or self._lost

    def get_write_buffer_size(self) -> int:
        """Bytes that the network did not take yet."""
        return len(self._unsent)

    def pause_reading(self) -> None:
        """Take nothing for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """Take what comes."""
        self.reading = True

    # What the network does

    def flow(self) -> None:
        """Let the network take what it has room for."""
        if not self._hole:
            size = max(0, self._room - len(self.wire))
            self.wire += self._unsent[:size]
            del self._unsent[:size]
        if not self._paused and len(self._unsent) > HIGH:
            self._paused = True
            self._protocol.pause_writing()
        elif self._paused and len(self._unsent) <= LOW:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing and not self._unsent:
            self._end(None)

    def hear(self, data: bytes) -> None:
        """Hand over what the device has sent."""
        if not self.is_closing():
            self._protocol.data_received(data)

    def leave(self) -> None:
        """Let the device close its end in good order."""
        if not self.is_closing():
            self._protocol.eof_received()
            self.close()
            self.abort()  # who closes reads no more

    def break_off(self) -> None:
        """Let the server find the connection broken."""
        self._unsent.clear()
        self._closing = True
        self._end(ConnectionResetError("the connection was reset"))

    def vanish(self) -> None:
        """Let nothing come through any more, and nobody say so."""
        self._hole = True

    def process_ended(self) -> None:
        """Leave the rest to the system, which still sends what it has taken: the process is gone."""
        self.over = self._closing = True
        self._unsent.clear()

    def _end(self, error: Exception | None) -> None:
        if not self._lost and not self.over:
            self._lost = self.over = True
            self._loop.call_soon(self._protocol.connection_lost, error)
