"""Connecting and listening: what is tried, what wins, and failures as sentences."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from liblim.errors import LimError
from liblim.net import interfaces
from liblim.net.address import Address
from liblim.net.dial import MAX_ADDRESSES, STAGGER, Dialled, Streams, dial, make_streams
from liblim.net.interfaces import Interface
from liblim.net.listener import MAX_STRANGERS, PORTS, listen, origin
from liblim.net.tls import SYNC, client_context, protocol_of, server_context
from liblim.trust import Identity

HERE = Address("127.0.0.1", 4242)


@functools.cache
def someone() -> Identity:
    return Identity.generate()


def anyone() -> ssl.SSLContext:
    """For dialling whoever answers."""
    return client_context(None, None, SYNC)


@asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[tuple[Address, list[Streams]]]:
    """A device's listener, and the connections that it took."""
    context = server_context(someone(), [])
    taken: list[Streams] = []
    listener, address = await listen(lambda: context, taken.append, host, 0)
    yield address, taken
    await listener.close()
    for _, writer in taken:
        writer.transport.abort()


@asynccontextmanager
async def odd(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
) -> AsyncIterator[Address]:
    """A program that is none of ours."""
    writers = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        talk(reader, writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
    for writer in writers:
        writer.transport.abort()


def silent() -> tuple[socket.socket, Address]:
    """Where a connection can be made, and nobody ever says anything."""
    found = socket.create_server(("127.0.0.1", 0))
    return found, Address("127.0.0.1", found.getsockname()[1])


async def accepted(listening: socket.socket) -> socket.socket:
    """The next connection that is made there."""
    listening.setblocking(False)
    async with asyncio.timeout(10):
        return (await asyncio.get_running_loop().sock_accept(listening))[0]


async def closed(connection: socket.socket) -> None:
    """Wait until the other end has closed the connection."""
    connection.setblocking(False)
    with connection:
        async with asyncio.timeout(10):
            while await asyncio.get_running_loop().sock_recv(connection, 65536):
                pass


def unused() -> Address:
    """Where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return Address("127.0.0.1", found.getsockname()[1])


# Dialling


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(), "Nothing listens at 127.0.0.1:4242."),
        (ConnectionResetError(), "127.0.0.1:4242 closed the connection at once."),
        (TimeoutError(), "127.0.0.1:4242 does not answer."),
        (socket.gaierror(-2, "Name or service not known"), "There is no host named 127.0.0.1."),
        (OSError(errno.EHOSTUNREACH, "No route"), "There is no way to 127.0.0.1:4242 from here."),
        (OSError(errno.ENETUNREACH, "No route"), "There is no way to 127.0.0.1:4242 from here."),
        (OSError(errno.EIO, "Odd thing"), "127.0.0.1:4242 cannot be reached: Input/output error."),
        (ssl.SSLError(1, "wrong version number"), "127.0.0.1:4242 does not speak this protocol."),
        (ssl.SSLCertVerificationError(), "Another device answers at 127.0.0.1:4242."),
    ],
)
def test_dialling_fails(error: OSError, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("liblim.net.dial._connect", fail)
    with pytest.raises(LimError) as caught:
        asyncio.run(dial([HERE], anyone(), 1.0))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(("system", "asks"), [("darwin", True), ("linux", False), ("win32", False)])
def test_on_a_mac_no_way_may_mean_no_permission(
    system: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr("liblim.net.dial._connect", fail)
    monkeypatch.setattr("liblim.net.dial.sys.platform", system)
    with pytest.raises(LimError) as caught:
        asyncio.run(dial([HERE], anyone(), 1.0))
    assert str(caught.value).endswith("Privacy & Security > Local Network.") is asks
    assert "Check the network on both devices." in str(caught.value)


def test_no_address() -> None:
    with pytest.raises(LimError, match="No address of this device is known"):
        asyncio.run(dial([], anyone(), 1.0))


@pytest.mark.asyncio
async def test_nothing_listens() -> None:
    nobody = unused()
    with pytest.raises(LimError, match=f"Nothing listens at {nobody}. Start the program there"):
        await dial([nobody], anyone(), 5.0)


@pytest.mark.asyncio
async def test_one_who_never_shakes_hands() -> None:
    found, address = silent()
    with found, pytest.raises(LimError, match=f"{address} does not answer"):
        await dial([address], anyone(), 0.05)


@pytest.mark.asyncio
async def test_one_who_speaks_something_else() -> None:
    async with odd(lambda _, writer: writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 9)) as address:
        with pytest.raises(LimError, match=f"{address} does not speak this protocol"):
            await dial([address], anyone(), 5.0)


@pytest.mark.asyncio
async def test_one_who_closes_at_once() -> None:
    async with odd(lambda _, writer: writer.transport.abort()) as address:
        with pytest.raises(LimError, match=f"{address} closed the connection at once"):
            await dial([address], anyone(), 5.0)


@pytest.mark.asyncio
async def test_tls_without_our_protocol_in_it() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    someone().load_into(context)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(LimError, match=f"{address} does not speak this protocol"):
        await dial([address], anyone(), 5.0)
    server.close()


# Several addresses


@pytest.mark.asyncio
async def test_an_address_that_does_not_answer_holds_nobody_up() -> None:
    found, dead = silent()
    with found:
        async with listening() as (address, taken):
            before = asyncio.get_running_loop().time()
            dialled = await dial([dead, dead, address], anyone(), 60.0)
            assert asyncio.get_running_loop().time() - before >= STAGGER
            assert dialled.address == address
            assert protocol_of(dialled.streams[1]) == SYNC
            dialled.streams[1].transport.abort()
            # The try that lost is closed, and did not leave a connection behind.
            await closed(await accepted(found))
            assert len(taken) <= 1


@pytest.mark.asyncio
async def test_if_none_answers_the_first_one_is_told_of() -> None:
    first, second = unused(), unused()
    with pytest.raises(LimError, match=f"Nothing listens at {first}"):
        await dial([first, second], anyone(), 5.0)


@pytest.mark.asyncio
async def test_a_name_that_stands_for_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found, dead = silent()

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        assert host == "desk.example"
        places = [dead, address, address]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", tuple(place)) for place in places]

    with found:
        async with listening() as (address, _):
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            named = Address("desk.example", address.port)
            dialled = await dial([named], anyone(), 10.0)
            assert dialled.address == named
            assert dialled.streams[1].get_extra_info("peername") == tuple(address)
            dialled.streams[1].transport.abort()


def tried(addresses: list[Address], monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """The addresses that are dialled for these."""
    found: list[Address] = []

    async def note(address: Address, *_: Any) -> Dialled:
        found.append(address)
        raise LimError("Not this one.")

    monkeypatch.setattr("liblim.net.dial._try", note)
    monkeypatch.setattr("liblim.net.dial.STAGGER", 0.0)
    with pytest.raises(LimError, match="Not this one"):
        asyncio.run(dial(addresses, anyone(), 5.0))
    return found


def test_link_local_addresses_are_dialled_by_our_own_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [Interface("eth0", ["fe80::5%eth0"]), Interface("wlan0", ["fe80::6%wlan0"])]
    monkeypatch.setattr(interfaces, "_interfaces", lambda: ours)
    found = tried([Address("fe80::1%en7", 4242), HERE], monkeypatch)
    assert found == [Address("fe80::1%eth0", 4242), Address("fe80::1%wlan0", 4242), HERE]


def test_each_address_is_dialled_once_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Address("127.0.0.1", port) for port in range(1, 3 * MAX_ADDRESSES)]
    assert tried([*many[:1] * 50, *many], monkeypatch) == many[:MAX_ADDRESSES]


@pytest.mark.asyncio
async def test_giving_up_leaves_nothing_behind() -> None:
    found, dead = silent()
    with found:
        dialling = asyncio.ensure_future(dial([dead, dead], anyone(), 60.0))
        connection = await accepted(found)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await closed(connection)


# Listening


@pytest.mark.parametrize(
    ("code", "tries", "said"),
    [
        (errno.EADDRINUSE, PORTS + 1, "All ports from 4242 to 4342 are taken."),
        (errno.EACCES, PORTS + 1, "All ports from 4242 to 4342 are taken."),
        (errno.EADDRNOTAVAIL, 1, "Cannot listen on 127.0.0.1: Cannot assign"),
    ],
)
def test_listening_fails(code: int, tries: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []

    def fail(address: tuple[str, int], **_: Any) -> None:
        ports.append(address[1])
        raise OSError(code, "Cannot assign")

    monkeypatch.setattr(socket, "create_server", fail)
    with pytest.raises(LimError) as caught:
        asyncio.run(listen(anyone, lambda _: None, "127.0.0.1"))
    assert str(caught.value).startswith(said)
    assert ports == list(range(4242, 4242 + tries))


@pytest.mark.parametrize("both", [True, False])
def test_all_addresses_of_this_computer(both: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no IPv6, IPv4 still works."""
    create = socket.create_server

    def on_ipv4_only(address: tuple[str, int], **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        return create(address, **options)

    if not both:
        monkeypatch.setattr(socket, "create_server", on_ipv4_only)

    async def main() -> None:
        async with listening("") as (address, _):
            dialled = await dial([Address("127.0.0.1", address.port)], anyone(), 10.0)
            dialled.streams[1].transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("192.168.1.5", "192.168.1.5"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:4::9", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_from_where_somebody_comes(host: str, where: str) -> None:
    assert origin(host) == where


@pytest.mark.asyncio
async def test_a_flood_of_handshakes_crowds_out_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one from elsewhere is older than all of them, and stays."""
    origins = itertools.chain(["elsewhere"], itertools.repeat("flood"))
    monkeypatch.setattr("liblim.net.listener.origin", lambda _: next(origins))
    loop = asyncio.get_running_loop()
    async with listening() as (address, taken):
        crowd = []
        for _ in range(2 * MAX_STRANGERS):
            knocking = socket.socket()
            knocking.setblocking(False)
            await loop.sock_connect(knocking, tuple(address))
            crowd.append(knocking)
        first, *flood = crowd
        for thrown_out in flood[:MAX_STRANGERS]:
            await closed(thrown_out)
        streams = await make_streams(
            loop.create_connection, sock=first, ssl=anyone(), server_hostname=""
        )
        assert protocol_of(streams[1]) == SYNC
        streams[1].transport.abort()
        assert len(taken) <= 1
        for knocking in flood[MAX_STRANGERS:]:
            knocking.close()


class FakeWriter:
    """A writer over a connection that speaks our protocol, and knows whether it was aborted."""

    def __init__(self) -> None:
        self.transport = self
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, _: str) -> Any:
        return SimpleNamespace(selected_alpn_protocol=lambda: SYNC)


@pytest.mark.parametrize("moment", range(16))
def test_giving_up_at_the_moment_of_success(moment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeWriter] = []

    async def connect(*_: Any) -> Dialled:
        made.append(FakeWriter())
        return Dialled((None, made[-1]), HERE)  # type: ignore[arg-type]

    async def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", tuple(HERE))]

    async def main() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        dialling = asyncio.ensure_future(dial([HERE], anyone(), 5.0))
        for _ in range(moment):
            await asyncio.sleep(0)
        dialling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await dialling).streams[1].transport.abort()

    monkeypatch.setattr("liblim.net.dial._connect", connect)
    asyncio.run(main())
    assert all(writer.aborted for writer in made)


@pytest.mark.asyncio
async def test_small_lines_do_not_wait_for_acknowledgements_at_either_end() -> None:
    async with listening() as (address, taken):
        dialled = await dial([address], anyone(), 5)
        async with asyncio.timeout(5):
            while not taken:  # noqa: ASYNC110 - it is taken in the loop's own time
                await asyncio.sleep(0)
        for _, writer in (dialled.streams, *taken):
            connection = writer.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        dialled.streams[1].transport.abort()
