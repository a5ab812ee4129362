"""Pairing as people see it: what to show, what to ask, and which devices are near.

``Pairing`` is the one way in for the window and for the command line.  It adds to the pairing of
``liblim.net`` what only the app knows: own addresses, own notes, how far the first sync has come, and a new
key for a device that was removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.status import OwnAddress
from liblim.errors import LimError
from liblim.net import parse_address
from liblim.trust.pairing import Joining, Phase, read_code

if TYPE_CHECKING:
    from app.service import Service
    from liblim.net.pairing import PairingHost
    from liblim.trust.pairing import PairingView as HostView

__all__ = ["Joining", "Nearby", "Pairing", "PairingView", "Phase"]

MOVED = "These notes came from another computer. Say first whether they were moved or copied."
UNHEARD = "This device listens nowhere, so no other can connect to it."
ASK_THERE = "Show the code on the other device, and enter it here."
NOT_YET = "This device is not on the network yet. Wait a moment, and try again."


@dataclass(frozen=True, slots=True)
class PairingView:
    """All that there is to show of pairing, at one moment.

    In ``CONFIRM`` both devices have proved that they know the code, and the person compares the words; in
    ``WAITING`` the one at the other device has not answered yet.
    """

    phase: Phase = Phase.IDLE
    code: str = field(default="", repr=False)
    """While it is shown: ``1234 5678``."""
    until: float = 0.0
    """Unix seconds at which the code stops to count."""
    tries: int = 0
    """How many more wrong codes end it."""
    peer: str = ""
    """The other's device id, from ``CONFIRM`` on."""
    peer_name: str = ""
    peer_words: str = ""
    own_words: str = ""
    we_join: bool = False
    """Whether this device takes on the other's library."""
    server: bool = False
    """Whether the other is a server, that keeps the notes for the library's devices and reads none."""
    asks: bool = False
    """Whether ``accept`` has to say what becomes of the notes here."""
    notes: int = 0
    """How many notes there are here."""
    error: str = ""
    """What failed, as a sentence, in ``FAILED``."""
    mend: str = ""
    """What would mend it, as a sentence."""
    addresses: tuple[OwnAddress, ...] = ()
    """Where this device can be reached, the likeliest first."""
    done: int = 0
    total: int = 0
    """Changes of the first sync, in ``PAIRED`` where ``we_join``: equal when it is complete.

    ``total`` is 0 while it is not known.
    """


@dataclass(frozen=True, slots=True)
class Nearby:
    """A device that was found on the local network; nothing of it is proven."""

    name: str
    device: str
    address: str
    pairing: bool
    """Whether it shows a code right now."""


class Pairing:
    """Pairing of one service; what it shows changes with the service's status.

    Everything here returns at once; ``view`` says what came of it, and ``Service.subscribe`` tells when
    that may have changed.  Nothing is shown as ``PAIRED`` before both devices hold what they need.
    """

    def __init__(self, service: Service) -> None:
        """``service`` need not be started yet."""
        self._service = service
        self._own: PairingView | None = None
        """Shown in place of the host's view, while that does nothing yet."""
        self._total = 0

    @property
    def view(self) -> PairingView:
        """Where pairing stands."""
        if self._own is not None:
            return self._own
        network = self._service.network
        found = network.node.pairing.view
        done, total = self._first_sync(found)
        return PairingView(
            phase=found.phase,
            code=found.code,
            until=found.until,
            tries=found.tries,
            peer=found.peer,
            peer_name=found.peer_name,
            peer_words=found.peer_words,
            own_words=found.own_words or network.words,
            we_join=found.we_join,
            server=found.server,
            asks=found.asks,
            error=found.error,
            mend=found.mend,
            notes=len(self._service.notes.rows),
            addresses=network.addresses,
            done=done,
            total=total,
        )

    def _first_sync(self, found: HostView) -> tuple[int, int]:
        """How many of the other's changes are here, of how many; 0 of 0 where that is not known."""
        if found.phase is not Phase.PAIRED or not found.we_join:
            self._total = 0
            return 0, 0
        for peer in self._service.network.node.status():
            if peer.device == found.peer and peer.count is not None and peer.we_lack is not None:
                self._total = max(self._total, peer.count)
                return self._total - peer.we_lack, self._total
        return 0, self._total

    def show(self) -> None:
        """Show a fresh code, for another device to enter; in place of one that is shown already."""
        self._begin(self._show)

    def _show(self, host: PairingHost) -> None:
        if self._service.network.node.listening is None:
            self._own = PairingView(phase=Phase.FAILED, error=UNHEARD, mend=ASK_THERE)
        else:
            host.show()

    def dial(self, address: str, code: str) -> None:
        """Pair with the device at ``address`` (``host:port``), which shows ``code``.

        Raises LimError where the address or the code cannot be one.
        """
        target = parse_address(address)
        digits = read_code(code)
        self._begin(lambda host: host.dial([target], digits))

    def accept(self, joining: Joining = Joining.ADD_MINE) -> None:
        """The person compared the words and wants it; ``joining`` counts where the view ``asks``."""
        self._host.accept(joining)

    def refuse(self) -> None:
        """The person does not want it; the other side is told."""
        self._host.refuse()

    def cancel(self) -> None:
        """Give up whatever is under way; the view is ``IDLE`` again."""
        self._own = None
        self._host.cancel()

    @property
    def nearby(self) -> list[Nearby]:
        """Devices found on the local network that are not paired yet; those that show a code first."""
        return self._service.network.nearby

    @property
    def _host(self) -> PairingHost:
        return self._service.network.node.pairing

    def _begin(self, begin: Callable[[PairingHost], None]) -> None:
        """Begin, once this device has a key that others may take; say so where it cannot."""
        status = self._service.status()
        self._own = None
        if status.removed_by:
            # Removed keys stay removed, so it comes back as a device with a new one.
            self._own = PairingView(phase=Phase.CONNECTING)
            self._service.do(self._renew_and(begin))
        elif not self._service.network.online:
            reason = status.locked or status.problem or (MOVED if status.elsewhere else NOT_YET)
            self._own = PairingView(phase=Phase.FAILED, error=reason)
        else:
            begin(self._host)
        self.changed()

    async def _renew_and(self, begin: Callable[[PairingHost], None]) -> None:
        try:
            await self._service.renew()
        except LimError as error:
            self._own = PairingView(phase=Phase.FAILED, error=str(error))
        else:
            self._own = None
            begin(self._host)
        self.changed()

    def changed(self) -> None:
        """Tell who shows it."""
        self._service.changed()
