"""What a peer is believed to hold, and what we lack of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from liblim.change import Head, Range
from liblim.sync.log import LogView
from liblim.sync.messages import MAX_COUNT_OF_HEADS, Entry
from liblim.sync.refusals import refusal

NONE = Head(0, b"")


class Belief:
    """A peer's heads, from what it said and what it gave; the last word counts, up or down.

    ``complete`` says whether all its heads are known, ``count`` how many changes they stand for.
    """

    def __init__(self, log: LogView) -> None:
        """Believe nothing yet; ``log`` is our own."""
        self.heads: dict[str, Head] = {}
        self.count = 0
        self.complete = False
        self._log = log
        self.we_lack = 0
        """How many of its changes we do not hold."""
        self._behind: dict[str, int] = {}
        """How many of each replica's."""
        self._page = 0

    def list_page(self, page: int, more: bool, entries: Iterable[Entry]) -> None:
        """Take a page of a complete listing; the first replaces what was believed.

        Raises ProtocolError where pages are missing.
        """
        if page == 1:
            self._clear()
        elif page != self._page + 1:
            raise refusal("bad-message", f"page {page} follows on page {self._page}")
        self.amend(entries)
        self._page = page if more else 0
        self.complete = not more

    def amend(self, entries: Iterable[Entry]) -> None:
        """Take single heads as stated."""
        for replica, seq, hash in entries:
            self._set(replica, Head(seq, hash))
        if len(self.heads) > MAX_COUNT_OF_HEADS:
            raise refusal("bad-message", "more replicas than can be")

    def hold(self, replica: str, seq: int, hash: bytes) -> None:
        """Believe that the peer holds a change, as it gave it."""
        if seq > self.seq(replica):
            self._set(replica, Head(seq, hash))

    def assume_equal(self) -> None:
        """Believe that the peer holds what we hold: its digest proves it."""
        # With nothing beyond ours, equal counts mean equal heads.
        if not self.complete or self._behind or self.count != self._log.count:
            self._clear()
            self.heads, self.count = dict(self._log.heads), self._log.count
        self.complete = True

    def recall(self, lacks: Mapping[str, int]) -> None:
        """Believe what is known from before: that the peer holds all of ours up to these changes."""
        self._clear()
        self.heads = {r: head for r, head in self._log.heads.items() if r not in lacks}
        # The hash is not known, so the next change is announced and not pushed.
        self.heads.update((r, Head(first - 1, b"")) for r, first in lacks.items() if first > 1)
        self.count = sum(head.seq for head in self.heads.values())
        self.complete = True

    def forget(self) -> None:
        """Believe nothing: what was known from before does not hold."""
        self._clear()
        self.complete = False

    def _clear(self) -> None:
        self.heads, self.count, self._behind, self.we_lack = {}, 0, {}, 0

    def look_again(self, replicas: Iterable[str]) -> None:
        """Take note that our own heads of these replicas moved."""
        for replica in replicas:
            self._compare(replica)

    def seq(self, replica: str) -> int:
        """The last change of a replica that the peer is believed to hold, 0 for none."""
        return self.heads.get(replica, NONE).seq

    def _set(self, replica: str, head: Head) -> None:
        self.count += head.seq - self.seq(replica)
        self.heads[replica] = head
        self._compare(replica)

    def _ours(self, replica: str) -> int:
        return self._log.heads.get(replica, NONE).seq

    def _compare(self, replica: str) -> None:
        # Kept up rather than added up: a peer may name a million replicas, and then change its mind often.
        lacked = self.seq(replica) - self._ours(replica)
        if lacked > 0:
            self.we_lack += lacked - self._behind.get(replica, 0)
            self._behind[replica] = lacked
        else:
            self.we_lack -= self._behind.pop(replica, 0)

    @property
    def they_lack(self) -> int:
        """How many of our changes it does not hold."""
        return self._log.count - (self.count - self.we_lack)

    @property
    def replicas_ahead(self) -> int:
        """Of how many replicas it has changes that we do not hold."""
        return len(self._behind)

    def holds(self, replica: str, seq: int) -> bool:
        """Whether the peer holds a change of ours."""
        theirs = self.heads.get(replica, NONE)
        return theirs.seq >= seq and theirs.hash == self._known(replica, theirs).hash

    def _known(self, replica: str, head: Head) -> Head:
        """Our own head where it has the same number, else that one: then there is nothing to compare."""
        ours = self._log.heads.get(replica, NONE)
        return ours if ours.seq == head.seq else head

    def lacks(self) -> dict[str, int]:
        """The first change of each replica of ours that the peer does not hold."""
        found: dict[str, int] = {}
        for replica, ours in self._log.heads.items():
            theirs = self.heads.get(replica, NONE)
            if theirs.seq < ours.seq:
                found[replica] = theirs.seq + 1
            elif not self.holds(replica, ours.seq):
                found[replica] = ours.seq  # it holds another one under this number
        return found

    def differing(self, most: int) -> list[str]:
        """Replicas of which one side holds other changes than the other, at most so many."""
        ours = self._log.heads
        replicas = (r for r in {**ours, **self.heads} if ours.get(r) != self.heads.get(r))
        return list(islice(replicas, most))

    def lacking(self, coming: Callable[[str], int], most: int) -> list[Range]:
        """What we lack, but for what is here and not committed yet: of a replica, up to that number.

        Of at most so many replicas.
        """
        starts = ((r, max(self._ours(r), coming(r)) + 1) for r in self._behind)
        found = (Range(r, first, self.seq(r)) for r, first in starts if first <= self.seq(r))
        return list(islice(found, most))
