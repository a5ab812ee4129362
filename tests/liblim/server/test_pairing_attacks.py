"""What may be tried while somebody pairs with a server: no library comes of it, and nobody gets in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from liblim.errors import LimError, PairingError
from liblim.net.address import Address
from liblim.net.talk import Talk
from liblim.net.tls import SYNC, server_context
from liblim.server.inviting import TRIES, invite
from liblim.server.sqlite import SqliteStorage
from liblim.server.stores import Invitation
from liblim.trust import Identity
from liblim.trust.pairing import Phase
from liblim.trust.pairing_messages import PROBLEMS, Accept, Kthx, Mac, Pair, Vouch
from tests.liblim.net.devices import device
from tests.liblim.net.test_pairing import (
    OUT_OF_PLACE,
    Guest,
    Relay,
    silent,
    stranger,
    turned_away,
)
from tests.liblim.server.guests import couple, no_mistakes
from tests.liblim.server.serving import Serving, on_folder, pair, serving


@asynccontextmanager
async def inviting(folder: Path) -> AsyncIterator[tuple[Any, SqliteStorage]]:
    """A server that is tried; in the end it serves only the two that it served before, and those go on."""
    storage = SqliteStorage(folder)
    with no_mistakes() as log:
        async with serving(storage) as server, couple(server) as two:
            yield server, storage
            assert storage.registry.libraries() == [two.lap.database.library]
            assert not server.server.inviter.guests
            await two.go_on()
    said = "\n".join(log)
    for code in _codes:
        assert code not in said
    _codes.clear()
    storage.close()


_codes: list[str] = []


def code_of(storage: SqliteStorage) -> str:
    """A new invitation's code, which must be in no log."""
    _codes.append(invite(storage.registry).code)
    return _codes[-1]


def tries(storage: SqliteStorage) -> int:
    found = storage.registry.invitation()
    return found.tries if isinstance(found, Invitation) else -1


@on_folder
async def test_messages_out_of_place(folder: Path) -> None:
    async with inviting(folder) as (server, storage):
        for message in OUT_OF_PLACE:
            code_of(storage)
            async with stranger(server) as talk:
                await talk.hear(Pair)
                await talk.say(message)
                await turned_away(talk, "garbage")
        for message in OUT_OF_PLACE:
            code = code_of(storage)
            async with stranger(server) as talk:
                guest = Guest(talk, Identity.generate(), code)
                await talk.hear(Pair)
                await talk.say(guest.handshake.line)
                await talk.say(message)
                await turned_away(talk, "wrong-code" if isinstance(message, Mac) else "garbage")
            assert tries(storage) == TRIES - 1
        for message in OUT_OF_PLACE:
            if isinstance(message, Accept):
                continue
            code = code_of(storage)
            async with stranger(server) as talk:
                await Guest(talk, Identity.generate(), code).prove()
                await talk.say(message)
                await talk.hear(Accept)
                await turned_away(talk, "garbage")
            assert tries(storage) == -1  # the code was right, so it is used up


@on_folder
async def test_reflection_and_replay(folder: Path) -> None:
    async with inviting(folder) as (server, storage):
        code = code_of(storage)
        async with stranger(server) as talk:
            await talk.say(await talk.hear_line())
            await turned_away(talk, "yourself")
        # What somebody once said with the right code is of no use to who says it again.
        async with stranger(server) as talk:
            guest = Guest(talk, Identity.generate(), code)
            first = guest.handshake.line
            proof = await guest.prove()
            mac = Mac(proof.own[False], False)
        storage.registry.invite(Invitation(code, 2.0**40, TRIES))
        for _ in range(TRIES):
            async with stranger(server) as talk:
                await talk.hear(Pair)
                await talk.say(first)
                await talk.say(mac)
                await turned_away(talk, "wrong-code")
        async with stranger(server) as talk:
            await turned_away(talk, "code-used-up")


@on_folder
async def test_two_at_a_time(folder: Path) -> None:
    async with inviting(folder) as (server, storage):
        code_of(storage)
        async with stranger(server) as talk:
            await talk.hear(Pair)
            async with stranger(server) as another:
                await turned_away(another, "busy")


@on_folder
async def test_a_relay_in_the_middle(folder: Path) -> None:
    async with inviting(folder) as (server, storage), device("Pad") as pad:
        for lies, why in ((False, "between"), (True, "wrong-code")):
            code = code_of(storage)
            relay = Relay(server, lies=lies)
            context = server_context(relay.identity, [])
            listening = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=context)
            async with listening:
                where = Address(*listening.sockets[0].getsockname()[:2])
                await pair(pad, where, code, Phase.FAILED)
                assert PROBLEMS[why][0] in pad.node.pairing.view.error
            assert tries(storage) == (TRIES - 1 if lies else TRIES)
        assert not pad.database.ledger.servers


@asynccontextmanager
async def expected(
    server: Serving, storage: SqliteStorage, identity: Identity
) -> AsyncIterator[Talk]:
    """Up to where the second connection is waited for."""
    at: Any = server
    code = code_of(storage)
    async with stranger(at) as talk:
        await Guest(talk, identity, code).prove()
        await talk.say(Accept())
        await talk.hear(Accept)
        yield talk


@on_folder
async def test_the_second_connection_is_for_who_proved_the_code(folder: Path) -> None:
    async with inviting(folder) as (server, storage):
        guest, other = Identity.generate(), Identity.generate()
        async with expected(server, storage, guest):
            async with stranger(server) as second:  # nobody
                await turned_away(second, "busy")
            async with stranger(server, guest, SYNC) as second:  # it is of no library yet
                await second.say(b"\n")
                with pytest.raises(PairingError):
                    await second.hear_line()
            with contextlib.suppress(LimError, PairingError):  # a certificate that nobody knows
                async with stranger(server, other) as second:
                    await silent(second)
            async with stranger(server, guest) as second:
                async with stranger(server, guest) as third:
                    await silent(third)
                await second.say(Kthx())
                await turned_away(second, "garbage")


@on_folder
async def test_nonsense_about_the_library(folder: Path) -> None:
    async with inviting(folder) as (server, storage):
        guest, other = Identity.generate(), Identity.generate()
        served = storage.registry.libraries()[0]
        thousands = tuple(f"{number:032x}" for number in range(1000))
        for message, code in (
            *((message, "garbage") for message in OUT_OF_PLACE[:7]),
            (Vouch("1a" * 16, (b"none",)), "garbage"),
            (Vouch("1a" * 16, (other.certificate,), (b"none",)), "garbage"),
            (Vouch("1a" * 16, (), (), (guest.device,)), "removed"),
            (Vouch("1a" * 16, (), (), thousands), "over-limit"),
            (Vouch(served, (guest.certificate,)), "unvouched"),
        ):
            async with (
                expected(server, storage, guest),
                stranger(server, guest) as second,
            ):
                await second.say(message)
                await turned_away(second, code)
