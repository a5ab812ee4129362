"""What holds where several processes use one PostgreSQL, and where that goes and comes back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
import psycopg

from liblim.change import Change
from liblim.errors import LimError, StoreBusy, StoreError, StoreReadOnly, StoreTooNew
from liblim.server.postgres import PostgresStorage, hints, log, pool, storage
from liblim.server.stores import Fresh
from tests.liblim.server.cluster import Cluster, binaries
from tests.liblim.server.serving import Slow, serving
from tests.liblim.server.signed import LIBRARY, Author, Gate, conversation, vouch, writers

WAIT = 20.0
"""Seconds for what should come in a moment."""


class Process:
    """A storage as a server process of its own has it: it shares nothing with another."""

    def __init__(self, address: str, patience: float = WAIT) -> None:
        self.storage = PostgresStorage(address, patience=patience)
        self.told: dict[str, threading.Event] = {}

    def listen(self) -> None:
        """Note hints."""
        self.storage.listen(lambda library: self.event(library).set())

    def event(self, library: str) -> threading.Event:
        """What is set by a hint."""
        return self.told.setdefault(library, threading.Event())


@pytest.fixture
def address(cluster: Cluster) -> str:
    """An empty database."""
    return cluster.new_database()


@pytest.fixture
def start(address: str) -> Iterator[Callable[[], Process]]:
    """Starts what stands for a server process on one database."""
    started: list[Process] = []

    def one() -> Process:
        started.append(Process(address))
        return started[-1]

    yield one
    for process in started:
        process.storage.close()


def admin(address: str, query: str) -> list[tuple[object, ...]]:
    """Ask the database beside limserver."""
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def end_connections(address: str) -> None:
    """Let PostgreSQL end all connections to a database but the one that asks."""
    admin(
        address,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


# Several processes


def test_processes_that_start_together_make_the_tables_once(address: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        storages = list(threads.map(PostgresStorage, [address] * 4))
    for one in storages:
        one.close()
    assert admin(address, "SELECT version FROM lim.migrations") == [(1,)]


def test_one_process_takes_over_what_another_wrote(start: Callable[[], Process]) -> None:
    here, there = start().storage, start().storage
    vouch(here)
    one, other = Gate(here), Gate(there)
    first, second, *_ = writers()
    changes = [first.write(), first.write()]
    one.take(*changes)
    assert other.log.last_position() == 0
    assert other.log.history(0, 9) == []
    # It depends on what this process has not seen.
    new = second.write("and", [changes[1]])
    receipt = other.take(new, changes[0])
    assert [entered.position for entered in receipt.entered] == [3]
    assert receipt.duplicates == 1
    assert [(c.position, c.change) for c in receipt.elsewhere.changes] == list(
        enumerate(changes, 1)
    )
    assert one.log.fresh().changes == [(3, new)]
    assert one.log.fresh() == other.log.fresh() == Fresh()
    assert one.heads() == other.heads()


def test_what_is_kept_beside_changes_is_fresh_elsewhere(start: Callable[[], Process]) -> None:
    here, there = start().storage, start().storage
    vouch(here)
    one, other = Gate(here), Gate(there)
    author = writers()[0]
    twin = Author(author.keys)
    change, rival = author.write("one"), twin.write("other")
    one.take(change, rival)
    one.log.save_receipt("a" * 32, b"kept", 1)
    fresh = other.log.fresh()
    assert [new.change for new in fresh.changes] == [change]
    assert fresh.aside == {rival.hash: author.keys.device}
    assert fresh.receipts == [b"kept"]
    assert other.log.fresh() == one.log.fresh() == Fresh()


def test_processes_that_write_at_once_give_each_change_one_place(
    start: Callable[[], Process], seed: int
) -> None:
    rng = Random(seed)
    vouch(start().storage)
    gates = [Gate(start().storage) for _ in range(3)]
    changes = conversation(rng, writers(), 150)
    # Each process gets all of it, in its own portions, as from a device that holds everything.
    ends = [sorted(rng.sample(range(1, 150), 25)) for _ in gates]
    entered: list[int] = []
    told: list[set[int]] = []

    def bring(gate: Gate, ends: list[int]) -> None:
        mine = {0}
        for first, last in zip([0, *ends], [*ends, 150], strict=True):
            receipt = gate.take(*changes[first:last])
            assert receipt.refused is None
            assert receipt.waiting == 0
            positions = [new.position for new in receipt.entered]
            entered.extend(positions)
            mine.update(positions, (new.position for new in receipt.elsewhere.changes))
        told.append(mine)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(bring, gates, ends))
    assert sorted(entered) == list(range(1, 151))
    # What a process admitted and what it was told of is all that it has seen, each once.
    for gate, mine in zip(gates, sorted(told, key=len), strict=True):
        assert mine == set(range(len(mine)))
        gate.log.fresh()
        assert gate.log.last_position() == 150
    orders = [[new.change for new in gate.log.history(0, 200)] for gate in gates]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(c.hash for c in orders[0]) == sorted(c.hash for c in changes)


def test_a_commit_is_hinted_to_the_other_processes_only(
    start: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "LOOK", 3600.0)
    here, there = start(), start()
    here.listen()
    there.listen()
    assert here.event("").wait(WAIT)  # it listens now
    assert there.event("").wait(WAIT)
    for process in (here, there):
        process.event("").clear()
    vouch(here.storage)
    assert there.event("").wait(WAIT)
    gate = Gate(here.storage)
    gate.take(writers()[0].write())
    assert there.event(LIBRARY).wait(WAIT)
    vouch(there.storage, "2c" * 16)
    assert here.event("").wait(WAIT)
    # Hints come in order: one of its own would have come before this one.
    assert not here.event(LIBRARY).is_set()


def test_a_lost_hint_is_made_up_for(
    start: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "LOOK", 0.05)
    monkeypatch.setattr(hints.Hints, "tell", lambda self, library: None)
    here, there = start(), start()
    vouch(here.storage)
    gate, other = Gate(here.storage), Gate(there.storage)
    there.listen()
    assert there.event(LIBRARY).wait(WAIT)
    there.event(LIBRARY).clear()
    gate.take(writers()[0].write())
    assert there.event(LIBRARY).wait(WAIT)
    assert len(other.log.fresh().changes) == 1


def test_a_library_that_another_process_removed_takes_nothing(start: Callable[[], Process]) -> None:
    here, there = start().storage, start().storage
    vouch(here)
    gate = Gate(here)
    assert there.registry.remove(LIBRARY)
    vouch(there)
    for ask in (lambda: gate.take(writers()[0].write()), gate.log.fresh):
        with pytest.raises(StoreError, match="removed"):
            ask()


def test_who_holds_a_library_for_too_long_is_not_waited_for(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pool._SETTINGS, "lock_timeout", "50ms")
    one = PostgresStorage(address)
    vouch(one)
    gate, other = Gate(one), Gate(one)
    change = writers()[0].write()
    with gate.log.transaction(), pytest.raises(StoreBusy):
        other.take(change)
    assert other.take(change).entered
    one.close()


def test_what_comes_while_a_log_is_opened_is_told_once(start: Callable[[], Process]) -> None:
    here, there = start().storage, start().storage
    vouch(here)
    gate, author = Gate(here), writers()[0]
    gate.take(author.write())
    other = there.open(LIBRARY)
    change = author.write()
    gate.take(change)
    # All that is asked of it is as of one moment, and fresh what comes after.
    assert [row.head.seq for row in other.replicas().values()] == [1]
    assert (other.last_position(), len(other.history(0, 9))) == (1, 1)
    assert other.fresh().changes == [(2, change)]
    assert [row.head.seq for row in other.replicas().values()] == [2]
    assert (other.last_position(), len(other.history(0, 9))) == (2, 2)
    assert other.octets() == gate.log.octets()


# PostgreSQL goes, and comes back


def test_what_is_written_while_a_library_is_opened_is_served(
    start: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint comes before there is anything that could look."""
    monkeypatch.setattr(hints, "LOOK", 3600.0)
    one, two = start(), start()
    vouch(two.storage)
    author, gate = writers()[0], Gate(two.storage)

    async def run() -> None:
        async with serving(one.storage) as server:
            shelf, hinted = server.server.shelf, asyncio.Event()
            slow = Slow(monkeypatch, one.storage, "open")
            opening = asyncio.ensure_future(shelf.open(LIBRARY))
            await asyncio.to_thread(slow.reached.wait)

            def refresh(library: str, introduced: Iterable[str] = ()) -> None:
                real(library, introduced)
                hinted.set()

            real = shelf._refresh
            monkeypatch.setattr(shelf, "_refresh", refresh)
            gate.take(author.write())
            await hinted.wait()
            slow.go.set()
            served = (await opening).served
            await server.chores()
            assert served.count == 1

    asyncio.run(run())
    gate.log.close()


@pytest.mark.parametrize("caught_up", [False, True])
def test_a_log_that_lost_changes_is_opened_anew(
    address: str, start: Callable[[], Process], *, caught_up: bool
) -> None:
    """As a dump has it that is put back under a running process, or a standby that was behind."""
    one = start()
    vouch(one.storage)
    author, other = writers()[:2]
    changes = [author.write() for _ in range(4)]

    async def run() -> None:
        async with serving(one.storage) as server:
            shelf = server.server.shelf
            served = (await shelf.open(LIBRARY)).served
            await served.receive(changes[:3])
            admin(address, "DELETE FROM lim.changes WHERE position > 1")
            admin(address, "UPDATE lim.libraries SET last = 1")
            with psycopg.connect(address) as connection:
                head = changes[0].hash, changes[0].header.end
                connection.execute("UPDATE lim.replicas SET seq = 1, hash = %s, ends = %s", head)
            if caught_up:
                with closing(Gate(one.storage).log) as log, log.transaction():
                    for _ in range(3):
                        log.append(other.write())
            with pytest.raises(StoreError, match="put back"):
                await served.receive(changes[3:])
            await server.chores()
            assert not shelf.circles
            served = (await shelf.open(LIBRARY)).served
            assert served.heads[author.replica].seq == 1
            assert len((await served.receive(changes)).entered) == 3

    asyncio.run(run())


def test_what_idled_while_postgresql_restarted_goes_on(
    cluster: Cluster, start: Callable[[], Process]
) -> None:
    here, there = start(), start()
    vouch(here.storage)
    gate, other = Gate(here.storage), Gate(there.storage)
    there.listen()
    assert there.event(LIBRARY).wait(WAIT)
    cluster.stop()
    cluster.start()
    there.event(LIBRARY).clear()
    assert here.storage.registry.libraries() == [LIBRARY]
    assert gate.take(writers()[0].write()).entered
    assert there.event(LIBRARY).wait(WAIT)
    assert len(other.log.fresh().changes) == 1


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_nothing_acknowledged_is_lost_when_postgresql_goes(
    mode: str, cluster: Cluster, start: Callable[[], Process]
) -> None:
    vouch(start().storage)
    gates = [Gate(start().storage) for _ in range(2)]
    over, some = threading.Event(), threading.Semaphore(0)

    def write(gate: Gate, author: Author) -> list[Change]:
        taken: list[Change] = []
        while not over.is_set():
            change = author.write()
            while True:
                try:
                    receipt = gate.take(change)
                except StoreError:
                    continue  # as a device does: it comes again
                break
            # Not entered where it was, and only the answer was lost.
            told = [new.change for new in receipt.elsewhere.changes]
            assert receipt.entered or change in told, receipt
            taken.append(change)
            some.release()
        return taken

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(write, *pair) for pair in zip(gates, writers(), strict=False)]
        try:
            for _ in range(2):
                for _ in range(20):
                    assert some.acquire(timeout=WAIT)
                cluster.stop(mode)
                cluster.start()
            while some.acquire(blocking=False):
                pass
            for _ in range(20):
                assert some.acquire(timeout=WAIT)
        finally:
            over.set()
        written = [change for future in running for change in future.result(timeout=WAIT)]
    again = Gate(start().storage)
    kept = again.log.history(0, 10**6)
    assert [new.position for new in kept] == list(range(1, len(written) + 1))
    assert {new.change.hash for new in kept} == {change.hash for change in written}


def test_what_was_appended_and_not_committed_is_not_there(
    address: str, start: Callable[[], Process]
) -> None:
    vouch(start().storage)
    gate = Gate(start().storage)
    author = writers()[0]
    gate.take(author.write())
    change = author.write()

    def append_and_be_cut_off() -> None:
        with gate.log.transaction():
            gate.log.append(change)
            end_connections(address)

    with pytest.raises(StoreError, match="does not answer"):
        append_and_be_cut_off()
    assert Gate(start().storage).heads() == {author.replica: 1}
    receipt = gate.take(change)
    assert [new.position for new in receipt.entered] == [2]
    assert receipt.elsewhere == Fresh()


def test_a_commit_whose_answer_was_lost_is_found(
    start: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    vouch(start().storage)
    gate = Gate(start().storage)
    change = writers()[0].write()

    def answer_lost(self: log.PostgresLog, batch: log._Batch) -> None:
        commit(self, batch)
        self._seen = batch.locked
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    commit = log.PostgresLog._commit
    with monkeypatch.context() as patch:
        patch.setattr(log.PostgresLog, "_commit", answer_lost)
        with pytest.raises(StoreError):
            gate.take(change)
    assert gate.log.last_position() == 0
    receipt = gate.take(change)
    assert (receipt.entered, receipt.duplicates) == ([], 1)
    assert receipt.elsewhere.changes == [(1, change)]


def test_an_absence_is_told_after_a_while(
    cluster: Cluster, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(address, patience=0.2)
    vouch(process.storage)
    gate = Gate(process.storage)
    change = writers()[0].write()
    cluster.stop()
    try:
        for ask in (lambda: gate.take(change), process.storage.registry.libraries):
            with pytest.raises(StoreError, match="does not answer"):
                ask()
    finally:
        cluster.start()
    assert gate.take(change).entered
    process.storage.close()


# What cannot be used


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("postgresql://lim:secret@[", "cannot be read"),
        ("postgresql:///lim?host=/nowhere&user=lim&password=secret", "does not answer"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(wrong: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        PostgresStorage(wrong)
    assert "secret" not in str(caught.value)


def test_a_newer_version_is_left_alone(address: str) -> None:
    PostgresStorage(address).close()
    admin(address, "INSERT INTO lim.migrations VALUES (99, now())")
    with pytest.raises(StoreTooNew):
        PostgresStorage(address)


def test_a_database_that_only_reads_is_told(address: str) -> None:
    one = PostgresStorage(address)
    vouch(one)
    one.close()
    name = psycopg.conninfo.conninfo_to_dict(address)["dbname"]
    admin(address, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    one = PostgresStorage(address)
    with pytest.raises(StoreReadOnly):
        Gate(one).take(writers()[0].write())
    one.close()


def test_a_copy_can_be_put_into_another_database(
    cluster: Cluster, address: str, tmp_path: Path
) -> None:
    one = PostgresStorage(address)
    vouch(one)
    changes = conversation(Random(1), writers(), 30)
    Gate(one).take(*changes)
    one.back_up(tmp_path / "copy")
    one.close()
    other = cluster.new_database()
    programs = binaries()
    assert programs is not None
    restore = programs / "pg_restore"
    file = tmp_path / "copy" / storage.BACKUP
    subprocess.run([restore, "--no-owner", f"--dbname={other}", file], check=True)
    copy = PostgresStorage(other)
    assert [new.change for new in Gate(copy).log.history(0, 99)] == changes
    assert copy.registry.libraries() == [LIBRARY]
    copy.close()


def test_without_pg_dump_the_package_is_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = PostgresStorage(address)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("pg_dump") is None
    with pytest.raises(LimError, match="postgresql-client"):
        one.back_up(tmp_path / "copy")
    one.close()
