"""Ways of flooding a server, for tests and the bench: each goes on until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from liblim.change import Range, digest
from liblim.net.address import Address
from liblim.net.dial import dial
from liblim.net.tls import PAIR, SYNC, client_context
from liblim.receipt import Receipt, signed_data
from liblim.sync.codec import encode
from liblim.sync.messages import PROTOCOL, Entry, Icanhaz, Igotz, Ihaz, Kthx, Ohai, Ucanhaz, Vouch
from liblim.trust import Identity
from tests.liblim.trust.sealed import Author, library_keys

AT_ONCE = 20
"""Connections that are being made at a time."""
CHANGES = 2000


class Flooder(NamedTuple):
    """A paired device, where the server is, and the certificate that this shows."""

    server: Address
    certificate: bytes
    library: str
    identity: Identity

    async def connect(
        self, alpn: str = SYNC, shows: Identity | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        context = client_context(shows or self.identity, self.certificate, alpn)
        return (await dial([self.server], context, 10.0)).streams

    async def greet(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which an empty log was announced."""
        reader, writer = await self.connect()
        hello = Ohai(PROTOCOL, self.library, self.identity.device)
        writer.write(encode(hello) + encode(Ihaz(0, digest({}))))
        return reader, writer


Count = Callable[[], None]
"""Called for each piece that was said."""
Flood = Callable[[Flooder, Count], Awaitable[None]]


async def _say(flooder: Flooder, pieces: Iterator[bytes], count: Count, *, reads: bool) -> None:
    """Say pieces as fast as they are taken, on a new connection whenever one is closed."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await flooder.greet()
            reading = asyncio.ensure_future(_read(reader)) if reads else None
            if not reads:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                    if writer.transport.is_closing():
                        break
                    count()
            finally:
                writer.transport.abort()
                if reading is not None:
                    await asyncio.wait([reading])


async def _read(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass


async def changes(flooder: Flooder, count: Count) -> None:
    """Own changes; when all are there, the same again."""
    author = Author(library_keys(flooder.identity, library=flooder.library))
    lines = [encode(Ucanhaz(author.write("x" * 20))) for _ in range(CHANGES)]
    await _say(flooder, itertools.cycle(_joined(lines, 50)), count, reads=True)


async def pings(flooder: Flooder, count: Count) -> None:
    """Small lines without end."""
    await _say(flooder, itertools.repeat(b'SUP {"ping":1}\n' * 4000), count, reads=True)


async def listings(flooder: Flooder, count: Count) -> None:
    """Tens of thousands of replicas that it says it has and never gives, and a word on each once more."""
    most = 2**53 - 1

    def pieces() -> Iterator[bytes]:
        for page in range(1, 21):
            heads = tuple(Entry(f"{page:08x}{n:08x}", most, bytes(32)) for n in range(1000))
            yield encode(Ihaz(most, "f" * 64, page, page < 20, heads))
        for n in itertools.count():
            head = (Entry(f"{n % 20 + 1:08x}{n % 1000:08x}", n % 1000 + 1, bytes(32)),)
            amended = Ihaz(most, "f" * 64, 0, False, head), Kthx(most, "e" * 64, head)
            yield b"".join(map(encode, amended)) * 100

    while True:
        with contextlib.suppress(OSError):
            await _say(flooder, pieces(), count, reads=True)


async def requests(flooder: Flooder, count: Count) -> None:
    """All that there is, again and again, and nothing of it is read."""
    author = Author(library_keys(flooder.identity, library=flooder.library))
    written = [author.write("x" * 4000) for _ in range(200)]
    _, writer = await flooder.greet()
    for change in written:
        writer.write(encode(Ucanhaz(change)))
        await writer.drain()
    everything = (Range(author.replica, 1, len(written)),)
    asked = (encode(Icanhaz(n, everything)) for n in itertools.count(1))
    await _say(flooder, asked, count, reads=False)


async def vouches(flooder: Flooder, count: Count) -> None:
    """Who is in the library: the same again, more, and what is no certificate."""
    others = [Identity.generate().certificate for _ in range(300)]
    pieces = [
        *(encode(Vouch(tuple(others[: n + 1]))) for n in range(0, 300, 20)),
        encode(Vouch(tuple(others), (*others[:200], b"none"))),
    ]
    await _say(flooder, itertools.cycle(pieces), count, reads=True)


async def receipts(flooder: Flooder, count: Count) -> None:
    """A new word on what it holds, hundreds at a time; then the old ones again."""
    epoch, body, device = "e" * 32, b"sealed", flooder.identity.device

    def receipt(counter: int) -> bytes:
        data = signed_data(flooder.library, device, counter, epoch, body)
        return encode(Igotz(Receipt(device, counter, epoch, body, flooder.identity.sign(data))))

    lines = [receipt(counter) for counter in range(1, 3001)]
    await _say(flooder, itertools.cycle(_joined(lines, 250)), count, reads=True)


def _joined(lines: Sequence[bytes], number: int) -> list[bytes]:
    return [b"".join(lines[n : n + number]) for n in range(0, len(lines), number)]


async def _connect(flooder: Flooder, count: Count, alpn: str, shows: Identity | None) -> None:
    """Hundreds of connections that stay open, on which nothing is said."""
    kept: list[asyncio.StreamWriter] = []

    async def go_on() -> None:
        while True:
            with contextlib.suppress(OSError, ssl.SSLError, Exception):
                _, writer = await flooder.connect(alpn, shows)
                kept.append(writer)
            count()
            if len(kept) > 400:
                kept.pop(0).transport.abort()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(go_on())
    finally:
        for writer in kept:
            writer.transport.abort()


async def connections(flooder: Flooder, count: Count) -> None:
    """Those of the paired device."""
    await _connect(flooder, count, SYNC, flooder.identity)


async def strangers(flooder: Flooder, count: Count) -> None:
    """Those of somebody whose certificate nobody knows."""
    await _connect(flooder, count, SYNC, Identity.generate())


async def handshakes(flooder: Flooder, count: Count) -> None:
    """Connections on which a handshake is begun, or not even that, and left unread."""
    loop, kept = asyncio.get_running_loop(), deque[socket.socket]()
    outgoing = ssl.MemoryBIO()
    tls = client_context(None, None, SYNC).wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    try:
        for words in itertools.cycle((b"", hello[:1], hello[:100], hello)):
            kept.append(socket.socket())
            kept[-1].setblocking(False)
            with contextlib.suppress(OSError):
                await loop.sock_connect(kept[-1], tuple(flooder.server))
                await loop.sock_sendall(kept[-1], words)
            count()
            if len(kept) > 400:
                kept.popleft().close()
            await asyncio.sleep(0)
    finally:
        for connection in kept:
            connection.close()


async def pairings(flooder: Flooder, count: Count) -> None:
    """Those of somebody who would pair, for all one can tell."""
    await _connect(flooder, count, PAIR, None)


FLOODS: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (
        changes,
        pings,
        listings,
        requests,
        vouches,
        receipts,
        connections,
        strangers,
        handshakes,
        pairings,
    )
}
