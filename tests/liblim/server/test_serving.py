"""Devices that sync through a server, on loopback, with each kind of storage."""

from __future__ import annotations

import asyncio
from pathlib import Path

from liblim.aio import AsyncDatabase
from liblim.server.sqlite import SqliteStorage
from tests.liblim.net.devices import device, new_database
from tests.liblim.net.test_canary import CANARY, TITLE, assert_silent
from tests.liblim.server.conftest import Opener
from tests.liblim.server.serving import (
    Serving,
    in_step,
    on_folder,
    on_storage,
    server_peer,
    serving,
)


async def two_devices(
    server: Serving, lap_database: AsyncDatabase, desk_database: AsyncDatabase
) -> None:
    """Put two devices into one library, which is served, and stop them."""
    async with (
        device("Lap", database=lap_database) as lap,
        device("Desk", database=desk_database) as desk,
    ):
        await lap.invite(desk)
        await lap.identical(desk)
        await server.pair(lap)
        await in_step(desk)
        await in_step(lap)


@on_storage
async def test_two_devices_that_are_never_awake_together_sync(open_storage: Opener) -> None:
    lap_database, desk_database = await new_database(), await new_database()
    async with serving(open_storage()) as server:
        await two_devices(server, lap_database, desk_database)
        async with device("Lap", database=lap_database) as lap:
            thing = await lap.write("hello from Lap")
            await in_step(lap)
        async with device("Desk", database=desk_database) as desk:
            await in_step(desk)
            assert await desk.read(thing.oid) == "hello from Lap"
            answer = await desk.write("hello from Desk")
            await in_step(desk)
        async with device("Lap", database=lap_database) as lap:
            await in_step(lap)
            assert await lap.read(answer.oid) == "hello from Desk"
        assert server.holds(lap_database.library)[1] == lap_database.digest
    await lap_database.close()
    await desk_database.close()


@on_storage
async def test_a_server_is_a_peer_of_its_own_kind(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        status = server_peer(lap)
        assert (status.device, status.name, status.server) == (server.id, "Server", True)
        assert lap.database.ledger.members.keys() == {lap.id}
        assert lap.database.ledger.servers.keys() == {server.id}
        thing = await lap.write("x")
        await in_step(lap)
        await lap.until(lambda: server_peer(lap).they_lack == 0)
        assert server.id in await lap.database.holders(thing.oid)


@on_storage
async def test_devices_that_cannot_reach_each_other_see_each_others_typing(
    open_storage: Opener,
) -> None:
    lap_database, desk_database = await new_database(), await new_database()
    async with serving(open_storage()) as server:
        await two_devices(server, lap_database, desk_database)
        async with (
            device("Lap", database=lap_database, unheard=True) as lap,
            device("Desk", database=desk_database, unheard=True) as desk,
        ):
            await in_step(lap)
            await in_step(desk)
            thing = await lap.write("typed")
            await desk.until(lambda: desk.database.digest == lap.database.digest)
            assert await desk.read(thing.oid) == "typed"
            assert not lap.connected(desk)
            assert not desk.connected(lap)
    await lap_database.close()
    await desk_database.close()


@on_storage
async def test_what_one_confirmed_the_other_hears_through_it(open_storage: Opener) -> None:
    lap_database, desk_database = await new_database(), await new_database()
    async with serving(open_storage()) as server:
        await two_devices(server, lap_database, desk_database)
        async with device("Lap", database=lap_database) as lap:
            thing = await lap.write("news")
            await in_step(lap)
        async with device("Desk", database=desk_database) as desk:
            await in_step(desk)
            circle = server.server.shelf.circles[desk.database.library]
            before = circle._receipts.latest.get(desk.id)
            await desk.until(lambda: circle._receipts.latest.get(desk.id) not in (None, before))
        async with device("Lap", database=lap_database) as lap:
            async with asyncio.timeout(15):
                while desk.id not in await lap.database.holders(thing.oid):
                    await lap.told()
            assert not lap.connected(desk)
    await lap_database.close()
    await desk_database.close()


@on_storage
async def test_a_library_that_nobody_uses_is_closed_and_opened_again(open_storage: Opener) -> None:
    database = await new_database()
    async with serving(open_storage()) as server:
        async with device("Lap", database=database) as lap:
            await server.pair(lap)
            await in_step(lap)
        circle = server.server.shelf.circles[database.library]
        for task in list(circle.links.values()):
            await task
        server.server.shelf._close_idle(database.library)
        for chore in list(server.server._chores):
            await chore
        assert not server.server.shelf.circles
        async with device("Lap", database=database) as lap:
            await lap.write("again")
            await in_step(lap)
        assert server.holds(database.library)[1] == database.digest
    await database.close()


@on_storage
async def test_a_server_that_starts_again_holds_all_that_it_confirmed(open_storage: Opener) -> None:
    database = await new_database()
    async with serving(open_storage()) as server:
        port = server.address.port
        async with device("Lap", database=database) as lap:
            await server.pair(lap)
            await lap.write("x")
            await in_step(lap)
    async with serving(open_storage(), port) as server, device("Lap", database=database) as lap:
        await in_step(lap)
        assert server.holds(database.library) == (database.count, database.digest)
    await database.close()


@on_folder
async def test_a_server_that_was_rolled_back_gets_back_what_it_lost(folder: Path) -> None:
    storage, backup = SqliteStorage(folder / "server"), folder / "backup"
    database = await new_database()
    async with device("Lap", database=database) as lap:
        async with serving(storage) as server:
            port = server.address.port
            await server.pair(lap)
            await lap.write("before")
            await in_step(lap)
            storage.back_up(backup)
            before = database.count
            for number in range(5):
                await lap.write(f"after {number}")
            await in_step(lap)
        storage.close()
        await lap.until(lambda: not server_peer(lap).connected)
        restored = SqliteStorage(backup)
        async with serving(restored, port) as server:
            await lap.logged("Server holds less than it did before")
            await in_step(lap)
            assert database.count > before
            assert server.holds(database.library) == (database.count, database.digest)
        restored.close()
    await database.close()


@on_folder
async def test_what_is_written_is_in_no_file_of_the_server(folder: Path) -> None:
    storage = SqliteStorage(folder)
    async with serving(storage) as server, device(TITLE) as lap:
        await server.pair(lap)
        await lap.write(CANARY)
        await in_step(lap)
        await lap.until(lambda: server_peer(lap).they_lack == 0)
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert any(file.name.startswith(lap.database.library) for file in files)
        for file in files:
            assert_silent(file.name, file.read_bytes())
    storage.close()
    for file in folder.rglob("*"):
        if file.is_file():
            assert_silent(file.name, file.read_bytes())
