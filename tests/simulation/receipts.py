"""Receipts and remembered holdings: the real ``Confirmations`` in virtual time, and what they may say.

Whatever a device believes of another goes back to something that the other said.  ``Witness`` keeps who said
it, and in which of its lives: a life ends when the disk is lost.  In place of the times of holdings stand the
numbers of these sayings, so they are kept, lost and restored together with what was believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from liblim.aio import AsyncDatabase
from liblim.errors import LimError
from liblim.holdings import Holding
from liblim.net.confirmations import Confirmations
from liblim.net.link import Link as NetLink
from liblim.receipt import Receipt
from liblim.sync import Session
from tests.simulation.shell import AtOnce

if TYPE_CHECKING:
    from tests.simulation.device import Device


class End:
    """A device's end of a link, as ``Confirmations`` wants it."""

    def __init__(self, session: Session, other: Device) -> None:
        self.session = session
        self.other = other
        self.device = other.identity.device

    def hand_on(self, receipt: Receipt) -> None:
        """Let the peer have a receipt."""
        self.session.hand_on(receipt)

    def refuse(self, error: LimError) -> None:
        """Part from a peer that forges: here is none."""
        raise AssertionError(f"a receipt was refused: {error}")


class Saying(NamedTuple):
    """What a device said that it holds: the last change of each replica, or ``None`` if in pieces."""

    device: Device
    life: int
    heads: dict[str, int] | None = None

    def held(self) -> Mapping[str, int]:
        """What the device holds, or held when its disk was lost; in between a log only grows."""
        if self.life < len(self.device.lives):
            return self.device.lives[self.life]
        return {replica: head.seq for replica, head in self.device.database.heads.items()}


class Witness:
    """All that was said, by number."""

    def __init__(self) -> None:
        self.sayings: list[Saying] = []
        self.receipts: dict[bytes, float] = {}
        """The number of a receipt, by its signature."""

    def note(self, device: Device, heads: dict[str, int] | None = None) -> float:
        """Number what a device says now."""
        self.sayings.append(Saying(device, len(device.lives), heads))
        return float(len(self.sayings) - 1)

    def saying(self, holding: Holding) -> Saying:
        """Where a holding is from."""
        return self.sayings[int(holding.confirmed)]


class Simulated(Confirmations):
    """Confirmations in virtual time, whose every belief is traced back."""

    def __init__(self, device: Device, shell: AtOnce) -> None:
        self.device = device
        self.witness = device.world.witness
        self.number = 0.0
        super().__init__(
            cast(AsyncDatabase, shell),
            lambda: self.number,
            links=lambda: cast("list[NetLink]", device.accepted),
            changed=lambda: None,
            do=device.loop.chores.append,
        )

    # Time

    @property
    def _now(self) -> float:
        return self.device.monotonic()

    def _later(self, seconds: float, callback: Callable[[], None]) -> Any:
        return self.device.loop.call_later(seconds, callback)

    async def _pause(self, seconds: float) -> None:
        """Time passes anyway."""

    def _unix(self, at: float) -> float:
        return self.number

    @property
    def known(self) -> set[str]:
        """Of whom there are receipts."""
        return {*self._receipts.latest, *self._kept}

    # Where beliefs are from

    def parted(self, link: Any) -> None:
        """Remember what the peer held."""
        self.number = self.witness.note(link.other)
        super().parted(link)

    def _take(self, receipt: Receipt, link: Any = None) -> None:
        self.number = self.witness.receipts[receipt.signature]
        super()._take(receipt, link)

    def _hand_on(self, receipt: Receipt, but: Any = None) -> None:
        if receipt.device == self.device.identity.device:
            heads = {replica: head.seq for replica, head in self.device.database.heads.items()}
            number = self.witness.note(self.device, heads)
            self.witness.receipts.setdefault(receipt.signature, number)
        super()._hand_on(receipt, but)

    def _hold(self, device: str, holding: Holding | None, *, counted: bool) -> None:
        super()._hold(device, holding, counted=counted)
        believed = self._database.holdings.kept.get(device)
        said = self.witness.saying(believed).heads if believed else None
        if believed is not None and said is not None:
            found = dict(claimed(believed, self.device))
            assert found == said, "a receipt comes to something else than the device said"


class PassedOn(Simulated):
    """Those of a peer without keys: it hands on what it cannot read, and has nothing to say itself."""

    def _wait(self) -> None:
        """Issue nothing."""


class KeylessShell(AtOnce):
    """A log without keys: whoever wrote in it or connects may be a member, for all that is known here."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._around = device.world.devices

    @property
    def ledger(self) -> Any:
        """Those that are taken for members."""
        names = [who.device for who in self.core.authors.values()]
        names += [device.identity.device for device in self._around]
        found = dict.fromkeys(names)
        return SimpleNamespace(members=found, peers=found)

    @property
    def keys(self) -> Any:
        """Something that takes every signature and reads nothing."""
        return self.core._admission._sealer


def claimed(holding: Holding, observer: Device) -> Iterator[tuple[str, int]]:
    """What a holding says that a device has: the last change of each replica."""
    for replica, head in observer.database.heads.items():
        seq = holding.lacks.get(replica, head.seq + 1) - 1
        if seq:
            yield replica, seq


def check_holdings(observer: Device) -> None:
    """Nobody is believed to hold more than it has, or had when its disk was lost since."""
    for holding in observer.shell.holdings.kept.values():
        held = observer.world.witness.saying(holding).held()
        for replica, seq in claimed(holding, observer):
            assert held.get(replica, 0) >= seq, "a receipt that counts says more than there is"
