"""What others hold: the walk through the log, and what is kept of it."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from liblim import holdings as module
from liblim.change import Change, Dep, Head
from liblim.holdings import Holding, Holdings, Remembered, Walk, load, save
from liblim.store import Store
from tests.liblim.changes import make


def history(rng: Random, length: int) -> list[Change]:
    """Changes by six replicas that see each other now and then, in a causal order."""
    heads: dict[str, dict[str, Change]] = {letter: {} for letter in "abcdef"}
    changes = []
    for _ in range(length):
        letter = rng.choice("abcdef")
        seen = heads[letter]
        others = [change for change in seen.values() if change.replica[0] != letter]
        deps = rng.sample(others, rng.randint(0, len(others)))
        change = make(letter, seen.get(letter), deps)
        changes.append(change)
        seen[letter] = change
        for other in rng.sample("abcdef", 2):
            # What one hears of another, it hears with all that stands behind it.
            for name, theirs in heads[letter].items():
                mine = heads[other].get(name)
                if mine is None or mine.seq < theirs.seq:
                    heads[other][name] = theirs
    return changes


def closure(changes: list[Change], frontier: list[Change]) -> set[bytes]:
    """The plainest way to find the causal past of some changes, themselves included."""
    known = {change.hash: change for change in changes}
    found: set[bytes] = set()
    todo = list(frontier)
    while todo:
        change = todo.pop()
        if change.hash not in found:
            found.add(change.hash)
            past = [dep.hash for dep in change.header.deps]
            todo += [known[hash] for hash in [change.header.prev, *past] if hash in known]
    return found


def walk(store: Store, frontier: list[Dep], lacking: int) -> dict[str, int]:
    found = Walk(frontier, store.last_position(), lacking)
    assert found.is_grounded(store)
    while not found.step(store):
        pass
    return found.lacks


@pytest.mark.parametrize("step", [1, 7, 2000])
def test_it_finds_what_a_naive_search_finds(
    seed: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", step)
    rng = Random(seed)
    for _ in range(20):
        changes = history(rng, rng.randrange(1, 60))
        store = Store(":memory:")
        with store.transaction():
            for change in changes:
                store.append(change)
        frontier = rng.sample(changes, rng.randint(0, min(3, len(changes))))
        latest = {c.replica: c for c in sorted(frontier, key=lambda c: c.seq)}
        held = closure(changes, frontier)
        lacking = [change for change in changes if change.hash not in held]
        expected: dict[str, int] = {}
        for change in lacking:
            expected.setdefault(change.replica, change.seq)
        heads = [Dep(c.replica, c.seq, c.hash) for c in latest.values()]
        assert walk(store, heads, len(lacking)) == expected
        # One who says that it holds less than it names is looked into to the end, and no further.
        assert walk(store, heads, 10_000) == expected
        store.close()


def test_other_heads_than_those_of_the_log_say_nothing() -> None:
    first = make("a")
    store = Store(":memory:")
    with store.transaction():
        store.append(first)
    assert Walk([Dep(first.replica, 1, first.hash)], 1, 0).is_grounded(store)
    assert not Walk([Dep(first.replica, 1, bytes(32))], 1, 0).is_grounded(store)
    assert not Walk([Dep(first.replica, 2, first.hash)], 1, 0).is_grounded(store)
    store.close()


def test_who_is_away_lacks_what_is_written_meanwhile() -> None:
    first, other = make("a"), make("b")
    second = make("a", first)
    heads = {c.replica: Head(c.seq, c.hash) for c in (second, other)}
    found = Holdings()
    found.kept["desk"] = Holding(1.0, {})
    wanted = {first.replica: 1}
    assert found.lacking("desk", heads) == 0
    assert found.holders(wanted, heads) == {"desk"}
    found.grow([second])
    found.grow([other])
    assert found.lacking("desk", heads) == 2
    assert found.lacking("lap", heads) is None
    lasts = [found.last_of("desk", replica, heads) for replica in (first.replica, other.replica)]
    assert lasts == [1, 0]
    assert found.holders(wanted, heads) == {"desk"}
    assert found.holders({first.replica: 2}, heads) == frozenset()
    assert found.holders({other.replica: 1}, heads) == frozenset()
    # One that is committed, but that nobody was told of yet.
    assert found.holders({other.replica: 2}, heads) == frozenset()


def test_who_is_connected_is_asked_itself_once_it_has_said_all() -> None:
    first = make("a")
    heads = {first.replica: Head(1, first.hash)}
    found = Holdings()

    class Live:
        answer = False

        def holds(self, replica: str, seq: int) -> bool:
            return self.answer

        def seq(self, replica: str) -> int:
            return 7

    live = Live()
    said: list[Live] = []
    found.kept["desk"] = Holding(1.0, {})
    found.live["desk"] = found.live["lap"] = lambda: said[0] if said else None
    assert found.holders({first.replica: 1}, heads) == {"desk"}
    assert [found.last_of(name, first.replica, heads) for name in ("desk", "lap")] == [1, None]
    said.append(live)
    assert found.last_of("lap", first.replica, heads) == 7
    assert found.holders({first.replica: 1}, heads) == frozenset()
    live.answer = True
    assert found.holders({first.replica: 1}, heads) == {"desk", "lap"}


def test_what_is_kept_is_brought_up_to_date_when_it_is_read() -> None:
    store = Store(":memory:")
    first = make("a")
    second, other = make("a", first), make("b")
    with store.transaction():
        store.append(first)
    kept = Remembered("1" * 32, holding=Holding(1.0, {}))
    save(store, [(kept.device, msgspec.json.encode(kept))], store.last_position())
    assert load(store) == [kept]
    with store.transaction():
        store.append(second)
        store.append(other)
    (found,) = load(store)
    assert found.holding == Holding(1.0, {second.replica: 2, other.replica: 1})
    store.close()


def test_what_is_kept_and_cannot_be_read_is_passed_over() -> None:
    store = Store(":memory:")
    kept = Remembered("1" * 32, holding=Holding(1.0, {}))
    rows = [(kept.device, msgspec.json.encode(kept)), ("2" * 32, b"{}"), ("3" * 32, b"\xff[")]
    save(store, rows, 0)
    assert load(store) == [kept]
    store.close()
