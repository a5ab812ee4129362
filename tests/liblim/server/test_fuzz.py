"""Whole sessions of a paired device with something wrong in them, while two of another library sync."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from liblim.change import Range, digest
from liblim.sync import LineDecoder, encode
from liblim.sync.codec import Unknown
from liblim.sync.messages import (
    MAX_LINE,
    Entry,
    Icanhaz,
    Igotz,
    Ihaz,
    Kthx,
    Kthxbye,
    Message,
    Nm,
    Nowai,
    Sup,
    Ucanhaz,
    Vouch,
)
from liblim.sync.refusals import REFUSALS
from liblim.trust import Identity
from tests.liblim.net.devices import QUICK
from tests.liblim.server.conftest import Opener
from tests.liblim.server.guests import Household, couple, greeting, household, knock, no_mistakes
from tests.liblim.server.serving import serving
from tests.liblim.sync.test_codec import mutated

TOGETHER = 25
"""Sessions until the two others are looked at again."""


def recording(rng: Random, lib: Household) -> tuple[list[bytes], dict[str, list[bytes]]]:
    """What a device might say, line by line; and the hashes of the changes among it, by replica."""
    lines: list[Message] = [greeting(lib.library, lib.members[0]), Ihaz(0, digest({}))]
    hashes: dict[str, list[bytes]] = {}
    for letter in "ab":
        author = lib.author(0, letter)
        for number in range(4):
            change = author.write(f"text {number}")
            hashes.setdefault(author.replica, []).append(change.hash)
            lines.append(Ucanhaz(change))
    replica, (first, *_) = next(iter(hashes.items()))
    others = tuple(identity.certificate for identity in lib.members)
    lines += [
        Ihaz(9, "f" * 64, 1, True, (Entry(replica, 4, first), Entry("ab" * 8, 9, first))),
        Ihaz(9, "f" * 64, 2, False, (Entry("cd" * 8, 2**40, first),)),
        Icanhaz(1, (Range(replica, 1, 4), Range("ab" * 8, 1, 9))),
        Icanhaz(2),
        Kthx(9, "f" * 64, (Entry(replica, 2, first),)),
        Igotz(lib.receipt(1)),
        Igotz(lib.receipt(2)),
        Vouch(others, (Identity.generate(rng.randbytes).certificate,)),
        Sup(1),
        Nm(1),
        Kthxbye("enough"),
    ]
    return [encode(line) for line in lines], hashes


def damaged(rng: Random, lines: list[bytes]) -> bytes:
    """The lines, some of them missing, doubled or elsewhere, and in most cases some of their bytes."""
    found = list(lines)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(1, len(found))
        match rng.randrange(3):
            case 0:
                del found[at]
            case 1:
                found.insert(rng.randrange(1, len(found)), found[at])
            case _:
                found.insert(rng.randrange(1, len(found)), found.pop(at))
    whole = b"".join(found)
    greeted = 0 if rng.random() < 0.3 else len(found[0])  # mostly it gets beyond the greeting
    match rng.randrange(4):
        case 0:
            return whole
        case 1:
            return whole[:greeted] + rng.randbytes(rng.randrange(1, 400))
        case _:
            return whole[:greeted] + mutated(rng, whole[greeted:])


async def converse(rng: Random, lib: Household, data: bytes) -> set[str]:
    """One session; gives the codes of what it was refused with, one at most."""
    heard, codes = LineDecoder(MAX_LINE), set[str]()
    async with knock(lib.server, lib.members[0]) as guest:
        with contextlib.suppress(OSError):
            while data:
                size = rng.choice((1, 100, 5000, len(data)))
                await guest.say(data[:size])
                data = data[size:]
                if rng.random() < 0.02:
                    return codes  # it leaves without a word
            await guest.say(b"\n\n")  # whatever the state, the second is no line
        with contextlib.suppress(OSError):
            async with asyncio.timeout(10):
                while data := await guest._reader.read(65536):
                    heard.feed(data)
                    while (message := heard.next()) is not None:
                        assert not isinstance(message, Unknown)
                        if isinstance(message, Nowai):
                            assert not codes
                            codes.add(message.code)
                            guest.writer.close()
    return codes


async def fuzz(open_storage: Opener, seed: int, sessions: int) -> None:
    rng, refused = Random(seed), set[str]()
    timing = QUICK._replace(linger=0.05)
    with no_mistakes():
        async with serving(open_storage(), timing=timing) as server, couple(server) as two:
            lib = await household(server, 2, rng.randbytes)
            lines, hashes = recording(rng, lib)
            for number in range(sessions):
                refused |= await converse(rng, lib, damaged(rng, lines))
                if number % TOGETHER == 0:
                    await two.go_on()
            await two.go_on()
            await server.server.shelf.open(lib.library)
            served = server.server.shelf.circles[lib.library].served
            for replica, head in served.heads.items():
                assert head.hash == hashes[replica][head.seq - 1]
            standing = server.server.shelf.standing
            assert all(standing(lib.library, one.device) for one in lib.members)
    assert refused <= REFUSALS.keys()
    assert {"garbage", "bad-message"} <= refused


def test_damaged_sessions(open_storage: Opener, seed: int) -> None:
    asyncio.run(fuzz(open_storage, seed, 100))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_damaged_sessions(open_storage: Opener, seed: int) -> None:
    asyncio.run(fuzz(open_storage, seed, 10_000))
