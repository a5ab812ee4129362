"""A device that cannot be reached is tried less and less often, and at once where there is reason to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from liblim.net.timing import Timing
from liblim.net.wake import JUMP, WakeWatch
from liblim.sync import exchange
from liblim.sync.messages import Ihaz, Nm, Sup
from tests.liblim.net.devices import QUICK, Device, device, member

PATIENT = QUICK._replace(first_retry=1000.0, last_retry=1000.0, look=0.02)


class Clock:
    """A wall clock that can be set."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.mark.parametrize("reason", ["sync now", "sleep"])
def test_it_is_tried_at_once(reason: str) -> None:
    async def scene() -> None:
        clock = Clock()
        async with (
            device("Desk") as desk,
            device("Lap", unheard=True, timing=PATIENT, clock=clock) as lap,
        ):
            port = desk.address.port
            await desk.invite(lap)
            await lap.identical(desk)
            await desk.node.stop()
            await lap.until(lambda: waits(lap, desk))
            await desk.node.start("127.0.0.1", port)
            if reason == "sync now":
                lap.node.sync_now()
            else:
                clock.ahead = 3600.0
                await lap.logged("woke from sleep")
            await lap.until(lambda: lap.connected(desk))

    asyncio.run(scene())


def test_the_other_one_connects_meanwhile() -> None:
    async def scene() -> None:
        async with device("Desk") as desk, device("Lap", timing=PATIENT) as lap:
            await desk.invite(lap)
            await lap.identical(desk)
            await desk.node.stop()
            await lap.until(lambda: waits(lap, desk))
            await desk.node.start_unheard()
            await lap.until(lambda: lap.connected(desk))
            status = lap.peer(desk)
            assert status is not None
            assert status.incoming
            assert status.next_try is None

    asyncio.run(scene())


def waits(lap: Device, desk: Device) -> bool:
    """Whether a device knows that another is gone, and will try again much later."""
    status = lap.peer(desk)
    return status is not None and (status.next_try or 0) > time.time() + 500


def test_a_person_who_asks_has_connected_devices_asked_too() -> None:
    async def scene() -> None:
        async with device("Desk") as desk, member(desk) as guest:
            await guest.greet()
            assert await guest.hear_of(Sup)
            desk.node.sync_now()
            sup = await guest.hear_of(Sup)
            await guest.say(Nm(sup.ping))
            await desk.until(lambda: desk.node.status()[0].round_trip is not None)

    asyncio.run(scene())


def test_one_that_hangs_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "HANGING", 0.1)

    async def scene() -> None:
        async with device("Desk") as desk, member(desk) as guest:
            await guest.greet()
            await guest.say(Ihaz(desk.database.count, desk.database.digest))
            await desk.until(lambda: desk.node.status()[0].identical)
            await desk.write("hello")
            line = await desk.logged("has not acknowledged anything")
            assert line.level == "warning"
            assert "seems to hang" in desk.node.status()[0].waiting_for
            await desk.write("more")
            await asyncio.sleep(0.2)
            assert sum("has not acknowledged" in line.text for line in desk.lines) == 1

    asyncio.run(scene())


def test_all_that_hangs_is_found_out_within_15_s() -> None:
    """A peer that takes nothing is noticed up to an eighth late, twice."""
    timing = Timing()
    assert timing.write * (1 + 2 / 8) <= 15
    assert max(timing.connect, timing.greeting, timing.handshake) <= 15


# The clocks


def woken(jumps: Callable[[Clock], None]) -> int:
    """How often somebody is told that the computer woke."""

    async def scene() -> int:
        clock, told = Clock(), 0

        def wake() -> None:
            nonlocal told
            told += 1

        watch = WakeWatch(clock, PATIENT, wake)
        watch.begin()
        jumps(clock)
        await asyncio.sleep(10 * PATIENT.look)
        watch.stop()
        clock.ahead += 3600.0
        await asyncio.sleep(3 * PATIENT.look)
        return told

    return asyncio.run(scene())


def test_a_jump_of_the_clock_is_told_once() -> None:
    assert woken(lambda clock: setattr(clock, "ahead", JUMP + 5)) == 1


def test_a_small_step_and_one_backwards_are_not() -> None:
    assert woken(lambda clock: setattr(clock, "ahead", JUMP / 2)) == 0
    assert woken(lambda clock: setattr(clock, "ahead", -3600.0)) == 0
