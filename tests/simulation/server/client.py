"""A device of a library that a server serves: it vouches there for who is in the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liblim.net.vouching import vouching
from liblim.sync import Session, Vouch
from tests.simulation.device import ENDINGS, Device
from tests.simulation.receipts import End

if TYPE_CHECKING:
    from tests.simulation.server.branch import Branch


class Client(Device):
    """A device with a wire to the server, besides its links to others."""

    world: Branch
    endings = (*ENDINGS, "left", "trouble", "not-served", "half-line")

    def open(self) -> None:
        """Start the program."""
        self._said: tuple[Session, tuple[Vouch, ...]] | None = None
        super().open()

    def _met(self, end: End) -> None:
        super()._met(end)
        if end.other.keyless:
            self.world.town.saw("meets")
        self.vouch()

    def _trust_moved(self) -> None:
        super()._trust_moved()
        self.vouch()

    def vouch(self) -> None:
        """Tell the server who is in the library, where it was not told yet; as ``Node`` does."""
        ledger = self.database.ledger
        if self.identity.device not in ledger.members:
            return
        for server in ledger.servers:
            end: Any = self.ends.get(server)
            if end is None:
                continue
            said = vouching(ledger)
            if self._said != (end.session, said):
                self._said = end.session, said
                self.world.town.saw("vouches")
                for message in said:
                    end.session.vouch(message)
