"""The last receipt of every device: issuing one's own, and handing on those of others."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Protocol

from liblim.change import Dep
from liblim.errors import ChangeError, SignatureError
from liblim.receipt import MAX_FRONTIER, Receipt, Statement
from liblim.sync.log import LogView

REST = 1.0
"""Seconds without a change until a receipt is issued."""
BUSY = 5.0
"""Seconds after which one is issued though changes go on."""

MAX_EARLY = 32
"""Devices of whom a receipt is kept in memory though they are no members (yet)."""


class Source(LogView, Protocol):
    """The log that a device issues receipts for."""

    @property
    def frontier(self) -> tuple[Dep, ...]:
        """The heads that are in no other change's causal past, in order of their replicas."""


class Checker(Protocol):
    """Checks receipts."""

    def check(self, receipt: Receipt) -> None:
        """Check who signed.  Raises SignatureError."""


class Notary(Checker, Protocol):
    """Makes, checks and reads receipts."""

    def issue(self, counter: int, statement: Statement) -> Receipt:
        """A receipt of this device.  Raises IdentityLocked."""

    def read(self, receipt: Receipt) -> Statement:
        """Open one.  Raises ChangeError."""


class Verdict(enum.Enum):
    """What to do about a receipt that was heard."""

    NEWS = "keep it, and hand it on"
    OLD = "give the one that is here to whom it came from"
    NOTHING = "nothing"


class Forwarded:
    """Keeps the receipts of members only, at most one each: ``latest``, by device."""

    def __init__(self, checker: Callable[[], Checker]) -> None:
        """Begin with none; ``checker`` is asked for each time, as pairing puts another in place."""
        self.latest: dict[str, Receipt] = {}
        self._checker = checker

    def restore(self, receipts: Iterable[Receipt]) -> None:
        """Take those that an earlier run kept."""
        self.latest.update((receipt.device, receipt) for receipt in receipts)

    def keep_only(self, members: Collection[str]) -> list[str]:
        """Drop those of other devices; returns of which."""
        gone = [device for device in self.latest if device not in members]
        for device in gone:
            del self.latest[device]
        return gone

    def judge(self, receipt: Receipt, members: Collection[str]) -> Verdict:
        """Judge a receipt that came, and keep it where it is news.

        Raises SignatureError where it is not of the device that it names.
        """
        known = self.latest.get(receipt.device)
        if receipt == known or receipt.device not in members:
            return Verdict.NOTHING
        if known is not None and receipt.rank < known.rank:
            return Verdict.OLD
        self._checker().check(receipt)
        self.latest[receipt.device] = receipt
        return Verdict.NEWS


class Receipts(Forwarded):
    """Issues those of this device, too; some of others wait for their device's introduction."""

    def __init__(self, log: Source, notary: Callable[[], Notary]) -> None:
        """Issue for ``log``."""
        super().__init__(notary)
        self._early: dict[str, Receipt] = {}
        self._log = log
        self._notary = notary
        self._said = ""
        """The digest of what was issued last in this run."""
        self._moved_since: float | None = None
        self._moved_last = 0.0

    # What others hand on

    def hear(self, receipt: Receipt, members: Collection[str], now: float) -> Verdict:
        """Judge a receipt that came.  Raises as ``judge``."""
        if receipt.device not in members:
            self._put_by(receipt)
            return Verdict.NOTHING
        verdict = self.judge(receipt, members)
        if verdict is not Verdict.NEWS or receipt.device != self._log.device:
            return verdict
        # This device had said more when it was copied or backed up, or its copy does so now.
        if not self._says_what_holds(receipt):
            self._said = ""
            self.moved(now)
        return Verdict.NOTHING

    def _put_by(self, receipt: Receipt) -> None:
        """Wait for an introduction: receipts are said before changes, and nobody says them twice."""
        known = self._early.pop(receipt.device, receipt)
        self._early[receipt.device] = max(known, receipt, key=lambda one: one.rank)
        if len(self._early) > MAX_EARLY:
            del self._early[next(iter(self._early))]

    def let_in(self, members: Collection[str], now: float) -> list[Receipt]:
        """Hear those that came early, of devices that are members by now; returns the news."""
        waiting = [device for device in self._early if device in members]
        found = []
        for receipt in map(self._early.pop, waiting):
            with suppress(SignatureError):
                if self.hear(receipt, members, now) is Verdict.NEWS:
                    found.append(receipt)
        return found

    def _says_what_holds(self, receipt: Receipt) -> bool:
        try:
            statement = self._notary().read(receipt)
        except ChangeError:
            return False
        return (statement.count, statement.digest) == (self._log.count, self._log.digest)

    # One's own

    def moved(self, now: float) -> None:
        """Take note that the log took changes, or that it begins to be used."""
        self._moved_last = now
        if self._moved_since is None:
            self._moved_since = now

    @property
    def timer(self) -> float | None:
        """When to ``issue``; ``None`` while there is nothing to say."""
        if self._moved_since is None:
            return None
        return min(self._moved_last + REST, self._moved_since + BUSY)

    def issue(self, now: float, at: int) -> Receipt | None:
        """A receipt, if one is due and says anything new; ``at`` is the wall clock in milliseconds.

        Raises IdentityLocked; then it is tried again after a rest.
        """
        if self.timer is None or now < self.timer:
            return None
        self._moved_since = None
        if self._said == self._log.digest:
            return None
        last = self.latest.get(self._log.device)
        try:
            receipt = self._notary().issue(last.counter + 1 if last else 1, self._statement(at))
        except BaseException:
            self.moved(now)
            raise
        self._said = self._log.digest
        self.latest[receipt.device] = receipt
        return receipt

    def _statement(self, at: int) -> Statement:
        frontier = self._log.frontier
        few = frontier if len(frontier) <= MAX_FRONTIER else None
        return Statement(self._log.count, self._log.digest, at, few)
