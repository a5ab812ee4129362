"""``limserver`` under load, over TLS on loopback: ``bootstrap.py bench server`` prints one table.

The server and the load are processes of their own; both share this machine's processors with whatever else
runs on it, so none of this is a test.  Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench import server_filling as filling
from tests.bench.server_first import first_sync
from tests.bench.server_process import Load, Place, Running, postgres, sqlite
from tests.bench.sync import Figure, show
from tests.liblim.server.floods import FLOODS

IDLE_LIBRARY = 20
"""Devices of each library that are connected and idle."""
MANY = ["--library-connections", "1000"]
WARM = 20
"""Changes that come before those that count."""
CRASHING = 20
"""Libraries that are written to when the server is killed."""
FELLOWS = 20
"""Devices that receive while somebody floods the server."""
RATE = 10
"""Changes a second while others receive them."""


class Bench:
    """One round on one kind of storage; ``processes`` serve it."""

    def __init__(
        self, place: Callable[[], Place], processes: int, found: dict[str, list[float]]
    ) -> None:
        self._place, self._processes, self._found = place, processes, found

    def note(self, name: str, value: float) -> None:
        """Keep a figure."""
        print(f"   {name}: {value:.3f}", file=sys.stderr, flush=True)
        self._found.setdefault(name, []).append(value)

    @contextlib.contextmanager
    def _server(
        self, devices: dict[int, int], loads: int = 1
    ) -> Iterator[tuple[Running, list[Load]]]:
        """Servers over a fresh storage with libraries of so many devices, and processes for the load.

        Each process of the load uses another process of the server, if there are several.
        """
        with contextlib.ExitStack() as stack:
            place = self._place()
            stack.callback(place.drop)
            filling.vouch_all(place, devices)
            running = stack.enter_context(Running(place, self._processes, *MANY))
            found = [stack.enter_context(Load(running, n)) for n in range(loads)]
            yield running, found

    def idle(self, count: int) -> None:
        """Devices that are connected, and say nothing."""
        libraries = range(-(-count // IDLE_LIBRARY))
        with self._server(dict.fromkeys(libraries, IDLE_LIBRARY), 2) as (running, loads):
            before, began = running.memory(), time.perf_counter()
            for library in libraries:
                loads[library % 2].post("receivers", library, 0, IDLE_LIBRARY)
            for _ in libraries:
                pass
            held = [load.answers() for load in loads]
            took = time.perf_counter() - began
            running.settle()
            self.note("idle", sum(answers[-1] for answers in held))
            self.note("idle memory", (running.memory() - before) / count / 1e3)
            self.note("connecting", count / took)
            self.note("idle load", running.busy(10.0) * 100)

    def fan_out(self, numbers: Sequence[int], changes: int) -> None:
        """One writes, others of its library receive."""
        for receivers in numbers:
            self._fan_out(receivers, changes)

    def _fan_out(self, receivers: int, changes: int) -> None:
        with self._server({0: receivers + 1}, 3) as (running, (writer, *loads)):
            halves = [receivers // 2, receivers - receivers // 2]
            for load, first, count in zip(loads, (1, 1 + halves[0]), halves, strict=True):
                load.post("receivers", 0, first, count)
            for load in loads:
                load.answers()
            writer.ask("writers", [[0, 0]])
            writer.ask("paced", WARM, 1 / RATE)
            for load, count in zip(loads, halves, strict=True):
                load.ask("delays", WARM * count)
            began = running.used()
            writer.ask("paced", changes, 1 / RATE)
            delays = sorted(
                delay
                for load, count in zip(loads, halves, strict=True)
                for delay in load.ask("delays", changes * count)
            )
            work = (running.used() - began) / len(delays)
            self.note(f"fan-out {receivers} p50", percentile(delays, 0.5) * 1e3)
            self.note(f"fan-out {receivers} p99", percentile(delays, 0.99) * 1e3)
            self.note(f"fan-out {receivers} work", work * 1e3)

    def floods(self, kinds: Sequence[str], changes: int) -> None:
        """Fan-out in one library, while a device of another floods the server in each of these ways."""
        for kind in ("none", *kinds):
            with self._server({0: FELLOWS + 1, 1: 3}, 3) as (running, (writer, load, flooder)):
                load.ask("receivers", 0, 1, FELLOWS)
                writer.ask("writers", [[0, 0]])
                if kind != "none":
                    flooder.ask("annoy", kind, 1)
                writer.ask("paced", WARM, 1 / RATE)
                load.ask("delays", WARM * FELLOWS)
                began, before = running.used(), time.perf_counter()
                writer.ask("paced", changes, 1 / RATE)
                delays = sorted(load.ask("delays", changes * FELLOWS))
                busy = (running.used() - began) / (time.perf_counter() - before)
                self.note(f"flood {kind} p50", percentile(delays, 0.5) * 1e3)
                self.note(f"flood {kind} p99", percentile(delays, 0.99) * 1e3)
                self.note(f"flood {kind} busy", busy * 100)
                self.note(f"flood {kind} memory", running.memory() / 1e6)
                if kind != "none":
                    self.note(f"flood {kind} pieces", flooder.ask("relent"))

    def ingest(self, libraries: int, seconds: float) -> None:
        """Each library has one device that writes as fast as the server takes it."""
        for ahead, name in ((1, "ingest one"), (16, "ingest many")):
            with self._server(dict.fromkeys(range(libraries), 1), 2) as (running, loads):
                for number, load in enumerate(loads):
                    load.ask("writers", [[n, 0] for n in range(number, libraries, len(loads))])
                began = running.used()
                for load in loads:
                    load.post("flood", seconds, ahead)
                answers = [load.answers()[-1] for load in loads]
                work = (running.used() - began) / sum(changes for changes, _, _ in answers)
                self.note(name, sum(changes / took for changes, took, _ in answers))
                self.note(f"{name} work", work * 1e3)
                if ahead == 1:
                    waits = sorted(wait for _, _, found in answers for wait in found)
                    self.note("ingest wait", percentile(waits, 0.5) * 1e3)

    def crashes(self, times: int, seed: int) -> None:
        """``kill -9`` while many libraries are written to; then all that was acknowledged has to be there."""
        rng, lost = random.Random(seed), 0
        told: dict[str, list[object]] = {}
        place = self._place()
        with contextlib.ExitStack() as stack:
            stack.callback(place.drop)
            filling.vouch_all(place, dict.fromkeys(range(CRASHING), 1))
            loads = [stack.enter_context(Load()) for _ in range(2)]
            for number in range(times):
                running = stack.enter_context(Running(place, self._processes))
                for half, load in enumerate(loads):
                    load.ask("at", running.address(half), running.certificate.hex())
                    places = [[n, 0] for n in range(half, CRASHING, 2)]
                    load.ask("writers", places, f"run {number}")
                    load.ask("begin", 8)
                time.sleep(rng.uniform(0.05, 0.6))
                running.kill()
                for load in loads:
                    told |= load.ask("broken")
                lost += filling.missing(place, told)
        self.note("killed", times)
        self.note("acknowledged", sum(int(str(seq)) for _, seq, _ in told.values()))
        self.note("lost", lost)

    def first_sync(self, notes: int) -> None:
        """A device that gets many notes."""
        place = self._place()
        try:
            with tempfile.TemporaryDirectory(prefix="limserver-bench-") as folder:
                found = first_sync(place, self._processes, Path(folder), notes)
        finally:
            place.drop()
        for served, directly in found:
            self.note("first sync", served)
            self.note("first sync directly", directly)
            self.note("first sync ratio", served / directly)

    def growth(self, sizes: Sequence[int]) -> None:
        """The cost of one change in libraries of several sizes."""
        devices = dict.fromkeys(range(len(sizes)), 2)
        place = self._place()
        try:
            filling.vouch_all(place, devices)
            heads = [filling.fill(place, n, size) for n, size in enumerate(sizes)]
            with (
                Running(place, 1) as running,
                Load(running, 0) as load,
            ):
                load.ask("writers", [[n, 1] for n in range(len(sizes))], "", heads)
                costs: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
                for turn in range(6):
                    for number, size in enumerate(sizes):
                        began = running.used()
                        changes, _, waits = load.ask("flood", 1.5, 1, number)
                        cost = (running.used() - began) / changes * 1e3
                        if turn:
                            costs[size].append((percentile(sorted(waits), 0.5) * 1e3, cost))
            for size, found in costs.items():
                self.note(f"cost {size}", percentile(sorted(wait for wait, _ in found), 0.5))
                self.note(f"work {size}", percentile(sorted(cost for _, cost in found), 0.5))
        finally:
            place.drop()


def percentile(ordered: Sequence[float], part: float) -> float:
    """What so large a part of the values is at most."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def figures(found: dict[str, list[float]], chosen: argparse.Namespace) -> list[Figure]:
    """The lines of the table."""
    fast = chosen.storage == "sqlite"
    asked = {100: 40 if fast else 80, 500: 120 if fast else 200}
    rows = [
        Figure("devices connected and idle", "", found.get("idle", []), "2,000"),
        Figure("  memory for each", "kB", found.get("idle memory", []), "< 100" if fast else ""),
        Figure("  connections made a second", "", found.get("connecting", [])),
        Figure("  processor meanwhile", "%", found.get("idle load", [])),
    ]
    for receivers in chosen.receivers:
        name = f"fan-out {receivers}"
        most = f"< {asked[receivers]}" if receivers in asked else ""
        rows += [
            Figure(f"fan-out to {receivers}, median", "ms", found.get(f"{name} p50", [])),
            Figure("  p99", "ms", found.get(f"{name} p99", []), most),
            Figure("  the server's processor for each", "ms", found.get(f"{name} work", [])),
        ]
    for kind in ("none", *chosen.floods):
        name = f"flood {kind}"
        rows += [
            Figure(
                f"fan-out to {FELLOWS}, flood: {kind}, median", "ms", found.get(f"{name} p50", [])
            ),
            Figure("  p99", "ms", found.get(f"{name} p99", [])),
            Figure("  the server's processor meanwhile", "%", found.get(f"{name} busy", [])),
            Figure("  the server's memory", "MB", found.get(f"{name} memory", [])),
        ]
    rows += [
        Figure(
            "ingest, one change at a time in each library",
            "/s",
            found.get("ingest one", []),
            "> 2,000",
        ),
        Figure("  the server's processor for each", "ms", found.get("ingest one work", [])),
        Figure("  median wait", "ms", found.get("ingest wait", [])),
        Figure(
            "ingest, 16 changes under way in each", "/s", found.get("ingest many", []), "> 2,000"
        ),
        Figure("  the server's processor for each", "ms", found.get("ingest many work", [])),
        Figure(f"first sync of {chosen.notes:,} notes", "s", found.get("first sync", [])),
        Figure("  device to device", "s", found.get("first sync directly", [])),
        Figure(
            "    times that", "", found.get("first sync ratio", []), "< 1.2" if fast else "< 1.5"
        ),
        Figure("kill -9 under load", "", found.get("killed", []), "50"),
        Figure("  changes acknowledged", "", found.get("acknowledged", [])),
        Figure("  of those lost", "", found.get("lost", []), "0"),
    ]
    smallest = min(chosen.sizes, default=0)
    for size in chosen.sizes:
        for kind, name in (
            ("cost", "one change in a library of"),
            ("work", "  the server's processor in that of"),
        ):
            values = found.get(f"{kind} {size}", [])
            rows.append(Figure(f"{name} {size:,}", "ms", values))
            if size != smallest:
                base = found.get(f"{kind} {smallest}", [])
                ratios = [value / least for value, least in zip(values, base, strict=True)]
                rows.append(Figure("    times that of the smallest", "", ratios, "< 1.5"))
    return [row for row in rows if row.values]


PARTS = ("idle", "fan-out", "floods", "ingest", "first", "crashes", "growth")


def measure(bench: Bench, chosen: argparse.Namespace) -> None:
    """One round."""
    parts: dict[str, Callable[[], None]] = {
        "idle": lambda: bench.idle(chosen.devices),
        "fan-out": lambda: bench.fan_out(chosen.receivers, chosen.changes),
        "floods": lambda: bench.floods(chosen.floods, chosen.changes),
        "ingest": lambda: bench.ingest(chosen.libraries, chosen.seconds),
        "first": lambda: bench.first_sync(chosen.notes),
        "crashes": lambda: bench.crashes(chosen.crashes, chosen.seed),
        "growth": lambda: bench.growth(chosen.sizes),
    }
    for name in chosen.parts:
        print(f"-- {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        parts[name]()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(prog="bench server", description=__doc__)
    parser.add_argument("--storage", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured")
    parser.add_argument("--devices", type=int, default=2000, help="that are connected and idle")
    parser.add_argument("--receivers", type=int, nargs="*", default=[100, 500])
    parser.add_argument("--changes", type=int, default=200, help="that each of them receives")
    parser.add_argument("--floods", nargs="*", choices=FLOODS, default=list(FLOODS))
    parser.add_argument("--libraries", type=int, default=50, help="that are written to at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="for which they are")
    parser.add_argument("--notes", type=int, default=10_000, help="of a first sync")
    parser.add_argument("--crashes", type=int, default=50)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    chosen = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is taken away
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the load inherits it
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}")
    print(f"load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}\n", flush=True)
    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        if chosen.storage == "sqlite":
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="limserver-bench-"))
            )
            bench = Bench(lambda: sqlite(folder), 1, found)
        else:
            bench = Bench(stack.enter_context(postgres()), 2, found)
        for _ in range(chosen.rounds):
            measure(bench, chosen)
    print(chosen.storage)
    show(figures(found, chosen))


if __name__ == "__main__":
    main()
