"""Encoded texts: equal states have equal bytes, and bytes that are no state are refused."""

from __future__ import annotations

import struct
import zlib
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Text, state
from liblim.errors import OperationError


def sample() -> Text:
    """A text by three replicas with tombstones."""
    text = Text.new("a")
    text.insert(0, "Hello 🙂 world")
    text.delete(2, 5)
    text.insert(2, "y")
    ops = [[99, "b", "+", [1, "a"], "漢字\0"], [102, "c\u00e9", "+", [100, "b"], "!"]]
    text.apply([*ops, [103, "d", "-", [3, "a"], 2]])
    return text


def test_a_decoded_text_is_the_same_and_goes_on() -> None:
    text = sample()
    again = Text.decode(text.encode(), "q")
    again.check_invariants()
    assert list(again.elements()) == list(text.elements())
    assert (again.version, str(again)) == (text.version, str(text))
    assert again.encode() == text.encode()
    again.insert(1, "!")
    (op,) = again.take_ops()
    assert op == [104, "q", "+", [1, "a"], "!"]
    assert text.apply([op]) == [(1, 0, "!")]


def test_an_empty_text() -> None:
    blob = Text.new("a").encode()
    again = Text.decode(blob, "b")
    again.check_invariants()
    again.insert(0, "x")
    assert again.take_ops() == [[1, "b", "+", 0, "x"]]


def test_the_bytes_do_not_depend_on_the_way() -> None:
    ops = [[1, "a", "+", 0, "abcdef"], [7, "a", "-", 2, 4], [7, "a", "+", 6, "gh"]]
    blobs = set()
    for batches in ([ops], [[op] for op in ops], [ops, ops]):
        text = Text.new("z")
        for batch in batches:
            text.apply(batch)
            text = Text.decode(text.encode(), "z")
        blobs.add(text.encode())
    split = Text.new("z")
    split.apply([[1, "a", "+", 0, "abc"], [4, "a", "+", 3, "d"], [5, "a", "+", 4, "ef"]])
    split.apply([[7, "a", "-", 3, 1], [7, "a", "-", 5, 1], [7, "a", "-", 4, 1], *ops])
    blobs.add(split.encode())
    assert len(blobs) == 1


def test_what_waits_to_be_taken_is_in_the_state_too() -> None:
    text = Text.new("a")
    text.insert(0, "abc")
    assert str(Text.decode(text.encode(), "b")) == "abc"
    assert text.take_ops() == [[1, "a", "+", 0, "abc"]]


def test_a_million_characters() -> None:
    text = Text.new("a")
    text.insert(0, "0123456789" * 100_000)
    text.delete(100_000, 800_000)
    again = Text.decode(text.encode(), "b")
    again.check_invariants()
    assert str(again) == str(text)
    assert len(text.encode()) < 1000


def packed(plain: bytes) -> bytes:
    """One part of a state."""
    body = zlib.compress(plain)
    return struct.pack("<II", len(plain), len(body)) + body


def column(*numbers: int) -> bytes:
    """A column of one octet each."""
    return bytes([1, *numbers])


def blob(
    text: bytes = b"ab",
    names: object = (("a", 0),),
    columns: bytes = column(0) + column(2) + column(2) + column(0),
    count: int = 1,
) -> bytes:
    """A state, right as it stands, to be made wrong in one point."""
    header = msgspec.json.encode(names)
    table = struct.pack("<I", len(header)) + header + struct.pack("<I", count) + columns
    return b"\0" + packed(text) + packed(table)


def test_the_format_is_as_described() -> None:
    text = Text.decode(blob(), "z")
    assert list(text.elements()) == [(1, "a", "a"), (2, "a", "b")]


ONE = blob()
WRONG = {
    "nothing": b"",
    "a later version": b"\1" + ONE[1:],
    "cut short": ONE[:-3],
    "only a version": ONE[:1],
    "something behind it": ONE + b"\0",
    "no zlib": ONE[:12] + b"\xff" + ONE[13:],
    "not UTF-8": blob(text=b"\xff\xfe"),
    "half a surrogate pair": blob(text=b"\xed\xa0\x80"),
    "text too long": blob(text=b"abc"),
    "text too short": blob(text=b"a"),
    "no list of replicas": blob(names={"a": 0}),
    "a replica without a mark": blob(names=[["a"]]),
    "a replica without a name": blob(names=[["", 0]]),
    "a negative mark": blob(names=[["a", -1]]),
    "a mark beyond the limit": blob(names=[["a", 2**53]]),
    "replicas twice": blob(names=[["a", 0], ["a", 0]]),
    "replicas not in order": blob(names=[["b", 0], ["a", 0]]),
    "a replica that is not listed": blob(columns=column(1) + column(2) + column(2) + column(0)),
    "counter 0": blob(columns=column(0) + column(0) + column(2) + column(0)),
    "a negative counter": blob(columns=column(0) + column(1) + column(2) + column(0)),
    "length 0": blob(text=b"", columns=column(0) + column(2) + column(0) + column(0)),
    "neither dead nor alive": blob(columns=column(0) + column(2) + column(2) + column(2)),
    "columns too short": blob(columns=column(0) + column(2) + column(2)),
    "columns too long": blob(columns=column(0) + column(2) + column(2) + column(0) + b"\0"),
    "too wide a column": blob(columns=bytes([9] + [0] * 9) + column(2) + column(2) + column(0)),
    "many more spans than there are": blob(count=2**32 - 1),
    "no octets for many spans": blob(count=2**32 - 1, columns=b"\0\0\0\0"),
    "two elements with one id": blob(
        text=b"abab",
        count=2,
        columns=column(0, 0) + column(2, 3) + column(2, 2) + column(0, 0),
    ),
    "a counter beyond the limit": blob(
        columns=column(0) + bytes([8, *[255] * 7, 0xF0]) + column(2) + column(0)
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_state_is_refused(wrong: bytes) -> None:
    text = sample()
    before = text.encode()
    with pytest.raises(OperationError):
        text.load(wrong)
    assert text.encode() == before


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    for size in (10, 50_000_000, 2**32 - 1):
        part = struct.pack("<II", size, len(bomb)) + bomb
        with pytest.raises(OperationError):
            Text.decode(b"\0" + part, "a")
    assert state.MOST_OCTETS < 2**32 - 1


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, 10_000), octets=st.binary(max_size=3), cut=st.integers(0, 3))
def test_damaged_states_are_refused_or_read(place: int, octets: bytes, cut: int) -> None:
    good = sample().encode()
    place %= len(good)
    damaged = good[:place] + octets + good[place + cut :]
    try:
        text = Text.decode(damaged, "z")
    except OperationError:
        return
    text.check_invariants()
    assert Text.decode(text.encode(), "z").encode() == text.encode()


@settings(deadline=None, max_examples=200)
@given(rng=st.randoms(use_true_random=False))
def test_damaged_tables_are_refused_or_read(rng: Random) -> None:
    columns = bytearray(column(0, 0, 1) + column(2, 0, 8) + column(2, 1, 3) + column(0, 1, 0))
    for _ in range(rng.randrange(1, 4)):
        columns[rng.randrange(len(columns))] = rng.choice([0, 1, 2, 3, 4, 9, 255])
    names = [["a", 0], ["b", rng.choice([0, 7])]]
    try:
        text = Text.decode(blob(b"abcde", names, bytes(columns), 3), "z")
    except OperationError:
        return
    text.check_invariants()
    assert Text.decode(text.encode(), "z").encode() == text.encode()
