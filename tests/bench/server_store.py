"""The storages of a server: what they take, and what a change costs in a large library.

    .venv/bin/python -m tests.bench.server_store [--changes N] [--large N] [--folder FOLDER] [ingest|growth]

Every commit waits for the disk, as in use, so the folder should be on one.  The changes are signed, and
checked on the way in.  ``ingest`` is of wall time and shares the processors with all else; of ``growth``
the ratio counts, for which the two libraries take turns.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from liblim.admission import Admission
from liblim.change import Change
from liblim.server.keyless import Vouched
from liblim.server.sqlite import SqliteStorage
from liblim.server.stores import Log, Standing, Storage, Word
from liblim.trust import Unsealed
from liblim.trust.identity import Identity
from tests.liblim.changes import DEVICE, make, replica
from tests.liblim.server.cluster import Cluster, binaries, short_folder
from tests.liblim.trust.sealed import Author, library_keys

SMALL = 1000
"""Changes of the library beside which the large one is measured."""
BULK = 2000
"""Changes of a transaction that fills a library."""
LETTERS = "0123456789abcdef"
"""The replicas of a library that grows: each change depends on one of another."""


class Case(NamedTuple):
    """One line of the table: of ``libraries`` each process takes its share, a thread for each."""

    libraries: int
    batch: int
    processes: int = 1
    shared: bool = False
    """All processes write to the same libraries, each as a replica of its own."""

    def __str__(self) -> str:
        """As a line begins."""
        where = ("in each" if self.shared else "in all") if self.processes > 1 else ""
        many = f"{self.processes} processes, {self.libraries:2} libraries {where}".rstrip()
        return f"{many}, batches of {self.batch:2}"


CASES = {
    "SQLite": [Case(1, 1), Case(1, 64), Case(8, 1), Case(8, 64), Case(32, 1)],
    "PostgreSQL": [
        *(Case(1, 1), Case(1, 64), Case(8, 1), Case(8, 64), Case(32, 1)),
        *(Case(8, 1, 2), Case(8, 64, 2), Case(32, 1, 2), Case(32, 8, 2)),
        *(Case(1, 1, 2, shared=True), Case(8, 1, 2, shared=True)),
    ],
}


def library(number: int) -> str:
    """The oid of a library."""
    return f"{number:032x}"


def open_storage(place: str) -> Storage:
    """The storage in a folder, or at the address of a database."""
    if "://" not in place:
        return SqliteStorage(Path(place))
    from liblim.server.postgres import PostgresStorage

    return PostgresStorage(place, size=32)


class Load(NamedTuple):
    """What one thread brings to one library."""

    admission: Admission
    changes: list[Change]

    def bring(self, batch: int) -> None:
        """Admit everything."""
        for first in range(0, len(self.changes), batch):
            receipt = self.admission.admit(self.changes[first : first + batch])
            assert receipt.refused is None
            assert receipt.entered


def prepare(storage: Storage, number: int, changes: int) -> Load:
    """A library that exists by now, or is made, and changes for it by a new device."""
    identity, oid = Identity.generate(), library(number)
    members = {identity.device: identity.certificate}
    storage.registry.vouch(identity.device, oid, members, {}, [], founding=True)
    devices = Vouched(oid)
    devices.take([Word(1, oid, identity.device, identity.certificate, Standing.MEMBER)])
    author = Author(library_keys(identity, library=oid))
    written = [author.write("and a few words more") for _ in range(changes)]
    return Load(Admission(storage.open(oid), devices), written)


def work(place: str, numbers: list[int], batch: int, changes: int, start: Barrier) -> None:
    """What a process does: take changes for some libraries at once."""
    storage = open_storage(place)
    loads = [prepare(storage, number, changes) for number in numbers]
    with ThreadPoolExecutor(len(loads)) as threads:
        start.wait()
        list(threads.map(lambda load: load.bring(batch), loads))
        start.wait()
    storage.close()


def rate(place: str, case: Case, changes: int) -> float:
    """Durable changes a second."""
    each = max(case.batch, changes // case.libraries)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(case.processes + 1)
    everything = list(range(1, case.libraries + 1))
    shares = [
        everything if case.shared else everything[n :: case.processes]
        for n in range(case.processes)
    ]
    running = [
        context.Process(target=work, args=(place, share, case.batch, each, start))
        for share in shares
    ]
    for process in running:
        process.start()
    start.wait()
    began = time.perf_counter()
    start.wait()
    took = time.perf_counter() - began
    for process in running:
        process.join()
        assert process.exitcode == 0
    return each * sum(len(share) for share in shares) / took


def conversation(length: int) -> Iterator[Change]:
    """Changes of many replicas in a causal order, unsigned; each depends on the one before."""
    heads: dict[str, Change] = {}
    last: Change | None = None
    for number in range(length):
        letter = LETTERS[number % len(LETTERS)]
        last = make(letter, heads.get(letter), [last] if last else [], body=os.urandom(100))
        heads[letter] = last
        yield last


class Grown:
    """A library with so many changes, and those that come next."""

    def __init__(self, storage: Storage, number: int, length: int, next_ones: int) -> None:
        authors = {DEVICE: b"certificate"}
        storage.registry.vouch(DEVICE, library(number), {}, authors, [], founding=True)
        self.log: Log = storage.open(library(number))
        changes = conversation(length + next_ones)
        left = length
        while left:
            with self.log.transaction():
                for _ in range(min(BULK, left)):
                    self.log.append(next(changes))
                    left -= 1
        self.log.close()
        self.log = storage.open(library(number))
        self._admission = Admission(self.log, Unsealed())
        self._changes = changes

    def take(self, batch: int) -> float:
        """Seconds for the next batch."""
        changes = [next(self._changes) for _ in range(batch)]
        began = time.perf_counter()
        assert len(self._admission.admit(changes).entered) == batch
        return time.perf_counter() - began


def growth(place: str, large: int) -> None:
    """Print what a change costs in a small library and in a large one."""
    storage = open_storage(place)
    rounds = {1: 300, 64: 60}
    spare = sum(batch * number for batch, number in rounds.items())
    small, grown = (Grown(storage, n, size, spare) for n, size in ((1, SMALL), (2, large)))
    assert replica(LETTERS[0]) in small.log.replicas()
    for batch, number in rounds.items():
        pairs = [(small.take(batch), grown.take(batch)) for _ in range(number)]
        before, after = (statistics.median(one) / batch * 1e6 for one in zip(*pairs, strict=True))
        print(
            f"  batches of {batch:2}: {before:7.0f} us with {SMALL:,}, {after:7.0f} us with {large:,}"
            f" changes: {after / before:.2f} times"
        )
    storage.close()


def disk(folder: Path) -> float:
    """Microseconds to make a page durable, in a file that does not grow."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(2**20))
        os.fsync(file.fileno())
        began = time.perf_counter()
        for page in range(200):
            os.pwrite(file.fileno(), os.urandom(4096), page * 4096)
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / 200 * 1e6


@contextmanager
def places(kind: str, folder: Path) -> Iterator[Iterator[str]]:
    """New places for a storage, one after the other."""
    if kind == "SQLite":
        yield (tempfile.mkdtemp(prefix="sqlite-", dir=folder) for _ in iter(int, 1))
        return
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    place = short_folder(folder)
    cluster = Cluster(place, programs, safe=True)
    try:
        yield (cluster.new_database() for _ in iter(int, 1))
    finally:
        cluster.stop()
        shutil.rmtree(place)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["ingest", "growth"])
    parser.add_argument("--changes", type=int, default=4000, help="changes of a measurement")
    parser.add_argument("--large", type=int, default=100_000, help="changes of a large library")
    parser.add_argument("--folder", type=Path, help="where to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lim-bench-", dir=given.folder) as folder:
        Path(folder).chmod(0o755)
        for kind, cases in CASES.items():
            print(kind)
            with places(kind, Path(folder)) as new:
                for case in cases if "ingest" in given.what else ():
                    before, found = disk(Path(folder)), rate(next(new), case, given.changes)
                    print(f"  {case}: {found:7,.0f} a second; a page durable in {before:.0f} us")
                if "growth" in given.what:
                    growth(next(new), given.large)


if __name__ == "__main__":
    main()
