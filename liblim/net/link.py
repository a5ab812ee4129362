"""One connection: a session driven by a socket, the clock and the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from liblim.admission import Outcome
from liblim.change import Change, Range
from liblim.errors import LimError, SignatureError
from liblim.net.address import Address
from liblim.net.dial import cut, other_end
from liblim.net.timing import Timing
from liblim.receipt import Receipt
from liblim.sync import (
    Arrived,
    Closed,
    Event,
    Ready,
    Session,
    State,
    Vouch,
    Wanted,
    refusal,
)
from liblim.sync.messages import Kthxbye, Nowai
from liblim.sync.outbox import ROOM

CHUNK = 64 * 1024
"""Bytes read and decoded at a time: a few milliseconds of work, mostly."""
LEAST = 512
"""Bytes that are read at a time of who says what takes long."""
TURN = 0.004
"""Seconds of work for which the others may have to wait: where it took longer, less is read at a time."""
TOGETHER = 256
"""Changes that are committed together, more or less: a few milliseconds of work for the loop."""
AHEAD = 2 * 1024 * 1024
"""Bytes that are read while the database commits what came before."""
MAX_UNPROVEN = 1024
"""Changes that may wait for the proof of the first of them."""
MAX_UNPROVEN_BYTES = 4 * 1024 * 1024
"""Bytes of their bodies."""

_LAST_WORDS = (f"{Kthxbye.verb} {{".encode(), f"{Nowai.verb} {{".encode())

_log = logging.getLogger(__name__)


class Forked(NamedTuple):
    """The log set changes aside: they contradict others that it holds."""


Notice: TypeAlias = Event | Forked


class Database(Protocol):
    """What a link puts changes into, and takes them from."""

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes; they are committed when this returns.  Raises LimError."""

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log in order of arrival.  Raises StoreError."""


class Owner(Protocol):
    """What a link tells of itself."""

    def noticed(self, link: Link, notice: Notice) -> None:
        """Something happened."""

    def changed(self) -> None:
        """Facts about the link may have changed."""


class Link:
    """Runs one session over one connection, until it is over.

    ``device`` is at the other end, as its certificate has proved; ``target`` is the address that this side
    dialled, ``None`` where the other side did.  ``ready`` says whether both sides accepted each other,
    ``closed`` how the session ended; ``over`` is set at the end.
    """

    def __init__(
        self,
        database: Database,
        session: Session,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        owner: Owner,
        timing: Timing,
        *,
        device: str,
        target: Address | None = None,
        early: bytes = b"",
    ) -> None:
        """Take over a connection, of which ``early`` was read already; ``run`` then does the work."""
        self.session = session
        self.target = target
        self.device = device
        self.ready = self.forked = False
        self.closed: Closed | None = None
        self.over = asyncio.Event()
        self.address = other_end(streams[1])
        self._database = database
        self._reader, self._writer = streams
        self._early = early
        self._owner = owner
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._arrived: deque[Arrived] = deque()
        self._wanted: Wanted | None = None
        self._some = asyncio.Event()
        """Set while there is something to do."""
        self._done = asyncio.Event()
        """Set while there is not."""
        self._done.set()
        self._ahead = 0
        self._at_once = CHUNK
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._unproven: Sequence[Change] = ()
        self._unsent = 0
        self._unsent_since = self._loop.time()

    async def run(self) -> None:
        """Talk until the session is over and its last words are out.  Raises nothing."""
        writing = asyncio.ensure_future(self._write())
        working = asyncio.ensure_future(self._work())
        try:
            self._pump()
            await self._read()
            await self._done.wait()
            # The peer has closed, or will: what is left to say may still reach it.
            await writing
            self._writer.close()
            await self._writer.wait_closed()
        except OSError:
            pass  # it ended while being closed
        except Exception as error:
            _log.exception("a link failed")
            self.refuse(_mistake(error))
        finally:
            writing.cancel()
            working.cancel()
            await asyncio.wait([working])
            self._stop_timer()
            cut(self._writer)
            self.over.set()

    # In

    async def _read(self) -> None:
        """Read until the end, and not far ahead of what the database commits.

        Where the peer asks for something, nothing is read until it is found: many questions cost no more.
        Whoever ends the session leaves it to the other end to close, and reads on meanwhile without
        looking: closing with unread input would cut off the last words.
        """
        while self.closed is None or not self.closed.by_peer:
            try:
                data, self._early = self._early or await self._reader.read(self._at_once), b""
            except OSError:
                data = b""
            if self.closed is not None and any(words in data for words in _LAST_WORDS):
                return  # both ended it at once: nobody is left to wait for
            now, began = self._loop.time(), time.thread_time()
            if data:
                self.session.receive_data(data, now)
            else:
                self.session.eof(now)
            self._pump()
            self._adapt(time.thread_time() - began)
            self._ahead += len(data)
            if self._wanted is not None or self._ahead > AHEAD:
                await self._done.wait()
                self._ahead = 0
            if not data:
                return
            # A read that finds bytes at once does not let others have their turn.
            await asyncio.sleep(0)

    def _adapt(self, took: float) -> None:
        """Read less at a time of who says what takes long to deal with, so that nobody stops the loop."""
        if took > TURN:
            self._at_once = max(self._at_once // 4, LEAST)
        elif took < TURN / 4:
            self._at_once = min(self._at_once * 2, CHUNK)

    async def _work(self) -> None:
        """Do what the session wants of the database."""
        while True:
            await self._some.wait()
            while self._arrived or self._wanted:
                failure = await self._do_some()
                if failure is not None:
                    self._arrived.clear()  # what came behind is of no use, or comes again
                    self.refuse(failure)
            self._some.clear()
            self._done.set()

    async def _do_some(self) -> LimError | None:
        """Do what there is to do; returns why the connection is to be closed, if it is."""
        try:
            await self._give()
            await self._take_some()
            self._pump()
        except LimError as error:
            return error
        except Exception as error:
            _log.exception("a link failed")
            return _mistake(error)
        return None

    async def _give(self) -> None:
        """Read what the peer wants; what it wanted before it does not want any more."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            request, ranges, number, octets = wanted
            found = await self._database.read(ranges, number, octets)
            self.session.supply(request, found, self._loop.time())
            self._pump()

    async def _take_some(self) -> None:
        """Commit what has come.  The slower the disk, the more that is, and it shares one flush of it."""
        batches: list[list[Change]] = []
        while self._arrived and sum(map(len, batches)) < TOGETHER:
            batches.append(self._arrived.popleft().changes)
        if batches:
            await self._take([change for batch in batches for change in batch])
            for batch in batches:
                self.session.settled(batch, self._loop.time())

    async def _take(self, changes: Sequence[Change]) -> None:
        """Put changes into the database.  Raises ChangeError where one is refused, and StoreError.

        A change with a wrong signature is proved by a later one of its run, from which reads may have parted
        it: they are tried together.  Else who writes such a run could part two honest devices.
        """
        held, self._unproven = self._unproven, ()
        outcome = await self._database.receive([*held, *changes])
        if outcome.aside:
            self._owner.noticed(self, Forked())
        if outcome.refused is None:
            return
        rest = outcome.rest
        last = next(change for change in reversed(rest) if change.replica == rest[0].replica)
        if (
            not isinstance(outcome.refused, SignatureError)
            or not self.session.lists_beyond(last)
            or len(rest) > MAX_UNPROVEN
            or sum(len(change.body or b"") for change in rest) > MAX_UNPROVEN_BYTES
        ):
            raise outcome.refused
        self._unproven = rest

    # What others put in

    def committed(self, changes: Sequence[Change]) -> None:
        """Let the peer have what entered the log."""
        self.session.committed(changes, self._loop.time())
        self._pump()

    def hand_on(self, receipt: Receipt) -> None:
        """Let the peer have a receipt."""
        self.session.hand_on(receipt)
        self._pump()

    def vouch(self, message: Vouch) -> None:
        """Tell a server who is in the library."""
        self.session.vouch(message)
        self._pump()

    def look(self) -> None:
        """See whether the session has anything to do now."""
        if self.closed is None:
            self.session.tick(self._loop.time())
            self._pump()

    def nudge(self) -> None:
        """See whether the peer is there, and ask it again for what it did not give."""
        self.session.nudge(self._loop.time())
        self._pump()

    def refuse(self, error: LimError) -> None:
        """Close the connection with a reason."""
        self.session.refuse(error)
        self._pump()

    def leave(self, reason: str) -> None:
        """Close the connection in good order."""
        self.session.leave(reason)
        self._pump()

    def drop(self) -> None:
        """Close the connection without a word."""
        cut(self._writer)

    def _pump(self) -> None:
        """After anything was put into the session: let out what it has to say."""
        for event in self.session.events():
            if isinstance(event, Ready):
                self.ready = True
            elif isinstance(event, Closed):
                self.closed = event
                self._stop_timer()  # from here on it is for the last words
            elif isinstance(event, Arrived):
                self._arrived.append(event)
            elif isinstance(event, Wanted):
                self._wanted = event
            self._owner.noticed(self, event)
        if self._arrived or self._wanted:
            self._some.set()
            self._done.clear()
        self._wake.set()
        self._set_timer()
        self._owner.changed()

    # Out

    async def _write(self) -> None:
        """Send what the session has, as fast as the peer takes it."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while data := self.session.data_to_send():
                    self._writer.write(data)
                    await self._writer.drain()
                    if len(data) >= ROOM:
                        await asyncio.sleep(0)
                if self.session.state is State.CLOSED:
                    return
        except OSError:
            return  # the reader is told, too
        except Exception:
            _log.exception("a link failed")
            cut(self._writer)

    # Time

    def _set_timer(self) -> None:
        now = self._loop.time()
        due = self._due(now)
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        self._stop_timer()
        self._timer_at = due
        self._timer = self._loop.call_later(max(0.0, due - now), self._tick)

    def _due(self, now: float) -> float | None:
        """When to look again: at the session's time, and now and then while the peer is slow."""
        if self.closed is not None:
            return now + self._timing.linger
        due = self.session.next_timer()
        if self._writer.transport.get_write_buffer_size():
            due = min(due or now + self._timing.write, now + self._timing.write / 8)
        return due

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self.closed is not None:
            cut(self._writer)
            return
        now = self._loop.time()
        self._watch_writing(now)
        self.session.tick(now)
        self._pump()

    def _watch_writing(self, now: float) -> None:
        """A peer that takes nothing of what is sent is waited for, but not for ever."""
        unsent = self._writer.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now >= self._unsent_since + self._timing.write:
            self.session.refuse(refusal("too-slow", f"{self._timing.write:g}"))
            cut(self._writer)


def _mistake(error: Exception) -> LimError:
    return LimError(f"This program made a mistake: {error!r}. Please report it.")
