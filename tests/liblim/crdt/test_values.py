"""Register, sets, flag and counter: one by one, and against models under any causal order."""

from __future__ import annotations

from typing import Any

import pytest

from liblim.crdt import Author, Counter, Field, Flag, GrowSet, Register, Set, SetEffect
from liblim.errors import DefinitionError, OperationError


def test_a_register_starts_with_its_default_and_keeps_what_was_set() -> None:
    register: Register[str] = Register.new("a", default="none")
    assert register.value == register.default == "none"
    register.set("one")
    register.set("one")
    assert register.value == "one"
    assert register.take_ops() == [[1, "a", "=", "one"]]


def test_of_concurrent_writes_the_greatest_id_wins() -> None:
    a: Register[int] = Register.new("a", default=0)
    b: Register[int] = Register.new("b", default=0)
    a.set(1)
    b.set(2)
    from_a, from_b = a.take_ops(), b.take_ops()
    assert (a.apply(from_b), b.apply(from_a)) == ([2], [None])
    assert (a.value, b.value) == (2, 2)
    a.set(3)
    assert b.apply(a.take_ops()) == [3]


def test_a_register_holds_values_of_the_type_of_its_default() -> None:
    register: Register[Any] = Register.new("a", default=1.5)
    register.set(2)
    assert register.take_ops() == [[1, "a", "=", 2.0]]
    for wrong in ("x", None, True, [1.0], float("nan")):
        with pytest.raises(OperationError):
            register.set(wrong)
    anything: Register[Any] = Register.new("a", default=None)
    for value in ("x", 1, True, None, [1, {"a": []}]):
        anything.set(value)
        assert anything.value == value


def test_a_register_does_not_share_what_it_holds() -> None:
    default: list[int] = []
    register: Register[list[int]] = Register.new("a", default=default)
    value = [1]
    register.set(value)
    value.append(2)
    default.append(3)
    assert register.value == [1]
    (op,) = register.take_ops()
    register.value.append(4)
    assert op[-1] == [1]


def test_an_impossible_default() -> None:
    with pytest.raises(OperationError):
        Register.new("a", default=(1, 2))


def test_a_set() -> None:
    a, b = Set.new("a"), Set.new("b")
    for value in ("x", "x", 1, True, [1], "gone"):
        a.add(value)
    a.discard("gone")
    a.discard("never there")
    assert b.apply(a.take_ops())[-2:] == [SetEffect(["gone"], []), SetEffect([], ["gone"])]
    assert list(b) == list(a) == ["x", 1, [1], True]
    assert (len(a), "x" in a, 1.0 in a, "gone" in a) == (4, True, False, False)


def test_an_addition_wins_over_a_concurrent_removal() -> None:
    a, b = Set.new("a"), Set.new("b")
    a.add("tag")
    b.apply(a.take_ops())
    b.discard("tag")
    a.discard("tag")
    a.add("tag")
    from_a, from_b = a.take_ops(), b.take_ops()
    assert a.apply(from_b) == [SetEffect([], [])]
    b.apply(from_a)
    assert list(a) == list(b) == ["tag"]
    b.discard("tag")
    a.apply(b.take_ops())
    assert list(a) == []


def test_a_flag_is_on_where_one_turned_it_on_while_another_turned_it_off() -> None:
    a, b = Flag.new("a"), Flag.new("b")
    assert not a
    a.enable()
    a.enable()
    assert b.apply(a.take_ops()) == [True]
    b.disable()
    a.disable()
    a.enable()
    from_a, from_b = a.take_ops(), b.take_ops()
    assert a.apply(from_b) == [None]
    b.apply(from_a)
    assert (bool(a), bool(b)) == (True, True)
    a.disable()
    a.disable()
    (off,) = a.take_ops()
    assert off == [4, "a", "off", [3]]
    assert b.apply([off]) == [False]


def test_a_growing_set() -> None:
    a, b = GrowSet.new("a"), GrowSet.new("b")
    for value in ("x", "x", 1, True, [1]):
        a.add(value)
    ops = a.take_ops()
    assert ops[0] == [1, "a", "add", "x"]
    b.add("x")
    assert b.apply(ops) == [[], [1], [True], [[1]]]
    assert list(b) == list(a) == ["x", 1, [1], True]
    assert (len(a), "x" in a, 1.0 in a) == (4, True, False)
    with pytest.raises(OperationError):
        a.add(("x",))
    next(value for value in a if value == [1]).append(2)
    assert [1] in a


def test_all_that_is_added_to_a_counter_counts() -> None:
    a, b = Counter.new("a"), Counter.new("b")
    a.add()
    a.add(0)
    a.add(-5)
    b.add(10)
    from_a, from_b = a.take_ops(), b.take_ops()
    assert from_a == [[1, "a", "inc", 1], [2, "a", "inc", -5]]
    assert (a.apply(from_b), b.apply(from_a)) == ([6], [11, 6])
    assert (a.apply(from_b), b.apply(from_a)) == ([None], [None, None])
    assert (a.value, int(b)) == (6, 6)


def test_a_counter_has_no_bound_and_one_addition_has() -> None:
    counter = Counter.new("a")
    most = 2**53 - 1
    for _ in range(3):
        counter.add(-most)
    assert Counter.decode(counter.encode(), "b").value == -3 * most
    before = counter.encode()
    for wrong in (most + 1, -most - 1, 2**80, 1.0, True, "1", None):
        with pytest.raises(OperationError):
            counter.add(wrong)  # type: ignore[arg-type]
    assert (counter.encode(), len(counter.take_ops())) == (before, 3)


@pytest.mark.parametrize("prototype", [Register(default=""), Set(), GrowSet(), Flag(), Counter()])
def test_a_prototype_is_not_to_be_used(prototype: Field) -> None:
    for use in (prototype.take_ops, prototype.encode, lambda: prototype.version):
        with pytest.raises(DefinitionError):
            use()


@pytest.mark.parametrize(
    "prototype",
    [Register(default=0), Set(), GrowSet(), Flag(), Counter()],
    ids=lambda p: type(p).__name__,
)
@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\1[]",
        b"\0",
        b"\0{}",
        b"\0[]",
        b"\0[1]",
        b'\0[1,"a",true,{}]',
        b'\0[1,"a",1,{"a":0}]',
        b'\0[1,"",1,{"":1}]',
        b'\0[1,"a","x",{"a":1}]',
        b'\0[0,"a",1,{"a":1}]',
        b'\0[[[1,"a",1]],{}]',
        b'\0[[[1,"a",1],[1,"a",1]],{"a":1}]',
        b'\0[[],{"a":0}]',
        b'\0[[],{"a":9007199254740992}]',
        b'\0[[],{"a":1},0]',
        b"\0[[1],{}]",
        b'\0[[],{"\xff":1}]',
        b'\0[1,"\xff",1,{"a":1}]',
        b'\0[1,"a","\xff",{"a":1}]',
        b'\0[["\xff"],{"a":1}]',
        b'\0[[["\xff",1,"1"]]]',
        b'\0[[1,1],{"a":2}]',
        b'\0[[["a",1,1]]]',
        b'\0[[["a",0,"0"]]]',
        b'\0[[["a",1,"01"]]]',
        b'\0[[["a",1,"-0"]]]',
        b'\0[[["a",1,"9007199254740992"]]]',
        b'\0[[["a",1,"1"],["a",2,"1"]]]',
    ],
)
def test_what_is_no_state_is_refused(prototype: Field, blob: bytes) -> None:
    field = prototype.bind("", Author("a"))
    before = field.encode()
    with pytest.raises(OperationError):
        field.load(blob)
    assert field.encode() == before


@pytest.mark.parametrize("kind", [Set, Flag])
@pytest.mark.parametrize("tag", [b'[0,"a",true]', b'[1,"a"]', b'[1,"",true]'])
def test_a_tag_is_an_id_and_a_value(kind: type[Field], tag: bytes) -> None:
    with pytest.raises(OperationError):
        kind.decode(b"\0[[" + tag + b'],{"a":1}]', "b")


def test_a_flag_has_no_other_tags() -> None:
    with pytest.raises(OperationError):
        Flag.decode(b'\0[[[1,"a","x"]],{"a":1}]', "b")
    assert Flag.decode(b'\0[[[1,"a",true]],{"a":1}]', "b")
