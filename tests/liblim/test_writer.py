"""The writer: when changes open and close, what they name, and that no replica is continued."""

from __future__ import annotations

import random

import pytest

from liblim.change import MAX_BODY, MAX_DEPS, Change, Range, unpack_body
from liblim.database import Database
from liblim.sync.codec import decode, encode
from liblim.sync.messages import Ucanhaz
from liblim.writer import TEXT_PIECE, split_ops
from tests.liblim.changes import altered, make
from tests.liblim.things import ManualClock, Thing, memory, pull


def changes_of(database: Database) -> list[Change]:
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    return database.read(ranges, 10**6, 10**9)


def test_a_change_gathers_until_it_is_closed() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "he")
    thing.body.insert(2, "llo")
    thing.tags.add("x")
    assert not database.is_saved(thing)
    database.commit()
    assert database.is_saved(thing)
    (change,) = changes_of(database)
    body = unpack_body(change.body or b"")
    assert body.ops == [["body", "+", 0, "hello"], ["tags", "add", "x"]]
    assert (change.seq, change.header.clock, change.header.n) == (1, 1, 6)
    assert change.header.device == database.device


def test_another_document_closes_the_change() -> None:
    database = memory()
    one, other = database.create(Thing), database.create(Thing)
    one.body.insert(0, "1")
    other.body.insert(0, "2")
    one.body.insert(1, "3")
    database.commit()
    changes = changes_of(database)
    assert [change.header.clock for change in changes] == [1, 2, 3]
    assert [bool(change.header.device) for change in changes] == [True, False, False]
    assert changes[2].header.prev == changes[1].hash


def test_a_delete_takes_no_counter_and_its_change_one() -> None:
    database = memory()
    thing = database.create(Thing)
    thing.body.insert(0, "abc")
    database.commit()
    thing.body.delete(0, 2)
    database.commit()
    thing.body.insert(1, "d")
    database.commit()
    assert [(c.header.clock, c.header.n) for c in changes_of(database)] == [(1, 3), (4, 1), (5, 1)]


def test_deps_name_what_was_seen_and_nothing_implied() -> None:
    a, b, c = memory(1), memory(2), memory(3)
    ours = a.create(Thing)
    ours.body.insert(0, "a")
    a.commit()
    pull(b, a)
    theirs = b.get(Thing, ours.oid)
    theirs.body.insert(1, "b")
    b.commit()
    pull(c, a)
    pull(c, b)
    third = c.get(Thing, ours.oid)
    third.body.insert(2, "c")
    c.commit()
    change = changes_of(c)[-1]
    assert [dep.replica for dep in change.header.deps] == [changes_of(b)[-1].replica]
    assert change.header.clock == 3
    pull(a, c)
    ours.body.insert(3, "d")
    a.commit()
    last = changes_of(a)[-1]
    assert [dep.hash for dep in last.header.deps] == [change.hash]
    assert last.header.seq == 2


@pytest.mark.parametrize("width", [MAX_DEPS, MAX_DEPS + 1, 2 * MAX_DEPS + 1])
def test_a_past_that_is_too_wide_for_one_change_is_gathered_by_several(width: int) -> None:
    """A hostile member can make it so; what is written on top is taken by everybody all the same."""
    foreign = [make("a", n=number) for number in range(1, width + 1)]
    foreign = [altered(change, replica=f"{n:016x}") for n, change in enumerate(foreign)]
    database, other = memory(1), memory(2)
    for found in (database, other):
        assert len(found.receive(foreign).entered) == width
    thing = database.create(Thing)
    thing.body.insert(0, "hi")
    thing.body.insert(2, "!")
    database.commit()
    known = {change.replica for change in foreign}
    own = [change for change in changes_of(database) if change.replica not in known]
    named = [dep.replica for change in own for dep in change.header.deps]
    assert sorted(named) == [change.replica for change in foreign]
    assert max(len(change.header.deps) for change in own) <= MAX_DEPS
    wire = [decode(encode(Ucanhaz(change))[:-1]) for change in own]
    received = [message.change for message in wire if isinstance(message, Ucanhaz)]
    assert len(other.receive(received).entered) == len(own) == max(1, -(-width // MAX_DEPS))
    assert str(other.get(Thing, thing.oid).body) == "hi!"
    # From then on there is one head again.
    thing.body.insert(0, "x")
    database.commit()
    assert changes_of(database)[-1].header.deps == ()


def test_remote_changes_close_the_open_one_first() -> None:
    """What is typed after somebody else's change arrived depends on it; before, not."""
    a, b = memory(1), memory(2)
    thing = a.create(Thing)
    thing.body.insert(0, "x")
    other = b.create(Thing)
    other.body.insert(0, "y")
    b.commit()
    pull(a, b)
    thing.body.insert(1, "z")
    a.commit()
    own = [change for change in changes_of(a) if change.header.n == 1 and change.replica in a.heads]
    mine = [change for change in own if change.replica != changes_of(b)[0].replica]
    assert [len(change.header.deps) for change in mine] == [0, 1]


def test_a_run_never_continues_a_replica(tmp_path: object) -> None:
    path = f"{tmp_path}/one.db"
    for run in range(3):
        database = memory(run, path)
        database.create(Thing).body.insert(0, "x")
        database.close()
    last = memory(9, path)
    assert sorted(head.seq for head in last.heads.values()) == [1, 1, 1]
    assert [len(change.header.deps) for change in changes_of(last)] == [0, 1, 1]
    last.close()


@pytest.mark.parametrize(("jump", "replicas"), [(0.5, 1), (60.0, 2), (-60.0, 2)])
def test_a_jump_of_the_clock_takes_a_new_replica(jump: float, replicas: int) -> None:
    clock = ManualClock()
    database = memory(clock=clock)
    thing = database.create(Thing)
    thing.body.insert(0, "x")
    database.commit()
    clock.advance(30)
    clock.now += jump
    thing.body.insert(1, "y")
    database.commit()
    assert len(database.heads) == replicas
    assert str(thing.body) == "xy"


def test_a_long_paste_becomes_several_changes() -> None:
    a, b = memory(1), memory(2)
    thing = a.create(Thing)
    text = "\x00😀é" * 50_000
    thing.body.insert(0, "><")
    thing.body.insert(1, text)
    thing.body.insert(len(text) + 1, "!")
    a.commit()
    assert a.count >= 3
    assert all(len(unpack_body(c.body or b"").ops) < 5 for c in changes_of(a))
    pull(b, a)
    copy = b.get(Thing, thing.oid)
    assert str(copy.body) == ">" + text + "!<"


@pytest.mark.parametrize("seed", range(10))
def test_split_keeps_order_counters_and_bounds(seed: int) -> None:
    rng = random.Random(seed)
    taken, counter, text = [], 1, ""
    for _ in range(rng.randint(1, 30)):
        piece = "x" * rng.choice([1, 5, TEXT_PIECE - 1, TEXT_PIECE, TEXT_PIECE + 1, 3 * TEXT_PIECE])
        taken.append((counter, "body", ["+", counter - 1, piece]))
        text += piece
        counter += len(piece)
    bodies = split_ops(taken)
    assert "".join(op[3] for body in bodies for op in body) == text, f"seed {seed}"
    at = 1
    for body in bodies:
        assert sum(len(op[3]) for op in body) < MAX_BODY
        for op in body:
            assert op[2] == at - 1
            at += len(op[3])
