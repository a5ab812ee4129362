"""One library on a server: its log behind the same face that a device's database shows to sessions and links.

The log is used on threads that all libraries share, by one of them at a time; what is known of it in memory
belongs to the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor

import msgspec

from liblim.admission import Admission, Outcome
from liblim.change import Change, Head, Range
from liblim.heads import HeadDigest
from liblim.receipt import Receipt
from liblim.server.keyless import Vouched
from liblim.server.limits import Limits
from liblim.server.stores import Log, Storage, StoreWentBack
from liblim.server.turns import Turns
from liblim.sync import refusal

MEASURE = 2**20
"""Bytes that may enter a log until what it takes is measured again."""
OVERHEAD = 400
"""Bytes that a change takes beside its body, roughly."""

_decoder = msgspec.json.Decoder(Receipt)


class ServedLibrary:
    """A log that nobody here can read.

    ``on_committed`` is called with the changes that entered it, ``on_receipts`` with receipts that came by
    another process, ``on_went_back`` when the log has lost what is known of it: it has to be opened anew.
    """

    def __init__(
        self, log: Log, vouched: Vouched, device: str, turns: Turns, limits: Limits
    ) -> None:
        """Read what there is to know of a log, for the server ``device``.

        Raises StoreError.
        """
        self.on_committed: Callable[[list[Change]], None] = lambda changes: None
        self.on_receipts: Callable[[list[Receipt]], None] = lambda receipts: None
        self.on_went_back: Callable[[], None] = lambda: None
        self.vouched = vouched
        self.device = device
        self._log = log
        self._limits = limits
        self._turns = turns
        self._admission = Admission(log, vouched)
        self.heads: dict[str, Head] = {r: row.head for r, row in log.replicas().items()}
        self.count = sum(head.seq for head in self.heads.values())
        self.position = log.last_position()
        self.octets = log.octets()
        """Bytes that the log took when that was last measured, which would slow down every commit."""
        self._unmeasured = 0
        self.receipts = [_decoder.decode(packed) for packed, _ in log.receipts()]
        """Those that were kept when it was opened."""
        self._digest = HeadDigest(self.heads)

    @classmethod
    async def open(
        cls, storage: Storage, vouched: Vouched, device: str, executor: Executor, limits: Limits
    ) -> ServedLibrary:
        """Open a library's log.  Raises StoreError."""
        turns = Turns(executor)

        def begin() -> ServedLibrary:
            log = storage.open(vouched.library)
            try:
                return cls(log, vouched, device, turns, limits)
            except BaseException:
                log.close()
                raise

        return await turns.take(begin)

    async def close(self) -> None:
        """Let go of the log, when what is under way is done."""
        await self._turns.take(self._log.close)

    @property
    def library(self) -> str:
        """The library's id."""
        return self.vouched.library

    @property
    def digest(self) -> str:
        """The digest over the heads."""
        return self._digest.value

    # The log

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes; they are committed when this returns.

        Raises StoreError, or ProtocolError where the library takes too much room; then none was admitted.
        """
        self._check_room(changes)
        return await self._take_in(changes)

    def _check_room(self, changes: Sequence[Change]) -> None:
        octets, most = self.octets + self._unmeasured, self._limits.octets
        if octets >= most:
            held, may = octets // 2**20, most // 2**20
            raise refusal("over-limit", f"it takes {held} MiB, and may take {may} MiB")
        most = self._limits.replicas
        if len(self.heads) >= most and any(change.seq == 1 for change in changes):
            raise refusal("over-limit", f"it may have {most} replicas")

    async def look(self, introduced: Collection[str] = ()) -> None:
        """Take over what other processes wrote, and what waited for these devices' certificates.

        Raises StoreError.
        """
        await self._take_in((), introduced)

    async def _take_in(
        self, changes: Sequence[Change], introduced: Collection[str] = ()
    ) -> Outcome:
        try:
            work = self._turns.take(lambda: self._admit(changes, introduced), self._admitted)
            return (await work)[0]
        except StoreWentBack:
            self.on_went_back()
            raise

    def _admit(
        self, changes: Sequence[Change], introduced: Collection[str]
    ) -> tuple[Outcome, int | None]:
        """Admit them, on a thread; measures what the log takes where it has grown by much."""
        outcome = self._admission.admit(changes, introduced=introduced)
        kept = [*(new.change for new in outcome.entered), *outcome.aside]
        self._unmeasured += sum(OVERHEAD + len(change.body or b"") for change in kept)
        return outcome, self._log.octets() if self._unmeasured >= MEASURE else None

    def _admitted(self, done: tuple[Outcome, int | None]) -> None:
        outcome, octets = done
        if octets is not None:
            self.octets, self._unmeasured = octets, 0
        self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        entered = [(new.position, new.change) for new in outcome.entered]
        news = [*outcome.elsewhere.changes, *entered]
        for position, change in news:
            self.heads[change.replica] = Head(change.seq, change.hash)
            self.count += 1
            self.position = position
        if news:
            self._digest.advanced({change.replica for _, change in news})
            self.on_committed([change for _, change in news])
        if outcome.elsewhere.receipts:
            self.on_receipts([_decoder.decode(packed) for packed in outcome.elsewhere.receipts])

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log in order of arrival; see ``Log.read``."""
        return await self._turns.take(lambda: self._log.read(ranges, changes, octets))

    async def keep_receipts(self, receipts: Collection[Receipt], gone: Collection[str]) -> None:
        """Keep devices' receipts, and drop those of devices that are ``gone``.  Raises StoreError."""

        def save() -> None:
            with self._log.transaction():
                for receipt in receipts:
                    packed = msgspec.json.encode(receipt)
                    self._log.save_receipt(receipt.device, packed, self.position)
                for device in gone:
                    self._log.forget_receipt(device)

        await self._turns.take(save)
