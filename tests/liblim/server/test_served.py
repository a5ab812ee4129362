"""A library's log on a server: what counts for its limits."""

from __future__ import annotations

from random import Random

import pytest

from liblim.errors import ProtocolError
from liblim.server.limits import Limits
from liblim.sync import Vouch
from tests.liblim.server.conftest import Opener
from tests.liblim.server.serving import on_storage, serving
from tests.liblim.server.signed import IDENTITIES, LIBRARY, writers
from tests.liblim.trust.sealed import Author

ALL = Vouch(tuple(identity.certificate for identity in IDENTITIES))
FIRST = IDENTITIES[0]


@on_storage
async def test_what_is_set_aside_takes_room_too(open_storage: Opener) -> None:
    async with serving(open_storage(), limits=Limits(octets=2 * 2**20)) as server:
        await server.server.shelf.found(LIBRARY, FIRST.device, FIRST.certificate, ALL)
        served = (await server.server.shelf.open(LIBRARY)).served
        author, rng = writers()[0], Random(1)
        first = author.write()
        await served.receive([first, author.write()])

        async def write_forks() -> None:
            for _ in range(40):
                fork = Author(author.keys)
                fork.last = first
                outcome = await served.receive([fork.write("x", packed=rng.randbytes(200_000))])
                assert outcome.aside

        with pytest.raises(ProtocolError, match="2 MiB"):
            await write_forks()


@on_storage
async def test_a_library_begins_no_more_replicas_than_it_may(open_storage: Opener) -> None:
    async with serving(open_storage(), limits=Limits(replicas=2)) as server:
        await server.server.shelf.found(LIBRARY, FIRST.device, FIRST.certificate, ALL)
        served = (await server.server.shelf.open(LIBRARY)).served
        one, two, three = writers()
        await served.receive([one.write()])
        await served.receive([two.write()])
        with pytest.raises(ProtocolError, match="2 replicas"):
            await served.receive([three.write()])
        assert (await served.receive([one.write()])).entered
