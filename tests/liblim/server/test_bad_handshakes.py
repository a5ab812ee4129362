"""Who does not get through TLS: strangers, and members whose programs do it wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from liblim.net.tls import PAIR, SYNC
from liblim.server.sqlite import SqliteStorage
from liblim.sync import encode
from liblim.trust import Identity
from tests.liblim.net.forgery import Forged, like, signed_by
from tests.liblim.net.test_flood import hello
from tests.liblim.server.guests import couple, greeting, household, no_mistakes
from tests.liblim.server.serving import Serving, on_folder, serving
from tests.liblim.trust.sealed import flipped


def client(
    shows: Identity | Forged | None, alpn: str | None = SYNC, *, old: bool = False
) -> ssl.SSLContext:
    """What dials with that certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if old:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if shows is not None:
        shows.load_into(context)
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


async def said_to(
    server: Serving, words: bytes, context: ssl.SSLContext | None, *, end: bool = False
) -> bytes:
    """All that comes back to these words; ``end`` closes behind them."""
    received = b""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(
            *server.address, ssl=context, server_hostname=None if context is None else ""
        )
        try:
            writer.write(words)
            if end:
                writer.write_eof()
            async with asyncio.timeout(10):
                received = await reader.read()
        finally:
            writer.transport.abort()
    return received


@on_folder
async def test_who_does_not_get_through_tls_gets_nothing(folder: Path) -> None:
    """Strangers, and members whose programs do it wrong; each would be let in if it did it right."""
    storage = SqliteStorage(folder)
    with no_mistakes():
        async with serving(storage) as server, couple(server) as two:
            lib, other = await household(server), await household(server)
            member, stranger = lib.members[0], Identity.generate()
            words = encode(greeting(lib.library, member)) * 10
            before = dict(server.server.terms.counts.ended)
            contexts = [
                client(stranger),
                client(None),
                client(like(member)),
                client(signed_by(member)),
                client(stranger, PAIR),
                client(member, PAIR),  # it has no invitation
                client(member, old=True),
                *(client(member, alpn) for alpn in ("h2", "lim/2", None)),
            ]
            for context in contexts:
                assert await said_to(server, words, context) == b""
            # Without TLS, nothing but what TLS itself says of that: alerts.
            begun = hello(two.lap)
            for noise in (
                b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                words,
                bytes(range(255, 0, -1)) * 20,
                flipped(begun, 5),
                begun[:5] + b"\xff" * 400,
            ):
                assert (await said_to(server, noise, None))[:1] in (b"", b"\x15")
            assert await said_to(server, begun[:100], None, end=True) == b""
            assert dict(server.server.terms.counts.ended) == before
            assert not server.server.shelf.circles.keys() & {lib.library, other.library}
            await two.go_on()
            async with lib.come():  # the control
                assert lib.library in server.server.shelf.circles
    storage.close()
