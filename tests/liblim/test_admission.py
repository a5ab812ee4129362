"""Admission: order, duplicates, the waiting room, forks, clocks, and rollback."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from liblim.admission import WaitingRoom
from liblim.change import Change, Range
from liblim.errors import StoreError
from liblim.reading import ReadingAdmission
from liblim.store import Store
from liblim.trust import Unsealed
from tests.liblim.changes import chain, make, replica


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(":memory:")
    yield store
    store.close()


@pytest.fixture
def admission(store: Store) -> ReadingAdmission:
    return ReadingAdmission(store, Unsealed())


def everything(store: Store) -> list[Change]:
    return store.read([Range(replica(x), 1, 10**6) for x in "abcdef"], 10**6, 10**9)


def test_a_chain_enters_in_order_and_reads_back(store: Store, admission: ReadingAdmission) -> None:
    changes = chain("a", 5)
    outcome = admission.admit(changes)
    assert [new.change for new in outcome.entered] == changes
    assert [new.position for new in outcome.entered] == [1, 2, 3, 4, 5]
    assert everything(store) == changes
    assert [change.hash for change in everything(store)] == [change.hash for change in changes]


def test_duplicates_count_once(store: Store, admission: ReadingAdmission) -> None:
    changes = chain("a", 3)
    admission.admit(changes)
    outcome = admission.admit(changes)
    assert (outcome.entered, outcome.duplicates) == ([], 3)
    assert everything(store) == changes


def test_early_changes_wait_and_follow(admission: ReadingAdmission) -> None:
    first, second, third = chain("a", 3)
    other = make("b", deps=[second])
    assert admission.admit([third, other, second]).waiting == 3
    outcome = admission.admit([first])
    assert {new.change.hash for new in outcome.entered} == {
        change.hash for change in (first, second, third, other)
    }
    assert outcome.waiting == 0


@pytest.mark.parametrize("seed", range(20))
def test_any_order_with_duplicates_ends_the_same(seed: int, admission: ReadingAdmission) -> None:
    rng = random.Random(seed)
    made: list[Change] = []
    last: dict[str, Change] = {}
    for _ in range(60):
        letter = rng.choice("abc")
        others = [x for x in last if x != letter and rng.random() < 0.3]
        change = make(letter, last.get(letter), [last[x] for x in others])
        last[letter] = change
        made.append(change)
    sent = made * 2
    rng.shuffle(sent)
    entered = []
    while sent:
        batch = [sent.pop() for _ in range(min(len(sent), rng.randint(1, 9)))]
        entered += [new.change for new in admission.admit(batch).entered]
    assert sorted(c.hash for c in entered) == sorted(c.hash for c in made), f"seed {seed}"
    for change in made:
        before = [c.hash for c in entered[: entered.index(change)]]
        assert all(known in before for known in [change.header.prev] if known)
        assert all(d.hash in before for d in change.header.deps)


def test_a_fork_is_set_aside_not_dropped(store: Store, admission: ReadingAdmission) -> None:
    first, second = chain("a", 2)
    rival = make("a", first, at=99)
    after = make("b", deps=[rival])
    admission.admit([first, second])
    outcome = admission.admit([rival, after])
    assert outcome.aside == (rival, after)
    assert outcome.refused is None
    assert everything(store) == [first, second]


@pytest.mark.parametrize("clock", [1, 3, 10**6])
def test_a_wrong_clock_is_refused(clock: int, admission: ReadingAdmission) -> None:
    first = make("a")
    outcome = admission.admit([first, make("a", first, clock=clock), make("b")])
    assert [new.change for new in outcome.entered] == [first]
    assert "clock" in str(outcome.refused)


def test_an_unreadable_body_is_admitted_all_the_same(admission: ReadingAdmission) -> None:
    change = make("a", body=b"\x07from the future")
    (entered,) = admission.admit([change]).entered
    assert entered.body is None


def test_a_failed_transaction_leaves_no_trace(
    store: Store, admission: ReadingAdmission, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = chain("a", 3)
    admission.admit([first])

    def fail(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "touch", fail)
        with pytest.raises(StoreError):
            admission.admit([second, make("b")])
    outcome = admission.admit([second, make("b"), third])
    assert len(outcome.entered) == 3
    assert len(everything(store)) == 4


def test_the_waiting_room_is_bounded() -> None:
    room = WaitingRoom(changes=2, octets=10**6)
    changes = chain("a", 4)
    for change in changes[1:]:
        room.enter((change.replica, change.seq - 1), change)
    assert len(room) == 2
    assert room.leave((replica("a"), 1)) == [changes[1]]
    assert room.leave((replica("a"), 3)) == []
    small = WaitingRoom(changes=9, octets=1)
    small.enter((replica("a"), 1), changes[1])
    assert len(small) == 0


def test_windows_follow_the_order_of_arrival(store: Store, admission: ReadingAdmission) -> None:
    first, *rest = chain("a", 30)
    other = make("b", deps=[first])
    admission.admit([first, other, *rest])
    ranges = [Range(replica("a"), 2, 30), Range(replica("b"), 1, 1)]
    assert store.read(ranges, 3, 10**6) == [other, rest[0], rest[1]]
    assert store.read(ranges, 100, 10**6) == [other, *rest]
    assert store.read(ranges, 100, 1) == [other]
    assert store.read([Range(replica("f"), 1, 9)], 100, 10**6) == []


def test_the_frontier_is_what_nobody_has_seen(store: Store, admission: ReadingAdmission) -> None:
    a1, a2 = chain("a", 2)
    b1 = make("b", deps=[a1])
    admission.admit([a1, b1])
    assert store.frontier() == {replica("b")}
    admission.admit([a2])
    assert store.frontier() == {replica("a"), replica("b")}
    admission.admit([make("c", deps=[a2, b1])])
    assert store.frontier() == {replica("c")}
