"""Operations that no honest peer sends: refused with a typed error, the state untouched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import (
    Anchor,
    Author,
    Bias,
    Counter,
    Field,
    Flag,
    GrowSet,
    Register,
    Set,
    Text,
    width,
)
from liblim.errors import OperationError
from tests.liblim.crdt.histories import each_field, write

LIMIT = 2**53

MALFORMED: list[Any] = [
    None,
    3,
    "+",
    {},
    [],
    [9],
    [9, "b"],
    [9, "b", None],
    [9, "b", ["+"]],
    [9, "b", {"+": 1}],
    [9, "b", ""],
    [9, "b", "no such operation", 1],
    [0, "b", "+", 0, "x"],
    [-1, "b", "+", 0, "x"],
    [True, "b", "+", 0, "x"],
    [9.0, "b", "+", 0, "x"],
    ["9", "b", "+", 0, "x"],
    [LIMIT, "b", "+", 0, "x"],
    [2**80, "b", "+", 0, "x"],
    [9, "", "+", 0, "x"],
    [9, 7, "+", 0, "x"],
    [9, None, "+", 0, "x"],
    [9, "\udc00", "+", 0, "x"],
]

TEXT: list[Any] = [
    [9, "b", "+"],
    [9, "b", "+", 0],
    [9, "b", "+", 0, ""],
    [9, "b", "+", 0, "x", 1],
    [9, "b", "+", 0, 5],
    [9, "b", "+", 0, ["x"]],
    [9, "b", "+", 0, None],
    [9, "b", "+", 0, "\ud83d"],
    [9, "b", "+", 0, "ok\udc00"],
    [LIMIT - 1, "b", "+", 0, "xy"],
    # its left neighbour
    [9, "b", "+", None, "x"],
    [9, "b", "+", True, "x"],
    [9, "b", "+", False, "x"],
    [9, "b", "+", -1, "x"],
    [9, "b", "+", 1.0, "x"],
    [9, "b", "+", "1", "x"],
    [9, "b", "+", 3, "x"],
    [9, "b", "+", 9, "x"],
    [9, "b", "+", LIMIT, "x"],
    [9, "b", "+", [], "x"],
    [9, "b", "+", [1], "x"],
    [9, "b", "+", [1, "a", 1], "x"],
    [9, "b", "+", [0, "a"], "x"],
    [9, "b", "+", [6, "a"], "x"],
    [9, "b", "+", [1, "z"], "x"],
    [9, "b", "+", [True, "a"], "x"],
    [9, "b", "+", [1, ["a"]], "x"],
    [9, "b", "+", [1, "\udc00"], "x"],
    # not newer than its left neighbour
    [5, "b", "+", [5, "a"], "x"],
    [2, "b", "+", [5, "a"], "x"],
    # ids that others have
    [1, "a", "+", 0, "X"],
    [4, "a", "+", 3, "dX"],
    [5, "a", "+", 4, "Xyz"],
    [7, "c", "+", 0, "xyz"],
    [7, "c", "+", 0, "xyzzy"],
    [7, "d", "+", 0, "xd"],
    # deletes
    [9, "b", "-"],
    [9, "b", "-", [1, "a"]],
    [9, "b", "-", [1, "a"], 1, 1],
    [9, "b", "-", [1, "a"], 0],
    [9, "b", "-", [1, "a"], -1],
    [9, "b", "-", [1, "a"], True],
    [9, "b", "-", [1, "a"], 1.0],
    [9, "b", "-", [1, "a"], "1"],
    [9, "b", "-", [1, "a"], None],
    [9, "b", "-", [1, "a"], 6],
    [9, "b", "-", [1, "a"], LIMIT - 2],
    [9, "b", "-", [1, "a"], 2**80],
    [9, "b", "-", [6, "a"], 1],
    [9, "b", "-", [1, "z"], 1],
    [9, "b", "-", 0, 1],
    [9, "b", "-", 3, 1],
    [9, "b", "-", None, 1],
    [9, "b", "-", [8, "c"], 2],
    # of other fields
    [9, "b", "=", "x"],
    [9, "b", "on"],
]

REGISTER: list[Any] = [
    [9, "b", "="],
    [9, "b", "=", "x", "y"],
    [9, "b", "=", 5],
    [9, "b", "=", None],
    [9, "b", "=", ["x"]],
    [9, "b", "=", "\ud800"],
    [2, "a", "=", "another value with the id of one that is here"],
    [9, "b", "+", 0, "x"],
]

SET: list[Any] = [
    [9, "b", "add"],
    [9, "b", "add", 1, 2],
    [9, "b", "add", float("nan")],
    [9, "b", "add", float("inf")],
    [9, "b", "add", b"x"],
    [9, "b", "add", ("x",)],
    [9, "b", "add", {1: 2}],
    [9, "b", "add", {"deep": ["\ud800"]}],
    [9, "b", "add", 2**70],
    [9, "b", "rm"],
    [9, "b", "rm", []],
    [9, "b", "rm", 1],
    [9, "b", "rm", None],
    [9, "b", "rm", [0]],
    [9, "b", "rm", [9]],
    [9, "b", "rm", [1]],
    [9, "b", "rm", [True]],
    [9, "b", "rm", [[3, "a"]]],
    [9, "b", "rm", [[1, "a"], [1, "z"]]],
    [1, "b", "rm", [[1, "a"]]],
    [9, "b", "rm", [[1, "a"], None]],
    [9, "b", "on"],
]

FLAG: list[Any] = [
    [9, "b", "on", 1],
    [9, "b", "off"],
    [9, "b", "off", []],
    [9, "b", "off", [0]],
    [9, "b", "off", [[2, "a"]]],
    [9, "b", "off", [[1, "a"]], 1],
    [9, "b", "add", 1],
]


COUNTER: list[Any] = [
    [9, "b", "inc"],
    [9, "b", "inc", 1, 1],
    [9, "b", "inc", None],
    [9, "b", "inc", True],
    [9, "b", "inc", 1.0],
    [9, "b", "inc", "1"],
    [9, "b", "inc", LIMIT],
    [9, "b", "inc", -LIMIT],
    [9, "b", "inc", 2**80],
    [9, "b", "add", 1],
]

GROWSET: list[Any] = [
    [9, "b", "add"],
    [9, "b", "add", 1, 2],
    [9, "b", "add", float("nan")],
    [9, "b", "add", b"x"],
    [9, "b", "add", {"deep": ["\ud800"]}],
    [9, "b", "add", 2**70],
    [9, "b", "rm", [[1, "a"]]],
]


def text() -> Text:
    """Abcde with "cd" deleted, an element of a third replica, and a deleted one of a fourth."""
    field = Text.new("me")
    field.apply([[1, "a", "+", 0, "abcde"], [6, "a", "-", 3, 2], [8, "c", "+", [5, "a"], "c"]])
    field.apply([[8, "d", "+", 0, "d"], [9, "d", "-", 8, 1]])
    return field


def register() -> Register[str]:
    """A register with two writes."""
    field: Register[str] = Register.new("me", default="")
    field.apply([[1, "a", "=", "one"], [2, "a", "=", "two"]])
    return field


def set_() -> Set:
    """A set with two values."""
    field = Set.new("me")
    field.apply([[1, "a", "add", "x"], [2, "a", "add", "y"]])
    return field


def flag() -> Flag:
    """A flag that is on."""
    field = Flag.new("me")
    field.apply([[1, "a", "on"]])
    return field


def counter() -> Counter:
    """A counter at -2."""
    field = Counter.new("me")
    field.apply([[1, "a", "inc", 5], [2, "a", "inc", -7]])
    return field


def growset() -> GrowSet:
    """A growing set with two values."""
    field = GrowSet.new("me")
    field.apply([[1, "a", "add", "x"], [2, "a", "add", "y"]])
    return field


CASES: list[tuple[Callable[[], Field], Any]] = [
    (make, op)
    for make, ops in (
        (text, TEXT),
        (register, REGISTER),
        (set_, SET),
        (flag, FLAG),
        (counter, COUNTER),
        (growset, GROWSET),
    )
    for op in MALFORMED + ops
]


@pytest.mark.parametrize(
    ("make", "op"), CASES, ids=[f"{make.__name__}-{k}" for k, (make, _) in enumerate(CASES)]
)
def test_it_is_refused(make: Callable[[], Field], op: Any) -> None:
    field = make()
    before, version = field.encode(), field.version
    with pytest.raises(OperationError) as caught:
        field.apply([op])
    assert str(caught.value)
    assert (field.encode(), field.version) == (before, version)
    if isinstance(field, Text):
        field.check_invariants()


@pytest.mark.parametrize("op", [None, [], [3], [[]], ["+"], ["+", 0], ["+", 0, 5], "+", ("-",)])
def test_an_operation_without_shape_has_no_width(op: Any) -> None:
    with pytest.raises(OperationError):
        width(op)


def test_widths() -> None:
    assert width(["+", 0, "a🙂"]) == 2
    assert width(["-", 1, 5]) == 0
    assert width(["=", None]) == 1
    assert width(["from a later version", 1, 2, 3]) == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats(allow_nan=False)
    | st.sampled_from(["a", "b", "c", "+", "-", "=", "add", "rm", "on", "off", "x", ""]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)
OPS = st.tuples(
    st.integers(1, 12),
    st.sampled_from("abc"),
    st.sampled_from(["+", "-", "=", "add", "rm", "on", "off", "inc"]),
).flatmap(lambda head: st.lists(JSON, max_size=3).map(lambda tail: [*head, *tail]))


@pytest.mark.parametrize(
    "make", [text, register, set_, flag, counter, growset], ids=lambda make: make.__name__
)
@settings(deadline=None, max_examples=100)
@given(ops=st.lists(OPS | JSON, max_size=6))
def test_anything_is_applied_or_refused(make: Callable[[], Field], ops: list[Any]) -> None:
    field = make()
    for op in ops:
        before = field.encode()
        try:
            field.apply([op])
        except OperationError:
            assert field.encode() == before
        if isinstance(field, Text):
            field.check_invariants()
    again = make()
    again.load(field.encode())
    assert again.encode() == field.encode()


RANDOM = st.randoms(use_true_random=False)


def spoilt(op: list[Any], rng: Random) -> list[Any]:
    """The same operation with one item replaced by what nobody sends."""
    items = list(op)
    k = rng.randrange(len(items))
    odd: list[Any] = [
        None,
        True,
        -1,
        0,
        1,
        1.5,
        LIMIT - 1,
        LIMIT,
        2**80,
        "",
        "\ud800",
        "x\udfff",
        [],
    ]
    item = rng.choice([*odd, items[k - 1], [items[k]], [1, "nobody"], [LIMIT - 1, "a"], "abc"])
    return [*items[:k], item, *items[k + 1 :]]


@each_field
@settings(deadline=None, max_examples=40)
@given(rng=RANDOM)
def test_a_spoilt_operation_is_refused_or_harms_nothing(prototype: Field, rng: Random) -> None:
    """Bytes, version and what can be undone are as before a refusal; what is taken leaves a sound state."""
    field = prototype.bind("", Author("z"))
    for event in write(prototype, rng, 12):
        before = field.encode(), field.version
        try:
            field.apply([spoilt(event.op, rng)])
        except OperationError:
            assert (field.encode(), field.version) == before
        if isinstance(field, Text):
            field.check_invariants()
            assert not field.can_undo
        again = prototype.bind("", Author("z"))
        again.load(field.encode())
        assert again.encode() == field.encode()
        with contextlib.suppress(OperationError):  # its ids may be taken, its past missing
            field.apply([event.op])


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.insert(6, "x"),
        lambda text: text.insert(-1, "x"),
        lambda text: text.insert(1, "\ud83d"),
        lambda text: text.insert(1, "ok\udc00"),
        lambda text: text.insert(1, b"x"),
        lambda text: text.delete(3, 3),
        lambda text: text.delete(-1, 1),
        lambda text: text.delete(1, -1),
        lambda text: text.replace(0, 6, "x"),
        lambda text: text.replace(0, 1, "\udc00"),
        lambda text: text.slice(4, 2),
        lambda text: text.anchor(6, Bias.LEFT),
        lambda text: text.position(Anchor(9, "z", Bias.LEFT)),
    ],
)
def test_an_impossible_edit_changes_nothing(edit: Callable[[Text], object]) -> None:
    calls: list[int] = []
    text = Text().bind("body", Author("me", begin=lambda: calls.append(1)))
    text.apply_op(1, "a", ["+", 0, "abcde"])
    before = text.encode()
    with pytest.raises((OperationError, IndexError, TypeError)):  # the last where it is compiled
        edit(text)
    assert (text.encode(), text.take_ops(), text.can_undo, calls) == (before, [], False, [])


@pytest.mark.parametrize("left", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.insert(1, "new"),
        lambda text: text.replace(1, 2, "new"),
        lambda text: text.delete(1, 1),
        lambda text: text.undo(),
    ],
    ids=["insert", "replace", "delete", "undo"],
)
def test_with_few_counters_left_an_edit_is_done_whole_or_not_at_all(
    left: int, edit: Callable[[Text], object]
) -> None:
    """And what is done is taken by the others: its ids are within the limit."""
    text, other = Text.new("me"), Text.new("other")
    text.insert(0, "hello")
    text.insert(2, "XX")
    text.delete(1, 4)
    ops = text.take_ops()
    text._author.observe(LIMIT - 1 - left)
    other.apply(ops)
    before = text.encode()
    refused = ""
    try:
        edit(text)
    except OperationError as error:
        refused = str(error)
    ops = text.take_ops()
    if refused:
        assert "counters" in refused
        assert (text.encode(), ops, text.can_undo) == (before, [], True)
    other.apply(ops)
    assert list(other.elements()) == list(text.elements())
    text.check_invariants()


def test_at_the_last_counter_nothing_more_is_written() -> None:
    text = Text.new("me")
    text.apply([[LIMIT - 1, "a", "+", 0, "x"]])
    with pytest.raises(OperationError, match="counters"):
        text.insert(0, "y")
    with pytest.raises(OperationError, match="counters"):
        text.delete(0, 1)
    flag = Flag.new("me")
    flag.apply([[LIMIT - 1, "a", "on"]])
    with pytest.raises(OperationError, match="counters"):
        flag.disable()
    assert (str(text), bool(flag), text.take_ops(), flag.take_ops()) == ("x", True, [], [])
