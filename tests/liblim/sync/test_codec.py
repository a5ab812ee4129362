from __future__ import annotations

import time
from random import Random

import pytest

from liblim.change import Range
from liblim.errors import ProtocolError
from liblim.receipt import Receipt
from liblim.sync.codec import Decoded, LineDecoder, Unknown, decode, encode
from liblim.sync.messages import (
    MAX_GREETING,
    MAX_LINE,
    VERBS,
    Entry,
    Icanhaz,
    Igotz,
    Ihaz,
    Kthx,
    Kthxbye,
    Message,
    Nm,
    Nowai,
    Ohai,
    Sup,
    Ucanhaz,
    Vouch,
)
from tests.liblim.changes import make, replica

A, B = "a" * 32, "b" * 32
DIGEST = "0" * 64
CHANGE = make("a", deps=[make("b")])
HEAD = Entry(replica("a"), 3, bytes(32))

MESSAGES: list[Message] = [
    Ohai(1, A, B),
    Ohai(1, A, B, "Desk 🖥", "test/1", ("pack", "x"), port=65535),
    Ihaz(0, DIGEST),
    Ihaz(2**53 - 1, DIGEST, 2, True, (HEAD, HEAD)),
    Icanhaz(1),
    Icanhaz(2, (Range(replica("a"), 1, 2**53 - 1),), 1, 1),
    Ucanhaz(CHANGE),
    Ucanhaz(CHANGE, 3, 256),
    Kthx(1, DIGEST, (HEAD,)),
    Igotz(Receipt(A, 1, B, b"sealed", bytes(64))),
    Vouch(),
    Vouch((b"one", b"two"), (b"three",), (A, B)),
    Sup(1),
    Nm(1),
    Nowai("garbage", "What a line!", "Ümläut 字"),
    Kthxbye("bye\n\x00"),
]


def read_all(data: bytes, *sizes: int) -> list[Decoded]:
    """Decode data that comes in chunks of these sizes, and then in one."""
    decoder = LineDecoder(MAX_LINE)
    found: list[Decoded] = []
    start = 0
    for size in [*sizes, len(data)]:
        decoder.feed(data[start : start + size])
        start += size
        while (message := decoder.next()) is not None:
            found.append(message)
    return found


def code_of(line: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(line)
    assert str(caught.value)
    assert caught.value.mend
    return caught.value.code


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.verb)
def test_round_trip(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line.startswith(f"{message.verb} {{".encode())
    assert decode(line[:-1]) == message


def test_every_verb_is_tried() -> None:
    assert {message.verb for message in MESSAGES} == VERBS.keys()
    assert encode(MESSAGES[0]).startswith("ØHAI ".encode())


def test_every_chunking_reads_the_same(seed: int) -> None:
    data = b"".join(map(encode, MESSAGES))
    assert read_all(data) == MESSAGES
    assert read_all(data, *[1] * len(data)) == MESSAGES
    rng = Random(seed)
    for _ in range(50):
        sizes = [rng.randrange(1, 200) for _ in range(len(data) // 100)]
        assert read_all(data, *sizes) == MESSAGES, sizes


def test_every_split_in_two_reads_the_same() -> None:
    data = b"".join(map(encode, MESSAGES))
    for cut in range(len(data)):
        assert read_all(data, cut) == MESSAGES


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "garbage"),
        (b" ", "garbage"),
        (b"SUP", "garbage"),
        (b"SUP ", "garbage"),
        (b'SUP {"ping":1}\r', "garbage"),
        (b'SUP  {"ping":1}', "garbage"),
        (b'SUP {"ping":1} ', "garbage"),
        (b'sup {"ping":1}', "garbage"),
        (b'SUP\t{"ping":1}', "garbage"),
        (b'\x00SUP {"ping":1}', "garbage"),
        (b'SUP {"ping":1\x00}', "garbage"),
        (b'SUP {"ping":1}{}', "garbage"),
        (b'SUP {"ping":NaN}', "garbage"),
        (b'SUP {"ping":1,"more":NaN}', "garbage"),
        (b'SUP {"ping":1e999}', "bad-message"),
        (b'SUP {"ping":' + b"9" * 5000 + b"}", "bad-message"),
        (b'SUP {"ping":true}', "bad-message"),
        (b'SUP {"ping":1.5}', "bad-message"),
        (b'SUP {"ping":-1}', "bad-message"),
        (b'SUP {"ping":9007199254740992}', "bad-message"),
        (b"SUP {}", "bad-message"),
        (b"SUP [1]", "garbage"),
        (b'SUP {"ping":1,"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "garbage"),
        (b'SUP {"ping":1,"more":"\xff"}', "garbage"),
        (b'SUP {"ping":1,"more":"\xed\xa0\x80"}', "garbage"),
        (b'KTHXBYE {"reason":"\\ud800"}', "garbage"),
        (b'KTHXBYE {"reason":"' + b"x" * 501 + b'"}', "bad-message"),
        (b'\xd8HAI {"protocol":0}', "garbage"),
        (b"\xff\xfe\xfd", "garbage"),
        (b"PURRZ nope}", "garbage"),
        (b"PURRZ {nope}", "garbage"),
        (b"PURRZ {" + b'"a":[' * 100_000 + b"]" * 100_000 + b"}", "garbage"),
        (b"A" * 33 + b" {}", "garbage"),
        ("ØHAI {}".encode(), "bad-message"),
        ('ØHAI {"protocol":2,"whatever":[]}'.encode(), "wrong-version"),
        ('ØHAI {"protocol":-1}'.encode(), "wrong-version"),
        ('ØHAI {"protocol":1,"library":"x"}'.encode(), "bad-message"),
        (b'ICANHAZ {"request":0}', "bad-message"),
        (b'ICANHAZ {"request":1,"changes":257}', "bad-message"),
        (b'ICANHAZ {"request":1,"ranges":[["a",1,1]]}', "bad-message"),
        (b'IHAZ {"count":1,"digest":"xyz"}', "bad-message"),
        (b'UCANHAZ {"change":{}}', "bad-change"),
        (b"UCANHAZ {}", "bad-change"),
    ],
)
def test_bad_lines(line: bytes, code: str) -> None:
    assert code_of(line) == code


def test_an_identifier_ends_where_it_ends() -> None:
    assert code_of(encode(Ohai(1, A, B)).rstrip().replace(A.encode(), b"a" * 32 + b"\\n")) == (
        "bad-message"
    )


def test_unknown_members_and_verbs_are_passed_over() -> None:
    assert decode(b'SUP {"new":{"deep":[1,null,"x"]},"ping":4}') == Sup(4)
    assert decode('PURRZ {"ø":1e400}'.encode()) == Unknown("PURRZ")


@pytest.mark.parametrize("limit", [MAX_GREETING, MAX_LINE])
@pytest.mark.parametrize("chunk", [1000, 65_536, 3_000_000])
def test_a_line_that_is_too_long_is_refused_before_it_is_held(limit: int, chunk: int) -> None:
    decoder = LineDecoder(limit)
    for _ in range(limit // chunk):
        decoder.feed(b"x" * chunk)
        assert decoder.next() is None
    decoder.feed(b"x" * chunk)
    with pytest.raises(ProtocolError, match=str(limit)) as caught:
        decoder.next()
    assert caught.value.code == "too-long"


def test_a_line_of_just_the_limit_is_read() -> None:
    line = encode(Kthxbye("x"))
    assert LineDecoder(len(line)).limit == len(line)
    for limit, fits in ((len(line), True), (len(line) - 1, False)):
        decoder = LineDecoder(limit)
        decoder.feed(line)
        if fits:
            assert decoder.next() == Kthxbye("x")
        else:
            with pytest.raises(ProtocolError):
                decoder.next()


def test_the_limit_may_change_between_two_lines_of_one_chunk() -> None:
    long = Kthxbye("x" * 400)
    decoder = LineDecoder(limit=100)
    decoder.feed(encode(Sup(1)) + encode(long))
    assert decoder.next() == Sup(1)
    decoder.limit = 1000
    assert decoder.next() == long


def test_decoding_is_linear_however_the_bytes_are_chunked() -> None:
    """A megabyte byte by byte takes about as long as a megabyte of small lines: no rescanning."""
    line = b"X {" + b" " * (MAX_LINE - 5) + b"}\n"
    started = time.perf_counter()
    decoder = LineDecoder(MAX_LINE)
    for i in range(len(line)):
        decoder.feed(line[i : i + 1])
        found = decoder.next()
    assert found == Unknown("X")
    decoder.feed(encode(Sup(1)) * 50_000)
    assert sum(1 for _ in iter(decoder.next, None)) == 50_000
    assert time.perf_counter() - started < 5


def mutated(rng: Random, data: bytes) -> bytes:
    """Some bytes flipped, cut out, doubled or put in."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(found) + 1)
        end = min(len(found), at + rng.randrange(20))
        kind = rng.randrange(4)
        if kind == 0 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 1:
            del found[at:end]
        elif kind == 2:
            found[at:at] = found[at:end]
        else:
            found[at:at] = rng.choice([b"\n", b"\r\n", b"{", b"}", b"null", b"-1", b"1e999", b'"'])
    return bytes(found)


def test_fuzz(seed: int) -> None:
    data = b"".join(map(encode, MESSAGES))
    refused = set()
    rng = Random(seed)
    for i in range(3000):
        bad = rng.randbytes(rng.randrange(100)) if i % 10 == 0 else mutated(rng, data)
        try:
            read_all(bad, *[rng.randrange(1, 500) for _ in range(5)])
        except ProtocolError as error:
            refused.add(error.code)
    possible = {"garbage", "bad-message", "bad-change", "wrong-version"}
    assert {"garbage", "bad-message"} <= refused <= possible
