"""The core beside Loro and pycrdt: ``bootstrap.py bench`` prints one table.

Every contestant has a process of its own, and they take turns, round after round.  Times are those of the
processor, where the system tells them finely.  Figures depend on the machine and on what else it does, so
none of this is a test; the ratios bear that better than the times.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import size

ROOT = Path(__file__).resolve().parent.parent.parent
LARGE, SMALL = 50_000, 500
"""Inserts of 20 characters, each of which makes about two spans."""


LARGE_ONES = ("lim", "lim-C", "loro")
"""Who is measured with such a document: pycrdt takes minutes to make it."""


class Row(NamedTuple):
    """One line of the table: ``task`` and its arguments as a worker knows them.

    ``asked`` says what the ratio is to be, plain / compiled, and beside whom; ``only`` who is measured.
    """

    name: str
    unit: str
    task: str
    arguments: tuple[Any, ...] = ()
    asked: str = ""
    only: tuple[str, ...] = ()


def rows(traces: Path) -> list[Row]:
    """All lines that can be measured; those of a trace that is not there are left out, saying so."""
    found = []
    if (traces / "automerge-paper.json.gz").exists():
        found += [
            Row(
                "automerge-paper, a keystroke",
                "us",
                "typing",
                (str(traces),),
                "loro 1.3 / 0.8; pycrdt 1/15, 1/25",
            ),
            Row("  its state", "B", "size", (), "loro 0.4"),
            Row("  load it, ready to edit", "ms", "load", (), "pycrdt 2.5 / 1.2"),
            Row("  load its text alone", "ms", "glance", (), "pycrdt's load 0.2"),
        ]
    else:
        print("automerge-paper: skipped, the trace is not there")
    if (traces / "friendsforever_concurrent.json.gz").exists():
        asked = "pycrdt 0.6 / 0.3; loro 1/10, 1/20"
        found += [
            Row("friendsforever, a transaction", "us", "remote", (str(traces), False), asked),
            Row("  and told what to show", "us", "remote", (str(traces), True)),
        ]
    else:
        print("friendsforever_concurrent: skipped, the trace is not there")
    return [
        *found,
        Row("insert at random, 10,000 characters", "us", "insert", (SMALL, 5), "", LARGE_ONES),
        Row("  1,000,000, 100,000 spans", "us", "insert", (LARGE, 5), "3 x the above", LARGE_ONES),
    ]


class Runner:
    """A worker in its process.  ``folder``, where given, holds the modules that it is to import."""

    def __init__(self, name: str, contestant: str, folder: str | None = None) -> None:
        self.name = name
        path = os.pathsep.join([folder, str(ROOT)] if folder else [str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.bench.worker", contestant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def ask(self, task: str, *arguments: Any) -> Any:
        """Let it do a task; return the figure.  Raises RuntimeError where the worker died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process of {self.name} ended in the middle of {task}.")
        return json.loads(answer)

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Kind(NamedTuple):
    """Which contestant a column is of, and where its modules are."""

    contestant: str
    folder: str | None = None


@contextlib.contextmanager
def running(kinds: dict[str, Kind]) -> Iterator[dict[str, Runner]]:
    """A worker for each column."""
    runners = {name: Runner(name, *kind) for name, kind in kinds.items()}
    try:
        yield runners
    finally:
        for runner in runners.values():
            runner.close()


Figures = dict[str, list[float]]


def measure(row: Row, runners: dict[str, Runner], rounds: int) -> Figures:
    """The figures of each column, which take turns."""
    figures: Figures = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            if row.only and name not in row.only:
                continue
            figure = runner.ask(row.task, *row.arguments)
            if figure is not None:
                figures[name].append(figure)
    return figures


def memory(kinds: dict[str, Kind], rounds: int) -> Figures:
    """Megabytes of the large document, loaded in a fresh process each time."""
    figures: Figures = {name: [] for name in kinds if name in LARGE_ONES}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(rounds):
            for name in figures:
                kind = kinds[name]
                path = str(Path(folder, name))
                with running({name: kind}) as runners:
                    if not round_:
                        runners[name].ask("store", LARGE, path)
                with running({name: kind}) as runners:
                    figures[name].append(runners[name].ask("memory", path))
    return figures


# The table


def show(row: Row, figures: Figures) -> None:
    """Print a line: medians, ours over theirs, the spread of ours, and what is asked."""
    medians = {name: statistics.median(values) for name, values in figures.items() if values}
    cells = [f"{medians[name]:10.2f}" if name in medians else " " * 10 for name in figures]
    for own, rival in pairs(figures):
        known = own in medians and rival in medians
        cells.append(f"{medians[own] / medians[rival]:14.3f}" if known else " " * 14)
    ours = [figures[name] for name in figures if name.startswith("lim") and figures[name]]
    spread = ", ".join([f"{min(values):.2f}-{max(values):.2f}" for values in ours])
    print(f"{row.name:38}{row.unit:>3}{''.join(cells)}  {spread:26} {row.asked}", flush=True)


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each of ours with each of theirs."""
    ours = [name for name in names if name.startswith("lim")]
    return [(own, rival) for rival in names if rival not in ours for own in ours]


def head(versions: dict[str, str]) -> None:
    """Print what the columns are."""
    print(", ".join([f"{name}: {version}" for name, version in versions.items()]))
    cells = [f"{name:>10}" for name in versions]
    cells += [f"{f'{own}/{rival}':>14}" for own, rival in pairs(versions)]
    print(
        f"{'medians':41}{''.join(cells)}  {'least to most of ours':26} ratio asked, plain / compiled"
    )


def machine() -> str:
    """On what this was measured."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{name}, {os.cpu_count()} cores, load {load} before; {platform.system()}; "
        f"Python {platform.python_version()}"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="The core beside Loro and pycrdt.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--compiled", metavar="FOLDER", help="where the compiled modules are")
    options = parser.parse_args()
    traces = Path(os.environ.get("LIMNOTES_TRACES", ROOT.parent / "shared" / "traces"))
    kinds = {"lim": Kind("lim"), "loro": Kind("loro"), "pycrdt": Kind("pycrdt")}
    if options.compiled:
        kinds = {"lim": Kind("lim"), "lim-C": Kind("lim", options.compiled)} | kinds
    print(machine())
    chosen = rows(traces)
    with running(kinds) as runners:
        head({name: runner.ask("version") for name, runner in runners.items()})
        for row in chosen:
            show(row, measure(row, runners, options.rounds))
    if Path("/proc/self/statm").exists():
        row = Row("memory of 100,000 spans, loaded", "MB", "memory", (), "under 25")
        show(row, {name: [] for name in kinds} | memory(kinds, min(options.rounds, 3)))
    else:
        print("memory: skipped, it is read from /proc, which is not there")
    if (trace := traces / "automerge-paper.json.gz").exists():
        size.show(trace)
    else:
        print("database: skipped, the trace is not there")


if __name__ == "__main__":
    main()
