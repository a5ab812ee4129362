"""What another program with a member's key may say: one clear reason each, and nobody else disturbed."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from random import Random

import pytest

from liblim.change import Change, Range
from liblim.database import Database
from liblim.net.node import MAX_LINKS
from liblim.net.tls import SYNC, client_context
from liblim.sync.messages import Icanhaz, Ihaz, Kthx, Kthxbye, Nm, Nowai, Ohai, Sup, Ucanhaz
from tests.liblim.changes import altered
from tests.liblim.net.devices import (
    QUICK,
    Device,
    Member,
    Stranger,
    both_loops,
    device,
    knock,
    member,
)
from tests.liblim.things import Thing


async def refused(at: Device, peer: Stranger, code: str, text: str) -> None:
    """The member hears why and is closed; the log says so once; the device goes on."""
    heard = await peer.hear_all()
    reasons = [message for message in heard if isinstance(message, Nowai)]
    assert [reason.code for reason in reasons] == [code]
    assert text in reasons[0].message
    assert reasons[0].mend
    line = await at.logged(text)
    assert line.level == "warning"
    assert line.text.startswith("Guest: ")
    assert reasons[0].mend in line.text
    assert [text in other.text for other in at.lines].count(True) == 1


async def undisturbed(at: Device) -> None:
    """Somebody else can still join and sync."""
    async with device("Fresh") as fresh:
        await joins(fresh, at)


async def joins(fresh: Device, at: Device) -> None:
    """A device joins and syncs."""
    await at.invite(fresh)
    note = await at.write("still here")
    await fresh.identical(at)
    assert await fresh.read(note.oid) == "still here"


def history(at: Device, peer: Member, *texts: str) -> list[Change]:
    """What a member writes, a change for each text; one replica, whenever it is called."""
    database = Database(":memory:", [Thing], identity=peer.identity, entropy=Random(0).randbytes)
    database.take_on(at.database.grant())
    thing = database.create(Thing)
    for text in texts:
        thing.body.insert(0, text)
        database.commit()
    ((replica, head),) = database.heads.items()
    changes = database.read([Range(replica, 1, head.seq)], 1000, 2**24)
    database.close()
    return changes


@both_loops
async def test_one_who_says_nothing() -> None:
    timing = QUICK._replace(greeting=0.1)
    async with device("Desk", timing=timing) as desk, member(desk) as peer:
        await refused(desk, peer, "too-late", "Nobody said hello within 0.1 seconds.")


@both_loops
async def test_one_who_leaves_at_once() -> None:
    async with device("Desk") as desk:
        async with member(desk) as peer:
            await peer.hear_of(Ohai)
        await desk.logged("closed the connection without a word")
        await undisturbed(desk)


@both_loops
async def test_another_protocol() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await refused(desk, peer, "garbage", "What was sent is not this protocol")
        await undisturbed(desk)


@both_loops
async def test_binary_noise() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(bytes(range(255, 0, -1)) * 3)
        await refused(desk, peer, "garbage", "it is not UTF-8")


@both_loops
async def test_half_a_line() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say('ØHAI {"protocol":1,'.encode())
        peer.writer.close()
        await desk.logged("ended in the middle of a line")


@both_loops
async def test_two_mebibytes_before_the_greeting() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(b"x" * 2**21)
        await refused(desk, peer, "too-long", "A line of more than 4096 bytes")
        await undisturbed(desk)


@both_loops
async def test_two_mebibytes_after_it() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(peer.greeting(), b'KTHXBYE {"reason":"' + b"x" * 2**21)
        await refused(desk, peer, "too-long", "A line of more than 1048576 bytes")
        await undisturbed(desk)


@both_loops
async def test_unknown_verbs_are_passed_over() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(peer.greeting(), b'PURRZ {"a":1}\n' * 3, Sup(7))
        assert (await peer.hear_of(Ihaz)).count == desk.database.count
        line = await desk.logged("Guest said PURRZ, which this version does not know.")
        assert line.level == "info"
        await peer.say(Sup(8))
        await undisturbed(desk)
        assert sum("PURRZ" in line.text for line in desk.lines) == 1


@both_loops
async def test_another_version() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say('ØHAI {"protocol":7,"new":true}\n'.encode())
        await refused(desk, peer, "wrong-version", "different versions of the protocol (1 and 7)")


@both_loops
async def test_another_library() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.say(peer.greeting(library="9" * 32))
        await refused(desk, peer, "another-library", "of different libraries")
        (status,) = desk.node.status()
        assert status.refused


@both_loops
async def test_a_change_that_breaks_a_bound() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        (change,) = history(desk, peer, "x")
        await peer.greet()
        await peer.say(Ucanhaz(altered(change, n=2**60)))
        await refused(desk, peer, "bad-change", "A change was sent that cannot be right")
        assert change.replica not in desk.database.heads
        await undisturbed(desk)


@both_loops
async def test_a_change_that_admission_refuses() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        good, bad = history(desk, peer, "x", "y")
        await peer.greet()
        await peer.say(Ucanhaz(good), Ucanhaz(altered(bad, at=5)))
        await refused(desk, peer, "bad-change", "A change was sent that cannot be right")
        assert desk.database.heads[good.replica].seq == good.seq
        await undisturbed(desk)


@both_loops
async def test_one_who_leaves_in_good_order() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        await peer.greet()
        await peer.say(Kthxbye("I am sleepy."))
        assert not [m for m in await peer.hear_all() if isinstance(m, Nowai)]
        line = await desk.logged("Guest left. I am sleepy.")
        assert line.level == "info"


@both_loops
async def test_words_of_a_peer_are_shown_on_one_line() -> None:
    async with device("Desk") as desk, member(desk, name="") as peer:
        await peer.greet(name="L\n\x1b[31map \u202eX")
        await desk.logged("Connected with L [31map X: it connected to us.")
        await peer.say(Nowai("garbage", "no\n\nFAKE LINE", "\t"))
        await desk.logged("L [31map X: no FAKE LINE")


@both_loops
async def test_two_histories_of_one_replica() -> None:
    """A restored copy that was continued: nothing is dropped, and a person is told."""
    async with device("Desk") as desk, member(desk) as peer:
        (one,), (other,) = history(desk, peer, "x"), history(desk, peer, "y")
        await peer.greet()
        await peer.say(Ucanhaz(one))
        await peer.hear_of(Kthx)
        await peer.say(Ucanhaz(other))
        line = await desk.logged("contradict")
        assert line.text.startswith("Guest sent changes that contradict others")
        assert desk.database.heads[one.replica].seq == one.seq == other.seq
        await peer.say(Sup(3))
        await peer.hear_of(Nm)


@both_loops
async def test_one_who_does_not_close_after_a_refusal() -> None:
    timing = QUICK._replace(linger=0.05)
    async with device("Desk", timing=timing) as desk, member(desk) as peer:
        await peer.hear_of(Ohai)
        (link,) = desk.node._links
        await peer.say(b"garbage\n")
        await asyncio.wait_for(link.over.wait(), 10)
        async with asyncio.timeout(5):
            while desk.node._links:  # noqa: ASYNC110 (let go in the loop's next turn)
                await asyncio.sleep(0)


@both_loops
async def test_one_who_asks_and_does_not_read() -> None:
    """A slow reader is waited for with a timeout, never with memory."""
    timing = QUICK._replace(write=0.2)
    async with device("Desk", timing=timing) as desk, member(desk) as peer:
        for _ in range(20):
            thing = await desk.write("".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 3)
        (replica,) = {r for r, author in desk.database.authors.items() if author.device == desk.id}
        assert thing.oid
        await peer.greet()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def ask() -> None:
            last = desk.database.heads[replica].seq
            for request in itertools.count(1):
                await peer.say(Icanhaz(request, (Range(replica, 1, last),)))
                await asyncio.sleep(0)

        with pytest.raises(ConnectionError):
            await ask()
        line = await desk.logged("Nothing of what was sent was taken for 0.2 seconds.")
        assert line.text.startswith("Guest: ")
        assert desk.node.status()[0].error
        await undisturbed(desk)


@both_loops
async def test_one_member_that_connects_again_and_again_loses_its_oldest() -> None:
    async with device("Desk") as desk, member(desk) as first, AsyncExitStack() as crowd:
        context = client_context(first.identity, desk.identity.certificate, SYNC)
        await first.hear_of(Ohai)
        for _ in range(3 * MAX_LINKS):
            another = await crowd.enter_async_context(knock(desk, context))
            await another.hear_of(Ohai)
        assert len(desk.node._links) <= MAX_LINKS + 1
        assert await first.hear() is None
        await undisturbed(desk)


@both_loops
async def test_what_is_said_last_is_heard_though_much_is_unread() -> None:
    """Closing with unread input would reset the connection, and the reason with it."""
    async with device("Desk") as desk, member(desk) as peer:
        peer.writer.write(b"garbage\n" + b"x" * 2**22)
        await refused(desk, peer, "garbage", "does not begin with a verb")


@both_loops
async def test_a_flood_of_small_lines_leaves_others_their_turn() -> None:
    async with device("Desk") as desk, member(desk) as peer, device("Fresh") as fresh:
        await peer.greet()

        async def flood() -> None:
            while True:
                await peer.say(b"".join([b'SUP {"ping":1}\n'] * 4000))

        flooding = asyncio.ensure_future(flood())
        await joins(fresh, desk)
        flooding.cancel()
