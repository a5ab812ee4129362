"""The connections of one library: each brings news, which all the others get."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from liblim.change import Change
from liblim.errors import LimError, SignatureError, StoreError
from liblim.holdings import Holding, Holdings
from liblim.net.dial import Streams
from liblim.net.link import Forked, Link, Notice
from liblim.net.timing import Timing
from liblim.receipt import Receipt
from liblim.server.limits import Limits, Paced
from liblim.server.metrics import Counts
from liblim.server.served import ServedLibrary
from liblim.server.stores import Standing
from liblim.sync import Claims, Closed, Heard, Ready, Session, Vouch, Vouches, refusal
from liblim.sync.receipts import Forwarded, Verdict

SUPERSEDED = "Another connection of this device is used instead."
SAVE_AFTER = 2.0
"""Seconds for which receipts are gathered before they are kept."""
VOUCHES = 16
"""Of one connection, that wait to be written down: each may take a megabyte."""
LINKS = 8
"""Connections of one device; for one more, the oldest has to go."""

_log = logging.getLogger(__name__)


class Terms(NamedTuple):
    """How a server speaks to devices."""

    name: str
    agent: str
    timing: Timing
    limits: Limits
    counts: Counts


class Registrar(Protocol):
    """Takes what members say of their library."""

    async def vouch(self, library: str, device: str, said: Vouch) -> None:
        """Take what a member says.  Raises LimError."""


class Circle:
    """Runs the links of one library, and keeps the receipts of its devices."""

    def __init__(
        self,
        served: ServedLibrary,
        terms: Terms,
        registrar: Registrar,
        do: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Begin with no connection; ``do`` carries out what nobody waits for."""
        self.served = served
        self.links: dict[Link, asyncio.Task[None]] = {}
        self._terms = terms
        self._registrar = registrar
        self._do = do
        self._claims = Claims()
        self._claims.on_free = self._freed
        self._holdings = Holdings()
        self._receipts = Forwarded(lambda: served.vouched)
        self._receipts.restore(served.receipts)
        self._vouching: dict[Link, deque[Vouch]] = {}
        """What each has said of the library and is still to be written down, in that order."""
        self._unsaved: dict[str, Receipt] = {}
        self._saving: asyncio.TimerHandle | None = None
        served.on_committed = self._committed
        served.on_receipts = self._heard_elsewhere
        self._drop_strangers()

    # Connections

    def welcome(self, streams: Streams, device: str, early: bytes, port: int) -> None:
        """Talk with a member; ``early`` is what it said already."""
        links = [link for link in self.links if link.device == device]
        if len(links) >= LINKS:
            links[0].drop()
        terms = self._terms
        session = Session(
            self.served,
            now=asyncio.get_running_loop().time(),
            name=terms.name,
            agent=terms.agent,
            port=port,
            peer=device,
            patience=terms.timing.greeting,
            claims=self._claims,
        )
        session.recall = lambda: self._holdings.recall(device)
        link = Link(
            Paced(self.served, terms.limits, terms.counts),
            session,
            streams,
            self,
            terms.timing,
            device=device,
            early=early,
        )
        self.links[link] = task = asyncio.ensure_future(link.run())
        task.add_done_callback(lambda _: self._ended(link))

    def _ended(self, link: Link) -> None:
        self.links.pop(link, None)
        self._vouching.pop(link, None)

    def part(self, reason: str) -> None:
        """Say goodbye to all."""
        for link in list(self.links):
            link.leave(reason)

    def dismiss(self, code: str) -> None:
        """Send all away."""
        for link in list(self.links):
            link.refuse(refusal(code))

    def look(self) -> None:
        """Part from those who are members no more."""
        vouched = self.served.vouched
        for link in list(self.links):
            standing = vouched.standing(link.device)
            if standing is not Standing.MEMBER:
                gone = standing is Standing.WITHDRAWN
                link.refuse(refusal("removed" if gone else "not-served"))
        self._drop_strangers()

    def _drop_strangers(self) -> None:
        gone = self._receipts.keep_only(self.served.vouched.members)
        for device in gone:
            self._unsaved.pop(device, None)
        if gone:
            self._do(self._save(gone))

    def _freed(self) -> None:
        """Some link may ask for what another was asked for until now."""
        loop = asyncio.get_running_loop()
        for link in self.links:
            loop.call_soon(link.look)

    def _committed(self, changes: Sequence[Change]) -> None:
        self._holdings.grow(changes)
        for link in list(self.links):
            link.committed(changes)

    # What links tell

    def noticed(self, link: Link, notice: Notice) -> None:
        """Deal with what happened on a link."""
        match notice:
            case Ready():
                self._ready(link)
            case Closed():
                self._closed(link, notice)
            case Heard(receipt):
                self._heard(link, receipt)
            case Vouches(said):
                self._hear_vouch(link, said)
            case Forked() if not link.forked:
                link.forked = True
                _log.warning(
                    "library %s: device %s sent changes that contradict others",
                    self.served.library,
                    link.device,
                )

    def changed(self) -> None:
        """Nobody looks."""

    def _ready(self, link: Link) -> None:
        for rival in list(self.links):
            if rival.device == link.device and rival is not link and rival.ready:
                rival.leave(SUPERSEDED)
        for receipt in self._receipts.latest.values():
            if receipt.device != link.device:
                link.hand_on(receipt)
        _log.info("library %s: device %s is connected", self.served.library, link.device)

    def _closed(self, link: Link, closed: Closed) -> None:
        self._terms.counts.end(link.session, closed.code)
        belief = link.session.belief
        if belief is not None and link.ready:
            # So that it need not list all its heads when it comes again.
            self._holdings.kept[link.device] = Holding(0.0, belief.lacks())
        _log.info(
            "library %s: device %s: %s. %s",
            self.served.library,
            link.device,
            closed.code,
            closed.reason,
        )

    def _hear_vouch(self, link: Link, said: Vouch) -> None:
        waiting = self._vouching.setdefault(link, deque())
        if len(waiting) >= VOUCHES:
            why = "VOUCH comes faster than it can be written down"
            link.refuse(refusal("bad-message", why))
            return
        waiting.append(said)
        if len(waiting) == 1:
            self._do(self._vouch(link, waiting))

    async def _vouch(self, link: Link, waiting: deque[Vouch]) -> None:
        """Write down what a device says; who was removed it says first, then who else is no member."""
        try:
            while waiting:
                try:
                    await self._registrar.vouch(self.served.library, link.device, waiting[0])
                except LimError as error:
                    link.refuse(error)
                waiting.popleft()
        finally:
            waiting.clear()

    # Receipts

    def _heard(self, link: Link, receipt: Receipt) -> None:
        try:
            verdict = self._receipts.judge(receipt, self.served.vouched.members)
        except SignatureError as error:
            link.refuse(refusal("bad-message", str(error)))
            return
        if verdict is Verdict.NEWS:
            self._hand_on(receipt, link)
            self._unsaved[receipt.device] = receipt
            if self._saving is None:
                loop = asyncio.get_running_loop()
                self._saving = loop.call_later(SAVE_AFTER, lambda: self._do(self._save()))
        elif verdict is Verdict.OLD:
            link.hand_on(self._receipts.latest[receipt.device])

    def _heard_elsewhere(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            try:
                verdict = self._receipts.judge(receipt, self.served.vouched.members)
            except SignatureError:
                continue
            if verdict is Verdict.NEWS:
                self._hand_on(receipt)

    def _hand_on(self, receipt: Receipt, but: Link | None = None) -> None:
        for link in list(self.links):
            if link is not but and link.ready:
                link.hand_on(receipt)

    async def _save(self, gone: Collection[str] = ()) -> None:
        """Keep the receipts that came; what fails is tried again with the next one."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        receipts, self._unsaved = self._unsaved, {}
        try:
            await self.served.keep_receipts(receipts.values(), gone)
        except StoreError as error:
            self._unsaved = {**receipts, **self._unsaved}
            _log.error("library %s: receipts are not kept: %s", self.served.library, error)

    async def close(self) -> None:
        """End all links, and let go of the log."""
        for link in list(self.links):
            link.drop()
        if self.links:
            await asyncio.wait(list(self.links.values()))
        if self._unsaved or self._saving is not None:
            await self._save()
        await self.served.close()
