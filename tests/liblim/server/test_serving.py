"""Devices that sync through a server, on loopback."""

from __future__ import annotations

from pathlib import Path

from liblim.aio import AsyncDatabase
from liblim.server.stores import Standing
from liblim.trust import Identity
from tests.liblim.net.devices import device
from tests.liblim.server.serving import in_step, on_folder, server_peer, serving
from tests.liblim.things import Thing


async def database(folder: Path, identity: Identity) -> AsyncDatabase:
    return await AsyncDatabase.open(folder / f"{identity.device}.db", [Thing], identity=identity)


@on_folder
async def test_two_devices_that_are_never_awake_together_sync(tmp_path: Path) -> None:
    lap, desk = Identity.generate(), Identity.generate()
    async with serving(tmp_path / "server") as server:
        store = await database(tmp_path, lap)
        store_desk = await database(tmp_path, desk)
        async with device("Lap", database=store) as first:
            await server.pair(first)
            async with device("Desk", database=store_desk) as second:
                await first.invite(second)
                await first.identical(second)
                await in_step(second)
            thing = await first.write("hello from Lap")
            await in_step(first)
        async with device("Desk", database=store_desk) as second:
            await in_step(second)
            assert await second.read(thing.oid) == "hello from Lap"
            answer = await second.write("hello from Desk")
            await in_step(second)
        async with device("Lap", database=store) as first:
            await in_step(first)
            assert await first.read(answer.oid) == "hello from Desk"
        assert server.server.shelf.standing(store.library, desk.device) is Standing.MEMBER
        await store.close()
        await store_desk.close()


@on_folder
async def test_a_server_is_a_peer_of_its_own_kind(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device("Lap") as lap:
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
