"""Many who knock and do nothing: the devices of the library still get in."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from liblim.net.listener import EXHAUSTED, MAX_STRANGERS, listen
from liblim.net.tls import SYNC, client_context
from tests.liblim.net.devices import QUICK, Device, both_loops, device

PACE = 0.002
"""Seconds from one connection of a flood to the next: 500 a second."""
KEPT = 200
"""Connections that a flood keeps open."""


def hello(at: Device) -> bytes:
    """The beginning of a TLS handshake."""
    outgoing = ssl.MemoryBIO()
    tls = client_context(None, None, SYNC).wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def say_nothing(at: Device, connection: socket.socket) -> None:
    """Connect, and leave it at that."""


async def write_slowly(at: Device, connection: socket.socket) -> None:
    """Say the first half of the handshake, byte by byte."""
    for byte in hello(at)[:100]:
        await asyncio.get_running_loop().sock_sendall(connection, bytes([byte]))


async def never_read(at: Device, connection: socket.socket) -> None:
    """Let the other side do its part of the handshake, and leave it unread."""
    await asyncio.get_running_loop().sock_sendall(connection, hello(at))


Way = Callable[[Device, socket.socket], Awaitable[None]]


@asynccontextmanager
async def flood(at: Device, ways: list[Way]) -> AsyncIterator[list[int]]:
    """Connections to a device, one after the other, in each of these ways; counts them."""
    kept: deque[socket.socket] = deque()
    count = [0]

    async def knock() -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection = socket.socket()
            connection.setblocking(False)
            kept.append(connection)
            if len(kept) > KEPT:
                kept.popleft().close()
            with contextlib.suppress(OSError):
                await loop.sock_connect(connection, tuple(at.address))
                await ways[count[0] % len(ways)](at, connection)
            count[0] += 1
            await asyncio.sleep(PACE)

    knocking = asyncio.ensure_future(knock())
    try:
        yield count
    finally:
        knocking.cancel()
        await asyncio.gather(knocking, return_exceptions=True)
        for connection in kept:
            connection.close()


@both_loops
async def test_a_member_connects_in_the_middle_of_a_flood() -> None:
    """It listens nowhere, so that only it can connect; how quickly is for the benchmark to say."""
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        ways: list[Way] = [say_nothing, write_slowly, never_read]
        async with flood(desk, ways) as count:
            await desk.invite(lap)
            for _ in range(5):
                note = await desk.write("still here")
                await lap.identical(desk)
                assert await lap.read(note.oid) == "still here"
                before = count[0]
                for link in list(lap.node._links):
                    link.drop()
                await lap.until(lambda: not lap.connected(desk))
                while count[0] < before + MAX_STRANGERS:  # noqa: ASYNC110 (it never ends)
                    await asyncio.sleep(PACE)
            assert desk.node._door._listener is not None
            assert desk.node._door._listener.strangers <= MAX_STRANGERS + 1
            await lap.until(lambda: lap.connected(desk))
        assert {line.level for line in desk.lines} <= {"info", "warning"}
        assert all(line.device for line in desk.lines[1:])  # strangers do not fill the log


@both_loops
async def test_who_is_thrown_out_leaves_nothing_behind() -> None:
    timing = QUICK._replace(handshake=60.0)
    async with device("Desk", timing=timing) as desk:
        listener = desk.node._door._listener
        assert listener is not None
        async with flood(desk, [never_read]) as count:
            async with asyncio.timeout(20):
                while count[0] < 6 * MAX_STRANGERS:  # noqa: ASYNC110 (it never ends)
                    await asyncio.sleep(PACE)
            assert 0 < listener.strangers <= MAX_STRANGERS
        async with asyncio.timeout(20):
            while listener.strangers:  # noqa: ASYNC110 (they see the end one by one)
                await asyncio.sleep(PACE)
        assert desk.node.sessions == []


async def close_while_many_knock() -> None:
    for turns in range(12):
        listener, (_, port) = await listen(
            lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), lambda _: None, port=0
        )
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                connection = stack.enter_context(socket.socket())
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.connect(("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.sleep(0)
            await listener.close()
    gc.collect()  # a socket that was lost fails the test with a warning


@both_loops
async def test_closing_loses_nobody_who_knocks_at_that_moment() -> None:
    await close_while_many_knock()


@pytest.mark.asyncio
async def test_where_the_loop_watches_no_sockets_they_are_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows."""

    def missing(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", missing)
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        await desk.invite(lap)
        note = await desk.write("here")
        await lap.identical(desk)
        assert await lap.read(note.oid) == "here"


@pytest.mark.asyncio  # Qt ends the process where it can open no file
async def test_a_computer_that_can_open_no_more_takes_connections_later() -> None:
    async with device("Desk") as desk:
        listener = desk.node._door._listener
        assert listener is not None
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as knocking, socket.socket() as spare:
            knocking.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno(), limits[1]))
            try:
                with contextlib.suppress(BlockingIOError):
                    knocking.connect(tuple(desk.address))
                await asyncio.sleep(2 * EXHAUSTED)
                assert listener.strangers == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            async with asyncio.timeout(20):
                while not listener.strangers:  # noqa: ASYNC110 (it says nothing of strangers)
                    await asyncio.sleep(PACE)
