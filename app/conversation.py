"""Pairing on the command line, as a conversation: what it says, and what it asks.

It works by commands alone, so it is the same where another process runs and where this one does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from app.pairing import PairingView, Phase
from app.printing import plainly
from app.status import State
from app.words import clock_in_words
from liblim.errors import LimError

if TYPE_CHECKING:
    from app.service import Service

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Has a command carried out, here or in the running process."""

LOOK = 1.0
"""Seconds after which the view is looked at again though nothing changed: for the countdown."""


PATIENCE = 30.0
"""Seconds without any progress after which the first sync is left to the next start."""
SETTLED = 2.0
"""Seconds for which both hold the same until that counts as the end: one may still add its notes."""

SERVER = ", a server: it keeps your notes sealed, and cannot read them"


class Wanted(NamedTuple):
    """How to pair: with the device at ``address``, or by showing a code where that is empty.

    ``yes`` leaves out the questions.
    """

    address: str
    yes: bool
    keep_apart: bool


class Lines:
    """Lines of standard input, without blocking the loop or the end of the program."""

    def __init__(self, read: Callable[[], str] | None = None) -> None:
        """``read`` gives one line, with its end; ``""`` where there is no more."""
        self._read = read or _read_line
        self._waiting: asyncio.Future[str] | None = None

    async def ask(self, question: str) -> str:
        """One line, asked for on a terminal only."""
        if sys.stdin is not None and sys.stdin.isatty():
            print(question, end=" ", flush=True)
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
            # A daemon, for nothing ends a read that has begun.
            threading.Thread(target=self._fetch, args=(self._waiting,), daemon=True).start()
        line = await asyncio.shield(self._waiting)
        self._waiting = None
        return line.strip()

    def _fetch(self, waiting: asyncio.Future[str]) -> None:
        line = self._read()
        loop = waiting.get_loop()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, waiting, line)


def _settle(waiting: asyncio.Future[str], line: str) -> None:
    if not waiting.done():
        waiting.set_result(line)


def _read_line() -> str:
    """A line from standard input, byte by byte: Python's own buffer has a lock that its end waits for."""
    line = b""
    while not line.endswith(b"\n"):
        octet = os.read(0, 1)
        if not octet:
            break
        line += octet
    return line.decode(errors="replace")


class Conversation:
    """Pairs with one device; ``run`` is all there is to call."""

    def __init__(self, ask: Ask, wanted: Wanted, lines: Lines) -> None:
        self._ask, self._wanted, self._lines = ask, wanted, lines
        self._view: dict[str, Any] = {}
        self._said = ""
        self._counting = False
        self._answered = False

    async def run(self) -> PairingView:
        """Pair; returns the last view, ``PAIRED``.

        Raises LimError with a sentence for people.
        """
        if self._wanted.address:
            code = await self._lines.ask("The code that the other device shows:")
            await self._ask("pair-dial", {"address": self._wanted.address, "code": code})
        else:
            await self._ask("pair-show", {})
        try:
            while True:
                view = await self._look()
                if view.phase is Phase.PAIRED:
                    return view
                await self._answer(view)
        finally:
            self._end_countdown()
            if self._view.get("phase") != Phase.PAIRED.value:
                await self._ask("pair-cancel", {})

    async def _look(self) -> PairingView:
        self._view = await self._ask("pair-view", {"seen": self._view, "wait": LOOK})
        return msgspec.convert(self._view, PairingView)

    async def _answer(self, view: PairingView) -> None:
        """Say what there is to say of a view, and ask what there is to ask."""
        match view.phase:
            case Phase.SHOWING:
                self._show(view)
            case Phase.CONFIRM if not self._answered:
                self._end_countdown()
                await self._confirm(view)
            case Phase.WAITING:
                self._say(f"Waiting until somebody accepts at {_called(view)}, too.")
            case Phase.FAILED:
                raise LimError(f"{view.error} {view.mend}".strip())
            case Phase.IDLE:
                raise LimError("Pairing was ended. Begin again to try once more.")

    def _say(self, text: str) -> None:
        """Print a text, once."""
        if text != self._said:
            self._said = text
            self._end_countdown()
            print(text, flush=True)

    def _show(self, view: PairingView) -> None:
        width = max((len(own.address) for own in view.addresses), default=0)
        addresses = [f"    {own.address:<{width}}  {own.label}" for own in view.addresses]
        until = clock_in_words(view.until, time.time())
        self._say(
            "\n".join(
                [
                    "On the other device choose Sync > Pair with a device, or run there",
                    "'limnotes pair HOST:PORT'.",
                    "Enter one of these addresses, and the code:",
                    "",
                    *(addresses or ["    (this device listens at no address)"]),
                    "",
                    f"    Code: {view.code}",
                    "",
                    f"It counts until {until}, for one device. End with Ctrl+C.",
                ]
            )
        )
        if sys.stdout.isatty():
            left = max(0, round(view.until - time.time()))
            print(f"\r{left // 60}:{left % 60:02} left ", end="", flush=True)
            self._counting = True

    def _end_countdown(self) -> None:
        if self._counting:
            self._counting = False
            print("\r" + " " * 12 + "\r", end="", flush=True)

    async def _confirm(self, view: PairingView) -> None:
        self._say(
            f"Found {_called(view)}{SERVER if view.server else ''}. Compare these words with those "
            f"{'that “limserver invite” prints there' if view.server else 'on its screen'}:\n\n"
            f"    its words:   {plainly(view.peer_words)}\n"
            f"    your words:  {plainly(view.own_words)}\n"
        )
        accepted = self._wanted.yes or await self._yes("Are they the same there? Pair? [y/N]")
        if accepted is None:
            return
        if not accepted:
            await self._ask("pair-refuse", {})
            raise LimError("You did not accept it; nothing was paired.")
        apart: bool | None = self._wanted.keep_apart
        if view.asks and not (self._wanted.yes or apart):
            apart = await self._yes(
                f"There are {view.notes:,} notes on this device, which joins the other's library. They "
                "are added to it, unless you keep them apart.\nKeep them apart? [y/N]"
            )
        if apart is not None:
            await self._ask("pair-accept", {"keep_apart": apart})
            self._answered = True

    async def _yes(self, question: str) -> bool | None:
        """The person's answer; ``None`` where pairing went on, or ended, without waiting for it."""
        answer = asyncio.ensure_future(self._lines.ask(question))
        try:
            while not answer.done():
                look = asyncio.ensure_future(self._look())
                await asyncio.wait({answer, look}, return_when=asyncio.FIRST_COMPLETED)
                if (await look).phase is not Phase.CONFIRM:
                    print(flush=True)
                    return None
            return answer.result().lower() in ("y", "yes")
        finally:
            answer.cancel()


async def first_sync(service: Service, peer: str) -> None:
    """Stay until this device and the one it was paired with hold the same; say how far that is."""
    clock = asyncio.get_running_loop().time
    changed, said = asyncio.Event(), ""
    stop = service.subscribe(changed.set)
    met: float | None = None
    digest, moved = "", clock()
    try:
        while moved + PATIENCE > clock():
            status = service.status()
            if status.digest != digest or status.adding:
                digest, moved = status.digest, clock()
            if status.line() != said and sys.stdout.isatty():
                said = status.line()
                print(f"\r\x1b[K{plainly(said)}", end="", flush=True)
            state = next((one.state for one in status.devices if one.device == peer), State.AWAY)
            if state is State.UP_TO_DATE and not (status.adding or status.unsaved):
                met = met or clock()
                if met + SETTLED < clock():
                    break
            elif met and state not in (State.UP_TO_DATE, State.SYNCING) and not status.adding:
                break  # it was satisfied before this one was
            else:
                met = None
            await _either(changed, LOOK / 4)
        else:
            print("\nThe rest is synced when Lim Notes runs on both devices.")
            return
    finally:
        stop()
    print(("\r\x1b[K" if said else "") + plainly(service.status().line()))


async def _either(changed: asyncio.Event, seconds: float) -> None:
    """Wait for a change, or so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
    changed.clear()


def _called(view: PairingView) -> str:
    return f"“{plainly(view.peer_name)}”" if view.peer_name else "a device without a name"
