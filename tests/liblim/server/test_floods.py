"""A device that floods a server: those of another library are served meanwhile, and so are its fellows."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from pathlib import Path

import pytest

from liblim.net.link import AHEAD, CHUNK, LEAST, TURN, Link
from liblim.receipt import Receipt
from liblim.server.circle import LINKS, VOUCHES, Circle
from liblim.server.limits import Limits
from liblim.server.sqlite import SqliteStorage
from liblim.sync import Session
from liblim.sync.messages import MAX_LINE, Entry, Igotz, Ihaz, Kthx, Nm, Sup, Ucanhaz
from liblim.sync.outbox import ROOM
from tests.liblim.server.floods import FLOODS, Flooder
from tests.liblim.server.guests import Couple, Household, codes, couple, household, no_mistakes
from tests.liblim.server.serving import Serving, serving

LIMITS = Limits(changes=2000.0, burst=500, devices=400)
ENOUGH = {
    "connections": 60,
    "strangers": 60,
    "pairings": 60,
    "handshakes": 600,
    "listings": 40,
    "changes": 40,
}
"""Pieces of a flood during which the others must have been served; of other kinds 30."""


def check_bounds(server: Serving, lib: Household) -> None:
    """Nothing of what is kept for a device grows with what it sends."""
    circle: Circle | None = server.server.shelf.circles.get(lib.library)
    door, flooder = server.server.door, lib.members[0].device
    assert list(door._greeting.values()).count(flooder) <= LINKS
    if circle is None:
        return
    links = [link for link in circle.links if link.device == flooder]
    assert len(links) <= LINKS + 1
    for link in links:
        assert link._writer.transport.get_write_buffer_size() <= ROOM + 2 * MAX_LINE
        assert link.session.buffered <= MAX_LINE + CHUNK
        assert link._ahead <= AHEAD + CHUNK
        assert len(link._arrived) <= AHEAD // 400
        assert len(link.session._exchange.outbox._window) <= 256
    assert circle._vouching[flooder] <= VOUCHES
    assert len(server.server._chores) <= 2 * VOUCHES


async def serve_all(two: Couple, lib: Household, letter: str) -> None:
    """A device of another library, and one of the flooder's, write something that another one gets."""
    author = lib.author(1, letter)
    async with lib.come(1) as writer, lib.come(2) as reader:
        first = author.write("hello")
        await writer.say(Ucanhaz(first))
        while first.hash not in {head.hash for head in (await writer.hear_of(Kthx)).heads}:
            pass
        heard = asyncio.ensure_future(_hear(reader, first.replica))
        await two.go_on()
        await heard


async def _hear(reader: object, replica: str) -> None:
    """Wait until a change of a replica was pushed, or announced."""
    while (said := await reader.hear()) is not None:  # type: ignore[attr-defined]
        if isinstance(said, Ucanhaz) and said.change.replica == replica:
            return
        if any(head.replica == replica for head in getattr(said, "heads", ())):
            return
    raise AssertionError("it was sent away")


@pytest.mark.parametrize("kind", FLOODS)
def test_the_others_are_served(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        storage, count, letters = SqliteStorage(tmp_path), 0, map(chr, itertools.count(33))

        def said() -> None:
            nonlocal count
            count += 1
            check_bounds(server, lib)

        with no_mistakes():
            async with serving(storage, limits=LIMITS) as server, couple(server) as two:
                lib = await household(server, 3)
                pin = server.identity.certificate
                flooder = Flooder(server.address, pin, lib.library, lib.members[0])
                flood = asyncio.ensure_future(FLOODS[kind](flooder, said))
                try:
                    async with asyncio.timeout(60):
                        while count < ENOUGH.get(kind, 30) and not flood.done():
                            await serve_all(two, lib, next(letters))
                        await serve_all(two, lib, next(letters))
                finally:
                    flood.cancel()
                    await asyncio.wait([flood])
                assert flood.cancelled(), flood.exception()
                await serve_all(two, lib, next(letters))
        storage.close()

    asyncio.run(run())


def test_who_speaks_of_too_much_that_it_does_not_give_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liblim.server.circle.UNGIVEN", 2500)
    monkeypatch.setattr("liblim.server.circle.WATCH", 0.05)

    async def run() -> None:
        storage = SqliteStorage(tmp_path)
        with no_mistakes():
            async with serving(storage) as server, couple(server) as two:
                lib = await household(server, 3)
                async with lib.come(1) as modest, lib.come(0) as greedy:
                    await modest.say(_listing(1))
                    await greedy.say(_listing(2), _listing(3))
                    assert codes(await greedy.hear_all()) == ["over-limit"]
                    await modest.say(Sup(1))
                    while await modest.hear_of(Nm) != Nm(1):
                        pass
                await serve_all(two, lib, "a")
        storage.close()

    asyncio.run(run())


def _listing(number: int) -> Ihaz:
    """Words on a thousand replicas."""
    heads = tuple(Entry(f"{number:08x}{n:08x}", 1, bytes(32)) for n in range(1000))
    return Ihaz(1000, "f" * 64, 0, False, heads)


def test_of_many_receipts_at_once_all_get_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To hand on each would take the loop for as many connections as the library has."""
    handed, hand_on = list[int](), Link.hand_on

    def counted(self: Link, receipt: Receipt) -> None:
        handed.append(receipt.counter)
        hand_on(self, receipt)

    monkeypatch.setattr(Link, "hand_on", counted)

    async def run() -> None:
        storage = SqliteStorage(tmp_path)
        async with serving(storage) as server:
            lib = await household(server, 2)
            async with lib.come(1) as fellow, lib.come(0) as guest:
                await guest.say(*(Igotz(lib.receipt(counter)) for counter in range(1, 101)))
                while (await fellow.hear_of(Igotz)).receipt.counter < 100:
                    pass
                assert len(handed) < 50
        storage.close()

    asyncio.run(run())


def test_changes_that_contradict_others_count_towards_the_limit(tmp_path: Path) -> None:
    async def run() -> None:
        storage, room = SqliteStorage(tmp_path), 3 * 2**20
        with no_mistakes():
            async with (
                serving(storage, limits=Limits(octets=room)) as server,
                couple(server) as two,
            ):
                lib = await household(server)
                async with lib.come() as guest:
                    body = random.Random(1).randbytes(200_000)
                    with contextlib.suppress(ConnectionError):
                        for number in range(60):
                            # Always the first change of one replica, signed, and never the same.
                            await guest.say(Ucanhaz(lib.author().write(sealed=body, at=number)))
                    assert codes(await guest.hear_all()) == ["over-limit"]
                log = server.server.shelf.circles[lib.library].served._log
                assert await asyncio.to_thread(log.octets) < 3 * room
                await two.go_on()
        storage.close()

    asyncio.run(run())


def test_of_who_says_what_takes_long_less_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, slow = Session.receive_data, True

    def received(self: Session, data: bytes, now: float) -> None:
        until = time.thread_time() + 2 * TURN * slow
        while time.thread_time() < until:
            pass
        receive(self, data, now)

    async def run() -> None:
        nonlocal slow
        storage = SqliteStorage(tmp_path)
        async with serving(storage) as server:
            lib = await household(server)
            async with lib.come() as guest:
                (link,) = server.server.shelf.circles[lib.library].links
                monkeypatch.setattr(Session, "receive_data", received)
                for wanted in (LEAST, CHUNK):
                    async with asyncio.timeout(20):
                        while link._at_once != wanted:
                            await guest.say(Sup(1))
                            await guest.hear_of(Nm)
                    slow = False
        storage.close()

    asyncio.run(run())
