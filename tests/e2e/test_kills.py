"""``kill -9`` of the app and of a peer without a window, in mid-sync: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from app import control
from app.folder import Folder
from app.service import Service
from liblim.errors import LimError
from tests.app.services import free_port, in_step, pair, started, texts, write
from tests.e2e.apps import TIMEOUT, App, eventually

BACKLOG = 300
"""Notes that one of the two has not got yet when the killing begins."""
NOTE = "Both write here"


class Headless:
    """A peer without a window, in a process of its own."""

    def __init__(self, data_dir: Path, listen: str) -> None:
        self.data_dir = data_dir
        self.listen = listen
        self.log = data_dir.with_suffix(".log")
        try:
            self.start()
        except BaseException:
            self.kill()
            raise

    def start(self) -> None:
        """Start the process, and wait until it is on the network."""
        command = [sys.executable, "-u", "-m", "ui.launch", "--headless", "--no-discovery"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir), "--listen", self.listen],
                stdout=subprocess.PIPE,
                bufsize=0,  # what was read ahead, select would not tell of
                stderr=log,
                cwd=Path(__file__).parent.parent.parent,
            )
        assert self.process.stdout is not None
        line = b""
        while b"without a window" not in line:
            assert select.select([self.process.stdout], [], [], TIMEOUT)[0], "it does not start"
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.log.read_text()}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def restart(self) -> None:
        self.start()

    def ask(self, command: str, **arguments: Any) -> Any:
        return control.ask(Folder(self.data_dir), command, arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.kill()


async def prepare(folder: Path, at: list[str]) -> None:
    """Pair two devices, which listen there, and let one write a backlog."""
    desk, peer = await started(folder / "desk", at[0]), await started(folder / "peer", at[1])
    await pair(desk, peer)
    await write(desk, f"{NOTE}\n")
    await in_step(desk, peer)
    await peer.stop()
    for number in range(BACKLOG):
        await write(desk, f"Backlog {number}\n" + "words " * 50)
    await desk.stop()


class Campaign:
    """Two devices that write into one note and are killed at random moments."""

    def __init__(self, desk: App, peer: Headless, rng: random.Random) -> None:
        self.desk, self.peer, self.rng = desk, peer, rng
        self.killed = 0
        self._words = iter(range(10**6))
        self._saved: set[str] = set()
        self._alive = {"desk", "peer"}

    def round(self, kills: int) -> None:
        """Write, kill one or both in mid-sync so many times, let them meet, and look."""
        for _ in range(kills):
            self._write()
            time.sleep(self.rng.random() * 0.2)  # somewhere in what goes on
            self._kill(self.rng.choice((["desk"], ["peer"], ["peer"], ["desk", "peer"])))
            self._write()
            self._revive()
        self._write()
        self._check()

    def _write(self) -> None:
        if "desk" in self._alive:
            for _ in range(self.rng.randint(1, 3)):
                self.desk.do("type", text=f" d{next(self._words)} ")
            # What the window says is saved, is.
            self._saved |= words_in(self.desk.do("saved_text") or "")
        if "peer" in self._alive:
            word = f"p{next(self._words)}"
            self.peer.ask("append", note=NOTE, text=f" {word} ")
            self._saved.add(word)

    def _kill(self, names: list[str]) -> None:
        for name in names:
            getattr(self, name).kill()
            self.killed += 1
            self._alive.discard(name)

    def _revive(self) -> None:
        for name in {"desk", "peer"} - self._alive:
            getattr(self, name).restart()
        self._alive = {"desk", "peer"}
        self.desk.do("open", title=NOTE)
        self.desk.wait("opened", NOTE)
        self.desk.do("caret", end=True)

    def _check(self) -> None:
        self.desk.wait("saved", True)
        self._saved |= words_in(self.desk.do("text"))
        eventually(self._identical, 3 * TIMEOUT)
        text = self.desk.do("text")
        assert self.peer.ask("show", note=NOTE) == text
        count = Counter(re.findall(r"[dp]\d+", text))
        assert self._saved <= count.keys(), f"lost: {self._saved - count.keys()}"
        assert set(count.values()) == {1}, f"doubled: {count.most_common(3)}"
        assert self.desk.do("titles") == sorted(row["title"] for row in self.peer.ask("list"))

    def _identical(self) -> bool:
        self.desk.do("key", keys="F5")
        with contextlib.suppress(LimError):
            return bool(self.peer.ask("status")["digest"] == self.desk.do("digest"))
        return False


def words_in(text: str) -> set[str]:
    return set(re.findall(r"[dp]\d+", text))


@pytest.fixture
def campaign(tmp_path: Path, seed: int) -> Iterator[Campaign]:
    at = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    asyncio.run(prepare(tmp_path, at))
    with ExitStack() as stack:
        desk = App(tmp_path / "desk", "--listen", at[0])
        stack.enter_context(desk)
        peer = stack.enter_context(Headless(tmp_path / "peer", at[1]))
        desk.do("open", title=NOTE)
        desk.wait("opened", NOTE)
        desk.do("caret", end=True)
        yield Campaign(desk, peer, random.Random(seed))
    asyncio.run(look_once_more(tmp_path))


async def look_once_more(folder: Path) -> None:
    """What was left on the disks is the same, and each note of the backlog is there once."""
    found = []
    for name in ("desk", "peer"):
        service = Service(folder / name, offline=True)
        await service.start()
        await service.notes.complete()
        found.append((service.status().digest, texts(service)))
        await service.stop()
    assert found[0] == found[1]
    assert found[0][1] == sorted([NOTE, *(f"Backlog {number}" for number in range(BACKLOG))])


@pytest.mark.timeout(180)
def test_kills_in_mid_sync(campaign: Campaign) -> None:
    campaign.round(3)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_hundred_kills_in_mid_sync(campaign: Campaign) -> None:
    while campaign.killed < 100:
        campaign.round(4)
