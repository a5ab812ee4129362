"""Bad input to a server, from strangers and from paired devices: two devices of another library go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from liblim.change import Change, Range, digest
from liblim.server.sqlite import SqliteStorage
from liblim.server.stores import Standing
from liblim.sync import encode
from liblim.sync.messages import (
    MAX_GREETING,
    MAX_LINE,
    Entry,
    Icanhaz,
    Igotz,
    Ihaz,
    Kthx,
    Message,
    Nm,
    Nowai,
    Ohai,
    Sup,
    Ucanhaz,
    Vouch,
)
from liblim.trust import Identity
from tests.liblim.changes import altered, dep
from tests.liblim.net.devices import QUICK
from tests.liblim.net.forgery import signed_by
from tests.liblim.server.conftest import Opener
from tests.liblim.server.guests import (
    NOTHING,
    Household,
    answer,
    codes,
    couple,
    greeting,
    household,
    knock,
    no_mistakes,
)
from tests.liblim.server.serving import Serving, on_folder, on_storage, serving
from tests.liblim.trust.sealed import flipped, sign

DEEP = b"[" * 100_000 + b"]" * 100_000


async def _said_without_end(server: Serving, identity: Identity) -> list[Message]:
    async with knock(server, identity) as guest:
        with contextlib.suppress(ConnectionError):
            for byte in "ØHAI {".encode() + b" " * 100:
                await guest.say(bytes([byte]))
        return await guest.hear_all()


@on_folder
async def test_the_first_words_of_a_paired_device(folder: Path) -> None:
    storage = SqliteStorage(folder)
    with no_mistakes():
        timing = QUICK._replace(greeting=0.3, linger=0.05)
        async with serving(storage, timing=timing) as server, couple(server) as two:
            lib = await household(server)
            member = lib.members[0]
            rest = f'"library":"{lib.library}","device":"{member.device}"'
            for words, code in (
                (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "garbage"),
                (bytes(range(255, 0, -1)) * 3, "garbage"),
                (b"\n", "garbage"),
                (f'ØHAI {{"protocol":NaN,{rest}}}\n'.encode(), "garbage"),
                (f'ØHAI {{"protocol":1,{rest},"name":"\\ud800"}}\n'.encode(), "garbage"),
                (f'ØHAI {{"protocol":1,{rest},"name":"\xff"}}\n'.encode("latin-1"), "garbage"),
                (b'\xc3\x98HAI {"protocol":1,"more":' + b"[" * 1000 + b"}\n", "garbage"),
                ('ØHAI {"protocol":' + "9" * 4000 + "}\n", "wrong-version"),
                (f'ØHAI {{"protocol":2,{rest}}}\n', "wrong-version"),
                (f'ØHAI {{"protocol":1,{rest},"port":65536}}\n', "bad-message"),
                (f'ØHAI {{"protocol":1,{rest},"name":"{"x" * 129}"}}\n', "bad-message"),
                (f'ØHAI {{"protocol":1,{rest}', "too-late"),
                (b"", "too-late"),
                (b"x" * (MAX_GREETING + 1), "too-long"),
                (b"x" * 2**21, "too-long"),
                (encode(Vouch()), "bad-message"),
                (b"PURRZ {}\n", "bad-message"),
                (encode(greeting(two.lap.database.library, member)), "not-served"),
            ):
                data = words if isinstance(words, bytes) else words.encode()
                assert codes(await answer(server, member, data)) == [code], words
            assert codes(await _said_without_end(server, member)) == ["too-late"]
            async with knock(server, member) as guest:
                await guest.say(b"\xc3\x98HAI {")
                guest.writer.close()
                assert await guest.hear() is None
            assert lib.library not in server.server.shelf.circles
            await two.go_on()
    storage.close()


LINES: list[tuple[bytes, str]] = [
    (b"GET / HTTP/1.1\r\n\r\n", "garbage"),
    (bytes(range(255, 0, -1)) * 3, "garbage"),
    (b"IHAZ\n", "garbage"),
    (b'SUP {"ping":1}\r\n', "garbage"),
    (b'SUP {"ping":NaN}\n', "garbage"),
    (b'SUP {"ping":1,"more":NaN}\n', "garbage"),
    (b'SUP {"ping":1,"more":' + DEEP + b"}\n", "garbage"),
    (b"PURRZ {" + b'"a":[' * 100_000 + b"]" * 100_000 + b"}\n", "garbage"),
    (b'KTHXBYE {"reason":"\\ud800"}\n', "garbage"),
    (b'SUP {"ping":1,"more":"\xed\xa0\x80"}\n', "garbage"),
    (b'SUP {"ping":' + b"9" * 5000 + b"}\n", "bad-message"),
    (b'SUP {"ping":1e999}\n', "bad-message"),
    (b'SUP {"ping":true}\n', "bad-message"),
    (b'SUP {"ping":-1}\n', "bad-message"),
    (b'SUP {"ping":9007199254740992}\n', "bad-message"),
    (b'ICANHAZ {"request":0}\n', "bad-message"),
    (b'ICANHAZ {"request":1,"changes":257}\n', "bad-message"),
    (b'ICANHAZ {"request":1,"ranges":[["a",1,1]]}\n', "bad-message"),
    (encode(Icanhaz(1, (Range("ab" * 8, 1, 2),) * 1001)), "bad-message"),
    (encode(Ihaz(0, digest({}), 7)), "bad-message"),
    (encode(Ihaz(2**53, digest({}))), "bad-message"),
    (encode(Kthx(1, "x" * 64)), "bad-message"),
    (encode(Vouch((b"",))), "bad-message"),
    (encode(Vouch((b"no certificate",))), "bad-message"),
    (encode(Vouch((), (bytes(2000),) * 3)), "bad-message"),
    (encode(Vouch((bytes(2049),))), "bad-message"),
    (encode(Vouch((b"x",) * 1001)), "bad-message"),
    (encode(Vouch(withdrawn=("X" * 32,))), "bad-message"),
    (b'UCANHAZ {"change":{}}\n', "bad-change"),
    (b"UCANHAZ {}\n", "bad-change"),
    (b'KTHXBYE {"reason":"' + b"x" * MAX_LINE, "too-long"),
    (b"\n", "garbage"),
]


async def refused(lib: Household, words: bytes | Message, code: str, number: int = 0) -> None:
    """A member that says this after the greeting is told why it is sent away."""
    async with lib.come(number) as guest:
        with contextlib.suppress(ConnectionError):
            await guest.say(words)
        said = await guest.hear_all()
        assert codes(said) == [code], words[:80] if isinstance(words, bytes) else words
        assert all(message.mend for message in said if isinstance(message, Nowai))


@on_folder
async def test_what_a_paired_device_may_not_say(folder: Path) -> None:
    storage = SqliteStorage(folder)
    with no_mistakes():
        async with serving(storage) as server, couple(server) as two:
            lib = await household(server)
            for words, code in LINES:
                await refused(lib, words, code)
            await refused(lib, greeting(lib.library, lib.members[0]), "bad-message")
            async with lib.come() as guest:
                await guest.say(b'SUP {"ping":')
                guest.writer.write_eof() if guest.writer.can_write_eof() else guest.writer.close()
            assert server.holds(lib.library) == (0, digest({}))
            assert list(server.server.shelf.libraries[lib.library].members) == [
                lib.members[0].device
            ]
            await two.go_on()
    storage.close()


@on_folder
async def test_what_a_paired_device_may_say_though_it_makes_no_sense(folder: Path) -> None:
    storage = SqliteStorage(folder)
    with no_mistakes():
        async with serving(storage) as server, couple(server) as two:
            lib = await household(server, 2)
            name, most = "ab" * 8, 2**53 - 1
            async with lib.come() as guest:
                await guest.say(
                    b'SUP {"ping":1,"ping":2}\n',  # the last counts
                    b'PURRZ {"deep":' + b"[" * 100 + b"]" * 100 + b"}\n",
                    Icanhaz(1, (Range(name, 1, most), Range(name, most, 1))),
                    Icanhaz(most, tuple(Range(f"{n:016x}", n + 1, most) for n in range(1000))),
                    Ihaz(most, "f" * 64, 1, False, (Entry(name, most, bytes(32)),)),
                    Ihaz(0, "f" * 64, 0, False, (Entry(name, 1, bytes(32)),)),
                    Kthx(most, "f" * 64, (Entry(name, most, bytes(32)),)),
                    Nm(most),
                    Igotz(msgspec.structs.replace(lib.receipt(1), device="0d" * 16)),
                    Sup(77),
                )
                while await guest.hear_of(Nm) != Nm(77):
                    pass
                assert server.holds(lib.library) == (0, digest({}))
                own = lib.author().write("written by one of whom all this came")
                await guest.say(Ucanhaz(own))
                assert (await guest.hear_of(Kthx)).heads[0].hash == own.hash
            await two.go_on()
    storage.close()


def bad_changes(lib: Household, stranger: Identity) -> Iterable[tuple[str, list[Change]]]:
    """Changes of a member, each a new replica's, the last of which is not what it should be."""
    letters = iter("bcdefghijklmnopqrstuvwxyz")

    def fresh() -> tuple[Change, Callable[[str], Change]]:
        author = lib.author(letter=next(letters))
        return author.write("good"), author.write

    for field in ("body", "signature"):
        for at in (0, 13, 50):
            good, _ = fresh()
            bad = flipped(getattr(good, field), at)
            yield f"{field} {at}", [msgspec.structs.replace(good, **{field: bad})]
    good, _ = fresh()
    yield "body cut", [Change(good.header, good.signature, (good.body or b"")[:-1])]
    yield "no body", [Change(good.header, good.signature, None)]
    yield "no signature", [Change(good.header, bytes(64), good.body)]
    yield "more counters", [altered(good, n=good.header.n + 1)]
    yield "a number beyond all", [altered(good, clock=2**53 - 1, n=2**18)]
    yield "another device", [altered(good, device=stranger.device)]
    good, write = fresh()
    second = write("second")
    keys = lib.author(letter="z").keys
    for name, members in (
        ("another time", {"at": 5}),
        ("a wrong clock", {"clock": 999}),
        ("a dependency on itself", {"deps": (dep(good),)}),
    ):
        bad_one = altered(second, **members)
        yield name, [good, bad_one]
        if name not in (
            "another time",
            "a wrong chain",
        ):  # with a signature, one is right, one a fork
            yield f"{name}, signed", [good, sign(keys, bad_one)]
    other = Household(lib.server, "1a" * 16, lib.members)
    yield "of another library", [other.author(letter=next(letters)).write("x")]


@on_storage
async def test_changes_that_are_not_what_they_should_be(open_storage: Opener) -> None:
    stranger = Identity.generate()
    with no_mistakes():
        async with serving(open_storage()) as server, couple(server) as two:
            lib = await household(server)
            for name, changes in bad_changes(lib, stranger):
                async with lib.come() as guest:
                    with contextlib.suppress(ConnectionError):
                        await guest.say(*map(Ucanhaz, changes))
                    said = await guest.hear_all()
                    # Some cannot even be said, as the codec has bounds of its own.
                    assert codes(said) == ["bad-change"], name
                heads = server.server.shelf.circles[lib.library].served.heads
                bad = changes[-1]
                assert bad.replica not in heads or heads[bad.replica].hash != bad.hash, name
            # In disorder they wait for each other, and what might be another's is passed over.
            author = lib.author(letter="A")
            chain = [author.write(str(number)) for number in range(5)]
            async with lib.come() as guest:
                other = altered(chain[1], prev=bytes(32))
                await guest.say(Ucanhaz(chain[0]), Ucanhaz(other), *map(Ucanhaz, reversed(chain)))
                while chain[-1].hash not in {h.hash for h in (await guest.hear_of(Kthx)).heads}:
                    pass
            await two.go_on()


@on_storage
async def test_receipts_that_are_forged_replayed_or_of_strangers(open_storage: Opener) -> None:
    with no_mistakes():
        async with serving(open_storage()) as server, couple(server) as two:
            lib = await household(server, 3)
            stranger = Household(server, lib.library, [Identity.generate()])
            elsewhere = Household(server, two.lap.database.library, lib.members)
            for forged in (
                lib.receipt(5, device=lib.members[1].device),
                lib.receipt(5, body=b"another"),
                lib.receipt(5, epoch="f" * 32),
                msgspec.structs.replace(lib.receipt(5), counter=6),
                elsewhere.receipt(5),
            ):
                await refused(lib, Igotz(forged), "bad-message")
            async with lib.come(1) as listener, lib.come(0) as guest:
                await guest.say(Igotz(stranger.receipt(9)), Igotz(lib.receipt(3)))
                assert (await listener.hear_of(Igotz)).receipt == lib.receipt(3)
                # An older one is answered with the last; the same again with nothing.
                await guest.say(Igotz(lib.receipt(2)), Igotz(lib.receipt(3)), Sup(5))
                assert (await guest.hear_of(Igotz)).receipt == lib.receipt(3)
                latest = server.server.shelf.circles[lib.library]._receipts.latest
                assert latest == {lib.members[0].device: lib.receipt(3)}
            await two.go_on()


@on_storage
async def test_vouching_for_nonsense(open_storage: Opener) -> None:
    with no_mistakes():
        async with serving(open_storage()) as server, couple(server) as two:
            lib = await household(server, 4)
            circle_of = server.server.shelf.libraries[lib.library]
            good, gone = Identity.generate(), lib.members[3]
            registry = server.storage.registry
            words = len(await asyncio.to_thread(registry.words, 0))
            for bad in (
                Vouch((good.certificate, b"none")),
                Vouch((good.certificate,), (flipped(good.certificate, 200),)),
                Vouch((signed_by(lib.members[0]).der,)),
            ):
                await refused(lib, bad, "bad-message")
            thousands = tuple(f"{number:032x}" for number in range(1000))
            await refused(lib, Vouch(withdrawn=thousands), "over-limit")
            assert len(await asyncio.to_thread(registry.words, 0)) == words
            assert circle_of.standing(good.device) is None
            # One's own withdrawal counts at once, and so does another's, for ever.
            others = tuple(m.certificate for m in lib.members[:2])
            own = Vouch((*others, gone.certificate), (), (lib.members[2].device,))
            await refused(lib, own, "removed", 2)
            async with lib.come(0) as guest, lib.come(3) as leaving:
                await guest.say(Vouch(others, (), (gone.device,)))
                assert codes(await leaving.hear_all()) == ["removed"]
                await guest.say(
                    Vouch((*others, gone.certificate)),
                    Vouch((), (gone.certificate,)),
                    Vouch(others, (), (gone.device, gone.device)),
                    Vouch((good.certificate,)),
                )
                async with asyncio.timeout(15):
                    while circle_of.standing(good.device) is None:
                        await guest.say(Sup(1))
                        await guest.hear_of(Nm)
            for identity in (lib.members[2], gone):
                assert circle_of.standing(identity.device) is Standing.WITHDRAWN
            said = await answer(server, gone, greeting(lib.library, gone), NOTHING)
            assert codes(said) == ["removed"]
            assert not any(isinstance(message, Ohai) for message in said)
            await two.go_on()
