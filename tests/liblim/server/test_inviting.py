"""Pairing with a server: the invitation's code, and who may use it."""

from __future__ import annotations

import time

import pytest

from liblim.errors import PairingError
from liblim.server.inviting import NO_LIBRARY, invite
from liblim.server.stores import Invitation
from liblim.trust.pairing import Phase, joiner
from liblim.trust.pairing_messages import PROBLEMS, About
from liblim.trust.pairing_proof import Role
from tests.liblim.net.devices import Device, device
from tests.liblim.server.conftest import Opener
from tests.liblim.server.serving import Serving, in_step, on_storage, pair, serving


async def fails(device: Device, server: Serving, code: str, why: str) -> None:
    await pair(device, server.address, code, Phase.FAILED)
    assert PROBLEMS[why][0] in device.node.pairing.view.error


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


@on_storage
async def test_a_code_counts_once(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap, device("Pad") as pad:
        await fails(lap, server, "12345678", "not-showing")
        code = invite(storage.registry).code
        await pair(lap, server.address, code)
        await in_step(lap)
        await fails(pad, server, code, "not-showing")
        assert len(server.server.shelf.libraries) == 1


@on_storage
async def test_three_wrong_tries_end_it(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap:
        code = invite(storage.registry).code
        for _ in range(3):
            await fails(lap, server, wrong(code), "wrong-code")
        await fails(lap, server, code, "code-used-up")
        assert not storage.registry.libraries()


@on_storage
async def test_it_ends_by_its_time(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap:
        storage.registry.invite(Invitation("12345678", time.time() - 1.0, 3))
        await fails(lap, server, "12345678", "expired")


@on_storage
async def test_a_person_who_refuses_ends_it(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap:
        code = invite(storage.registry).code
        pairing = lap.node.pairing
        pairing.on_change = lap._something.set
        pairing.dial([server.address], code)
        await lap.until(lambda: pairing.view.phase is Phase.CONFIRM)
        pairing.refuse()
        await lap.until(lambda: pairing.view.phase is Phase.FAILED)
        assert not storage.registry.libraries()
        assert not lap.database.ledger.servers


@on_storage
async def test_pairing_once_more_does_no_harm(open_storage: Opener) -> None:
    async with serving(open_storage()) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        await server.pair(lap)
        await in_step(lap)
        assert lap.database.ledger.servers.keys() == {server.id}


@on_storage
async def test_nobody_gets_into_a_library_by_a_code(open_storage: Opener) -> None:
    """A member that nobody vouched for yet has to wait, as whoever claims to be one does."""
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap, device("Desk") as desk:
        await server.pair(lap)
        await in_step(lap)
        await lap.node.stop()  # so that it vouches for nobody
        await lap.node.membership.introduce(desk.identity.certificate, "Desk")
        await desk.database.take_on(lap.database.grant())
        code = invite(storage.registry).code
        await fails(desk, server, code, "unvouched")
        assert server.standing(lap.database.library, desk) is None


@on_storage
async def test_a_server_that_was_removed_is_not_taken_back(open_storage: Opener) -> None:
    storage = open_storage()
    async with serving(storage) as server, device("Lap") as lap:
        await server.pair(lap)
        await in_step(lap)
        epochs = set(lap.database.keys.epochs)
        await lap.node.membership.remove(server.id)
        await lap.until(lambda: not lap.node.status())
        assert not lap.database.ledger.servers
        assert set(lap.database.keys.epochs) == epochs  # it never had a key
        await fails(lap, server, invite(storage.registry).code, "removed")


@pytest.mark.parametrize("alone", [True, False])
def test_whoever_does_not_know_of_servers_hands_it_no_keys(alone: bool) -> None:
    server = About("Server", "", NO_LIBRARY, alone=False, empty=True, certificate=b"s", server=True)
    there = About("Lap", "", "0a" * 16, alone=alone, empty=False, certificate=b"d")
    if alone:
        assert joiner(server, there, shower_knows=False, dialler_knows=False) is Role.DIALS
    else:
        with pytest.raises(PairingError):
            joiner(server, there, shower_knows=False, dialler_knows=False)
