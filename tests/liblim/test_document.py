"""Document types: declaration, application of operations, states."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Flag, Register, Set, Text
from liblim.crdt.author import Author
from liblim.document import Document, by_kind
from liblim.errors import DefinitionError, OperationError
from tests.liblim.things import Thing

OID = "0" * 32


def thing(replica: str = "a") -> Thing:
    return Thing(OID, Author(replica))


def sent(document: Document) -> tuple[int, list[list[object]]]:
    """What a change would carry: the first counter and the operations."""
    taken = document.author.take()
    return taken[0][0], [[field, *op] for _, field, op in taken]


def test_fields_are_per_document() -> None:
    one, other = thing(), thing("b")
    one.body.insert(0, "hello")
    one.tags.add("x")
    assert (str(one.body), str(other.body), len(other.tags)) == ("hello", "", 0)
    assert set(Thing.fields) == {"body", "place", "tags", "pinned"}


def test_fields_are_inherited() -> None:
    class Sub(Thing):
        kind = "sub"
        more = Text()

    assert list(Sub.fields) == ["body", "place", "tags", "pinned", "more"]


def test_operations_travel() -> None:
    one, other = thing(), thing("b")
    one.body.insert(0, "hello")
    one.body.delete(1, 2)
    one.place.set("shelf")
    one.tags.add("x")
    one.pinned.enable()
    clock, ops = sent(one)
    effects = other.apply(clock, "a", ops)
    assert other.summary() == {"body": "hlo", "place": "shelf"}
    assert list(other.tags) == ["x"]
    assert other.pinned
    assert next(effect.field for effect in effects) == "body"
    assert not other.newer


@pytest.mark.parametrize(
    "op",
    [
        ["mood", "=", 1],
        ["body", "bold", 1, 2],
        ["place", "blink"],
        ["body", "-", [99, "zz"], 1],
        ["body", "+", 77, "xyz"],
    ],
)
def test_the_unknown_is_passed_over_with_its_counters(op: list[object]) -> None:
    """What follows an operation of a newer version still gets the right ids."""
    author = thing()
    author.body.insert(0, "ab")
    clock, ops = sent(author)
    taken = len(str(op[3])) if op[1] == "+" else 0 if op[1] == "-" else 1
    other = thing("b")
    other.apply(clock, "a", [ops[0], op, ["body", "+", 2, "cd"]])
    assert str(other.body) == "abcd"
    assert other.newer
    other.apply(clock + 2 + taken + 2, "a", [["body", "-", clock + 2 + taken, 1]])
    assert str(other.body) == "abd"


@pytest.mark.parametrize("op", [[], [1], ["body"], ["body", 1], ["body", "+", 0], [["x"], "="]])
def test_shapeless_operations_harm_nothing(op: list[object]) -> None:
    other = thing("b")
    other.apply(1, "a", [["body", "+", 0, "ok"], op])
    assert str(other.body) == "ok"
    assert other.newer


def test_states_round_trip() -> None:
    one = thing()
    one.body.insert(0, "text 😀")
    one.body.delete(0, 2)
    one.tags.add(["a", 1])
    one.pinned.enable()
    one.place.set("here")
    again = thing("b")
    again.load(one.encode())
    assert again.summary() == one.summary()
    assert list(again.tags) == [["a", 1]]
    assert again.pinned


def test_damaged_states_are_refused() -> None:
    state = thing().encode()
    for cut in range(0, len(state), 5):
        with pytest.raises(OperationError):
            thing().load(state[:cut])

    class Other(Document):
        kind = "thing"
        body = Text()

    with pytest.raises(OperationError, match="version"):
        Other(OID, Author("a")).load(state)


@settings(deadline=None, max_examples=100)
@given(place=st.integers(0, 10_000), octets=st.binary(max_size=3), cut=st.integers(0, 3))
def test_a_damaged_state_is_refused_or_read(place: int, octets: bytes, cut: int) -> None:
    one = thing()
    one.body.insert(0, "text 😀")
    one.tags.add(["a", 1])
    one.pinned.enable()
    one.place.set("here")
    state = one.encode()
    place %= len(state)
    again = thing("b")
    try:
        again.load(state[:place] + octets + state[place + cut :])
    except OperationError:
        return
    again.body.check_invariants()
    again.summary()


def declare(body: dict[str, Any], base: type[Document] = Document, kind: Any = "bad") -> type:
    """A type whose class statement has this in its body."""
    return type("Bad", (base,), {"kind": kind, "__module__": __name__, **body})


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"summary": Text()}, "summary"),
        ({"kind": Text()}, "kind"),
        ({"oid": Text()}, "oid"),
        ({"author": Register(default="")}, "author"),
        ({"newer": Flag()}, "newer"),
        ({"_hidden": Text()}, "_hidden"),
        ({"x" * 65: Text()}, "x" * 65),
        ({"body": Text}, "body"),
        ({"body": Text.new("a")}, "body"),
        ({"__annotations__": {"body": "Text"}}, "body"),
        ({"__annotations__": {"place": "liblim.Register[str]"}}, "place"),
        ({"__annotations__": {"body": Text}}, "body"),
        ({"place": Register(default=("a", "tuple"))}, "place"),
        ({"place": Register(default=float("nan"))}, "place"),
        ({"place": Register(default={1: 2})}, "place"),
        ({"place": Register(default=2**53)}, "place"),
        ({"place": Register(default="\ud800")}, "place"),
    ],
)
def test_a_wrong_declaration_is_said_there_by_the_name_of_the_field(
    body: dict[str, Any], name: str
) -> None:
    with pytest.raises(DefinitionError, match=rf"Bad\.{name}\b"):
        declare(body)


@pytest.mark.parametrize("value", [None, 3, "text", property(lambda self: 1)])
def test_an_inherited_field_stays_one(value: object) -> None:
    with pytest.raises(DefinitionError, match=r"Bad\.body"):
        declare({"body": value}, Thing)


@pytest.mark.parametrize("kind", ["", "x" * 65, None, 3])
def test_a_kind_is_a_name(kind: object) -> None:
    with pytest.raises(DefinitionError, match=r"Bad\.kind"):
        declare({}, kind=kind)


def test_a_kind_that_another_type_has_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Bad\.kind.*things\.Thing has the kind 'thing'"):
        declare({}, kind="thing")
    with pytest.raises(DefinitionError, match=r"Bad\.kind.*things\.Thing"):
        type("Bad", (Thing,), {"__module__": __name__})


def test_a_module_that_is_loaded_again_may_declare_its_types_again() -> None:
    again = type("Thing", (Document,), {"kind": "thing", "__module__": Thing.__module__})
    assert issubclass(again, Document)


def test_wrong_declarations_name_the_culprit() -> None:
    with pytest.raises(DefinitionError, match="Nameless.kind"):

        class Nameless(Document):
            flag = Flag()

    class Twin(Document):
        kind = "thing"
        tags = Set()
        place = Register(default=0)

    with pytest.raises(DefinitionError, match="Twin and Thing"):
        by_kind([Thing, Twin])


def test_a_state_with_gaps_is_made_again_from_the_log() -> None:
    """After an update the program may know what it passed over when the state was saved."""
    one = thing()
    one.apply(1, "b", [["mood", "=", 1]])
    with pytest.raises(OperationError, match="gaps"):
        thing().load(one.encode())
