"""Register, set and flag: one by one, and against models under any causal order."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from liblim.crdt import Author, Field, Flag, Register, Set, SetEffect
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


@pytest.mark.parametrize("prototype", [Register(default=""), Set(), Flag()])
def test_a_prototype_is_not_to_be_used(prototype: Field) -> None:
    for use in (prototype.take_ops, prototype.encode, lambda: prototype.version):
        with pytest.raises(DefinitionError):
            use()


class Model:
    """What a register, set and flag are, by definition: worked out from all operations known."""

    def __init__(self, ops: list[list[Any]]) -> None:
        self.ops = ops

    def value(self) -> Any:
        return max(((op[:2], op[3]) for op in self.ops if op[2] == "="), default=(0, 0))[1]

    def standing(self, added: str, removed: str) -> list[list[Any]]:
        gone = [
            [ref, op[1]] if isinstance(ref, int) else ref
            for op in self.ops
            if op[2] == removed
            for ref in op[3]
        ]
        return [op for op in self.ops if op[2] == added and op[:2] not in gone]


def edit(field: Field, rng: Random) -> None:
    """Do something to a register, set or flag."""
    if isinstance(field, Register):
        field.set(rng.randrange(4))
    elif isinstance(field, Set):
        rng.choice([field.add, field.add, field.discard])(rng.choice(["x", 1, True]))
    elif isinstance(field, Flag):
        rng.choice([field.enable, field.disable])()


def check(field: Field, known: list[list[Any]]) -> None:
    """Compare with the model."""
    model = Model(known)
    if isinstance(field, Register):
        assert field.value == model.value()
    elif isinstance(field, Set):
        standing = model.standing("add", "rm")
        assert sorted(map(repr, field)) == sorted({repr(op[3]) for op in standing})
    else:
        assert bool(field) == bool(model.standing("on", "off"))


@pytest.mark.parametrize(
    "prototype", [Register(default=0), Set(), Flag()], ids=lambda p: type(p).__name__
)
@pytest.mark.parametrize("case", range(40))
def test_any_causal_order_with_repeats_and_reloads(prototype: Field, case: int) -> None:
    rng = Random(case)
    authors = [Author(name) for name in "abc"]
    fields = [prototype.bind("", author) for author in authors]
    known: list[list[list[Any]]] = [[], [], []]
    for _ in range(80):
        k = rng.randrange(3)
        kind = rng.random()
        if kind < 0.5:
            edit(fields[k], rng)
            known[k] += fields[k].take_ops()
        elif kind < 0.9:
            j = rng.randrange(3)
            for op in known[j][: rng.randrange(len(known[j]) + 1)]:
                effect = fields[k].apply([op])
                assert op not in known[k] or effect in ([None], [([], [])])
                known[k] += [op] if op not in known[k] else []
        else:
            blob = fields[k].encode()
            fields[k] = prototype.bind("", authors[k])
            fields[k].load(blob)
            assert fields[k].encode() == blob
        check(fields[k], known[k])
    for k in range(3):
        for j in range(3):
            fields[k].apply(known[j])
    for one, other in pairwise(fields):
        assert one.encode() == other.encode()
        assert one.version == other.version


@pytest.mark.parametrize(
    "prototype", [Register(default=0), Set(), Flag()], ids=lambda p: type(p).__name__
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
        b'\0[[[0,"a",1]],{"a":1}]',
        b'\0[[[1,"a"]],{"a":1}]',
        b'\0[[[1,"a",1],[1,"a",1]],{"a":1}]',
        b'\0[[],{"a":0}]',
        b'\0[[],{"a":9007199254740992}]',
        b'\0[[],{"a":1},0]',
    ],
)
def test_what_is_no_state_is_refused(prototype: Field, blob: bytes) -> None:
    field = prototype.bind("", Author("a"))
    before = field.encode()
    with pytest.raises(OperationError):
        field.load(blob)
    assert field.encode() == before


def test_a_flag_has_no_other_tags() -> None:
    with pytest.raises(OperationError):
        Flag.decode(b'\0[[[1,"a","x"]],{"a":1}]', "b")
    assert Flag.decode(b'\0[[[1,"a",true]],{"a":1}]', "b")
