"""The proof of a code and its window, who joins whom, and what a hostile side may say."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest

from liblim.errors import PairingError
from liblim.trust.grant import Grant, Granted
from liblim.trust.identity import Identity
from liblim.trust.pairing import (
    DIGITS,
    SECONDS,
    TRIES,
    PairingView,
    Phase,
    Window,
    joiner,
    new_code,
    read_code,
)
from liblim.trust.pairing_messages import (
    MAX_LINE,
    PROBLEMS,
    VERBS,
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
from liblim.trust.pairing_proof import Handshake, Pake, Proof, Role

CODE = "40718826"
WRONG = "40718827"


@cache
def identity(name: str) -> Identity:
    return Identity.generate()


def about(device: str = "Desk", /, **members: Any) -> About:
    told: dict[str, Any] = {
        "name": device,
        "agent": "test/1",
        "library": "ab" * 16,
        "alone": True,
        "empty": True,
        "certificate": identity(device).certificate,
    }
    return About(**(told | members))


DESK, LAP = "Desk", "Lap"


def shows(code: str = CODE, **members: Any) -> Handshake:
    return Handshake(Role.SHOWS, code, about(DESK, **members))


def dials(code: str = CODE, **members: Any) -> Handshake:
    return Handshake(Role.DIALS, code, about(LAP, **members))


def desk() -> bytes:
    return identity(DESK).certificate


def agree(ours: Proof, theirs: Proof) -> bool:
    """Whether both sides believe each other, whatever they say of knowing each other."""
    results = {
        checker.check(Mac(prover.own[member], member))
        for checker, prover in ((ours, theirs), (theirs, ours))
        for member in (False, True)
    }
    assert len(results) == 1
    return results.pop()


def code_of(line: bytes, role: Role = Role.SHOWS, server: bytes | None = None) -> str:
    """What becomes of a first message."""
    handshake = shows() if role is Role.SHOWS else dials()
    with pytest.raises(PairingError) as failure:
        handshake.finish(line, server or desk())
    return failure.value.code


# The code and its window


def test_codes() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) > 990
    assert all(len(code) == DIGITS and code.isascii() and code.isdigit() for code in codes)
    assert {digit for code in codes for digit in code} == set("0123456789")


@pytest.mark.parametrize(
    "text", [CODE, " 4071 8826 ", "4071-8826", "4071\u00a08826", "40 71 88 26\n"]
)
def test_a_code_as_people_enter_it(text: str) -> None:
    assert read_code(text) == CODE


@pytest.mark.parametrize(
    "text", ["", "4071882", "407188260", "4071882a", "٤٠٧١٨٨٢٦", "4071882²", "+4071882", "0x407188"]
)
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(PairingError, match="8 digits") as failure:
        read_code(text)
    assert failure.value.mend
    assert not text or text not in str(failure.value)


def entering(window: Window, now: float) -> str:
    try:
        window.enter(now)
    except PairingError as error:
        return error.code
    return ""


def test_a_window_ends_with_its_time() -> None:
    window = Window(CODE, 1000.0)
    assert window.is_open(1000.0 + SECONDS - 0.1)
    assert entering(window, 1000.0 + SECONDS - 0.1) == ""
    window.leave()
    assert not window.is_open(1000.0 + SECONDS)
    assert entering(window, 1000.0 + SECONDS) == "expired"


def test_a_window_that_expired_stays_so_though_the_clock_is_set_back() -> None:
    window = Window(CODE, 1000.0)
    window.expire()
    assert not window.is_open(0.0)
    assert entering(window, 0.0) == "expired"


def test_one_try_at_a_time() -> None:
    window = Window(CODE, 0.0)
    assert [entering(window, 1.0), entering(window, 1.0)] == ["", "busy"]
    window.leave()
    assert entering(window, 1.0) == ""
    assert window.tries == TRIES  # nothing was guessed


def test_three_guesses_end_a_window() -> None:
    window = Window(CODE, 0.0)
    for left in (2, 1, 0):
        window.enter(1.0)
        window.guess()
        window.leave()
        assert window.tries == left
    assert not window.is_open(1.0)
    assert entering(window, 1.0) == "code-used-up"


class FakePake:
    """As SPAKE2 to who keeps to the rules: both sides have the same key if they have the same code."""

    def __init__(self, code: str) -> None:
        self._code = code

    def start(self) -> bytes:
        return bytes(33)

    def finish(self, message: bytes) -> bytes:
        return hashlib.sha256(self._code.encode()).digest()


def fake(role: Role, code: str) -> Pake:
    return FakePake(code)


def guess_all(codes: Iterator[str], right: Random, **options: Any) -> tuple[int, int]:
    """Guess at codes, each shown until it counts no more; windows needed, and the most guesses at one."""
    windows, most, count = 0, 0, TRIES
    window = Window("", -SECONDS)
    for guess in codes:
        if not window.is_open(0.0):
            windows, count = windows + 1, 0
            window = Window(f"{right.randrange(10**8):08}", 0.0)
        window.enter(0.0)
        shower = Handshake(Role.SHOWS, window.code, about(DESK), **options)
        dialler = Handshake(Role.DIALS, guess, about(LAP), **options)
        window.guess()
        proof = shower.finish(dialler.line, desk())
        theirs = dialler.finish(shower.line, desk())
        assert agree(proof, theirs) == (guess == window.code)
        window.leave()
        count += 1
        most = max(most, count)
    return windows, most


def test_ten_thousand_guesses(seed: int) -> None:
    """At three guesses for each code that is shown, and each as good as any other."""
    windows, most = guess_all((f"{n:08}" for n in range(10_000)), Random(seed), pake=fake)
    assert (windows, most) == (3334, TRIES)


def test_twenty_guesses_at_the_real_thing(seed: int) -> None:
    assert guess_all((f"{n:08}" for n in range(20)), Random(seed)) == (7, TRIES)


# The proof


def test_the_right_code() -> None:
    shower, dialler = shows(), dials()
    ours, theirs = shower.finish(dialler.line, desk()), dialler.finish(shower.line, desk())
    assert agree(ours, theirs)
    assert (ours.about, theirs.about) == (about(LAP), about(DESK))
    macs = [*ours.own.values(), *theirs.own.values()]
    assert len(set(macs)) == 4
    assert not ours.check(Mac(theirs.own[False], True))  # what it says of knowing us is proven, too


def test_a_wrong_code() -> None:
    shower, dialler = shows(), dials(WRONG)
    assert not agree(shower.finish(dialler.line, desk()), dialler.finish(shower.line, desk()))


def test_no_mac_of_ones_own_is_believed() -> None:
    """Who sends everything back has nothing."""
    shower, dialler = shows(), dials()
    proof = shower.finish(dialler.line, desk())
    assert not any(proof.check(Mac(mac, member)) for member, mac in proof.own.items())


def test_a_relay_in_the_middle() -> None:
    """It passes on all that is said, and its own certificate is what the dialler sees."""
    relay = identity("Relay").certificate
    assert code_of(shows().line, Role.DIALS, relay) == "between"
    # So it tells the dialler that it is the one that shows: then the two did not see the same.
    shower, dialler = shows(), dials()
    pair = decode(shower.line[:-1])
    assert isinstance(pair, Pair)
    lie = encode(msgspec.structs.replace(pair, about=about(DESK, certificate=relay)))
    assert not agree(shower.finish(dialler.line, desk()), dialler.finish(lie, relay))


def test_a_swapped_certificate_of_the_dialler() -> None:
    """Else the keys would go to another device."""
    shower, dialler = shows(), dials()
    pair = decode(dialler.line[:-1])
    assert isinstance(pair, Pair)
    lie = encode(
        msgspec.structs.replace(pair, about=about(LAP, certificate=identity("Relay").certificate))
    )
    assert not agree(shower.finish(lie, desk()), dialler.finish(shower.line, desk()))


@pytest.mark.parametrize(
    "lie",
    [{"name": "Your own"}, {"library": "cd" * 16}, {"alone": False}, {"empty": False}, {"port": 9}],
)
def test_whatever_a_relay_changes(lie: dict[str, Any]) -> None:
    shower, dialler = shows(), dials()
    pair = decode(dialler.line[:-1])
    assert isinstance(pair, Pair)
    changed = encode(msgspec.structs.replace(pair, about=about(LAP, **lie)))
    assert not agree(shower.finish(changed, desk()), dialler.finish(shower.line, desk()))


def test_the_very_bytes_count() -> None:
    """Also where both ways to write it mean the same."""
    shower, dialler = shows(), dials()
    respaced = dialler.line.replace(b'{"protocol":', b'{ "protocol":')
    assert respaced != dialler.line
    assert not agree(shower.finish(respaced, desk()), dialler.finish(shower.line, desk()))


def test_a_reflection() -> None:
    shower = shows()
    with pytest.raises(PairingError) as failure:
        shower.finish(shower.line, desk())
    assert failure.value.code == "yourself"
    shower = shows()
    pair = decode(shower.line[:-1])
    assert isinstance(pair, Pair)
    mirrored = encode(msgspec.structs.replace(pair, about=about(LAP)))
    with pytest.raises(PairingError) as failure:
        shower.finish(mirrored, desk())
    assert failure.value.code == "wrong-code"


def test_a_replayed_transcript() -> None:
    """What was right for one window proves nothing in another, even where the code is the same."""
    shower, dialler = shows(), dials()
    proof = shower.finish(dialler.line, desk())
    theirs = dialler.finish(shower.line, desk())
    assert agree(proof, theirs)
    again = shows().finish(dialler.line, desk())
    assert not any(again.check(Mac(mac, member)) for member, mac in theirs.own.items())


def test_each_side_is_itself() -> None:
    """Two that dial, or two that show, do not come together."""
    one, other = dials(), Handshake(Role.DIALS, CODE, about(DESK))
    with pytest.raises(PairingError) as failure:
        one.finish(other.line, desk())
    assert failure.value.code == "wrong-code"


def pake_line(pake: bytes, **members: Any) -> bytes:
    return encode(Pair(1, about(LAP, **members), pake))


# Of order 1, 2, 4 and 8 on the curve, and one that is not on it (RFC 8032's encoding).
LOW_ORDER = [
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes(32),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    (2).to_bytes(32, "little"),
    b"\xff" * 32,
]


@pytest.mark.parametrize("side", [b"A", b"B", b"S", b"\x00"])
@pytest.mark.parametrize("element", LOW_ORDER)
def test_elements_that_give_a_key_away(side: bytes, element: bytes) -> None:
    assert code_of(pake_line(side + element)) == "wrong-code"


def test_what_a_first_message_has_to_be() -> None:
    good = dials().line
    assert code_of(pake_line(bytes(32))) == "garbage"
    assert code_of(pake_line(bytes(34))) == "garbage"
    assert code_of(good.replace(b'"protocol":1', b'"protocol":2')) == "wrong-version"
    assert code_of(b'PAIR {"protocol":2,"hello":"who is there"}\n') == "wrong-version"
    assert code_of(b'PAIR {"protocol":1,"hello":"who is there"}\n') == "garbage"
    assert code_of(pake_line(bytes(33), certificate=b"no certificate")) == "garbage"
    assert code_of(pake_line(bytes(33), certificate=desk() + b"\x00")) == "garbage"
    assert code_of(pake_line(bytes(33), certificate=desk())) == "yourself"


GRANT = Grant("ab" * 16, "cd" * 16, (bytes(32),), (Granted(b"x", True),))
MESSAGES: list[Message] = [
    Mac(bytes(32)),
    Accept(),
    Keys(GRANT),
    Kthx(),
    Nowai("busy", "It is.", "Wait."),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.verb)
def test_nothing_else_comes_first(message: Message) -> None:
    """For a NOWAI the connection stands up before this."""
    assert decode(encode(message)[:-1]) == message
    assert code_of(encode(message)) == "garbage"
    assert code_of(encode(message), Role.DIALS) == "garbage"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"PAIR",
        b"PAIR ",
        b"PAIR []",
        b"PAIR {}",
        b"pair {}",
        b"PAIR\t{}",
        b"\xff\xfe {}",
        b"ACCEPT",
        b"ACCEPT null",
        b"ACCEPT {}{}",
        b"KTHX " + b"[" * 4000,
        b"ACCEPT " + b'{"a":' * 2000,
        b'NOWAI {"code":"busy","message":"\xff"}',
        b'NOWAI {"code":"busy","message":"\xed\xa0\x80"}',
        b'MAC {"mac":""}',
        b'MAC {"mac":"AAAA"}',
        b'MAC {"mac":"' + b"A" * 44 + b'"}',
        b'MAC {"mac":12}',
        b'MAC {"mac":"' + b"A" * 43 + b'=","member":1}',
        b'NOWAI {"code":"BUSY"}',
        b'NOWAI {"code":"busy\\n"}',
        b'NOWAI {"code":""}',
        b'NOWAI {"code":"busy","message":"' + b"x" * 501 + b'"}',
        b'KEYS {"grant":{}}',
        b'KEYS {"grant":{"library":"x","founder":"x","epochs":[],"devices":[]}}',
        b"HELP {}",
    ],
)
def test_lines_that_are_none(line: bytes) -> None:
    with pytest.raises(PairingError) as failure:
        decode(line)
    assert failure.value.code == "garbage"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", "x" * 129),
        ("agent", "x" * 129),
        ("library", "AB" * 16),
        ("library", "ab" * 16 + "\n"),
        ("alone", 1),
        ("empty", None),
        ("port", -1),
        ("port", 65536),
        ("port", 1.5),
        ("certificate", b""),
        ("certificate", b"x" * 2049),
    ],
)
def test_bounds_of_what_a_device_tells(member: str, value: object) -> None:
    assert code_of(encode(Pair(1, about(LAP, **{member: value}), bytes(33)))) == "garbage"


def test_what_is_cut_off() -> None:
    line = dials().line[:-1]
    for end in {*range(0, len(line), 7), len(line) - 1}:
        with pytest.raises(PairingError):
            decode(line[:end])


def test_all_fits_a_line() -> None:
    longest = about(DESK, name="🗝" * 128, agent="a" * 128, port=65535)
    assert len(encode(Pair(1, longest, bytes(33)))) < MAX_LINE
    assert max(len(encode(Nowai(code, *said))) for code, said in PROBLEMS.items()) < 1000


def outcome(line: bytes) -> tuple[Proof | None, str]:
    try:
        return shows().finish(line, desk()), ""
    except PairingError as error:
        return None, error.code


def fuzz(random: Random, count: int) -> int:
    """So many first messages of a hostile dialler; how many had an element that SPAKE2 took."""
    taken = 0
    good = decode(dials().line[:-1])
    assert isinstance(good, Pair)
    for _ in range(count):
        pake = bytearray(good.pake)
        for _ in range(random.choice([1, 1, 2, 32])):
            pake[random.randrange(1 if random.random() < 0.9 else 0, 33)] = random.randrange(256)
        proof, code = outcome(pake_line(bytes(pake)))
        assert (proof is None) == (code == "wrong-code")
        if proof is not None:
            taken += 1
            guesses = [Mac(random.randbytes(32), random.random() < 0.5), Mac(bytes(32))]
            assert not any(map(proof.check, guesses))
    return taken


def test_fuzzed_elements(seed: int) -> None:
    fuzz(Random(seed), 100)


@pytest.mark.long
def test_many_fuzzed_elements(seed: int) -> None:
    assert 0 < fuzz(Random(seed), 2000) < 2000


def mutate(random: Random, line: bytes) -> bytes:
    mutant = bytearray(line)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(mutant) + 1)
        match random.randrange(4):
            case 0:
                mutant[at:at] = random.choice(
                    [b"{", b'"', b"[", b"\x00", b"1e999", b"\xed\xa0\x80"]
                )
            case 1:
                del mutant[at : at + random.randrange(1, 9)]
            case 2:
                mutant[at : at + 1] = bytes([random.randrange(256)])
            case 3:
                mutant[at:at] = mutant[random.randrange(at + 1) : at]
    return bytes(mutant)


@pytest.mark.parametrize("count", [1000, pytest.param(100_000, marks=pytest.mark.long)])
def test_fuzzed_lines(seed: int, count: int) -> None:
    """Each is a message, or no message; nothing else comes of it, and what is one can be said again."""
    random = Random(seed)
    lines = [encode(message)[:-1] for message in [*MESSAGES, Pair(1, about(), bytes(33))]]
    codes = set()
    for _ in range(count):
        line = mutate(random, random.choice(lines))
        try:
            message = decode(line)
        except PairingError as error:
            codes.add(error.code)
        else:
            assert decode(encode(message)[:-1]) == message
    assert codes <= {"garbage", "wrong-version"}


# Who joins whom

OURS, THEIRS = "ab" * 16, "cd" * 16


@pytest.mark.parametrize(
    ("shower", "dialler", "who"),
    [
        # alone, empty: of the side that shows, and of the one that dials
        ((True, True), (True, True), Role.DIALS),
        ((True, True), (True, False), Role.SHOWS),
        ((True, False), (True, True), Role.DIALS),
        ((True, False), (True, False), Role.DIALS),
        ((False, False), (True, False), Role.DIALS),
        ((False, True), (True, False), Role.DIALS),
        ((True, False), (False, True), Role.SHOWS),
        ((True, True), (False, True), Role.SHOWS),
        ((False, True), (False, True), None),
        ((False, False), (False, True), None),
    ],
)
def test_who_joins_another_library(
    shower: tuple[bool, bool], dialler: tuple[bool, bool], who: Role | None
) -> None:
    there = about(DESK, library=OURS, alone=shower[0], empty=shower[1])
    here = about(LAP, library=THEIRS, alone=dialler[0], empty=dialler[1])
    for knows in itertools.product((False, True), repeat=2):
        if who is not None:
            assert joiner(there, here, *knows) is who
        else:
            with pytest.raises(PairingError, match="in different libraries"):
                joiner(there, here, *knows)


@pytest.mark.parametrize(
    ("shower_knows", "dialler_knows", "who"),
    [(True, False, Role.SHOWS), (False, True, Role.DIALS)],
)
def test_who_comes_back_to_the_same_library(
    shower_knows: bool, dialler_knows: bool, who: Role
) -> None:
    """Who is not known there."""
    for alone, empty in itertools.product((False, True), repeat=2):
        there, here = about(DESK), about(LAP, alone=alone, empty=empty)
        assert joiner(there, here, shower_knows, dialler_knows) is who


@pytest.mark.parametrize(("know", "code"), [(True, "already-paired"), (False, "strangers")])
def test_the_same_library_without_anything_to_do(know: bool, code: str) -> None:
    with pytest.raises(PairingError) as failure:
        joiner(about(DESK), about(LAP), know, know)
    assert failure.value.code == code


# What is shown


def test_every_problem_is_a_sentence() -> None:
    for message, mend in PROBLEMS.values():
        assert all(said[0].isupper() and said.endswith(".") for said in (message, mend))


def test_secrets_are_in_no_repr() -> None:
    shower, dialler = shows(), dials()
    proof = shower.finish(dialler.line, desk())
    pair = decode(shower.line[:-1])
    assert isinstance(pair, Pair)
    view = PairingView(Phase.SHOWING, code="4071 8826")
    things = [Window(CODE, 0.0), shower, proof, pair, Mac(proof.own[True]), view, Keys(GRANT)]
    said = "".join(map(repr, things))
    for secret in (CODE, "4071", "8826", repr(pair.pake)[2:-1], repr(proof.own[True])[2:-1]):
        assert secret not in said
    assert "x00" not in said


def test_verbs_are_few() -> None:
    assert set(VERBS) == {"PAIR", "MAC", "ACCEPT", "KEYS", "VOUCH", "KTHX", "NOWAI"}
