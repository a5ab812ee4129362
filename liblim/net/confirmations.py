"""What other devices hold: from those that are connected at once, from others by their receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from liblim.aio import AsyncDatabase
from liblim.change import Change
from liblim.errors import ChangeError, IdentityLocked, SignatureError, StoreError
from liblim.holdings import Holding, Remembered
from liblim.net.link import Link
from liblim.receipt import Receipt, Statement
from liblim.sync import refusal
from liblim.sync.receipts import Receipts, Verdict

SAVE_AFTER = 2.0
"""Seconds for which what is to be remembered is gathered."""
MAX_DIFFERING = 20


class Stand(NamedTuple):
    """How a device stands to our log; see ``PeerStatus``."""

    confirmed: float | None
    they_lack: int | None
    differing: tuple[str, ...]


class Confirmations:
    """Issues receipts, hands them on, and keeps ``AsyncDatabase.holdings`` true.

    ``links`` are those that both sides accepted; ``changed`` is called when holdings may have changed; ``do``
    carries out what nobody waits for; ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        database: AsyncDatabase,
        clock: Callable[[], float],
        *,
        links: Callable[[], Iterable[Link]],
        changed: Callable[[], None],
        do: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Begin empty; ``load`` fills it."""
        self._database = database
        self._clock = clock
        self._links = links
        self._changed = changed
        self._do = do
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.TimerHandle | None = None
        self._running = False
        self._counting = False
        self._reset()

    def _reset(self) -> None:
        self._receipts = Receipts(self._database, lambda: self._database.keys)
        self._kept: dict[str, Remembered] = {}
        self._dirty: set[str] = set()
        self._own: set[str] = set()
        """Devices whose last receipt came over their own connection, before all that it says since."""
        self._grown: dict[str, int] = {}
        """What our log took while a receipt is being looked into."""
        self._database.holdings.clear()

    # From start to stop

    async def load(self) -> None:
        """Take over what was remembered; the ledger has to be loaded.  Raises StoreError."""
        self._reset()
        for kept in await self._database.load_receipts():
            self._kept[kept.device] = kept
            if kept.holding is not None:
                self._database.holdings.kept[kept.device] = kept.holding
        self._receipts.restore(kept.receipt for kept in self._kept.values() if kept.receipt)
        self._drop_strangers()

    def begin(self) -> None:
        """Issue and hand on, from now on."""
        self._running = True
        self._receipts.moved(self._now)
        self._count()
        self._wait()

    def stop(self) -> None:
        """Let go, and have remembered what there is."""
        self._running = False
        for timer in (self._timer, self._saving):
            if timer is not None:
                timer.cancel()
        self._timer = self._saving = None
        if self._dirty:
            self._do(self._save())

    # Time, which the simulation replaces

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # What happens

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note that our log grew."""
        for change in changes:
            self._grown.setdefault(change.replica, change.seq)
        self._receipts.moved(self._now)
        self._count()
        self._wait()

    def trust_changed(self, *, moved: bool) -> None:
        """Take note that others may be members, that keys may have come, or that all is another library's."""
        if moved:
            self._reset()
        self._drop_strangers()
        for receipt in self._receipts.let_in(self._database.ledger.members.keys(), self._now):
            self._take(receipt)
        self._count()
        self._wait()

    def _drop_strangers(self) -> None:
        ledger, holdings = self._database.ledger, self._database.holdings
        self._receipts.keep_only(ledger.members.keys())
        for device in (self._kept.keys() | holdings.live.keys()) - ledger.peers.keys():
            self._dirty.discard(device)
            holdings.kept.pop(device, None)
            holdings.live.pop(device, None)
            if self._kept.pop(device, None) is not None:
                self._do(self._database.forget_receipt(device))

    def met(self, link: Link) -> None:
        """Take note of an accepted connection: say what others said."""
        self._database.holdings.live[link.device] = lambda: link.session.belief
        self._own.discard(link.device)
        for receipt in self._receipts.latest.values():
            if (
                receipt.device != link.device
            ):  # it has its own, or will hear of it when it says less
                link.hand_on(receipt)

    def parted(self, link: Link) -> None:
        """Take note that an accepted connection is over: what the device held last, it holds."""
        device, session = link.device, link.session
        self._database.holdings.live.pop(device, None)
        belief = session.belief
        if device in self._database.ledger.peers and belief and session.stated_at is not None:
            holding = Holding(self._unix(session.stated_at), belief.lacks())
            superseded = self._known(device).counted or device in self._own
            self._hold(device, holding, counted=superseded)
        self._count()

    def _unix(self, at: float) -> float:
        return self._clock() - (self._now - at)

    def heard(self, link: Link, receipt: Receipt) -> None:
        """Deal with a receipt that came over a connection."""
        try:
            members = self._database.ledger.members.keys()
            verdict = self._receipts.hear(receipt, members, self._now)
        except SignatureError as error:
            link.refuse(refusal("bad-message", str(error)))
            return
        device = receipt.device
        if verdict is Verdict.NEWS:
            self._take(receipt, link)
            self._count()
        elif verdict is Verdict.OLD:
            link.hand_on(self._receipts.latest[device])
        if device == link.device and self._receipts.latest.get(device) == receipt:
            self._own.add(device)
        self._wait()

    def _take(self, receipt: Receipt, link: Link | None = None) -> None:
        device, now = receipt.device, self._clock()
        self._own.discard(device)
        self._keep(replace(self._known(device), receipt=receipt, heard=now, counted=False))
        self._hand_on(receipt, link)

    def _hand_on(self, receipt: Receipt, but: Link | None = None) -> None:
        for link in list(self._links()):
            if link is not but:
                link.hand_on(receipt)

    # One's own receipts

    def _wait(self) -> None:
        due = self._receipts.timer
        alone = len(self._database.ledger.members) < 2
        if self._timer is None and due is not None and self._running and not alone:
            self._timer = self._later(due - self._now, self._issue)

    def _issue(self) -> None:
        self._timer = None
        try:
            receipt = self._receipts.issue(self._now, int(self._clock() * 1000))
        except IdentityLocked:
            receipt = None  # nobody is connected then, either
        if receipt is not None:
            self._keep(Remembered(receipt.device, receipt, self._clock(), counted=True))
            self._hand_on(receipt)
        self._wait()

    # What receipts of others come to

    def _count(self) -> None:
        """Look into the receipts that count by now, unless that is being done."""
        if not self._counting and any(self._can_count(kept) for kept in self._kept.values()):
            self._counting = True
            self._do(self._count_all())

    def _can_count(self, kept: Remembered) -> bool:
        return not kept.counted and self._statement(kept) is not None

    def _statement(self, kept: Remembered) -> Statement | None:
        """What a receipt says, if it counts: all that it speaks of is in our log."""
        live = self._database.holdings.live_belief(kept.device)
        if kept.receipt is None or live is not None or kept.device == self._database.device:
            return None
        try:
            said = self._database.keys.read(kept.receipt)
        except ChangeError:
            return None  # for a key that is still to come
        heads = self._database.heads
        if self._is_equal(said) or (
            said.frontier is not None
            and said.count <= self._database.count
            and all(
                dep.replica in heads and heads[dep.replica].seq >= dep.seq for dep in said.frontier
            )
        ):
            return said
        return None

    def _is_equal(self, said: Statement) -> bool:
        return said.count == self._database.count and said.digest == self._database.digest

    async def _count_all(self) -> None:
        try:
            while (
                kept := next(filter(self._can_count, self._kept.values()), None)
            ) is not None and self._running:
                began = self._now
                await self._count_one(kept)
                # However many receipts a member issues, most of the store's time is for others.
                await self._pause(min(4 * (self._now - began), 1.0))
        finally:
            self._counting = False

    async def _count_one(self, kept: Remembered) -> None:
        said = self._statement(kept)
        assert said is not None
        self._grown = {}
        lacks: dict[str, int] | None = {}
        if not self._is_equal(said):
            missing = self._database.count - said.count
            lacks = await self._database.lacking(said.frontier or (), missing)
        if self._kept.get(kept.device) is not kept:
            return  # there is a newer one, or none
        holding = None
        if lacks is not None:
            for replica, seq in self._grown.items():
                lacks.setdefault(replica, seq)
            holding = Holding(kept.heard, lacks)
        self._hold(kept.device, holding, counted=True)

    def _known(self, device: str) -> Remembered:
        return self._kept.get(device) or Remembered(device)

    def _hold(self, device: str, holding: Holding | None, *, counted: bool) -> None:
        """Believe that a device holds this, or that nothing is known of it."""
        if holding is None:
            self._database.holdings.kept.pop(device, None)
        else:
            self._database.holdings.kept[device] = holding
        self._keep(replace(self._known(device), holding=holding, counted=counted))
        self._changed()

    # Remembering

    def _keep(self, kept: Remembered) -> None:
        self._kept[kept.device] = kept
        self._dirty.add(kept.device)
        if self._saving is None and self._running:
            self._saving = self._later(SAVE_AFTER, lambda: self._do(self._save()))

    async def _save(self) -> None:
        self._saving = None
        taken: list[Remembered] = []

        def take() -> list[Remembered]:
            taken.extend(self._kept[device] for device in self._dirty if device in self._kept)
            self._dirty.clear()
            return taken

        try:
            await self._database.save_receipts(take)
        except StoreError:
            # With the next that is to be remembered.
            self._dirty.update(kept.device for kept in taken)
            raise

    # Facts

    def stand(self, device: str, link: Link | None) -> Stand:
        """How a device stands to our log."""
        belief = link.session.belief if link else None
        if link is not None and belief is not None and link.session.stated_at is not None:
            same = link.session.identical
            differing = () if same else tuple(belief.differing(MAX_DIFFERING))
            return Stand(self._unix(link.session.stated_at), belief.they_lack, differing)
        holdings = self._database.holdings
        holding = holdings.kept.get(device)
        if holding is None:
            return Stand(None, None, ())
        lacking = holdings.lacking(device, self._database.heads)
        return Stand(holding.confirmed, lacking, tuple(holding.lacks)[:MAX_DIFFERING])
