"""What may knock at the port, on raw sockets: one clear reason each, and nobody else disturbed."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest

from liblim.change import Range
from liblim.net.node import BETWEEN_DEVICES, MAX_STRANGERS
from liblim.sync.messages import Icanhaz, Ihaz, Kthx, Kthxbye, Nm, Nowai, Ohai, Sup, Ucanhaz
from tests.liblim.changes import altered, make
from tests.liblim.net.devices import (
    QUICK,
    Device,
    Stranger,
    both_loops,
    device,
    greeting,
    stranger,
)


async def refused(at: Device, peer: Stranger, code: str, text: str) -> None:
    """The stranger hears why and is closed; the log says so once; the device goes on."""
    heard = await peer.hear_all()
    reasons = [message for message in heard if isinstance(message, Nowai)]
    assert [reason.code for reason in reasons] == [code]
    assert text in reasons[0].message
    assert reasons[0].mend
    line = await at.logged(text)
    assert line.level == "warning"
    assert (reasons[0].mend in line.text) == (code in BETWEEN_DEVICES or line.device != "")
    assert [text in other.text for other in at.lines].count(True) == 1


async def undisturbed(at: Device) -> None:
    """Somebody else can still pair and sync."""
    async with device("Fresh") as fresh:
        await fresh.pair(at)
        note = await at.write("still here")
        await fresh.identical(at)
        assert await fresh.read(note.oid) == "still here"


@both_loops
async def test_one_who_says_nothing() -> None:
    async with device("Desk", timing=QUICK._replace(greeting=0.1)) as desk, stranger(desk) as peer:
        await refused(desk, peer, "too-late", "Nobody said hello within 0.1 seconds.")


@both_loops
async def test_one_who_leaves_at_once() -> None:
    async with device("Desk") as desk:
        async with stranger(desk) as peer:
            await peer.hear_of(Ohai)
        await desk.logged("closed the connection without a word")
        await undisturbed(desk)


@both_loops
async def test_another_protocol() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await refused(desk, peer, "garbage", "What was sent is not this protocol")
        await undisturbed(desk)


@both_loops
async def test_binary_noise() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(bytes(range(255, 0, -1)) * 3)
        await refused(desk, peer, "garbage", "it is not UTF-8")


@both_loops
async def test_half_a_line() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say('ØHAI {"protocol":0,'.encode())
        peer.writer.write_eof()
        await refused(desk, peer, "half-line", "ended in the middle of a line")


@both_loops
async def test_two_mebibytes_before_the_greeting() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(b"x" * 2**21)
        await refused(desk, peer, "too-long", "A line of more than 4096 bytes")
        await undisturbed(desk)


@both_loops
async def test_two_mebibytes_after_it() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk), b'KTHXBYE {"reason":"' + b"x" * 2**21)
        await refused(desk, peer, "too-long", "A line of more than 1048576 bytes")
        await undisturbed(desk)


@both_loops
async def test_unknown_verbs_are_passed_over() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk, name="Newer"), b'PURRZ {"a":1}\n' * 3, Sup(7))
        assert (await peer.hear_of(Ihaz)).count == 0
        line = await desk.logged("Newer said PURRZ, which this version does not know.")
        assert line.level == "info"
        await peer.say(Sup(8))
        await undisturbed(desk)
        assert sum("PURRZ" in line.text for line in desk.lines) == 1


@both_loops
async def test_another_version() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say('ØHAI {"protocol":7,"new":true}\n'.encode())
        await refused(desk, peer, "wrong-version", "different versions of the protocol (0 and 7)")


@both_loops
async def test_a_device_that_is_not_paired() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk, pair=False))
        await refused(desk, peer, "not-paired", "The two devices are not paired.")
        assert desk.node.status() == []


@both_loops
async def test_another_library() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await desk.write("mine")
        await peer.say(greeting(desk, library="9" * 32, empty=False))
        await refused(desk, peer, "another-library", "in different libraries")
        assert desk.node.status() == []


@both_loops
async def test_a_change_that_breaks_a_bound() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        bad = altered(make("a"), n=2**60)
        await peer.say(greeting(desk), Ihaz(0, "0" * 64), Ucanhaz(bad))
        await refused(desk, peer, "bad-change", "A change was sent that cannot be right")
        assert desk.database.count == 0
        await undisturbed(desk)


@both_loops
async def test_a_change_that_admission_refuses() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        good = make("b")
        bad = altered(make("a"), clock=5)
        await peer.say(greeting(desk), Ihaz(0, "0" * 64), Ucanhaz(good), Ucanhaz(bad))
        await refused(desk, peer, "bad-change", "its causal past")
        assert desk.database.count == 1


@both_loops
async def test_one_who_leaves_in_good_order() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk, name="Lap"), Ihaz(0, "0" * 64))
        await desk.logged("Connected with Lap")
        await peer.say(Kthxbye("I am sleepy."))
        assert not [m for m in await peer.hear_all() if isinstance(m, Nowai)]
        line = await desk.logged("Lap left. I am sleepy.")
        assert line.level == "info"


@both_loops
async def test_words_of_a_peer_are_shown_on_one_line() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk, name="L\n\x1b[31map \u202eX"), Ihaz(0, "0" * 64))
        await desk.logged("Connected with L [31map X: it connected to us.")
        await peer.say(Nowai("garbage", "no\n\nFAKE LINE", "\t"))
        await desk.logged("L [31map X: no FAKE LINE")


@both_loops
async def test_two_histories_of_one_replica() -> None:
    """A restored copy that was continued: nothing is dropped, and a person is told."""
    async with device("Desk") as desk, stranger(desk) as peer:
        one, other = make("a"), make("a", at=1)
        await peer.say(greeting(desk, name="Lap"), Ihaz(0, "0" * 64), Ucanhaz(one))
        await peer.hear_of(Kthx)
        await peer.say(Ucanhaz(other))
        line = await desk.logged("contradict")
        assert line.text.startswith("Lap sent changes that contradict others")
        assert desk.database.count == 1
        await peer.say(Sup(3))
        await peer.hear_of(Nm)


@both_loops
async def test_one_who_does_not_close_after_a_refusal() -> None:
    async with device("Desk", timing=QUICK._replace(linger=0.05)) as desk, stranger(desk) as peer:
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
    async with device("Desk", timing=QUICK._replace(write=0.2)) as desk, stranger(desk) as peer:
        for _ in range(20):
            await desk.write("x" * 200_000)
        (replica,) = desk.database.heads
        await peer.say(greeting(desk, name="Slow"), Ihaz(0, "0" * 64))

        async def ask() -> None:
            for request in itertools.count(1):
                await peer.say(Icanhaz(request, (Range(replica, 1, 20),)))
                await asyncio.sleep(0)

        with pytest.raises(ConnectionError):
            await ask()
        line = await desk.logged("Nothing of what was sent was taken for 0.2 seconds.")
        assert line.text.startswith("Slow: ")
        assert desk.node.status()[0].error
        await undisturbed(desk)


@both_loops
async def test_a_crowd_of_strangers_loses_its_oldest() -> None:
    async with device("Desk") as desk, AsyncExitStack() as crowd:
        oldest = await crowd.enter_async_context(stranger(desk))
        await oldest.hear_of(Ohai)
        for _ in range(MAX_STRANGERS - 1):
            peer = await crowd.enter_async_context(stranger(desk))
            await peer.hear_of(Ohai)
        last = await crowd.enter_async_context(stranger(desk))
        await refused(desk, oldest, "too-many", "Too many strangers are connected at once.")
        await last.say(greeting(desk))
        await last.hear_of(Ihaz)
        await undisturbed(desk)


@both_loops
async def test_a_crowd_that_does_not_go_is_thrown_out() -> None:
    async with device("Desk", timing=QUICK._replace(linger=5.0)) as desk, AsyncExitStack() as crowd:
        for _ in range(3 * MAX_STRANGERS):
            peer = await crowd.enter_async_context(stranger(desk))
            await peer.hear_of(Ohai)
        assert len(desk.node._links) <= 2 * MAX_STRANGERS + 1
        await undisturbed(desk)


@both_loops
async def test_what_is_said_last_is_heard_though_much_is_unread() -> None:
    """Closing with unread input would reset the connection, and the reason with it."""
    async with device("Desk") as desk, stranger(desk) as peer:
        peer.writer.write(b"garbage\n" + b"x" * 2**22)
        await refused(desk, peer, "garbage", "does not begin with a verb")


@both_loops
async def test_a_flood_of_small_lines_leaves_others_their_turn() -> None:
    async with device("Desk") as desk, stranger(desk) as peer:
        await peer.say(greeting(desk), Ihaz(0, "0" * 64))

        async def flood() -> None:
            while True:
                await peer.say(b"".join([b'SUP {"ping":1}\n'] * 4000))

        flooding = asyncio.ensure_future(flood())
        await undisturbed(desk)
        flooding.cancel()
