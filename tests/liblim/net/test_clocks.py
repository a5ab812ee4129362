"""Wall clocks that are decades off change dates that are shown, and nothing else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from liblim.aio import AsyncDatabase
from liblim.trust import Identity
from tests.liblim.net.devices import Device, both_loops, device
from tests.liblim.net.test_pairing import pair, ready
from tests.liblim.things import Thing

YEARS = 50 * 365.25 * 86400


class OffClock:
    """The machine's clocks, with the date so many seconds off."""

    def __init__(self, off: float) -> None:
        self._off = off

    def wall(self) -> float:
        return time.time() + self._off

    def monotonic(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def off(name: str, seconds: float) -> AsyncIterator[Device]:
    clock = OffClock(seconds)
    database = await AsyncDatabase.open(
        ":memory:", [Thing], identity=Identity.generate(), clock=clock
    )
    try:
        async with device(name, database=database) as found:
            found.node._clock = clock.wall
            yield ready(found)
    finally:
        await database.close()


async def live(desk: Device, lap: Device) -> None:
    """Pair, write on both, on one note at once too, and remove."""
    await pair(desk, lap)
    await lap.identical(desk)
    note, other = await desk.write("from the desk"), await lap.write("from the lap")
    await desk.identical(lap)
    for at in (desk, lap):
        thing = await at.database.get(Thing, note.oid)
        thing.body.insert(0, f"{at.name} ")
        await at.database.commit()
    await desk.identical(lap)
    await lap.identical(desk)
    text = await desk.read(note.oid)
    assert sorted(text.split()) == sorted(["Desk", "Lap", "from", "the", "desk"])
    assert await lap.read(note.oid) == text
    assert await desk.read(other.oid) == "from the lap"
    before = desk.database.keys.epoch
    await desk.node.membership.remove(lap.id)
    await lap.until(lambda: not lap.connected(desk))
    assert set(desk.database.ledger.members) == {desk.id}
    assert desk.database.keys.epoch not in (before, *lap.database.keys.epochs)
    late = await desk.write("not for the lap")
    assert late.oid not in {entry.oid for entry in await lap.database.entries()}


@both_loops
async def test_one_that_lags_and_one_that_leads() -> None:
    async with off("Desk", -YEARS) as desk, off("Lap", YEARS) as lap:
        await live(desk, lap)


@both_loops
async def test_one_that_leads_and_one_that_lags() -> None:
    async with off("Desk", YEARS) as desk, off("Lap", -YEARS) as lap:
        await live(desk, lap)
