"""Devices on several server processes over one PostgreSQL, behind one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")

from liblim.net.address import Address
from liblim.server.inviting import invite
from liblim.server.postgres import PostgresStorage
from liblim.server.server import Server, identity_of
from tests.liblim.net.devices import QUICK, Device, device, new_database
from tests.liblim.server.cluster import Cluster
from tests.liblim.server.serving import in_step, pair


class Balancer:
    """One address for all processes: new connections go to ``end``."""

    def __init__(self, end: Address) -> None:
        self.end = end
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Address]:
        """Listen until the end of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield Address(*server.sockets[0].getsockname()[:2])
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self.end.host, self.end.port)
        for source, target in ((reader, forth), (back, writer)):
            task = asyncio.ensure_future(_carry(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


class Farm:
    """Two server processes, as far as storage goes, and what stands before them."""

    def __init__(self, storages: list[PostgresStorage], servers: list[Server]) -> None:
        self.storages = storages
        self.servers = servers
        ends = [server.listening for server in servers]
        self.ends = [end for end in ends if end is not None]
        self.balancer = Balancer(self.ends[0])

    def connected(self) -> list[int]:
        """How many devices are connected to each."""
        return [
            sum(len(circle.links) for circle in server.shelf.circles.values())
            for server in self.servers
        ]


@asynccontextmanager
async def farm(address: str) -> AsyncIterator[Farm]:
    """Two servers on one database."""
    storages = [PostgresStorage(address) for _ in range(2)]
    identities = [identity_of(storage.registry) for storage in storages]
    assert identities[0].device == identities[1].device
    servers = [
        Server(storage, identity, timing=QUICK)
        for storage, identity in zip(storages, identities, strict=True)
    ]
    try:
        for server in servers:
            await server.start("127.0.0.1", 0)
        yield Farm(storages, servers)
        for server in servers:
            await server.stop()
    finally:
        for storage in storages:
            storage.close()


@asynccontextmanager
async def apart(address: str) -> AsyncIterator[tuple[Farm, Device, Device]]:
    """Two devices of a library that reach nothing but the server, each another process of it."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(farm(address))
        front = await stack.enter_async_context(servers.balancer.open())
        first, second = [await new_database() for _ in range(2)]
        for database in (first, second):
            stack.push_async_callback(database.close)
        async with device("Lap", database=first) as lap:
            await pair(lap, front, invite(servers.storages[0].registry).code)
            await in_step(lap)
            async with device("Desk", database=second, unheard=True) as desk:
                await lap.invite(desk)
                await lap.identical(desk)
                await in_step(lap)
        lap = await stack.enter_async_context(device("Lap", database=first, unheard=True))
        await in_step(lap)
        servers.balancer.end = servers.ends[1]
        desk = await stack.enter_async_context(device("Desk", database=second, unheard=True))
        await in_step(desk)
        assert servers.connected() == [1, 1]
        yield servers, lap, desk


async def settled(lap: Device, desk: Device) -> None:
    """Wait until both hold the same."""
    for at in (lap, desk):
        await at.until(lambda: lap.database.digest == desk.database.digest)


def test_devices_on_two_processes_see_each_other_type(cluster: Cluster) -> None:
    async def run() -> None:
        async with apart(cluster.new_database()) as (servers, lap, desk):
            there = await lap.write("hello")
            await settled(lap, desk)
            assert await desk.read(there.oid) == "hello"
            for number in range(10):
                at, other = (lap, desk) if number % 2 else (desk, lap)
                thing = await at.write(str(number))
                await settled(lap, desk)
                assert await other.read(thing.oid) == str(number)
            assert servers.connected() == [1, 1]

    asyncio.run(run())


def test_devices_notice_of_a_restart_of_postgresql_but_a_delay(cluster: Cluster) -> None:
    async def run() -> None:
        async with apart(cluster.new_database()) as (servers, lap, desk):
            before = len(lap.lines), len(desk.lines)
            await asyncio.to_thread(cluster.stop, "immediate")
            thing = await lap.write("written while PostgreSQL was away")
            answer = await desk.write("likewise")
            await asyncio.to_thread(cluster.start)
            for at in (lap, desk):
                await in_step(at)
            await settled(lap, desk)
            assert await desk.read(thing.oid) == "written while PostgreSQL was away"
            assert await lap.read(answer.oid) == "likewise"
            assert servers.connected() == [1, 1]
            told = [*lap.lines[before[0] :], *desk.lines[before[1] :]]
            assert [line for line in told if line.level != "info"] == []

    asyncio.run(run())
