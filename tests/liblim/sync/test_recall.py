"""Meeting again: what is known from before is not said again, and what is known wrongly does no harm."""

from __future__ import annotations

from copy import copy
from functools import partial
from random import Random

from liblim.change import Change
from liblim.sync import Ready
from tests.liblim.changes import make
from tests.liblim.sync.fakes import End, MemoryLog, paired, run

REPLICAS = 500


def many(length: int = REPLICAS) -> list[Change]:
    """As many replicas, each with one change on top of the one before."""
    changes: list[Change] = []
    for number in range(length):
        changes.append(make("a", None, changes[-1:], replica=f"{number:016x}"))
    return changes


HISTORY = many()


class Kept:
    """What two devices remember of each other."""

    def __init__(self, one: MemoryLog, other: MemoryLog) -> None:
        self.logs = one, other
        self.lacks: dict[str, dict[str, int] | None] = {one.device: None, other.device: None}

    def meet(self) -> tuple[End, End]:
        """A new wire between them, on which both know what they remember."""
        wire = paired(*self.logs)
        for end in wire:
            end.session.recall = partial(copy, self.lacks[end.log.device])
        return wire

    def part(self, wire: tuple[End, End]) -> None:
        """Cut it, and remember."""
        for end in wire:
            belief = end.session.belief
            if belief is not None:
                self.lacks[end.log.device] = belief.lacks()

    def write(self, at: MemoryLog, change: Change) -> None:
        """A change while they are apart."""
        at.receive([change])
        lacks = self.lacks[at.device]
        if lacks is not None:
            lacks.setdefault(change.replica, change.seq)


def synced() -> Kept:
    one, other = MemoryLog("1"), MemoryLog("2")
    for log in (one, other):
        log.receive(HISTORY)
    kept = Kept(one, other)
    wire = kept.meet()
    run(wire)
    kept.part(wire)
    return kept


def edit(kept: Kept, side: int, letter: str, times: int) -> None:
    log = kept.logs[side]
    prev = None
    for _ in range(times):
        prev = make(letter, prev, [log.changes[-1]] if prev is None else [])
        kept.write(log, prev)


def test_what_came_another_way_is_not_acknowledged_before_the_first_word_on_what_is_held() -> None:
    """Found by the simulation of the server: who began with ``KTHX`` was never taken to be ready."""
    kept = synced()
    edit(kept, 1, "d", 1)
    one, other = wire = kept.meet()
    other.give(one.take(0.0))
    one.give(other.take(0.0))
    one.session.committed(one.log.receive(other.log.changes[-1:]), 0.0)
    run(wire)
    assert one.session.identical
    assert other.session.identical
    assert len(one.of(Ready)) == len(other.of(Ready)) == 1


def test_two_that_know_each_other_list_only_what_changed() -> None:
    kept = synced()
    edit(kept, 0, "c", 10)
    edit(kept, 1, "d", 3)
    one, other = wire = kept.meet()
    run(wire)
    assert kept.logs[0].digest == kept.logs[1].digest
    assert known(one) == known(other) == (True, 0)
    assert (one.session.they_lack, one.session.we_lack) == (0, 0)
    print(len(one.sent), len(other.sent))
    assert len(one.sent) < 10_000
    assert len(other.sent) < 10_000


def test_where_one_knows_nothing_both_list_all() -> None:
    for ignorant in (0, 1):
        kept = synced()
        edit(kept, 0, "c", 2)
        edit(kept, 1, "d", 2)
        kept.lacks[kept.logs[ignorant].device] = None
        wire = kept.meet()
        run(wire)
        assert kept.logs[0].digest == kept.logs[1].digest
        assert all(len(end.sent) > 70 * REPLICAS for end in wire)


def test_one_that_lost_something_is_found_out_at_once() -> None:
    """A backup of it was restored: what it remembers is as old as its log."""
    for loser in (0, 1):
        kept = synced()
        backup = list(kept.logs[loser].changes)
        edit(kept, 0, "c", 4)
        wire = kept.meet()
        run(wire)
        kept.part(wire)
        restored = MemoryLog(kept.logs[loser].device[0])
        restored.receive(backup)
        logs = list(kept.logs)
        logs[loser] = restored
        again = Kept(logs[0], logs[1])
        again.lacks = {**kept.lacks, restored.device: {}}
        edit(again, loser, "d", 2)
        wire = again.meet()
        run(wire)
        assert logs[0].digest == logs[1].digest
        assert all(end.session.identical for end in wire)


def test_what_is_known_wrongly_is_mended_after_a_rest(seed: int) -> None:
    """Whatever they believe of each other to start with, they come to the same."""
    rng = Random(seed)
    for _ in range(200):
        kept = Kept(MemoryLog("1"), MemoryLog("2"))
        for log in kept.logs:
            for letter in rng.sample("abcdef", 3):
                log.receive([make(letter)])
                for _ in range(rng.randrange(3)):
                    log.write(letter)
            replicas = rng.sample(sorted(log.heads), rng.randrange(len(log.heads) + 1))
            wrong = {replica: rng.randint(1, log.heads[replica].seq) for replica in replicas}
            kept.lacks[log.device] = rng.choice([None, wrong])
        if any(forked(*kept.logs)):
            continue
        wire = kept.meet()
        run(wire)
        for now in (2.5, 5.0, 7.5):
            for end in wire:
                end.session.tick(now)
            run(wire, now=now)
        assert kept.logs[0].digest == kept.logs[1].digest
        assert all(end.session.identical for end in wire)


def forked(one: MemoryLog, other: MemoryLog) -> list[bool]:
    """For each change of one, whether the other holds a different one under its name."""
    names = {(change.replica, change.seq): change.hash for change in other.changes}
    return [names.get((c.replica, c.seq), c.hash) != c.hash for c in one.changes]


def test_what_is_only_known_from_before_is_not_taken_for_a_connected_peers_word() -> None:
    """It lost what it had acknowledged, and got as much from elsewhere: its count tells nothing."""
    kept = synced()
    backup = list(kept.logs[1].changes)
    edit(kept, 0, "c", 3)
    wire = kept.meet()
    run(wire)
    kept.part(wire)
    restored = MemoryLog("2")
    restored.receive(backup)
    again = Kept(kept.logs[0], restored)
    again.lacks = {**kept.lacks, restored.device: {}}
    edit(again, 1, "d", 5)
    one, other = wire = again.meet()
    for end, peer in (wire, wire[::-1]):
        peer.give(end.take(0.0))
    assert known(one) == (False, None)
    run(wire)
    assert known(one) == (False, None), "it does not hold what is believed"
    for now in (2.5, 5.0):
        for end in wire:
            end.session.tick(now)
        run(wire, now=now)
    assert known(one) == known(other) == (True, 0)


def known(end: End) -> tuple[bool, int | None]:
    """Whether the two are identical, and how much the other one lacks, by what is certain."""
    return end.session.identical, end.session.they_lack
