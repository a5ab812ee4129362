"""A device of the bench in a process of its own: the app's service, with or without a window.

Reads a JSON array a line, ``[task, arguments …]``, and answers each with one value.  Times are those of
``time.perf_counter``, which on Linux all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from app.notes import Note
from app.pairing import Joining, Phase
from app.service import Service
from liblim.aio import SHORT_PAUSE

OFFLINE = ""
"""In place of an address to listen at."""
AT_ONCE = 500
"""Notes that are made in one commit."""
WORDS = 5_000
"""Different words that the notes are made of, so that they deflate about as prose does."""


def prose(rng: random.Random, number: int, size: int) -> str:
    """A note of ``size`` characters: a title, and words of which some come often."""
    text = [f"Note {number:,}\n"]
    length = len(text[0])
    while length < size:
        word = vocabulary()[int(rng.paretovariate(0.6)) % WORDS]
        text.append(word)
        length += len(word)
    return "".join(text)[:size]


@functools.cache
def vocabulary() -> list[str]:
    """Words of one to nine letters, each with the space behind it."""
    rng = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    return [
        "".join(rng.choices(letters, range(26, 0, -1), k=rng.randint(1, 9))) + " "
        for _ in range(WORDS)
    ]


class Device:
    """A service, and what the bench wants of it."""

    service: Service

    async def open(self, folder: str, listen: str) -> float:
        """Open a data folder, and do not go on the network yet; returns how long that took, in seconds.

        With nowhere to listen it never will, and can be written in at once.
        """
        began = perf_counter()
        self.service = Service(
            Path(folder), listen=listen, discovery=False, offline=listen == OFFLINE
        )
        await self.service.start()
        took = perf_counter() - began
        await (
            self.service.look(to_write=True) if listen == OFFLINE else self.service.network.look()
        )
        return took

    async def online(self) -> float:
        """Go on the network; returns when that began."""
        began = perf_counter()
        await self.service.online()
        return began

    async def close(self) -> None:
        """Close the data folder."""
        await self.service.stop()

    async def fill(self, count: int, size: int, seed: int) -> float:
        """Write notes; returns how long that took, in seconds."""
        began, rng = perf_counter(), random.Random(seed)
        database = self._database
        for first in range(0, count, AT_ONCE):
            made = []
            for number in range(first, min(first + AT_ONCE, count)):
                made.append(note := database.create(Note))
                note.body.insert(0, prose(rng, number, size))
                note.body.load_history(b"")
            await database.commit()
            for note in made:
                database.core.desk.let_go(
                    note
                )  # and save no state: a note that came has none either
        return perf_counter() - began

    async def edit(self, count: int, seed: int) -> list[str]:
        """Add a line to some notes; returns which."""
        oids = random.Random(seed).sample(sorted(self.service.notes.rows), count)
        for oid in oids:
            await self.service.notes.append(oid, "one more line")
        return oids

    # Pairing

    async def show_code(self) -> tuple[str, str]:
        """Show a code; returns where this device listens, and the code."""
        self.service.pairing.show()
        await self._until(lambda: self.service.pairing.view.phase is Phase.SHOWING)
        return self.service.status().listening, self.service.pairing.view.code

    async def enter_code(self, address: str, code: str) -> None:
        """Enter a code, and wait for the question whether to accept."""
        self.service.pairing.dial(address, code)
        await self.confirming()

    async def confirming(self) -> None:
        """Wait for the question whether to accept."""
        await self._until(lambda: self.service.pairing.view.phase is Phase.CONFIRM)

    async def accept(self) -> float:
        """Accept the other device; returns when."""
        self.service.pairing.accept(Joining.ADD_MINE)
        return perf_counter()

    # Waiting

    async def has(self, notes: int, changes: int) -> float:
        """Wait until so many notes are listed and so many changes are durable; returns when."""
        await self._until(
            lambda: len(self.service.notes.rows) >= notes and self._database.count >= changes
        )
        return perf_counter()

    async def identical(self) -> float:
        """Wait until the other device is shown as identical; returns when."""
        await self._until(lambda: any(device.identical for device in self.service.status().devices))
        return perf_counter()

    async def all_identical(self, count: int) -> None:
        """Wait until so many others are there, and all are shown as identical."""
        await self._until(
            lambda: [device.identical for device in self.service.status().devices] == [True] * count
        )

    async def connected(self) -> None:
        """Wait until the other device is connected."""
        await self._until(lambda: any(device.connected for device in self.service.status().devices))

    async def _until(self, true: Callable[[], object]) -> None:
        while not true():  # noqa: ASYNC110 - to be told of every change would be measured, too
            await asyncio.sleep(0.001)

    # One note that both have open

    async def watch(self, oid: str) -> None:
        """Open a note, and remember when something came to be in it."""
        self.note = await self.service.notes.open(oid)
        self.seen: dict[int, float] = {}
        self.service.notes.watch(self.note, self._saw)

    def _saw(self, splices: Any) -> None:
        self.seen[len(self.note.body)] = perf_counter()

    async def type(self, text: str) -> tuple[int, float]:
        """Type in the open note; returns how long it is then, and when that was."""
        self.note.body.insert(len(self.note.body), text)
        return len(self.note.body), perf_counter()

    async def saw(self, length: int) -> float:
        """When the open note was so long."""
        await self._until(lambda: len(self.note.body) >= length)
        return min(at for size, at in self.seen.items() if size >= length)

    async def stream(self, count: int) -> tuple[int, float]:
        """Type characters at once, each a change of its own; returns the length, and when it began."""
        began, database = perf_counter(), self._database
        for number in range(count):
            self.note.body.insert(len(self.note.body), "x")
            database.core.writer.close()
            if number % 64 == 63:
                await asyncio.sleep(0)
        await database.commit()
        return len(self.note.body), began

    async def durable(self, length: int, changes: int) -> float:
        """Wait until the open note is so long, and so many changes are durable; returns when."""
        await self._until(lambda: len(self.note.body) >= length and self._database.count >= changes)
        return perf_counter()

    async def pause(self) -> float:
        """How long typing gathers, in seconds."""
        return SHORT_PAUSE.after

    # Facts

    async def facts(self) -> dict[str, Any]:
        """What the device holds, and what it took."""
        status = self.service.status()
        memory = Path("/proc/self/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+)", memory)
        return {
            "notes": len(self.service.notes.rows),
            "changes": status.changes,
            "digest": status.digest,
            "in": sum(device.bytes_in for device in status.devices),
            "out": sum(device.bytes_out for device in status.devices),
            "peak": int(peak[1]) * 1024 if peak else 0,
            "line": status.line(),
        }

    @property
    def _database(self) -> Any:
        assert self.service._opened is not None
        return self.service._opened.database


async def serve(device: Any) -> None:
    """Carry out what standard input asks for."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        with contextlib.suppress(RuntimeError):  # all was done, and the loop is closed
            loop.call_soon_threadsafe(lines.put_nowait, '["end"]')

    threading.Thread(target=read, daemon=True).start()
    while True:
        task, *arguments = json.loads(await lines.get())
        if task == "end":
            return
        answer = await getattr(device, task)(*arguments)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if task == "close":
            return


def main() -> None:
    """Serve, with a window where the first argument says so."""
    if sys.argv[1:] == ["window"]:
        from tests.bench.sync_window import serve_window

        serve_window()
    else:
        asyncio.run(serve(Device()))


if __name__ == "__main__":
    main()
