"""The vectors of fields, read by the decoder and made again by liblim."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from liblim.crdt import Counter, Field, Flag, GrowSet, Register, Set, Text
from liblim.errors import OperationError
from tests.vectors import crdt_decoder as decoder

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("crdt.json").read_text("utf-8"))
OTHERS: dict[str, tuple[type[Field], dict[str, Any]]] = {
    "register": (Register, {"default": None}),
    "set": (Set, {}),
    "flag": (Flag, {}),
    "growing set": (GrowSet, {}),
    "counter": (Counter, {}),
}

texts = pytest.mark.parametrize("row", VECTORS["texts"], ids=lambda row: row["name"])
others = pytest.mark.parametrize("row", VECTORS["others"], ids=lambda row: row["name"])


def test_the_decoder_shares_no_code() -> None:
    source = Path(decoder.__file__).read_text("utf-8")
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert not any("liblim" in line for line in imports)


@texts
def test_the_decoder_merges_a_text(row: dict[str, Any]) -> None:
    text = decoder.Text()
    for op in row["ops"]:
        text.apply(*op)
    assert (text.text(), text.rows(), text.known()) == (row["text"], row["spans"], row["replicas"])


@texts
def test_the_decoder_reads_a_state(row: dict[str, Any]) -> None:
    octets, table = decoder.parts(bytes.fromhex(row["state"]))
    assert octets.decode() == row["text"]
    assert table.hex() == row["table"]
    assert decoder.read_table(table) == (row["replicas"], row["spans"])
    assert hashlib.sha256(octets + table).hexdigest() == row["hash"]


@texts
def test_liblim_merges_a_text(row: dict[str, Any]) -> None:
    text = Text.new("z")
    assert [list(splice) for splice in text.apply(row["ops"])] == row["splices"]
    text.check_invariants()
    assert str(text) == row["text"]
    octets, table = decoder.parts(text.encode())
    assert (octets.decode(), table.hex()) == (row["text"], row["table"])


@texts
def test_a_text_of_this_format_keeps_loading(row: dict[str, Any]) -> None:
    state = bytes.fromhex(row["state"])
    text = Text.decode(state, "z")
    text.check_invariants()
    assert str(text) == Text.glance(state) == row["text"]
    wanted = [
        (counter + k, replica, bool(dead))
        for counter, replica, length, dead in row["spans"]
        for k in range(length)
    ]
    assert [(counter, replica, not char) for counter, replica, char in text.elements()] == wanted
    assert decoder.parts(text.encode()) == decoder.parts(state)
    assert text.apply(row["ops"]) == []  # all of it is in the state


def value_of(field: Field) -> Any:
    """What a field that is no text holds."""
    if isinstance(field, Register):
        return field.value
    if isinstance(field, Flag):
        return bool(field)
    if isinstance(field, Counter):
        return str(field.value)
    assert isinstance(field, Set | GrowSet)
    return list(field)


def test_each_kind_of_field_has_vectors() -> None:
    assert {row["kind"] for row in VECTORS["others"]} == OTHERS.keys()


@others
def test_the_decoder_merges_another_field(row: dict[str, Any]) -> None:
    value, state = decoder.merge(row["kind"], row["ops"])
    assert decoder.canonical(value) == decoder.canonical(row["value"])
    assert state.hex() == row["state"]


@others
def test_liblim_merges_another_field(row: dict[str, Any]) -> None:
    kind, options = OTHERS[row["kind"]]
    field = kind.new("z", **options)
    field.apply(row["ops"])
    assert value_of(field) == row["value"]
    assert field.encode().hex() == row["state"]


@others
def test_another_field_of_this_format_keeps_loading(row: dict[str, Any]) -> None:
    kind, options = OTHERS[row["kind"]]
    state = bytes.fromhex(row["state"])
    assert hashlib.sha256(state).hexdigest() == row["hash"]
    assert state[0] == VECTORS["format"]
    field = kind.decode(state, "z", **options)
    assert value_of(field) == row["value"]
    assert field.encode() == state


@pytest.mark.parametrize("row", VECTORS["refused"]["ops"], ids=lambda row: row["name"])
def test_what_is_refused(row: dict[str, Any]) -> None:
    text = Text.new("z")
    text.apply(VECTORS["refused"]["base"])
    before = text.encode()
    with pytest.raises(OperationError):
        text.apply([row["op"]])
    assert text.encode() == before


@pytest.mark.parametrize("row", VECTORS["refused"]["others"], ids=lambda row: row["name"])
def test_what_another_field_refuses(row: dict[str, Any]) -> None:
    kind, options = OTHERS[row["kind"]]
    field = kind.new("z", **options)
    field.apply(row["base"])
    before = field.encode()
    with pytest.raises(OperationError):
        field.apply([row["op"]])
    assert field.encode() == before
