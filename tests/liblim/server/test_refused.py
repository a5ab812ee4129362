"""Who gets nothing from a server: strangers, removed devices, others' members, whoever takes too much."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from liblim.admission import Outcome
from liblim.change import Change, digest
from liblim.errors import LimError
from liblim.net.tls import PAIR, SYNC
from liblim.server.limits import Limits
from liblim.server.metrics import Counts
from liblim.server.paced import Paced
from liblim.server.stores import Standing
from liblim.sync.messages import PROTOCOL, Ihaz, Kthx, Ohai, Ucanhaz, Vouch
from liblim.trust import Identity, LibraryKeys
from tests.liblim.net.devices import Device, device, new_database
from tests.liblim.server.conftest import Opener
from tests.liblim.server.guests import answer, codes, greeting, knock
from tests.liblim.server.serving import in_step, on_storage, server_peer, serving
from tests.liblim.trust.sealed import Author, library_keys


@on_storage
async def test_a_stranger_hears_nothing(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap:
        await server.pair(lap)
        stranger = Identity.generate()
        for identity, alpn in ((stranger, SYNC), (None, SYNC), (stranger, PAIR)):
            async with knock(server, identity, alpn) as guest:
                try:
                    await guest.say(greeting(lap.database.library, stranger))
                    assert await guest.hear() is None
                except OSError:
                    pass  # it was cut off
        assert server.server.door.connections == 1


@on_storage
async def test_a_removed_device_is_sent_away_at_once_and_for_ever(open_storage: Opener) -> None:
    desk_database = await new_database()
    async with serving(open_storage()) as server, device("Lap") as lap:
        async with device("Desk", database=desk_database) as desk:
            await lap.invite(desk)
            await lap.identical(desk)
            await server.pair(lap)
            await in_step(desk)
            # Only the server tells Desk: the two have no connection any more.
            await desk.node.stop()
        library = desk_database.library
        async with knock(server, desk_database.keys.identity) as gone:
            await gone.say(greeting(library, desk_database.keys.identity), Ihaz(0, digest({})))
            await gone.hear_of(Ihaz)
            await lap.node.membership.remove(desk_database.device)
            assert codes(await gone.hear_all()) == ["removed"]
        assert server.standing(library, desk) is Standing.WITHDRAWN
        hello = greeting(library, desk_database.keys.identity)
        said = await answer(server, desk_database.keys.identity, hello)
        assert codes(said) == ["removed"]
        # What it says of itself later does not count.
        with pytest.raises(LimError):
            await server.server.shelf.vouch(library, desk.id, Vouch())
        await server.server.shelf.vouch(
            library, lap.id, Vouch((desk_database.keys.identity.certificate,))
        )
        assert server.standing(library, desk) is Standing.WITHDRAWN
    async with serving(open_storage()) as server:  # it is told after a restart of the server, too
        said = await answer(server, desk_database.keys.identity, hello)
        assert codes(said) == ["removed"]
    await desk_database.close()


@on_storage
async def test_whom_a_removed_device_let_in_goes_with_it(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap, device("Desk") as desk:
        await lap.invite(desk)
        await lap.identical(desk)
        await server.pair(lap)
        await in_step(desk)
        accomplice, library = Identity.generate(), lap.database.library
        await server.server.shelf.vouch(library, desk.id, Vouch((accomplice.certificate,)))
        async with knock(server, accomplice) as hidden:
            await hidden.say(greeting(library, accomplice), Ihaz(0, digest({})))
            await hidden.hear_of(Ihaz)
            await lap.node.membership.remove(desk.id)
            assert codes(await hidden.hear_all()) == ["not-served"]
        assert codes(await answer(server, accomplice, greeting(library, accomplice))) == [
            "not-served"
        ]
        assert server.standing(library, lap) is Standing.MEMBER


@on_storage
async def test_what_a_member_says_is_written_down_in_that_order(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        first, second = Vouch((), (), ("0a" * 16,)), Vouch((), (), ("0b" * 16,))
        heard: list[Vouch] = []
        done = asyncio.Event()

        async def vouch(library: str, of: str, said: Vouch) -> None:
            if said == first:
                for _ in range(20):  # so that what comes later could overtake it
                    await asyncio.sleep(0)
            if said in (first, second):
                heard.append(said)
            if said == second:
                done.set()

        with patch.object(server.server.shelf, "vouch", vouch):
            async with knock(server, lap.identity) as guest:
                hello = greeting(lap.database.library, lap.identity)
                await guest.say(hello, Ihaz(0, digest({})), first, second)
                await done.wait()
        assert heard == [first, second]


@on_storage
async def test_one_library_never_sees_another(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap, device("Pad") as pad:
        await server.pair(lap)
        await server.pair(pad)
        await lap.write("of Lap")
        await pad.write("of Pad")
        await in_step(lap)
        await in_step(pad)
        # Another's library and one that is nowhere look alike.
        there = await answer(server, lap.identity, greeting(pad.database.library, lap.identity))
        nowhere = await answer(server, lap.identity, greeting("0e" * 16, lap.identity))
        assert codes(there) == ["not-served"]
        assert there == nowhere
        with pytest.raises(LimError):
            await server.server.shelf.vouch(pad.database.library, lap.id, Vouch())
        assert server.holds(lap.database.library)[1] == lap.database.digest
        assert server.holds(pad.database.library)[1] == pad.database.digest


@on_storage
async def test_a_greeting_in_another_name_and_other_first_words(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap:
        await server.pair(lap)
        library = lap.database.library
        wrong = Ohai(protocol=PROTOCOL, library=library, device="0d" * 16)
        assert codes(await answer(server, lap.identity, wrong)) == ["bad-message"]
        assert codes(await answer(server, lap.identity, Ihaz(0, digest({})))) == ["bad-message"]
        async with knock(server, lap.identity) as guest:
            await guest.say(b"GET / HTTP/1.1\r\n\r\n")
            assert codes(await guest.hear_all()) == ["garbage"]


def writing_as(identity: Identity, at: Device) -> Author:
    """A device's replica in the library of another."""
    keys: LibraryKeys = library_keys(identity, library=at.database.library)
    return Author(keys)


@on_storage
async def test_changes_of_strangers_wait_and_forged_ones_end_the_session(
    open_storage: Opener,
) -> None:
    stranger, member = Identity.generate(), Identity.generate()
    async with serving(open_storage()) as server, device("Lap", unheard=True) as lap:
        await server.pair(lap)
        await in_step(lap)
        library = lap.database.library
        count, _ = server.holds(library)
        await server.server.shelf.vouch(library, lap.id, Vouch((member.certificate,)))
        alien = writing_as(stranger, lap).write("by a stranger")
        async with knock(server, member) as guest:
            author = writing_as(member, lap)
            own = author.write("by a member")
            hello = greeting(library, member), Ihaz(0, digest({}))
            await guest.say(*hello, Ucanhaz(alien), Ucanhaz(own))
            while (said := await guest.hear_of(Kthx)).count == count:
                pass
            assert own.replica in {entry.replica for entry in said.heads}
            other = author.write("another")
            await guest.say(Ucanhaz(Change(other.header, bytes(64), other.body)))
            assert codes(await guest.hear_all()) == ["bad-change"]
        served = server.server.shelf.circles[library].served
        assert served.heads[own.replica].seq == 1
        assert alien.replica not in served.heads
        # Once a member vouches for its device, what waited comes in.
        await server.server.shelf.vouch(library, lap.id, Vouch((), (stranger.certificate,)))
        await server.chores()
        assert alien.replica in served.heads


@on_storage
async def test_a_library_over_its_limit_is_told_and_others_go_on(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap, device("Pad") as pad:
        await server.pair(lap)
        await server.pair(pad)
        await in_step(lap)
        await in_step(pad)
        server.server.shelf.circles[lap.database.library].served._limits = Limits(octets=1)
        await lap.write("one too many")
        await lap.until(lambda: "takes no more" in server_peer(lap).error)
        assert server_peer(lap).refused
        assert "Ask whoever runs the server" in server_peer(lap).error
        await pad.write("fits")
        await in_step(pad)


@on_storage
async def test_too_many_connections_of_a_library(open_storage: Opener) -> None:
    limits = Limits(connections=1)
    async with serving(open_storage(), limits=limits) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        said = await answer(server, lap.identity, greeting(lap.database.library, lap.identity))
        assert codes(said) == ["over-limit"]
        assert server_peer(lap).connected


@on_storage
async def test_too_many_devices(open_storage: Opener) -> None:
    async with serving(open_storage(), limits=Limits(devices=3)) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        others = tuple(Identity.generate().certificate for _ in range(3))
        async with knock(server, lap.identity) as guest:
            await guest.say(greeting(lap.database.library, lap.identity), Ihaz(0, digest({})))
            await guest.hear_of(Ihaz)
            await guest.say(Vouch(others))
            assert codes(await guest.hear_all()) == ["over-limit"]
        assert len(server.server.shelf.libraries[lap.database.library].devices) == 1


def test_who_brings_changes_too_fast_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        async def receive(self, changes: object) -> Outcome:
            return Outcome([])

    async def run() -> None:
        rested: list[float] = []

        async def rest(seconds: float) -> None:
            rested.append(seconds)

        monkeypatch.setattr("liblim.server.paced.asyncio.sleep", rest)
        paced = Paced(Nothing(), Limits(changes=100.0, burst=50), Counts())  # type: ignore[arg-type]
        now = paced._loop.time()
        monkeypatch.setattr(paced._loop, "time", lambda: now)
        change = Author(library_keys()).write("x")
        await paced.receive([change] * 50)
        assert rested == []  # as many may come at once
        await paced.receive([change] * 20)
        assert rested == [pytest.approx(0.2)]
        await paced.receive([change] * 10_000)
        assert rested[1:] == [5.0]  # not longer, lest it seem dead

    asyncio.run(run())


@on_storage
async def test_a_library_that_was_removed_is_not_served_any_more(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap:
        await server.pair(lap)
        await lap.write("x")
        await in_step(lap)
        assert open_storage().registry.remove(lap.database.library)  # as another process does
        await lap.until(lambda: "does not serve" in server_peer(lap).error)
        assert server_peer(lap).pair_again
        await server.pair(lap)
        await in_step(lap)
        assert server.holds(lap.database.library)[1] == lap.database.digest
