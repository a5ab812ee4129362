"""Changes: canonical bytes, checks, bodies and their bounds, digests."""

from __future__ import annotations

import contextlib
import random
import zlib
from hashlib import sha256

import msgspec
import pytest

from liblim.change import (
    DICTIONARY,
    MAX_BODY,
    Body,
    Change,
    Dep,
    Head,
    RunningDigest,
    count,
    digest,
    pack_body,
    unpack_body,
)
from liblim.errors import ChangeError
from tests.liblim.changes import altered, chain, dep, make, replica


def test_canonical_header_is_pinned() -> None:
    header = make("b", deps=[make("a", n=3)], at=1700000000000, body=b"").header
    header = msgspec.structs.replace(header, deps=(Dep(replica("a"), 7, b"\x07" * 32),))
    assert header.canonical() == (
        b'{"at":1700000000000,"body":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","clock":4,'
        b'"deps":[["aaaaaaaaaaaaaaaa",7,"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]],'
        b'"device":"dddddddddddddddddddddddddddddddd","epoch":"","n":1,"prev":"",'
        b'"replica":"bbbbbbbbbbbbbbbb","seq":1}'
    )
    assert Change(header, b"", b"").hash == sha256(header.canonical()).digest()


def test_wire_form_round_trips() -> None:
    for change in chain("a", 3):
        data = msgspec.json.encode(change)
        again = msgspec.json.decode(data, type=Change)
        assert again == change
        assert again.hash == change.hash
        again.check()


@pytest.mark.parametrize(
    "header",
    [
        {"replica": "A" * 16},
        {"replica": "a" * 15},
        {"replica": "a" * 16 + "\n"},
        {"seq": 0},
        {"seq": True},
        {"seq": 2**53},
        {"clock": 0},
        {"clock": 1.0},
        {"n": 0},
        {"at": 2**60},
        {"device": "x"},
        {"body": "AAAA"},
        {"deps": [["a" * 16, 1]]},
        {"more": 1},
    ],
)
def test_wire_bounds(header: dict[str, object]) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(make("a")))
    wire["header"].update(header)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(wire), type=Change)


@pytest.mark.parametrize(
    "change",
    [
        make("a", device=""),
        make("a", make("a"), device="d" * 32),
        make("a", seq=2, device=""),
        altered(make("a", make("a")), prev=b"short"),
        altered(make("b", deps=[make("a")]), replica=replica("a")),
        make("a", clock=2**53 - 1, n=2),
        altered(make("c", deps=[make("a"), make("b")]), deps=(dep(make("b")), dep(make("a")))),
    ],
    ids=["no device", "device again", "no prev", "short prev", "own dep", "range", "order"],
)
def test_check_refuses(change: Change) -> None:
    with pytest.raises(ChangeError):
        change.check()


def test_check_refuses_an_exchanged_body() -> None:
    change = make("a")
    with pytest.raises(ChangeError):
        Change(change.header, b"", b"\x00other").check()
    with pytest.raises(ChangeError):
        Change(change.header, b"", None).check()


def test_bodies_round_trip_deflated_only_where_smaller() -> None:
    small = Body("0" * 32, "note", [["body", "+", 0, "é😀\x00\u2028"]])
    large = Body("0" * 32, "note", [["body", "+", 0, "again " * 1000]])
    assert pack_body(small)[:1] in (b"\x00", b"\x02")
    assert len(pack_body(large)) < 300
    for body in (small, large):
        assert unpack_body(pack_body(body)) == body


HUGE = b" " * (MAX_BODY * 50)


def test_bodies_are_bounded() -> None:
    with pytest.raises(ChangeError):
        pack_body(Body("0" * 32, "note", [["body", "+", 0, "x" * MAX_BODY]]))
    for bomb in (
        b"\x01" + zlib.compress(HUGE),
        b"\x02" + deflated(HUGE),
        b"\x00" + HUGE[: MAX_BODY + 1],
    ):
        with pytest.raises(ChangeError, match="larger"):
            unpack_body(bomb)


def deflated(plain: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15, zdict=DICTIONARY)
    return deflater.compress(plain) + deflater.flush()


def test_a_body_is_read_however_it_is_packed() -> None:
    body = Body("0" * 32, "note", [["body", "+", 0, "hello hello hello"]])
    plain = msgspec.json.encode(body)
    packed = (b"\x00" + plain, b"\x01" + zlib.compress(plain), b"\x02" + deflated(plain))
    assert [unpack_body(data) for data in packed] == [body] * 3
    assert pack_body(body) == packed[2]
    assert len(packed[2]) < len(packed[1]) - 30


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02{}",
        b"\x00{}",
        b"\x01abc",
        b"\x02",
        b"\x02\x07",
        b"\x00" + b"[" * 100_000,
        b"\x00nan",
        b"\x01",
    ],
)
def test_garbage_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(ChangeError):
        unpack_body(data)


@pytest.mark.parametrize("seed", range(5))
def test_mutated_bodies_raise_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    whole = pack_body(Body("0" * 32, "note", [["body", "+", 0, "again " * 50]]))
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with contextlib.suppress(ChangeError):
            unpack_body(bytes(data[: rng.randint(0, len(data))]))


def test_digest_depends_on_the_set_of_heads_only() -> None:
    heads = {replica(x): Head(n, bytes([n]) * 32) for n, x in enumerate("abc", 1)}
    backwards = dict(reversed(heads.items()))
    assert digest(heads) == digest(backwards)
    assert count(heads) == 6
    assert digest({}) != digest(heads) != digest({**heads, replica("a"): Head(2, b"x" * 32)})


def test_a_running_digest_is_that_over_the_heads(seed: int) -> None:
    rng, heads = random.Random(seed), dict[str, Head]()
    running = RunningDigest({})
    for _ in range(300):
        name, head = f"{rng.randrange(40):016x}", Head(rng.randrange(1, 99), rng.randbytes(32))
        heads[name] = head
        running.move(name, head)
        text = "".join(f"{r} {h.seq} {h.hash.hex()}\n" for r, h in sorted(heads.items()))
        assert running.value == sha256(text.encode()).hexdigest() == digest(heads)
