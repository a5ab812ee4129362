"""What is to be said to a peer, composed only when there is room for it.

Nothing here grows with a slow reader: heads are kept as names of replicas to be told about, a
listing as the heads it began with, changes as at most one window that was asked for and a bounded
number of pushes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from liblim.change import Change, Head
from liblim.receipt import Receipt
from liblim.sync.belief import NONE, Belief
from liblim.sync.codec import encode
from liblim.sync.log import LogView
from liblim.sync.messages import MAX_HEADS, Entry, Igotz, Ihaz, Kthx, Message, Ucanhaz

ROOM = 64 * 1024
"""Bytes after which nothing more is composed until they were taken."""
MAX_PUSHES = 64
"""Pushed changes that may be unacknowledged; more are announced, for the peer to ask for."""
MAX_PUSHED = 256 * 1024
"""Bytes of their bodies."""


class _Push(NamedTuple):
    replica: str
    seq: int
    octets: int


class Outbox:
    """Composes what goes out: receipts of devices, listings, acknowledgements, pushes, news, windows.

    In this order: who hears an acknowledgement of ours has heard of our last receipt before.
    """

    def __init__(self, log: LogView, belief: Belief) -> None:
        """Speak for ``log`` to a peer that holds what ``belief`` says."""
        self.changes_out = 0
        self.knows = False
        """Whether our first ``IHAZ`` says that we know from before what the peer holds."""
        self._begun = False
        """Whether our first ``IHAZ`` was said: by that the peer knows that it is accepted."""
        self._log = log
        self._belief = belief
        self._bytes = bytearray()
        self._stale = False
        self._listing: Sequence[tuple[str, Head]] | None = None
        self._page = 0
        self._untold: dict[str, None] = {}
        self._committed: dict[str, Head] = {}
        """Heads that the peer gave or spoke of, and that were to be said as soon as they were committed."""
        self._pushes: deque[Change] = deque()
        self._unacknowledged: list[_Push] = []
        self._given: dict[str, Head] = {}
        self._window: deque[Change] = deque()
        self._request = 0
        self._receipts: dict[str, Receipt] = {}

    # What is to be said

    def say(self, message: Message) -> None:
        """Say something at once, before all that is not composed yet."""
        self._bytes += encode(message)

    def summarise(self) -> None:
        """Say how many changes we have, and their digest."""
        self._stale = True

    def list_heads(self) -> None:
        """Begin a complete listing of our heads, unless one is under way."""
        if self._listing is None:
            self._listing, self._page = list(self._log.heads.items()), 0

    def list_lacking(self) -> None:
        """Say the heads of what the peer is believed to lack."""
        for replica, head in self._log.heads.items():
            if self._belief.seq(replica) < head.seq:
                self._untold[replica] = None

    def acknowledge(self, changes: Iterable[Change]) -> None:
        """Say what we hold of these replicas, as their changes came and were dealt with."""
        for change in changes:
            head = self._log.heads.get(change.replica)
            # Mostly that was said already, while the log did what it has to do after a commit.
            if head is not None and self._committed.pop(change.replica, None) != head:
                self._untold[change.replica] = None

    def committed(self, changes: Sequence[Change]) -> None:
        """Let the peer have changes that entered our log: push them, or else announce them."""
        self._stale = self._stale or bool(changes)
        for change in changes:
            if self._belief.seq(change.replica) >= change.seq:
                self._untold[change.replica] = None
                self._committed[change.replica] = Head(change.seq, change.hash)
            elif not self._push(change):
                self._untold[change.replica] = None

    def hand_on(self, receipt: Receipt) -> None:
        """Let the peer have a device's receipt, instead of an older one that was not composed yet."""
        self._receipts[receipt.device] = receipt

    def serve(self, request: int, changes: Sequence[Change]) -> None:
        """Answer a request; what is left of an answer to an earlier one is dropped."""
        self._request, self._window = request, deque(changes)

    def heard(self) -> None:
        """Take note that the peer said what it has."""
        believed = self._belief.seq
        self._given = {r: head for r, head in self._given.items() if head.seq > believed(r)}
        self._unacknowledged = [p for p in self._unacknowledged if p.seq > believed(p.replica)]

    def close(self, last: Message | None) -> None:
        """Say one last thing, or nothing more; what was not composed yet stays unsaid."""
        self._listing, self._untold, self._stale = None, {}, False
        self._pushes.clear()
        self._window.clear()
        self._receipts.clear()
        if last is None:
            self._bytes.clear()
        else:
            self.say(last)

    @property
    def unacknowledged(self) -> int:
        """How many pushed changes the peer has not acknowledged."""
        return len(self._unacknowledged)

    @property
    def owed(self) -> bool:
        """Whether the peer has not said that it holds all that it was given."""
        return bool(self._unacknowledged or self._given)

    @property
    def given(self) -> int:
        """Changes that were given, or pushed and not composed yet."""
        return self.changes_out + len(self._pushes)

    # Pushing

    def _push(self, change: Change) -> bool:
        if not self._can_take(change) or len(self._unacknowledged) >= MAX_PUSHES:
            return False
        octets = len(change.body or b"")
        if octets + sum(push.octets for push in self._unacknowledged) > MAX_PUSHED:
            return False
        self._pushes.append(change)
        self._unacknowledged.append(_Push(change.replica, change.seq, octets))
        self._given[change.replica] = Head(change.seq, change.hash)
        return True

    def _can_take(self, change: Change) -> bool:
        """Whether the peer holds, or has been given, all that must be there before a change."""
        seq, hash = self._known(change.replica)
        return (
            self._belief.complete
            and change.seq == seq + 1
            and (change.seq == 1 or change.header.prev == hash)
            and all(self._known(dep.replica).seq >= dep.seq for dep in change.header.deps)
        )

    def _known(self, replica: str) -> Head:
        believed = self._belief.heads.get(replica, NONE)
        return max(believed, self._given.get(replica, NONE), key=lambda head: head.seq)

    # Composing

    def data(self) -> bytes:
        """Bytes to send now, empty if there are none; call again once they were taken."""
        while len(self._bytes) < ROOM and self._compose():
            pass
        data = bytes(self._bytes)
        self._bytes.clear()
        return data

    def _compose(self) -> bool:
        message = (
            self._next_receipt()
            or self._next_page()
            or self._next_acknowledgement()
            or self._next_push()
            or self._next_news()
            or self._next_of_window()
        )
        if message is not None:
            self.say(message)
        return message is not None

    def _next_page(self) -> Message | None:
        if self._listing is None:
            return None
        entries, rest = self._listing[:MAX_HEADS], self._listing[MAX_HEADS:]
        self._page += 1
        self._listing = rest or None
        return self._ihaz(
            [Entry(replica, *head) for replica, head in entries], self._page, more=bool(rest)
        )

    def _next_receipt(self) -> Message | None:
        if not self._receipts:
            return None
        return Igotz(self._receipts.pop(next(iter(self._receipts))))

    def _next_acknowledgement(self) -> Message | None:
        if not self._begun:
            return None  # the first ``IHAZ`` says as much
        held = [r for r in self._untold if self._belief.seq(r) >= self._log.heads[r].seq]
        if not held:
            return None
        self._stale = False
        log = self._log
        return Kthx(log.count, log.digest, tuple(self._take(held)))

    def _next_push(self) -> Message | None:
        if not self._pushes:
            return None
        self.changes_out += 1
        return Ucanhaz(self._pushes.popleft())

    def _next_news(self) -> Message | None:
        if self._untold:
            return self._ihaz(self._take(list(self._untold)))
        # Right behind what was pushed: so it needs no line of its own, and the peer knows as soon as it has
        # committed that it holds all.
        return self._ihaz([]) if self._stale else None

    def _take(self, replicas: list[str]) -> list[Entry]:
        entries = [Entry(replica, *self._log.heads[replica]) for replica in replicas[:MAX_HEADS]]
        for entry in entries:
            del self._untold[entry.replica]
        return entries

    def _ihaz(self, entries: Iterable[Entry], page: int = 0, *, more: bool = False) -> Message:
        self._stale, self._begun = False, True
        log = self._log
        knows, self.knows = self.knows, False
        return Ihaz(log.count, log.digest, page, more, tuple(entries), knows)

    def _next_of_window(self) -> Message | None:
        if not self._window:
            return None
        change = self._window.popleft()
        if change.seq == self._known(change.replica).seq + 1:
            self._given[change.replica] = Head(change.seq, change.hash)
        self.changes_out += 1
        return Ucanhaz(change, self._request, len(self._window))
