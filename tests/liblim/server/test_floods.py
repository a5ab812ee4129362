"""A device that floods a server: those of another library are served meanwhile, and so are its fellows."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from liblim.net.link import AHEAD, CHUNK
from liblim.server.circle import LINKS, VOUCHES, Circle
from liblim.server.limits import Limits
from liblim.server.sqlite import SqliteStorage
from liblim.sync.messages import MAX_LINE, Kthx, Ucanhaz
from liblim.sync.outbox import ROOM
from tests.liblim.server.floods import FLOODS, Flooder
from tests.liblim.server.guests import Couple, Household, couple, household, no_mistakes
from tests.liblim.server.serving import Serving, serving

LIMITS = Limits(changes=2000.0, burst=500, devices=400)
ENOUGH = {"connections": 100, "strangers": 100, "pairings": 100, "listings": 40, "changes": 60}
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
                pin = server.server.inviter._identity.certificate
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
