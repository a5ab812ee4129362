"""Pairing over real TLS on loopback, with people who say this and that, and strangers who say anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

import liblim.net.meeting
import liblim.net.pairing
from liblim.errors import LimError, PairingError
from liblim.net.address import Address
from liblim.net.dial import dial
from liblim.net.pairing import PairingHost
from liblim.net.talk import Talk
from liblim.net.tls import PAIR, SYNC, client_context, server_context
from liblim.trust import Grant, Granted, Identity, words_of
from liblim.trust.pairing import Joining, PairingView, Phase
from liblim.trust.pairing_messages import (
    PROBLEMS,
    About,
    Accept,
    Keys,
    Kthx,
    Mac,
    Message,
    Nowai,
    Pair,
    decode,
    encode,
)
from liblim.trust.pairing_proof import Handshake, Proof, Role
from tests.liblim.net.devices import QUICK, Device, both_loops, device, new_database


def on_asyncio(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on plain asyncio only: what is said matters, not the loop."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def host(at: Device) -> PairingHost:
    return at.node.pairing


def view(at: Device) -> PairingView:
    return host(at).view


def ready(at: Device, *, empty: bool = True) -> Device:
    """A device that is called as it is, and whose pairing is seen at once."""
    pairing = host(at)
    told = pairing.on_change

    def changed() -> None:
        told()
        at._something.set()

    pairing.on_change = changed
    pairing.about = lambda: (at.name, empty)
    return at


async def phase(at: Device, *wanted: Phase) -> PairingView:
    await at.until(lambda: view(at).phase in (*wanted, Phase.FAILED))
    assert view(at).phase in wanted, view(at)
    return view(at)


async def failed(at: Device, code: str, more: str = "") -> PairingView:
    """Wait until pairing failed for this reason, told as a sentence with what would mend it."""
    await phase(at, Phase.FAILED)
    error, mend = PROBLEMS[code]
    assert (view(at).error, view(at).mend) == (error, mend + more)
    return view(at)


@asynccontextmanager
async def two(
    *, shows_notes: bool = True, dials_notes: bool = False
) -> AsyncIterator[list[Device]]:
    """A device that will show a code, and one that will dial; nothing is left of it after all."""
    async with device("Desk") as desk, device("Lap") as lap:
        ready(desk, empty=not shows_notes)
        ready(lap, empty=not dials_notes)
        yield [desk, lap]
        if lap.id in desk.database.ledger.members and lap.database.library == desk.database.library:
            await desk.until(lambda: desk.connected(lap))  # so that they end in order
            await lap.until(lambda: lap.connected(desk))
        for one in (desk, lap):
            await host(one).stop()
            assert not host(one)._tasks
            assert not host(one).guests
            assert not host(one).window_open


def unpaired(*devices: Device) -> None:
    """Nothing was written anywhere."""
    for one in devices:
        assert set(one.database.ledger.members) == {one.id}
        assert set(one.database.ledger.certificates) == {one.id}
        assert one.database.count == 1 + bool(one.database.ledger.members[one.id].addresses)
        assert one.database.grant().library == one.database.library


async def meet(desk: Device, lap: Device) -> None:
    """Up to where both people are asked."""
    host(desk).show()
    host(lap).dial([desk.address], view(desk).code)
    await phase(desk, Phase.CONFIRM)
    await phase(lap, Phase.CONFIRM)


async def pair(desk: Device, lap: Device) -> None:
    await meet(desk, lap)
    host(desk).accept()
    host(lap).accept()
    await phase(desk, Phase.PAIRED)
    await phase(lap, Phase.PAIRED)


# What people do


@on_asyncio
async def test_a_joiner_that_ends_right_after_it_joined_knows_whom_to_dial() -> None:
    joined, never = asyncio.Event(), asyncio.Event()
    own = await new_database()
    async with device("Desk") as desk:
        ready(desk, empty=False)
        async with device("Lap", database=own) as lap:
            ready(lap)

            async def join(grant: Grant, joining: Joining) -> None:
                await own.take_on(grant)
                joined.set()
                await never.wait()

            host(lap).join = join
            await meet(desk, lap)
            host(desk).accept()
            host(lap).accept()
            await asyncio.wait_for(joined.wait(), 10)
        again = Device(own, "Lap", QUICK)
        await again.node.start_unheard()
        await again.identical(desk)
        await again.node.stop()
    await own.close()


@both_loops
async def test_both_directions() -> None:
    """The empty one joins, whichever side it is; afterwards both sync."""
    for shows_notes in (True, False):
        async with two(shows_notes=shows_notes, dials_notes=not shows_notes) as (desk, lap):
            giver, joins = (desk, lap) if shows_notes else (lap, desk)
            library = giver.database.library
            await meet(desk, lap)
            for one, other in ((desk, lap), (lap, desk)):
                seen = view(one)
                assert seen.peer == other.id
                assert seen.peer_name == other.name
                assert seen.peer_words == words_of(other.identity.certificate)
                assert seen.own_words == words_of(one.identity.certificate)
                assert (seen.we_join, seen.asks) == (one is joins, False)
                assert seen.code == ""
            host(desk).accept()
            await phase(desk, Phase.WAITING)
            unpaired(desk, lap)
            host(lap).accept()
            await phase(desk, Phase.PAIRED)
            await phase(lap, Phase.PAIRED)
            assert desk.database.library == lap.database.library == library
            await giver.write("hello")
            await giver.identical(joins)
            assert set(desk.database.ledger.members) == {desk.id, lap.id}
            # Each knows where the other is, also the one that was dialled.
            peers = [one.peer(other) for one, other in ((desk, lap), (lap, desk))]
            assert all(peer is not None and peer.address for peer in peers)


@both_loops
async def test_own_notes_are_asked_about() -> None:
    """And what the person says is what the app gets; nothing is taken on before."""
    async with two(dials_notes=True) as (desk, lap):
        asked: list[tuple[Grant, Joining]] = []

        async def join(grant: Grant, joining: Joining) -> None:
            asked.append((grant, joining))
            await lap.database.take_on(grant)

        host(lap).join = join
        await meet(desk, lap)
        assert (view(lap).we_join, view(lap).asks) == (True, True)
        assert (view(desk).we_join, view(desk).asks) == (False, False)
        host(lap).accept(Joining.KEEP_APART)
        await phase(lap, Phase.WAITING)
        host(lap).accept(Joining.ADD_MINE)  # too late to change one's mind
        host(lap).refuse()
        host(desk).accept()
        await phase(desk, Phase.PAIRED)
        assert [(g.library, joining) for g, joining in asked] == [
            (desk.database.library, Joining.KEEP_APART)
        ]


@both_loops
async def test_already_paired() -> None:
    async with two() as (desk, lap):
        await pair(desk, lap)
        for shows, dials in ((desk, lap), (lap, desk)):
            host(shows).show()
            host(dials).dial([shows.address], view(shows).code)
            await failed(shows, "already-paired")
            await failed(dials, "already-paired")


@on_asyncio
async def test_neither_is_alone() -> None:
    async with two() as (desk, lap):
        for one in (desk, lap):
            await one.node.membership.introduce(Identity.generate().certificate, "Other")
        host(desk).show()
        host(lap).dial([desk.address], view(desk).code)
        await failed(desk, "neither-alone")
        await failed(lap, "neither-alone")
        for one, other in ((desk, lap), (lap, desk)):
            assert len(one.database.ledger.members) == 2
            assert other.id not in one.database.ledger.certificates


@on_asyncio
async def test_a_device_that_was_removed() -> None:
    async with two() as (desk, lap):
        await desk.node.membership.introduce(lap.identity.certificate, "Lap")
        await desk.node.membership.remove(lap.id)
        host(desk).show()
        host(lap).dial([desk.address], view(desk).code)
        await failed(desk, "removed")
        await failed(lap, "removed")
        unpaired(lap)


@on_asyncio
async def test_coming_back_after_the_keys_were_lost_on_the_way() -> None:
    """The giver knows it already: it gets the keys once more."""
    async with two() as (desk, lap):
        await desk.node.membership.introduce(lap.identity.certificate, "Lap")
        await pair(desk, lap)
        assert lap.database.library == desk.database.library


@both_loops
async def test_refused_on_either_side() -> None:
    async with two() as (desk, lap):
        for who, other in ((desk, lap), (lap, desk)):
            await meet(desk, lap)
            host(who).refuse()
            await failed(who, "refused")
            await failed(other, "refused")
            unpaired(desk, lap)
            assert not host(desk).guests


@both_loops
async def test_refused_after_the_other_accepted() -> None:
    async with two() as (desk, lap):
        await meet(desk, lap)
        host(lap).accept()
        await phase(lap, Phase.WAITING)
        host(desk).refuse()
        await failed(lap, "refused")
        unpaired(desk, lap)


@both_loops
async def test_given_up_on_either_side() -> None:
    async with two() as (desk, lap):
        for who, other in ((desk, lap), (lap, desk)):
            await meet(desk, lap)
            host(who).cancel()
            await failed(other, "cancelled")
            assert view(who) == PairingView()
            unpaired(desk, lap)


@both_loops
async def test_given_up_after_accepting() -> None:
    """The other person need not answer to hear of it."""
    async with two() as (desk, lap):
        for who, other in ((desk, lap), (lap, desk)):
            await meet(desk, lap)
            host(who).accept()
            await phase(who, Phase.WAITING)
            host(who).cancel()
            await failed(other, "cancelled")
            host(other).accept()
            unpaired(desk, lap)


@both_loops
async def test_beginning_again_at_once() -> None:
    """What was given up a moment ago ends by itself, and disturbs nothing of what is begun anew."""
    async with two() as (desk, lap):
        for _ in range(3):
            await meet(desk, lap)
            host(desk).accept()
            host(desk).show()  # in the same turn of the loop
            host(lap).dial([desk.address], view(desk).code)
        await phase(desk, Phase.CONFIRM)
        await phase(lap, Phase.CONFIRM)
        assert set(host(desk).guests) == {lap.id}
        host(desk).accept()
        host(lap).accept()
        await phase(lap, Phase.PAIRED)
        await phase(desk, Phase.PAIRED)


@both_loops
async def test_nobody_answers() -> None:
    async with two() as (desk, lap):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(liblim.net.meeting, "SECONDS", 0.05)
            await meet(desk, lap)
            await phase(desk, Phase.FAILED)
            await phase(lap, Phase.FAILED)
            assert PROBLEMS["too-late"][0] in (view(desk).error, view(lap).error)
            unpaired(desk, lap)


# The code


@both_loops
async def test_wrong_codes() -> None:
    """The third ends the code, so that the right one is of no use any more."""
    async with two() as (desk, lap):
        host(desk).show()
        code = view(desk).code
        wrong = f"{(int(code.replace(' ', '')) + 1) % 10**8:08}"
        for left in (2, 1):
            host(lap).dial([desk.address], wrong)
            await failed(lap, "wrong-code", f" Tries left: {left}.")
            await phase(desk, Phase.SHOWING)
            assert (view(desk).tries, view(desk).code) == (left, code)
        host(lap).dial([desk.address], wrong)
        await failed(lap, "code-used-up")
        await failed(desk, "code-used-up")
        assert not host(desk).window_open
        host(lap).dial([desk.address], code)
        await failed(lap, "not-showing")
        unpaired(desk, lap)


@on_asyncio
async def test_the_right_code_after_two_wrong_ones() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        code = view(desk).code
        for left in (2, 1):
            host(lap).dial([desk.address], "".join(reversed(f"{int(code[:4]) ^ 1:04}{code[5:]}")))
            await failed(lap, "wrong-code", f" Tries left: {left}.")
        host(lap).dial([desk.address], code)
        await phase(desk, Phase.CONFIRM)


@on_asyncio
async def test_no_code_is_shown() -> None:
    async with two() as (desk, lap):
        host(lap).dial([desk.address], "1234 5678")
        await failed(lap, "not-showing")
        host(lap).dial([desk.address], "1234 567")
        assert view(lap).error == "A code has 8 digits."
        host(lap).dial([lap.address], "1234 5678")
        await failed(lap, "yourself")
        host(lap).dial([Address("127.0.0.1", 1)], "1234 5678")
        await phase(lap, Phase.FAILED)
        assert view(lap).error.startswith("Nothing listens at 127.0.0.1:1.")


@on_asyncio
async def test_a_code_that_was_shown_before() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        old = view(desk).code
        host(desk).show()
        assert view(desk).code != old
        host(lap).dial([desk.address], old)
        await failed(lap, "wrong-code", " Tries left: 2.")


@both_loops
async def test_a_code_expires() -> None:
    """By the clock, and by a timer for when the clock is set back."""
    async with two() as (desk, lap):
        now = 1000.0
        host(desk)._clock = lambda: now
        host(desk).show()
        assert view(desk).until == 1180.0
        assert host(desk).window_open
        now = 1180.0
        assert not host(desk).window_open
        host(lap).dial([desk.address], view(desk).code)
        await failed(lap, "not-showing")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(liblim.net.pairing, "SECONDS", 0.01)
            now = -1e9
            host(desk).show()
            await failed(desk, "expired")
        assert not host(desk).window_open
        unpaired(desk, lap)


@both_loops
async def test_a_code_expires_during_a_try() -> None:
    """The try may still succeed; if it does not, that was the last one."""
    async with two() as (desk, lap):
        host(desk).show()
        async with stranger(desk) as talk:
            await talk.hear(Pair)
            host(desk)._expire()
            assert view(desk).phase is Phase.CHECKING
            talk.end()
            await failed(desk, "expired")
        host(desk).show()
        async with stranger(desk) as talk:
            guest = Guest(talk, lap.identity, view(desk).code)
            line = await talk.hear_line()
            host(desk)._expire()
            await guest.prove(line)
            await phase(desk, Phase.CONFIRM)


@both_loops
async def test_two_at_a_time() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        async with stranger(desk) as talk:
            await talk.hear(Pair)
            assert view(desk).phase is Phase.CHECKING
            assert view(desk).code
            host(lap).dial([desk.address], view(desk).code)
            await failed(lap, "busy")
            assert view(desk).phase is Phase.CHECKING
        await phase(desk, Phase.SHOWING)
        assert view(desk).tries == 3  # it guessed nothing
        host(lap).dial([desk.address], view(desk).code)
        await phase(desk, Phase.CONFIRM)


# Strangers


class Guest:
    """A device whose program does as it likes, and whose person was told the code."""

    def __init__(self, talk: Talk, identity: Identity, code: str, **members: Any) -> None:
        told: dict[str, Any] = {
            "name": "Guest",
            "agent": "",
            "library": "ab" * 16,
            "alone": True,
            "empty": True,
            "certificate": identity.certificate,
        }
        self.talk = talk
        self.about = About(**(told | members))
        self.handshake = Handshake(Role.DIALS, code.replace(" ", ""), self.about)

    async def prove(self, line: bytes | None = None) -> Proof:
        """As far as both have proved that they know the code."""
        shower = self.talk.certificate
        assert shower is not None
        proof = self.handshake.finish(line or await self.talk.hear_line(), shower)
        await self.talk.say(self.handshake.line)
        await self.talk.say(Mac(proof.own[False], False))
        assert proof.check(await self.talk.hear(Mac))
        return proof


@asynccontextmanager
async def stranger(
    at: Device, identity: Identity | None = None, alpn: str = PAIR
) -> AsyncIterator[Talk]:
    """A connection for pairing: the first one, or with an identity the second one."""
    peer = at.identity.certificate if identity else None
    streams, _ = await dial([at.address], client_context(identity, peer, alpn), 10)
    try:
        yield Talk(streams)
    finally:
        streams[1].transport.abort()


async def silent(talk: Talk) -> None:
    """It is closed without a word."""
    with pytest.raises(PairingError) as failure:
        await talk.hear_line()
    assert failure.value.code == "lost"


async def turned_away(talk: Talk, code: str) -> None:
    with pytest.raises(PairingError) as failure:
        await talk.hear_line()
    assert failure.value.code == code


OUT_OF_PLACE: list[bytes | Message] = [
    Mac(bytes(32)),
    Accept(),
    Kthx(),
    Keys(Grant("ab" * 16, "cd" * 16, (bytes(32),), (Granted(b"x", True),))),
    b"PAIR {}\n",
    b"HELP {}\n",
    b"\n",
    b"x" * 5000,
]


async def each(wrong: Callable[[Any, int], Awaitable[None]], *but: type[Message]) -> None:
    for number, message in enumerate(OUT_OF_PLACE):
        if not isinstance(message, but):
            await wrong(message, number)


@on_asyncio
async def test_a_first_message_out_of_place() -> None:
    async with two() as (desk, _):

        async def say(message: bytes | Message, number: int) -> None:
            host(desk).show()
            async with stranger(desk) as talk:
                await talk.hear(Pair)
                await talk.say(message)
                await turned_away(talk, "garbage")
            await phase(desk, Phase.SHOWING)

        await each(say)
        unpaired(desk)


@on_asyncio
async def test_a_second_message_out_of_place() -> None:
    async with two() as (desk, lap):

        async def say(message: bytes | Message, number: int) -> None:
            host(desk).show()
            async with stranger(desk) as talk:
                guest = Guest(talk, lap.identity, view(desk).code)
                await talk.hear(Pair)
                await talk.say(guest.handshake.line)
                await talk.say(message)
                await turned_away(talk, "wrong-code" if isinstance(message, Mac) else "garbage")
            await phase(desk, Phase.SHOWING)
            assert view(desk).tries == 2

        await each(say)
        unpaired(desk)


@on_asyncio
async def test_anything_but_accepting() -> None:
    async with two() as (desk, lap):

        async def say(message: bytes | Message, number: int) -> None:
            host(desk).show()
            async with stranger(desk) as talk:
                await Guest(talk, lap.identity, view(desk).code).prove()
                if number % 2:
                    await talk.say(Accept())
                await talk.say(message)
                await failed(desk, "garbage")
            assert not host(desk).guests

        await each(say, Accept)
        unpaired(desk)


@on_asyncio
async def test_accepting_twice() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        async with stranger(desk) as talk:
            await Guest(talk, lap.identity, view(desk).code).prove()
            await talk.say(Accept())
            await talk.say(Accept())
            await failed(desk, "garbage")
        unpaired(desk)


@on_asyncio
async def test_a_goodbye_at_every_step() -> None:
    """What it says is shown, without what would mess up a screen, and its code is never taken for our own."""
    bad = Nowai("no-such-code", "Ha\nha\u202e\x1b[2J!", "Go\taway.")
    async with two() as (desk, lap):
        for step in range(3):
            host(desk).show()
            async with stranger(desk) as talk:
                guest = Guest(talk, lap.identity, view(desk).code)
                if step == 2:
                    await guest.prove()
                else:
                    await talk.hear(Pair)
                if step == 1:
                    await talk.say(guest.handshake.line)
                await talk.say(bad)
                if step == 2:
                    await phase(desk, Phase.FAILED)
                    assert (view(desk).error, view(desk).mend) == ("Ha ha [2J!", "Go away.")
                else:
                    await phase(desk, Phase.SHOWING)
                    assert view(desk).tries == 3 - step
                await silent(talk)
        unpaired(desk)


@asynccontextmanager
async def expected(desk: Device, identity: Identity, **members: Any) -> AsyncIterator[Talk]:
    """Up to where the second connection is waited for."""
    host(desk).show()
    async with stranger(desk) as talk:
        await Guest(talk, identity, view(desk).code, **members).prove()
        await talk.say(Accept())
        host(desk).accept()
        await talk.hear(Accept)
        await phase(desk, Phase.JOINING)
        yield talk


@both_loops
async def test_keys_go_to_nobody_else() -> None:
    """The second connection is for the very device that proved the code, and for one of it."""
    async with two() as (desk, lap):
        other = Identity.generate()
        await desk.node.membership.introduce(other.certificate, "Other")
        async with expected(desk, lap.identity):
            async with stranger(desk, other) as second:  # a member, even
                await silent(second)
            async with stranger(desk) as second:  # nobody
                await silent(second)
            async with stranger(desk, lap.identity, SYNC) as second:  # not a member yet
                await silent(second)
            with contextlib.suppress(LimError, PairingError):  # a certificate nobody knows
                async with stranger(desk, Identity.generate()) as second:
                    await silent(second)
            assert lap.id not in desk.database.ledger.certificates
            assert view(desk).phase is Phase.JOINING
            async with stranger(desk, lap.identity) as second:
                keys = await second.hear(Keys)
                assert keys.grant.library == desk.database.library
                await second.say(Kthx())
                await phase(desk, Phase.PAIRED)


@both_loops
async def test_coming_for_the_keys_before_people_accepted() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        async with stranger(desk) as talk:
            await Guest(talk, lap.identity, view(desk).code).prove()
            async with stranger(desk, lap.identity) as second:
                async with stranger(desk, lap.identity) as third:
                    await silent(third)
                host(desk).refuse()
                await silent(second)
        unpaired(desk)


@both_loops
async def test_a_device_that_never_comes_for_the_keys() -> None:
    async with two() as (desk, lap), AsyncPatch(liblim.net.meeting, "AGAIN", 0.05):
        async with expected(desk, lap.identity):
            await failed(desk, "too-late")
        unpaired(desk)


@on_asyncio
async def test_given_up_while_the_keys_are_waited_for() -> None:
    """The first connection tells of it at once."""
    async with two() as (desk, lap):
        for message, code in (
            (Nowai("cancelled", *PROBLEMS["cancelled"]), "cancelled"),
            (b"", "lost"),
        ):
            async with expected(desk, lap.identity) as talk:
                await talk.say(message)
                talk.end()
                await failed(desk, code)
        unpaired(desk)


@on_asyncio
async def test_anything_but_thanks_for_the_keys() -> None:
    """The device is a member then, for it has the keys; but nothing is shown as paired."""
    async with two() as (desk, lap):

        async def say(message: bytes | Message, number: int) -> None:
            async with (
                expected(desk, lap.identity),
                stranger(desk, lap.identity) as second,
            ):
                await second.hear(Keys)
                await second.say(message)
                await failed(desk, "garbage")

        await each(say, Kthx)
        assert set(desk.database.ledger.members) == {desk.id, lap.id}


@on_asyncio
async def test_anything_but_keys() -> None:
    async with two(shows_notes=False) as (desk, lap):
        theirs = lap.database.grant()
        others = msgspec.structs.replace(theirs, library="ab" * 16)
        not_for_us = Keys(theirs)  # well-formed, and of the library that was spoken of

        for message in [*OUT_OF_PLACE[:7], Keys(others), not_for_us]:
            async with (
                expected(desk, lap.identity, library=theirs.library, empty=False),
                stranger(desk, lap.identity) as second,
            ):
                assert view(desk).we_join
                await second.say(message)
                if message is not_for_us:
                    await phase(desk, Phase.FAILED)
                else:
                    await failed(desk, "garbage")
        unpaired(desk)


class AsyncPatch(contextlib.AbstractAsyncContextManager[None]):
    """Another value for a while."""

    def __init__(self, target: Any, name: str, value: Any) -> None:
        self._patch = pytest.MonkeyPatch()
        self._what = target, name, value

    async def __aenter__(self) -> None:
        self._patch.setattr(*self._what)

    async def __aexit__(self, *_: object) -> None:
        self._patch.undo()


@both_loops
async def test_the_second_connection_breaks_and_pairing_is_tried_again() -> None:
    async with two() as (desk, lap):
        for cut in (0, 1):
            async with expected(desk, lap.identity):
                async with stranger(desk, lap.identity) as second:
                    if cut:
                        await second.hear(Keys)
                await failed(desk, "lost")
        await pair(desk, lap)
        assert set(lap.database.ledger.members) == {desk.id, lap.id}


@on_asyncio
async def test_a_joiner_that_cannot_keep_the_keys() -> None:
    async with two() as (desk, lap):

        async def join(grant: Grant, joining: Joining) -> None:
            raise LimError("Notes are still open here. Close them, then pair once more.")

        host(lap).join = join
        await meet(desk, lap)
        host(desk).accept()
        host(lap).accept()
        await phase(lap, Phase.FAILED)
        assert view(lap).error.startswith("Notes are still open here.")
        await failed(desk, "trouble")
        unpaired(lap)


# A relay in the middle


class Relay:
    """Takes a connection as if it were the device that shows the code, and passes lines on to that."""

    def __init__(self, desk: Device, *, lies: bool) -> None:
        self._desk = desk
        self._lies = lies
        self.identity = Identity.generate()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = Talk((reader, writer))
        async with stranger(self._desk) as far:
            first = await far.hear_line()
            if self._lies:
                said = decode(first[:-1])
                assert isinstance(said, Pair)
                about = msgspec.structs.replace(said.about, certificate=self.identity.certificate)
                first = encode(msgspec.structs.replace(said, about=about))
            await near.say(first)
            try:
                await far.say(await near.hear_line())
                await far.say(await near.hear_line())
                await near.say(await far.hear_line())
            except PairingError as failure:
                near.end(failure)


@both_loops
async def test_a_relay_in_the_middle() -> None:
    for lies, code, more in ((False, "between", ""), (True, "wrong-code", " Tries left: 2.")):
        async with two() as (desk, lap):
            host(desk).show()
            relay = Relay(desk, lies=lies)
            context = server_context(relay.identity, [])
            server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=context)
            async with server:
                where = Address(*server.sockets[0].getsockname()[:2])
                host(lap).dial([where], view(desk).code)
                await failed(lap, code, more)
                await phase(desk, Phase.SHOWING)
            assert view(desk).tries == (2 if lies else 3)
            unpaired(desk, lap)


# Secrets and stray ends


@both_loops
async def test_the_code_is_in_no_log() -> None:
    """Not even in what Qt's loop and asyncio say for debugging."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    ear, root = Ear(), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 60  # on a busy machine
        async with two() as (desk, lap):
            host(desk).show()
            code = view(desk).code.replace(" ", "")
            host(lap).dial([desk.address], code)
            await phase(lap, Phase.CONFIRM)
            said = "\n".join(heard) + repr(view(desk)) + repr(asyncio.all_tasks())
    finally:
        asyncio.get_running_loop().set_debug(False)
        root.removeHandler(ear)
        root.setLevel(level)
    assert code not in said
    assert f"{code[:4]} {code[4:]}" not in said
    assert "pake" not in said


@both_loops
async def test_given_up_before_a_try_has_begun() -> None:
    """Its connection is closed, not forgotten."""
    async with two() as (desk, _):
        host(desk).show()
        take = host(desk).take

        def take_and_cancel(streams: Any, certificate: bytes | None) -> None:
            take(streams, certificate)
            host(desk).cancel()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host(desk), "take", take_and_cancel)
            async with stranger(desk) as talk:
                await silent(talk)


@both_loops
async def test_the_node_stops_in_the_middle() -> None:
    async with two() as (desk, lap):
        await meet(desk, lap)
        host(desk).accept()
        await desk.node.stop()
        await failed(lap, "cancelled")
        await host(desk).stop()
        unpaired(desk, lap)


@on_asyncio
async def test_a_bug_ends_one_try_and_no_more() -> None:
    async with two() as (desk, lap):
        host(desk).show()
        code = view(desk).code

        def broken(role: Role, code: str) -> Any:
            raise RuntimeError("a bug")

        logger = logging.getLogger("liblim.net.pairing")
        logger.disabled = True
        host(desk).pake = broken
        try:
            host(lap).dial([desk.address], code)
            await failed(lap, "trouble")
        finally:
            logger.disabled = False
            host(desk).pake = host(lap).pake
        await phase(desk, Phase.SHOWING)
        host(lap).dial([desk.address], code)
        await phase(lap, Phase.CONFIRM)
