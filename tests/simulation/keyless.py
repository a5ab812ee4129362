"""A peer without keys: a real store and a real gate, which keep and pass on what they cannot read."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from liblim.change import Body, Change, Header
from liblim.database import Database
from liblim.errors import ChangeError
from liblim.reading import ReadingAdmission
from liblim.receipt import Receipt, Statement
from liblim.trust import Identity
from liblim.trust.keys import LibraryKeys
from liblim.trust.sealing import Learned, Unsealed
from tests.simulation.device import Device
from tests.simulation.receipts import KeylessShell, PassedOn

if TYPE_CHECKING:
    from tests.simulation.network import World


class Blind(Unsealed):
    """What opens nothing, and takes every signature for good: whoever has keys will see."""

    salt_size = LibraryKeys.salt_size

    def replica(self, device: str, salt: bytes) -> str:
        """The id that the device is bound to."""
        return LibraryKeys.replica(cast(LibraryKeys, self), device, salt)

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Open nothing."""
        raise ChangeError("there is no key here")

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Take it."""

    def check(self, receipt: Receipt) -> None:
        """Take it, too."""

    def read(self, receipt: Receipt) -> Statement:
        """Read nothing."""
        raise ChangeError("there is no key here")

    def learn(self, change: Change, body: Body) -> Learned:
        """Learn nothing."""
        raise AssertionError("a body was read without a key")


class KeylessDatabase(Database):
    """A log of one library that nobody there can read."""

    def __init__(
        self, path: Any, library: str, entropy: Callable[[int], bytes], clock: Any
    ) -> None:
        self._for = library
        super().__init__(path, [], entropy=entropy, clock=clock)

    def _begin(self) -> None:
        self.store.set_fact("library", self._for)
        super()._begin()
        self._admission = ReadingAdmission(self.store, Blind())


class Keyless(Device):
    """Stores and forwards, as the server will, for whoever connects."""

    database: KeylessDatabase
    keyless = True

    def __init__(self, world: World, path: str, library: str) -> None:
        self.library = library
        nobody = cast(Identity, SimpleNamespace(device=""))
        super().__init__(world, path, nobody)
        nobody.device = self.database.device

    def open_database(self) -> KeylessDatabase:
        """Start the log."""
        return KeylessDatabase(self.path, self.library, self.world.rng.randbytes, self)

    def open_shell(self) -> KeylessShell:
        """Put the shell around it."""
        return KeylessShell(self)

    def open_confirmations(self) -> PassedOn:
        """Hand on receipts."""
        return PassedOn(self, self.shell)

    def trusts(self, other: Device) -> bool:
        """Take everybody: what they bring is for others to judge."""
        return True

    def tend(self) -> None:
        """Owe nobody anything."""
