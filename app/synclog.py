"""The sync log: what happened, bounded, kept in a file of its own so that it survives a restart.

The file holds one JSON object a line and lies beside the database, not in it: a log line must not cost a
commit there, and what it has to tell may be that the database cannot be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from app.status import Event

LENGTH = 1000
"""Events that are kept in memory, and read at the start."""
FILE = "sync-log.jsonl"
OLDER = "sync-log.1.jsonl"
MOST = 256 * 1024
"""Bytes of the file; beyond, it takes the place of the older one, and a new one is begun."""
LONGEST = 1000
"""Characters of one text: others choose their names and reasons, and a line of a log is to be read."""
GATHER = 0.2
"""Seconds for which lines gather before they are written."""
RETRY = 5.0
"""Seconds until what could not be written is tried again."""
LEVELS = ("info", "warning", "error")
"""From what is good to know to what needs doing."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


def matches(event: Event, level: str = "", text: str = "") -> bool:
    """Whether an event is at least of this level, and holds all words of ``text``, large or small."""
    if level in LEVELS and event.level in LEVELS[: LEVELS.index(level)]:
        return False
    held = f"{event.text} {event.level}".casefold()
    return all(word in held for word in text.casefold().split())


class SyncLog:
    """The events of this run and of those before.

    What is written is written by a thread, behind, and never raises: while the disk fails, the log goes on
    in memory, and what could not be written is written once that works again.
    """

    def __init__(self, folder: Path) -> None:
        """Name the data folder; ``load`` reads what there is."""
        self.events: deque[Event] = deque(maxlen=LENGTH)
        """The newest last."""
        self.problem = ""
        """Why the log cannot be written right now; empty if it can."""
        self._path, self._older = folder / FILE, folder / OLDER
        self._unwritten: deque[Event] = deque(maxlen=LENGTH)
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def load(self) -> None:
        """Read the events of earlier runs; what cannot be read is left out."""
        earlier = await asyncio.to_thread(self._read)
        self.events = deque(dict.fromkeys([*earlier, *self.events]), maxlen=LENGTH)

    def add(self, event: Event) -> None:
        """Take up a new event."""
        if len(event.text) > LONGEST:
            event = replace(event, text=f"{event.text[: LONGEST - 1]}…")
        self.events.append(event)
        self._unwritten.append(event)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_behind())

    async def close(self) -> None:
        """Write what is not written yet, if that is possible."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        self._closing.clear()

    async def _write_behind(self) -> None:
        while self._unwritten:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY if self.problem else GATHER):
                    await self._closing.wait()
            await self._flush()
            if self._closing.is_set():
                break
        self._writing = None

    async def _flush(self) -> None:
        events, self._unwritten = self._unwritten, deque(maxlen=LENGTH)
        try:
            await asyncio.to_thread(self._write, b"".join(_encode(one) + b"\n" for one in events))
            self.problem = ""
        except OSError as error:
            self.problem = os.strerror(error.errno or 0)
            self._unwritten.extendleft(reversed(events))

    # On a thread

    def _write(self, lines: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size > MOST:
                self._path.replace(self._older)
        with open(self._path, "ab", opener=_for_its_owner) as file:
            # Whatever was cut off before, by a full disk or a crash, ends here.
            file.write(b"\n" + lines if file.tell() else lines)

    def _read(self) -> list[Event]:
        lines: list[bytes] = []
        for path in (self._older, self._path):
            with contextlib.suppress(OSError):
                lines += path.read_bytes().splitlines()
        # A line may stand there twice, where only the second try to write it succeeded as a whole.
        return list(dict.fromkeys(_events(lines)))


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield _decode(line)
