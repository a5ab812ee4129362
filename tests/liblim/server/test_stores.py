"""What holds for both storages of a server."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from liblim.change import Change, Range
from liblim.errors import StoreError
from liblim.server.stores import Fresh, Invitation, Standing, Storage
from liblim.store import Store
from tests.liblim.server import appending
from tests.liblim.server.appending import storage_at
from tests.liblim.server.conftest import Opener
from tests.liblim.server.signed import LIBRARY, Gate, conversation, vouch, writers
from tests.liblim.trust.sealed import Author

OTHER = "2c" * 16
A, B, C = "a" * 32, "b" * 32, "c" * 32


# The registry


def test_facts_are_kept_and_one_that_is_to_be_kept_once_is(open_storage: Opener) -> None:
    registry = open_storage().registry
    assert registry.fact("name") is None
    registry.set_fact("name", "attic")
    registry.set_fact("name", "cellar")
    assert registry.set_fact_once("name", "roof") == "cellar"
    assert registry.set_fact_once("key", "1") == "1"
    again = open_storage().registry
    assert (again.fact("name"), again.fact("key")) == ("cellar", "1")


def test_who_was_withdrawn_is_so_for_ever(storage: Storage) -> None:
    registry = storage.registry
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [])
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B])
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [])
    last = {word.device: word.standing for word in registry.words(0)}
    assert last == {A: Standing.MEMBER, B: Standing.WITHDRAWN}


def test_whom_somebody_vouched_for_who_did_not_know_of_a_removal_goes_out_again(
    storage: Storage,
) -> None:
    registry = storage.registry
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [])
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B])
    registry.vouch(LIBRARY, {A: b"A", C: b"C"}, {}, [])  # whom B had let in
    registry.vouch(LIBRARY, {A: b"A"}, {B: b"B", C: b"C"}, [])
    found = {word.device: word.standing for word in registry.words(0)}
    assert found == {A: Standing.MEMBER, B: Standing.WITHDRAWN, C: Standing.AUTHOR}


def test_what_is_said_again_is_not_written_again(storage: Storage) -> None:
    registry = storage.registry
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B])
    words = registry.words(0)
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B])
    assert registry.words(0) == words
    assert registry.words(words[-1].number) == []


def test_the_journal_tells_the_rest_to_whoever_has_read_some(storage: Storage) -> None:
    registry = storage.registry
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [])
    seen = registry.words(0)[-1].number
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B])
    assert [(w.device, w.standing) for w in registry.words(seen)] == [(B, Standing.WITHDRAWN)]
    seen = registry.words(0)[-1].number
    registry.vouch(OTHER, {A: b"A"}, {}, [])
    assert [(w.library, w.device) for w in registry.words(seen)] == [(OTHER, A)]


def test_a_library_that_was_removed_may_come_again_and_is_empty(storage: Storage) -> None:
    vouch(storage)
    vouch(storage, OTHER)
    gate = Gate(storage)
    gate.take(writers()[0].write())
    gate.log.save_receipt(A, b"kept", 1)
    gate.log.close()
    seen = storage.registry.words(0)[-1].number
    assert storage.registry.remove(LIBRARY)
    assert not storage.registry.remove(LIBRARY)
    [word] = storage.registry.words(seen)
    assert (word.library, word.device, word.standing) == (LIBRARY, "", None)
    assert storage.registry.libraries() == [OTHER]
    with pytest.raises(StoreError):
        storage.open(LIBRARY)
    vouch(storage)
    assert storage.registry.remove(LIBRARY)
    vouch(storage)
    numbers = [word.number for word in storage.registry.words(0)]
    assert numbers == sorted(set(numbers))
    assert storage.registry.libraries() == [OTHER, LIBRARY]
    again = Gate(storage)
    assert (again.heads(), again.log.receipts(), again.log.last_position()) == ({}, [], 0)
    again.log.close()


def test_the_word_of_who_is_no_member_by_then_is_not_taken(storage: Storage) -> None:
    registry = storage.registry
    registry.vouch(LIBRARY, {A: b"A"}, {}, [], by=A)
    assert (registry.libraries(), registry.words(0)) == ([], [])
    registry.vouch(LIBRARY, {A: b"A"}, {}, [])
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [], by=A)
    assert {word.device for word in registry.words(0)} == {A, B}
    registry.vouch(LIBRARY, {A: b"A"}, {}, [B], by=A)
    registry.vouch(LIBRARY, {B: b"B", C: b"C"}, {A: b"A"}, [], by=B)
    found = {word.device: word.standing for word in registry.words(0)}
    assert found == {A: Standing.MEMBER, B: Standing.WITHDRAWN}
    # Who has not heard that a library was removed does not bring it back.
    assert registry.remove(LIBRARY)
    registry.vouch(LIBRARY, {A: b"A", B: b"B"}, {}, [], by=A)
    assert registry.libraries() == []
    assert [word.standing for word in registry.words(0)] == [None]


def test_one_invitation_counts_and_its_tries_run_out(open_storage: Opener) -> None:
    registry, other = open_storage().registry, open_storage().registry
    assert registry.invitation() is None
    registry.invite(Invitation("11111111", 5.0, 3))
    registry.invite(Invitation("22222222", 7.5, 2))
    assert other.invitation() == Invitation("22222222", 7.5, 2)
    assert not registry.guess("11111111")
    assert [registry.guess("22222222"), other.guess("22222222")] == [True, True]
    assert not other.guess("22222222")
    assert not registry.spend("11111111")
    assert registry.spend("22222222")
    assert not other.spend("22222222")
    assert registry.invitation() is None


# Logs


def test_signed_changes_are_kept_as_they_are(open_storage: Opener, seed: int) -> None:
    storage = open_storage()
    vouch(storage)
    gate = Gate(storage)
    changes = conversation(Random(seed), writers(), 40)
    entered = gate.take(*changes[:25]).entered + gate.take(*changes[25:]).entered
    assert [new.position for new in entered] == list(range(1, 41))
    assert gate.log.last_position() == 40
    heads = gate.heads()
    gate.log.close()
    again = Gate(open_storage())
    assert again.heads() == heads
    assert [(new.position, new.change) for new in again.log.history(0, 99)] == list(
        enumerate(changes, 1)
    )
    assert [new.position for new in again.log.history(10, 5)] == [11, 12, 13, 14, 15]
    assert all(again.log.lookup(c.replica, c.seq) == (c.hash, c.header.end) for c in changes)
    assert again.log.lookup(changes[0].replica, 1000) is None
    assert again.log.fresh() == Fresh()
    receipt = again.take(*changes)
    assert (receipt.duplicates, receipt.entered, receipt.refused) == (40, [], None)
    again.log.close()


def test_no_library_sees_another(storage: Storage) -> None:
    vouch(storage)
    vouch(storage, OTHER)
    here, there = Gate(storage), Gate(storage, OTHER)
    mine, theirs = writers()[0], writers(OTHER)[0]
    here.take(mine.write(), mine.write())
    there.take(theirs.write())
    assert (here.log.last_position(), there.log.last_position()) == (2, 1)
    assert [new.change for new in there.log.history(0, 9)] == [theirs.last]
    assert here.heads() == {mine.replica: 2}
    assert there.take(mine.write()).refused is None  # it waits for what comes before
    assert there.log.last_position() == 1
    here.log.close()
    there.log.close()


def test_reading_gives_what_the_store_of_a_device_gives(storage: Storage, seed: int) -> None:
    rng = Random(seed)
    vouch(storage)
    gate, model = Gate(storage), Store(":memory:")
    authors = writers()
    changes = conversation(rng, authors, 120)
    gate.take(*changes)
    with model.transaction():
        for change in changes:
            model.append(change)
    replicas = [author.replica for author in authors]
    for _ in range(60):
        chosen = rng.sample(replicas, rng.randint(0, 3))
        ranges = [Range(r, first, first + rng.choice((0, 3, 500))) for r in chosen
                  for first in [rng.randint(1, 60)]]  # fmt: skip
        limits = rng.choice((1, 7, 200)), rng.choice((1, 1000, 10**6))
        assert gate.log.read(ranges, *limits) == model.read(ranges, *limits), (ranges, limits)
    gate.log.close()
    model.close()


def forked(author: Author) -> tuple[Change, Change]:
    """Two changes with one replica and number."""
    twin = Author(author.keys)
    twin.last = author.last
    return author.write("one"), twin.write("other")


def test_what_contradicts_the_log_is_set_aside_and_known_as_such(open_storage: Opener) -> None:
    storage = open_storage()
    vouch(storage)
    gate = Gate(storage)
    author = writers()[0]
    gate.take(author.write())
    one, other = forked(author)
    assert gate.take(one, other).aside == (other,)
    assert gate.take(other).aside == (other,)
    gate.log.close()
    again = Gate(open_storage())
    assert again.log.aside() == {other.hash: author.keys.device}
    again.log.close()


def test_a_batch_enters_as_a_whole_or_not(storage: Storage) -> None:
    vouch(storage)
    gate = Gate(storage)
    author = writers()[0]
    first, second = author.write(), author.write()
    gate.take(first)

    def write_and_fail() -> None:
        with gate.log.transaction():
            assert gate.log.append(second) == 2
            assert gate.log.lookup(second.replica, 2) == (second.hash, second.header.end)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert gate.log.last_position() == 1
    assert gate.log.lookup(second.replica, 2) is None
    assert [new.position for new in gate.take(second).entered] == [2]
    gate.log.close()


def test_a_new_replica_that_was_rolled_back_begins_again(storage: Storage) -> None:
    vouch(storage)
    gate = Gate(storage)
    first = writers()[0].write()

    def write_and_fail() -> None:
        with gate.log.transaction():
            gate.log.append(first)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert gate.heads() == {}
    assert [new.position for new in gate.take(first).entered] == [1]
    gate.log.close()


def test_of_each_device_the_last_receipt_is_kept(storage: Storage) -> None:
    vouch(storage)
    log = storage.open(LIBRARY)
    log.save_receipt(B, b"b", 0)
    log.save_receipt(A, b"a", 1)
    with log.transaction():
        log.save_receipt(A, b"later", 2)
    assert log.receipts() == [(b"later", 2), (b"b", 0)]
    log.forget_receipt(B)
    assert log.receipts() == [(b"later", 2)]
    log.close()


def test_what_a_library_takes_grows_with_what_it_holds(storage: Storage) -> None:
    vouch(storage)
    gate = Gate(storage)
    author = writers()[0]
    before = gate.log.octets()
    gate.take(*(author.write("x" * 1000, packed=bytes(10_000)) for _ in range(20)))
    assert 200_000 <= gate.log.octets() - before < 400_000
    gate.log.close()


def test_nothing_acknowledged_is_lost_by_a_killed_process(place: str, seed: int) -> None:
    rng = Random(seed)
    storage = storage_at(place)
    vouch(storage)
    acknowledged = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", appending.__name__, place, LIBRARY],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process:
            for _ in range(rng.randint(1, 30)):
                acknowledged = int(process.stdout.readline())
            process.kill()
            said = process.stdout.read().splitlines()
        acknowledged = max([acknowledged, *map(int, said)])
        log = storage.open(LIBRARY)
        kept = log.history(0, 10**6)
        log.close()
        assert [new.position for new in kept] == list(range(1, len(kept) + 1))
        assert [new.change.seq for new in kept] == list(range(1, len(kept) + 1))
        assert len(kept) >= acknowledged
        assert len(kept) % 3 == 0  # each batch as a whole
        for before, after in pairwise(kept):
            assert after.change.header.prev == before.change.hash
    storage.close()


def test_a_copy_holds_everything(storage: Storage, tmp_path: Path) -> None:
    vouch(storage)
    gate = Gate(storage)
    author = writers()[0]
    gate.take(author.write(), author.write())
    storage.back_up(tmp_path / "copy")
    assert any(file.stat().st_size for file in (tmp_path / "copy").iterdir())
    with pytest.raises(StoreError):
        storage.back_up(tmp_path / "copy")
    gate.log.close()
