"""Hostile and odd operations: passed over, without an exception, and bounded."""

from __future__ import annotations

import tracemalloc
from random import Random
from typing import Any

import msgspec
import pytest

from liblim.change import MAX_COUNTER
from liblim.trust.documents import text_of
from liblim.trust.ledger import Duties
from tests.liblim.trust.trusting import (
    LIBRARY,
    WRAP,
    Pen,
    certificate,
    device,
    epoch,
    library_of,
    names,
    take,
)

HUGE: list[Any] = [[]]
for _ in range(200):
    HUGE = [HUGE]

ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**60, "", "x" * 70_000, [], {}, HUGE, [None] * 5000),
    *({"device": "a"}, {"device": None, "saw": None}, {"saw": {}}),
]


def odd_elements() -> list[Any]:
    """Values that are nearly elements of the two sets."""
    replicas = [f"{n:016x}" for n in range(1001)]
    saws: list[Any] = [None, [], {"x": 1}, {"0" * 16: 0}, {"0" * 16: -1}, {"0" * 16: 2**53}]
    saws += [{"0" * 16: True}, {"0" * 16: "1"}, {"0" * 16: 1.0}, dict.fromkeys(replicas, 1)]
    saws += [{"0" * 16 + "\n": 1}, {"0" * 17: 1}]
    keys: list[Any] = [None, [], {}, {"x": WRAP}, {device("a"): 1}, {device("a"): ""}]
    keys += [{device("a"): "x" * 201}, {f"{n:032x}": WRAP for n in range(1001)}]
    return [
        *({"device": device("b"), "saw": saw} for saw in saws),
        *({"device": device("b")[:-1], "saw": {}}, {"device": [device("b")], "saw": {}}),
        *({"epoch": epoch("odd"), "keys": found} for found in keys),
        *({"epoch": "x" * 32, "keys": {device("a"): WRAP}}, {"epoch": None, "keys": {}}),
    ]


def odd_ops() -> list[list[Any]]:
    values = [*ODD, *odd_elements()]
    der = text_of(certificate("x"))
    values += [der[:-1], der + "=", der + "\n", "é" + der, "A" * 4000, text_of(b"no certificate")]
    values += [["a:1"] * 17, ["x" * 101], ["a:1", ""], ["a:1", 1]]
    fields: list[Any] = ["certificate", "addresses", "removed", "epochs", "other", None, 3]
    ops = [
        [name, verb, value] for name in fields for verb in ("=", "add", "rm") for value in values
    ]
    ops += [["name", "=", value] for value in values if not isinstance(value, str)]
    ops.remove(["addresses", "=", []])  # a device that listens nowhere
    return [*ops, ["name", "=", "a", "b"], ["removed", "add"], ["removed", "add", {}, {}]]


def test_odd_operations_are_passed_over_and_those_beside_them_count() -> None:
    world, (a, b) = library_of("ab")
    before = world.all()
    ops = odd_ops()
    for oid, kind in ((device("b"), "device"), (device("x"), "device"), (LIBRARY, "library")):
        for op in ops:
            assert not take(before, a.write(kind, oid, op)), op
    for shapeless in ([], ["name"], ["name", 3], ["name", "+"], ["name", "+", 0, 1], ["name", []]):
        assert not take(before, a.write("device", b.device, shapeless, ["name", "=", "Lost"]))
    assert before.members == library_of("ab")[0].all().members
    good = ["name", "=", "Desk"]
    a.write("device", b.device, *[op for op in ops if len(op) == 3][::7], good)
    assert world.all().members[b.device].name == "Desk"


def test_unknown_members_of_elements_are_for_later_versions() -> None:
    world, (a, b, _) = library_of("abc")
    a.write(
        "library",
        LIBRARY,
        ["removed", "add", {"device": device("c"), "saw": {}, "why": [1]}],
        ["later", "of", "a later version"],
        ["epochs", "add", {"epoch": epoch("e"), "keys": {a.device: WRAP}, "size": 1}],
    )
    ledger = world.all()
    assert names(ledger) == "ab"
    assert ledger.epoch({epoch("e")}) == epoch("e")
    assert ledger.duties(a.device, {epoch("e")}) == Duties(False, {epoch("e"): [b.device]}, {})


def test_counters_beyond_a_changes_end_belong_to_others() -> None:
    world, (a, b) = library_of("ab")
    word = a.write("device", b.device, ["name", "=", "Desk"], ["name", "=", "Tower"])
    short = word.change.header
    assert short.n == 2
    header = msgspec.structs.replace(short, n=1)
    change = msgspec.structs.replace(word.change, header=header)
    world.words[-1] = word._replace(change=change)
    assert world.all().members[b.device].name == "Desk"


def test_counters_decide_however_large() -> None:
    world, (a, b) = library_of("ab")
    a.write("device", b.device, ["name", "=", "Last"], clock=MAX_COUNTER)
    b.write("device", b.device, ["name", "=", "First"], clock=1)
    assert world.all().members[b.device].name == "Last"


def test_random_bodies_never_raise(seed: int) -> None:
    random = Random(seed)
    world, (a, b, x) = library_of("abx")
    atoms: list[Any] = [*ODD, *odd_elements(), *map(device, "abcx"), *map(epoch, "ef"), WRAP]
    atoms += [text_of(certificate("c")), "certificate", "name", "removed", "epochs", "=", "add"]
    ledger = world.all()
    for _ in range(3000):
        kind, oid = random.choice(
            [("device", b.device), ("device", device("c")), ("library", LIBRARY)]
        )
        ops = [random.choices(atoms, k=random.randrange(5)) for _ in range(random.randrange(4))]
        take(ledger, random.choice((a, b, x)).write(kind, oid, *ops, clock=random.randrange(1, 99)))
    ledger.duties(a.device, {epoch("e")})


# Removed devices with bad intentions


def test_removed_devices_cannot_bring_each_other_back() -> None:
    world, (a, b, c, d) = library_of("abcd")
    c.remove("d")
    for pen in (a, b, c, d):
        pen.read(c)
    a.remove("c", into="new")
    # c claims, with an old clock, to have removed d after all that d is going to write.
    c.restart()
    everything = {d.replica: MAX_COUNTER}
    c.write(
        "library",
        LIBRARY,
        ["removed", "add", {"device": d.device, "saw": everything}],
        ["removed", "add", {"device": c.device, "saw": {c.replica: MAX_COUNTER}}],
        clock=1,
    )
    d.introduce("x")
    ledger = world.all()
    assert names(ledger) == "ab"
    assert set(ledger.removed) == {c.device, d.device}


def flood(pen: Pen, turn: int) -> None:
    """Remove 500 devices that nobody knows, with an old clock."""
    pen.restart()
    fakes = [f"{turn * 1000 + fake:032x}" for fake in range(500)]
    elements = [{"device": fake, "saw": {pen.replica: MAX_COUNTER}} for fake in fakes]
    pen.write("library", LIBRARY, *(["removed", "add", one] for one in elements), clock=1)


def test_a_removed_device_cannot_push_out_its_own_removals() -> None:
    world, (a, b, _) = library_of("abc")
    x = b.introduce("x")
    x.remove("c")
    x.remove("z")
    a.read(x)
    a.remove("b")
    ledger = world.all()
    for turn in range(1, 30):
        flood(b, turn)
        b.introduce("yz"[turn % 2], clock=2)
        flood(x, turn)
    for word in world.words:
        take(ledger, word)
    assert names(ledger) == "ax"
    assert {device("b"), device("c"), device("z")} <= ledger.removed.keys()


@pytest.mark.parametrize("introduced_first", [False, True])
def test_a_removal_of_a_device_that_is_introduced_later_counts_among_however_many(
    introduced_first: bool,
) -> None:
    world, (_, b) = library_of("ab")
    b.remove("x")
    for first in range(0, 3000, 1000):
        b.write("library", LIBRARY, *(removing(f"{first + n:032x}") for n in range(1000)))
    b.introduce("x")
    words = world.words[::-1] if introduced_first else world.words
    ledger = world.ledger(words)
    assert names(ledger) == "ab"
    assert device("x") in ledger.removed


def removing(name: str) -> list[Any]:
    return ["removed", "add", {"device": name, "saw": {}}]


def test_what_a_removed_device_writes_again_changes_nothing_for_others() -> None:
    world, (a, b, c) = library_of("abc")
    c.announce("by c")
    c.introduce("x")
    c.rename("b", "Desk")
    a.read(c)
    a.remove("c")
    before = world.all()
    c.restart()
    c.introduce("x", clock=1)
    c.rename("b", "Rubbish")
    c.announce("by c")
    c.write("library", LIBRARY, ["epochs", "add", {"epoch": epoch("e"), "keys": {b.device: WRAP}}])
    after = world.all()
    assert after.members == before.members
    held = {epoch("by c"), epoch("e")}
    assert after.epoch(held) == before.epoch(held) == epoch("by c")
    assert after.duties(a.device, held) == before.duties(a.device, held)


# Bounds


def test_a_hostile_member_fills_no_memory() -> None:
    world, (a, b) = library_of("ab")
    ledger = world.all()
    addresses = [f"{n:0100}" for n in range(16)]
    words = [
        a.write("device", b.device, *[["name", "=", f"{turn}{n:060}"] for n in range(2000)])
        for turn in range(10)
    ]
    words += [
        a.write("device", b.device, *[["addresses", "=", addresses]] * 100) for _ in range(10)
    ]
    element = {"device": device("x"), "saw": {f"{n:016x}": 1 for n in range(1000)}}
    words += [a.write("library", LIBRARY, *[["removed", "add", element]] * 5) for _ in range(10)]
    many = {f"{n:032x}": WRAP for n in range(1000)}
    words += [
        a.write(
            "library",
            LIBRARY,
            ["epochs", "add", {"epoch": epoch(f"{n}"), "keys": {a.device: WRAP, **many}}],
            ["epochs", "add", {"epoch": epoch(f"{n}"), "keys": many}],
        )
        for n in range(60)
    ]
    tracemalloc.start()
    try:
        for word in words:
            take(ledger, word)
        assert tracemalloc.get_traced_memory()[0] < 12e6
    finally:
        tracemalloc.stop()
    assert names(ledger) == "ab"
