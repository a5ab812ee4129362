"""A peer without keys: a real store and a server's gate, which keep and pass on what they cannot read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from liblim.admission import Outcome
from liblim.change import Body, Change, Header
from liblim.database import Database
from liblim.errors import ChangeError
from liblim.reading import ReadingAdmission
from liblim.receipt import Receipt, Statement
from liblim.server.keyless import Vouched
from liblim.server.stores import Standing, Word
from liblim.trust import Identity
from liblim.trust.sealing import Learned
from tests.simulation.device import Device
from tests.simulation.receipts import KeylessShell, PassedOn

if TYPE_CHECKING:
    from tests.simulation.network import Link, World


class Blind(Vouched):
    """What opens nothing, and takes the signatures of those whom members vouched for."""

    epoch = ""

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Open nothing."""
        raise ChangeError("there is no key here")

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Write nothing."""
        raise AssertionError("something was written without a key")

    def sign(self, change_hash: bytes) -> bytes:
        """Write nothing."""
        raise AssertionError("something was written without a key")

    def check(self, receipt: Receipt) -> None:
        """Take it, be it of somebody who was not vouched for yet: whoever has keys will see."""

    def read(self, receipt: Receipt) -> Statement:
        """Read nothing."""
        raise ChangeError("there is no key here")

    def learn(self, change: Change, body: Body) -> Learned:
        """Learn nothing."""
        raise AssertionError("a body was read without a key")


class KeylessDatabase(Database):
    """A log of one library that nobody there can read."""

    def __init__(
        self, path: Any, blind: Blind, entropy: Callable[[int], bytes], clock: Any
    ) -> None:
        self._blind = blind
        self.introduced: set[str] = set()
        """Whose certificates came since the last batch."""
        super().__init__(path, [], entropy=entropy, clock=clock)

    def _begin(self) -> None:
        self.store.set_fact("library", self._blind.library)
        super()._begin()
        self._admission = ReadingAdmission(self.store, self._blind)

    def admit(self, changes: Sequence[Change], ours: str = "") -> Outcome:
        """Check and commit a batch, with what waited for certificates."""
        introduced, self.introduced = self.introduced, set()
        return self._admission.admit(changes, ours, introduced)


class Keyless(Device):
    """Stores and forwards, as a server does, for whoever connects."""

    database: KeylessDatabase
    keyless = True

    def __init__(self, world: World, path: str, library: str) -> None:
        self.blind = Blind(library)
        nobody = cast(Identity, SimpleNamespace(device=""))
        super().__init__(world, path, nobody)
        nobody.device = self.database.device

    def open_database(self) -> KeylessDatabase:
        """Start the log.  Who was vouched for is remembered: it stands in the registry."""
        return KeylessDatabase(self.path, self.blind, self.world.rng.randbytes, self)

    def open_shell(self) -> KeylessShell:
        """Put the shell around it."""
        return KeylessShell(self)

    def open_confirmations(self) -> PassedOn:
        """Hand on receipts."""
        return PassedOn(self, self.shell)

    def trusts(self, other: Device) -> bool:
        """Take everybody: what they bring is for others to judge."""
        return True

    def take_in(self, changes: Sequence[Change] | None, link: Link | None = None) -> None:
        """Hear first whom those who are connected vouch for."""
        for other in [end for one in self.sessions for end in one.ends if end is not self]:
            known = other.database.ledger.certificates.items()
            words = [Word(0, "", device, der, Standing.AUTHOR) for device, der in known]
            self.database.introduced |= self.blind.take(words)
        super().take_in(changes, link)

    def tend(self) -> None:
        """Owe nobody anything."""
