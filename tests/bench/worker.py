"""One contestant in a process of its own: ``python -m tests.bench.worker NAME`` measures what it is told to.

Each line of standard input is a JSON list, a name of ``TASKS`` and its arguments; the answer is one line,
the figure that the task found.  So contestants take turns without sharing a heap or a garbage collector.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import get_clock_info, perf_counter, process_time
from typing import Any

from tests.bench.contestants import CONTESTANTS, Contestant, Patch

LOADS = 7
"""So many times a state is loaded in a round; the least is its figure."""
INSERTS = 2000
"""So many inserts at random places are timed in a round."""

clock = process_time if get_clock_info("process_time").resolution < 1e-6 else perf_counter
"""The processor's time, where it is told finely enough: other programs count less then."""


def read(folder: str, name: str) -> Any:
    """A trace."""
    return json.loads(gzip.decompress(Path(folder, f"{name}.json.gz").read_bytes()))


class Worker:
    """A contestant, and what it keeps from task to task."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self._patches: list[Patch] = []
        self._messages: list[bytes] = []
        self._wanted = ""
        self._state = b""

    def version(self) -> str:
        """Which one it is."""
        return self.contestant.version

    def typing(self, folder: str) -> float:
        """Microseconds for each keystroke of automerge-paper."""
        if not self._patches:
            trace = read(folder, "automerge-paper")
            self._patches = [(p[0], p[1], p[2]) for txn in trace["txns"] for p in txn["patches"]]
            self._wanted = trace["endContent"]
        doc = self.contestant.new(0)
        took = timed(lambda: self.contestant.type(doc, self._patches))
        assert self.contestant.text(doc) == self._wanted
        self._state = self.contestant.save(doc)
        return took / len(self._patches) * 1e6

    def size(self) -> float:
        """Bytes of its state after :meth:`typing`."""
        return len(self._state)

    def load(self) -> float:
        """Milliseconds until that state is ready to edit."""
        return min(timed(lambda: self.contestant.load(self._state)) for _ in range(LOADS)) * 1000

    def glance(self) -> float | None:
        """Milliseconds to read the text of that state; None where that takes loading it."""
        glance = self.contestant.glance
        if glance is None:
            return None
        assert glance(self._state) == self._wanted
        return min(timed(lambda: glance(self._state)) for _ in range(LOADS)) * 1000

    def remote(self, folder: str, watched: bool) -> float:
        """Microseconds for each transaction of friendsforever at a third replica."""
        trace = read(folder, "friendsforever_concurrent")
        if not self._messages:
            self._messages = messages(self.contestant, trace["txns"])
        doc, apply = self.contestant.new(2), self.contestant.apply
        watch = self.contestant.watch(doc) if watched else None
        took = timed(lambda: [apply(doc, message) for message in self._messages])
        assert self.contestant.text(doc) == trace["endContent"]
        del watch
        return took / len(self._messages) * 1e6

    def insert(self, inserts: int, seed: int) -> float:
        """Microseconds for an insert at a random place, after ``inserts`` of 20 characters each."""
        rng, doc = Random(seed), self.contestant.new(0)
        length = 20 * inserts
        build = [(rng.randrange(20 * k + 1), 0, "twenty characters...") for k in range(inserts)]
        self.contestant.type(doc, build)
        typed = [(rng.randrange(length), 0, "x") for _ in range(INSERTS)]
        return timed(lambda: self.contestant.type(doc, typed)) / INSERTS * 1e6

    def store(self, inserts: int, path: str) -> None:
        """Write a state of so many inserts, about two spans each, into a file."""
        rng, doc = Random(1), self.contestant.new(0)
        build = [(rng.randrange(20 * k + 1), 0, "twenty characters...") for k in range(inserts)]
        self.contestant.type(doc, build)
        Path(path).write_bytes(self.contestant.save(doc))

    def memory(self, path: str) -> float:
        """Megabytes that the state of a file takes, loaded; only the first time in a process tells."""
        self.contestant.load(self.contestant.save(self.contestant.new(0)))
        blob = Path(path).read_bytes()
        gc.collect()
        before = resident()
        doc = self.contestant.load(blob)
        gc.collect()
        return (resident() - before) / 1e6 if doc is not None else 0


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes; the collector of garbage is at work, but passes over what was there before."""
    gc.collect()
    gc.freeze()
    began = clock()
    kept = work()
    took = clock() - began
    gc.unfreeze()
    del kept
    return took


def messages(contestant: Contestant, txns: list[dict[str, Any]]) -> list[bytes]:
    """What each transaction of a concurrent trace sends."""
    docs = [contestant.new(0), contestant.new(1)]
    takes = [contestant.tracked(doc) for doc in docs]
    sent: list[list[bytes]] = [[], []]
    at = [[0, 0], [0, 0]]
    seen: list[list[int]] = []  # for each transaction, how many of either author are in its past
    found: list[bytes] = []
    for txn in txns:
        me = txn["agent"]
        past = [max((seen[parent][k] for parent in txn["parents"]), default=0) for k in (0, 1)]
        arrived = sent[1 - me][at[me][1 - me] : past[1 - me]]
        for message in arrived:
            contestant.apply(docs[me], message)
        if arrived:
            takes[me]()  # what only came in is not to be sent
        contestant.edit(docs[me], txn["patches"])
        found.append(takes[me]())
        sent[me].append(found[-1])
        past[me] += 1
        at[me] = past
        seen.append(past)
    return found


def resident() -> int:
    """Bytes of memory that this process has in use.  Raises OSError where no /proc tells."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Answer until standard input ends."""
    worker = Worker(CONTESTANTS[sys.argv[1]]())
    for line in sys.stdin:
        task, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, task)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
