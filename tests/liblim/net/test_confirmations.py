"""What other devices are known to hold: neighbours at once, others by receipts that went through a third."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from liblim.admission import Receipt
from liblim.aio import AsyncDatabase
from liblim.net import confirmations
from liblim.receipt import Receipt as Signed
from liblim.sync import receipts
from liblim.sync.messages import Entry, Igotz, Ihaz
from liblim.trust import Identity
from tests.liblim.net.devices import Device, device, member, new_database
from tests.liblim.things import Thing


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts after a short rest, as tests do not wait."""
    monkeypatch.setattr(receipts, "REST", 0.02)
    monkeypatch.setattr(receipts, "BUSY", 0.1)
    monkeypatch.setattr(confirmations, "SAVE_AFTER", 0.02)


@asynccontextmanager
async def three() -> AsyncIterator[tuple[Device, Device, Device]]:
    """Desk and Lap, which know each other only through Server: they listen nowhere."""
    async with (
        device("Server") as server,
        device("Desk", unheard=True) as desk,
        device("Lap", unheard=True) as lap,
    ):
        await server.invite(desk)
        await server.identical(desk)
        await server.invite(lap)
        await server.identical(desk, lap)
        yield server, desk, lap


async def on(at: Device, oid: str, *others: Device) -> None:
    """Wait until a device knows that a note is on these others, and no further."""
    wanted = {other.id for other in others}
    async with asyncio.timeout(15):
        while await at.database.holders(oid) != wanted:
            await at.told()


def lacks(at: Device, other: Device) -> int | None:
    status = at.peer(other)
    return status.they_lack if status else None


def test_a_neighbour_holds_what_it_acknowledges() -> None:
    async def scene() -> None:
        async with device("Desk") as desk, device("Lap", unheard=True) as lap:
            await desk.invite(lap)
            await desk.identical(lap)
            oid = (await desk.write("hello")).oid
            await on(desk, oid, lap)
            status = desk.peer(lap)
            assert status is not None
            assert status.confirmed is not None
            assert (status.they_lack, status.differing) == (0, ())

    asyncio.run(scene())


def test_who_is_far_away_is_known_by_its_receipts() -> None:
    async def scene() -> None:
        async with three() as (server, desk, lap):
            oid = (await lap.write("hello")).oid
            await on(lap, oid, server, desk)
            status = lap.peer(desk)
            assert status is not None
            assert not status.connected
            assert status.they_lack == 0
            assert status.confirmed is not None
            # Desk goes; what is written now is on Server, and not on Desk.
            await desk.node.stop()
            await server.until(lambda: not server.connected(desk))
            more = (await lap.write("more")).oid
            await on(lap, more, server)
            await on(lap, oid, server, desk)
            assert lacks(lap, desk) == 1
            status = lap.peer(desk)
            assert status is not None
            assert len(status.differing) == 1
            await desk.node.start_unheard()
            await on(lap, more, server, desk)
            await lap.until(lambda: lacks(lap, desk) == 0)

    asyncio.run(scene())


def test_what_was_known_is_known_after_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        identity = Identity.generate()
        path = tmp_path / "lap.db"

        async def lap_again() -> AsyncDatabase:
            return await AsyncDatabase.open(path, [Thing], identity=identity)

        async with device("Server") as server, device("Desk", unheard=True) as desk:
            await server.invite(desk)
            database = await lap_again()
            async with device("Lap", unheard=True, database=database) as lap:
                await server.invite(lap)
                await server.identical(desk, lap)
                oid = (await lap.write("hello")).oid
                await on(lap, oid, server, desk)
            await database.close()
            database = await lap_again()
            await database.load_trust()
            thing = database.create(Thing)
            thing.body.insert(0, "alone")
            await database.commit()
            assert await database.holders(oid) == frozenset()  # nobody has asked yet
            await server.node.stop()
            async with device("Lap", unheard=True, database=database) as lap:
                assert await database.holders(oid) == {server.id, desk.id}
                assert await database.holders(thing.oid) == frozenset()
                assert lacks(lap, desk) == lacks(lap, server) == 1
            await database.close()

    asyncio.run(scene())


def test_a_device_whose_backup_was_restored_says_less_and_is_believed(tmp_path: Path) -> None:
    async def scene() -> None:
        identity = Identity.generate()
        path, backup = tmp_path / "desk.db", tmp_path / "backup.db"
        async with device("Server") as server, device("Lap", unheard=True) as lap:
            await server.invite(lap)
            database = await AsyncDatabase.open(path, [Thing], identity=identity)
            async with device("Desk", unheard=True, database=database) as desk:
                await server.invite(desk)
                await server.identical(desk, lap)
                await database.copy_to(backup)
                oid = (await lap.write("hello")).oid
                await on(lap, oid, server, desk)
                for _ in range(3):  # so that its counter is ahead of the backup's
                    last = (await lap.write("more")).oid
                    await on(lap, last, server, desk)
            await database.close()
            # The backup comes back where it can be heard, and cannot hear of what it lacks.
            database = await AsyncDatabase.open(backup, [Thing], identity=identity)
            database.receive = nothing  # type: ignore[method-assign]
            async with device("Desk", unheard=True, database=database) as desk:
                await on(lap, oid, server)
                assert lacks(lap, desk) == 4
                await desk.write("what it writes now, others get")
                await lap.until(lambda: lap.database.count == desk.database.count + 4)
                await lap.until(lambda: lacks(lap, desk) == 4)
            await database.close()

    async def nothing(changes: object) -> Receipt:
        return Receipt([])

    asyncio.run(scene())


def test_a_member_that_is_removed_is_forgotten() -> None:
    async def scene() -> None:
        async with three() as (server, desk, lap):
            oid = (await lap.write("hello")).oid
            await on(lap, oid, server, desk)
            await server.node.membership.remove(desk.id)
            await on(lap, oid, server)
            async with asyncio.timeout(15):
                while desk.id in {kept.device for kept in await lap.database.load_receipts()}:
                    pass  # it is forgotten on the store's thread, too

    asyncio.run(scene())


def test_a_receipt_with_a_wrong_signature_ends_the_connection() -> None:
    async def scene() -> None:
        async with device("Desk") as desk, member(desk) as guest:
            await guest.greet()
            bad = Signed(guest.identity.device, 1, "0" * 32, b"", bytes(64))
            await guest.say(Igotz(bad))
            nowai = (await guest.hear_all())[-1]
            assert getattr(nowai, "code", "") == "bad-message"

    asyncio.run(scene())


def test_what_differs_is_named() -> None:
    async def scene() -> None:
        async with device("Desk") as desk, member(desk) as guest:
            await guest.greet()
            await desk.write("hello")
            await guest.say(Ihaz(3, "0" * 64, page=1, heads=(Entry("a" * 16, 3, bytes(32)),)))
            await desk.until(lambda: desk.node.status()[0].differing)
            (status,) = desk.node.status()
            assert set(status.differing) == {"a" * 16, *desk.database.heads}
            assert (status.identical, status.we_lack) == (False, 3)
            assert status.they_lack == desk.database.count

    asyncio.run(scene())


def test_nothing_is_kept_of_who_is_alone() -> None:
    async def scene() -> None:
        async with device("Desk", database=(database := await new_database())) as desk:
            await desk.write("hello")
            assert await database.load_receipts() == []
        await database.close()

    asyncio.run(scene())
