"""The sync of the app, between processes over TLS on loopback: ``bootstrap.py bench sync`` prints one table.

Everything is what people get: keys, sealing, durable commits, the list of notes.  Both devices share this
machine's processors, and so does whatever else runs on it; so none of this is a test.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = "127.0.0.1:4300"
"""Where devices listen: there, or at the next free port."""
SIZE = 1000
"""Characters of a note."""
KEYS = 60
STREAMED = 10_000


class Figure(NamedTuple):
    """One line of the table: what was found in each round, and what is to be reached."""

    name: str
    unit: str
    values: Sequence[float]
    asked: str = ""


class Device:
    """A device in a process of its own; see ``sync_device``."""

    def __init__(self, folder: Path, listen: str = HERE, *, window: bool = False) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "tests.bench.sync_device",
                *(["window"] if window else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        self.opened: float = self.ask("open", str(folder), listen)

    def ask(self, task: str, *arguments: Any) -> Any:
        """Have something done; returns the answer.  Raises RuntimeError where the process died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a device died at {task}: {self._process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """Close the data folder, and end the process."""
        self.ask("close")
        self.end()

    def kill(self) -> None:
        """End the process as a crash would."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """Wait for the end of the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait(60)


def surroundings() -> dict[str, str]:
    """Without a screen and without a keyring: what is measured must not ask anybody."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "QT_QPA_PLATFORM": "offscreen",
        "QT_LOGGING_RULES": "*.warning=false",
    }


@contextmanager
def device(folder: Path, listen: str = HERE, *, window: bool = False) -> Iterator[Device]:
    """A device until the end of the block."""
    found = Device(folder, listen, window=window)
    try:
        yield found
        found.close()
    except BaseException:
        found.kill()
        raise


def meet(desk: Device, lap: Device) -> None:
    """Put both on the network, and go as far as the question whether to accept."""
    desk.ask("online")
    lap.ask("online")
    lap.ask("enter_code", *desk.ask("show_code"))
    desk.ask("confirming")


class Bench:
    """One round for a library of ``notes`` notes, in a folder of its own."""

    def __init__(self, folder: Path, notes: int, found: dict[str, list[float]]) -> None:
        self._desk = folder / "desk"
        self._lap = folder / "lap"
        self._notes = notes
        self._found = found

    def note(self, name: str, value: float) -> None:
        """Keep a figure."""
        self._found.setdefault(name, []).append(value)

    def run(self) -> None:
        """Measure all."""
        with device(self._desk, "") as desk:
            desk.ask("fill", self._notes, SIZE, 1)
        self.note("database", (self._desk / "notes.db").stat().st_size / 1e6)
        self._starts()
        self._types_meanwhile()
        shutil.rmtree(self._lap)
        with device(self._desk) as desk:
            self._first_sync(desk)
            self._meets_again(desk)
            self._edits_offline(desk)
            self._one_note(desk)

    def _starts(self) -> None:
        """From the start of the process to a window that takes keys."""
        command = [sys.executable, "-P", "-m", "tests.bench.sync_window", str(self._desk)]
        shown = subprocess.run(command, check=True, capture_output=True, env=surroundings())
        self.note("start", float(shown.stdout.split()[0]))

    def _types_meanwhile(self) -> None:
        """The first sync to a device on which somebody types."""
        with device(self._desk) as desk, device(self._lap, window=True) as lap:
            meet(desk, lap)
            changes = desk.ask("facts")["changes"]
            desk.ask("accept")
            lap.ask("accept")
            lap.ask("connected")
            lap.ask("start_typing")
            lap.ask("has", self._notes, changes)
            typed = lap.ask("stop_typing")
            for name in ("p50", "p99", "longest", "stall"):
                self.note(f"typing {name}", typed[name])

    def _first_sync(self, desk: Device) -> None:
        """The first sync to an empty device, cut off in the middle by a crash the second time."""
        with device(self._lap) as lap:
            meet(desk, lap)
            changes = desk.ask("facts")["changes"]
            desk.ask("accept")
            began = lap.ask("accept")
            self.note("first sync", lap.ask("has", self._notes, changes) - began)
            lap.ask("identical")
            facts = lap.ask("facts")
            self.note("memory", facts["peak"] / 1e6)
            self.note("wire", facts["in"] / 1e6)

    def _meets_again(self, desk: Device) -> None:
        """Nothing is new on either side."""
        with device(self._lap) as lap:
            before = lap.ask("facts")
            began = lap.ask("online")
            self.note("nothing new", lap.ask("identical") - began)
            after = lap.ask("facts")
            self.note(
                "nothing new, bytes", sum(after[way] - before[way] for way in ("in", "out")) / 1e3
            )

    def _edits_offline(self, desk: Device) -> None:
        """Ten notes were edited while the devices were apart."""
        with device(self._lap, "") as lap:
            lap.ask("edit", 10, 5)
        with device(self._lap) as lap:
            changes = lap.ask("facts")["changes"]
            began = lap.ask("online")
            self.note("ten edited", desk.ask("has", self._notes, changes) - began)

    def _one_note(self, desk: Device) -> None:
        """Both have one note open."""
        with device(self._lap) as lap:
            lap.ask("online")
            lap.ask("identical")
            [oid] = lap.ask("edit", 1, 7)
            lap.ask("identical")
            for one in (desk, lap):
                one.ask("watch", oid)
            pause = lap.ask("pause")
            for _ in range(KEYS):
                length, at = lap.ask("type", "x")
                self.note("keystroke", (desk.ask("saw", length) - at - pause) * 1e3)
                time.sleep(0.05)
            changes = lap.ask("facts")["changes"]
            length, began = lap.ask("stream", STREAMED)
            self.note("streamed", desk.ask("durable", length, changes + STREAMED) - began)


def figures(found: dict[str, list[float]], notes: int) -> list[Figure]:
    """The lines of the table; what is asked is asked of 10,000 notes."""
    keys = sorted(found["keystroke"])
    p99 = keys[min(len(keys) - 1, int(len(keys) * 0.99))]
    return [
        Figure(f"first sync of {notes:,} notes of 1 kB", "s", found["first sync"], "< 10"),
        Figure("  most memory of the device that got them", "MB", found["memory"], "< 350"),
        Figure("  bytes that it got", "MB", found["wire"]),
        Figure("typing meanwhile, key to paint, median", "ms", found["typing p50"]),
        Figure("  p99", "ms", found["typing p99"], "< 16"),
        Figure("  longest time that the loop was busy", "ms", found["typing stall"], "< 50"),
        Figure("nothing new: until shown as identical", "s", found["nothing new"], "< 0.3"),
        Figure("  bytes, both ways", "kB", found["nothing new, bytes"], "< 20"),
        Figure("10 edited notes", "s", found["ten edited"], "< 0.3"),
        Figure(
            "keystroke to the other's text, less the pause, median",
            "ms",
            [statistics.median(keys)],
            "< 20",
        ),
        Figure("  p99", "ms", [p99], "< 100"),
        Figure(f"{STREAMED:,} changes of a character", "s", found["streamed"], "< 2"),
        Figure("start to a usable window", "s", found["start"], "< 1; 100,000 notes: < 2"),
        Figure("database, all history", "MB", found["database"], "< 60"),
    ]


def show(rows: Sequence[Figure]) -> None:
    """Print a table: median, least and most of each figure."""
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  {'median':>9} {'least':>9} {'most':>9}      asked")
    for name, unit, values, asked in rows:
        numbers = " ".join(
            f"{value:9.3f}" for value in (statistics.median(values), min(values), max(values))
        )
        print(f"{name:{width}}  {numbers} {unit:>3}  {asked}")
    print(flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench sync", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--notes", type=int, nargs="*", default=[10_000, 1_000, 100_000])
    chosen = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}")
    print(f"load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}\n")
    for notes in chosen.notes:
        found: dict[str, list[float]] = {}
        for _ in range(chosen.rounds if notes <= 10_000 else 1):
            with tempfile.TemporaryDirectory(prefix="limnotes-bench-") as folder:
                Bench(Path(folder), notes, found).run()
        print(f"{notes:,} notes")
        show(figures(found, notes))


if __name__ == "__main__":
    main()
