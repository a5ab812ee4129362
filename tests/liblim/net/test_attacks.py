"""Who must not get in: each is shut out before a byte of what it says is looked at."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
from collections.abc import AsyncIterator

import pytest

from liblim.errors import LimError
from liblim.net.dial import Streams, dial
from liblim.net.listener import listen
from liblim.net.tls import (
    PAIR,
    SYNC,
    certificate_of,
    client_context,
    protocol_of,
    server_context,
)
from liblim.sync.messages import Nowai, Ohai
from liblim.trust import Identity
from tests.liblim.net.devices import (
    QUICK,
    Device,
    both_loops,
    device,
    knock,
    member,
)
from tests.liblim.net.forgery import Forged, dated, like, signed_by

GREETING = 'ØHAI {"protocol":1,"library":"%s","device":"%s"}\n'


def client(shows: Identity | Forged | None, at: Device, alpn: str | None = SYNC) -> ssl.SSLContext:
    """What dials ``at`` with that certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if shows is not None:
        shows.load_into(context)
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


async def shut_out(at: Device, context: ssl.SSLContext, name: str = "") -> None:
    """Whoever dials so hears nothing, whatever it says, and no session ever knew of it."""
    sessions = list(at.node.sessions)
    received = b""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(*at.address, ssl=context, server_hostname="")
        try:
            words = GREETING % (at.database.library, name or "e" * 32)
            writer.write(words.encode() * 10)
            async with asyncio.timeout(10):
                received = await reader.read()
        finally:
            writer.transport.abort()
    assert received == b""
    assert at.node.sessions == sessions
    assert not at.node._links


@contextlib.asynccontextmanager
async def two() -> AsyncIterator[tuple[Device, Identity]]:
    """A device that listens, and the key of another member, which would be let in."""
    async with device("Desk") as desk:
        lap = Identity.generate()
        await desk.node.membership.introduce(lap.certificate, "Lap")
        yield desk, lap


async def let_in(at: Device, identity: Identity) -> None:
    """The member itself is let in, as the control of the test."""
    async with knock(at, client(identity, at)) as peer:
        assert await peer.hear_of(Ohai)
    assert at.node.sessions == [identity.device]


@both_loops
async def test_no_certificate() -> None:
    async with two() as (desk, lap):
        await shut_out(desk, client(None, desk))
        await shut_out(desk, client(None, desk, PAIR))
        desk.node.pairing.show()
        await shut_out(desk, client(None, desk, SYNC))  # a shown code opens one door only
        desk.node.pairing.cancel()
        await shut_out(desk, client(None, desk, PAIR))
        await let_in(desk, lap)


@both_loops
async def test_a_certificate_that_nobody_knows() -> None:
    async with two() as (desk, lap):
        stranger = Identity.generate()
        await shut_out(desk, client(stranger, desk), stranger.device)
        await shut_out(desk, client(stranger, desk), lap.device)
        await shut_out(desk, client(stranger, desk, PAIR))
        await let_in(desk, lap)


@both_loops
async def test_a_self_made_certificate_that_says_the_same() -> None:
    async with two() as (desk, lap):
        await shut_out(desk, client(like(lap), desk), lap.device)
        await shut_out(desk, client(like(desk.identity), desk), desk.id)
        await let_in(desk, lap)


@both_loops
async def test_a_leaf_that_a_member_signed() -> None:
    async with two() as (desk, lap):
        await shut_out(desk, client(signed_by(lap), desk), lap.device)
        await shut_out(desk, client(signed_by(desk.identity), desk), lap.device)
        await let_in(desk, lap)


@both_loops
async def test_tls_1_2() -> None:
    async with two() as (desk, lap):
        context = client(lap, desk)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        await shut_out(desk, context, lap.device)
        await let_in(desk, lap)


@both_loops
async def test_another_protocol_over_tls_or_none() -> None:
    async with two() as (desk, lap):
        for alpn in ("h2", "lim/2", PAIR, None):
            await shut_out(desk, client(lap, desk, alpn), lap.device)
        await let_in(desk, lap)


@both_loops
async def test_this_device_itself() -> None:
    async with two() as (desk, _), knock(desk, client(desk.identity, desk)) as peer:
        await peer.say((GREETING % (desk.database.library, desk.id)).encode())
        reason = await peer.hear_of(Nowai)
        assert reason.code == "yourself"


@pytest.mark.parametrize("words", ["garbage", "half", "plain", "nothing"])
def test_what_is_no_tls(words: str) -> None:
    async def main() -> None:
        async with device("Desk", timing=QUICK._replace(handshake=0.3)) as desk:
            reader, writer = await asyncio.open_connection(*desk.address)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client(None, desk).wrap_bio(incoming, outgoing)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            said = {
                "garbage": os.urandom(2000),
                "half": outgoing.read()[:100],
                "plain": (GREETING % (desk.database.library, "e" * 32)).encode(),
                "nothing": b"",
            }
            writer.write(said[words])
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(10):
                    answer = await reader.read()
                assert b"HAI" not in answer
            writer.close()
            assert desk.node.sessions == []
            async with member(desk) as peer:
                assert await peer.hear_of(Ohai)

    asyncio.run(main())


@both_loops
async def test_removed_before_connecting() -> None:
    async with two() as (desk, lap):
        await desk.node.membership.remove(lap.device)
        async with knock(desk, client(lap, desk)) as peer:
            await peer.say((GREETING % (desk.database.library, lap.device)).encode())
            (reason,) = await peer.hear_all()
            assert isinstance(reason, Nowai)
            assert reason.code == "removed"
        assert desk.node.sessions == []
        await shut_out(desk, client(lap, desk, PAIR), lap.device)


@both_loops
async def test_removed_in_mid_session() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.greet()
        (link,) = desk.node._links
        await desk.write("for members only")
        await desk.node.membership.remove(peer.identity.device)
        assert link.closed is not None  # at once, without waiting for anything
        received, count = link.session.bytes_in, desk.database.count
        with contextlib.suppress(ConnectionError):
            await peer.say(b'SUP {"ping":1}\n' * 1000)
        heard = await peer.hear_all()
        assert isinstance(heard[-1], Nowai)
        assert heard[-1].code == "removed"
        assert (link.session.bytes_in, desk.database.count) == (received, count)
        await desk.logged("Guest is no longer a device of this library.")
        assert desk.node.status() == []


@both_loops
async def test_a_removal_that_comes_from_another_member_ends_the_session_too() -> None:
    async with device("Desk") as desk, device("Lap") as lap, member(desk, name="Tab") as tab:
        await desk.invite(lap)
        await tab.greet()
        await lap.identical(desk)
        await lap.node.membership.remove(tab.identity.device)
        heard = await tab.hear_all()
        assert isinstance(heard[-1], Nowai)
        assert heard[-1].code == "removed"


@both_loops
async def test_another_device_at_a_known_address_learns_nothing() -> None:
    """Whoever took over the address gets no certificate of ours, and not a word."""
    async with device("Desk") as desk, device("Lap") as lap, device("Other") as other:
        await desk.invite(lap)
        await lap.identical(desk)
        await lap.node.stop()
        desk.node.remember(lap.id, other.address)
        line = await desk.logged("Another device answers at")
        assert line.text.startswith(f"Lap: Another device answers at {other.address}.")
        assert other.node.sessions == []


@both_loops
async def test_a_certificate_is_good_whatever_the_clocks_say() -> None:
    """Dates that are 50 years off stand for clocks that are."""
    now, years = datetime.datetime(2030, 1, 1), datetime.timedelta(days=365.25 * 50)
    for first, last in ((now - years, now - years / 2), (now + years / 2, now + years)):
        odd, usual = dated(first, last), Identity.generate()
        for server, guest in ((odd, usual), (usual, odd)):
            taken: asyncio.Queue[Streams] = asyncio.Queue()
            context = server_context(server, [_der(guest)])  # type: ignore[arg-type]
            listener, address = await listen(lambda c=context: c, taken.put_nowait, "127.0.0.1", 0)  # type: ignore[misc]
            context = client_context(guest, _der(server), SYNC)  # type: ignore[arg-type]
            ours = (await dial([address], context, 10.0)).streams
            async with asyncio.timeout(10):
                theirs = await taken.get()
            assert certificate_of(theirs[1]) == _der(guest)
            for _, writer in (ours, theirs):
                writer.transport.abort()
            await listener.close()


def _der(shows: Identity | Forged) -> bytes:
    return shows.der if isinstance(shows, Forged) else shows.certificate


@both_loops
async def test_one_member_does_not_pass_for_another() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(peer.greeting(device=desk.id))
        reason = await peer.hear_of(Nowai)
        assert reason.code == "bad-message"


@both_loops
async def test_no_session_is_resumed() -> None:
    """A ticket would let somebody back in without a certificate."""
    async with device("Desk") as desk, member(desk) as peer:
        await peer.hear_of(Ohai)
        tls = peer.writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        assert tls.session is None or not tls.session.has_ticket


async def _dialled(identity: Identity | None, certificate: bytes | None, at: Device) -> str:
    streams = (await dial([at.address], client_context(identity, certificate, SYNC), 5.0)).streams
    streams[1].transport.abort()
    return protocol_of(streams[1])


@both_loops
async def test_the_one_who_dials_takes_one_certificate_only() -> None:
    async with device("Desk") as desk:
        lap = Identity.generate()
        assert await _dialled(lap, desk.identity.certificate, desk) == SYNC
        assert await _dialled(None, None, desk) == SYNC
        for certificate in (lap.certificate, like(desk.identity).der):
            with pytest.raises(LimError, match="Another device answers"):
                await _dialled(lap, certificate, desk)


@both_loops
async def test_who_dials_looks_at_the_certificate_itself() -> None:
    """Also where OpenSSL is content with another one."""
    async with device("Desk") as desk:
        context = client_context(None, None, SYNC)
        with pytest.raises(LimError, match="Another device answers"):
            await dial([desk.address], context, 10.0, Identity.generate().certificate)
        dialled = await dial([desk.address], context, 10.0, desk.identity.certificate)
        dialled.streams[1].transport.abort()
