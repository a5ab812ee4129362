"""What a server knows of a library: its devices' certificates.  It checks signatures, and opens nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from liblim.errors import CertificateError, SignatureError
from liblim.receipt import Receipt, signed_data
from liblim.server.stores import Registry, Standing, Word
from liblim.store.registry import judge
from liblim.trust import replica_of
from liblim.trust.identity import verify
from liblim.trust.keys import signed_change


class Vouched:
    """A ``Verifier`` made of what members said; the store's threads read while the loop's adds."""

    salt_size = 32

    def __init__(self, library: str) -> None:
        """Know of nobody."""
        self.library = library
        self._devices: dict[str, tuple[bytes, Standing]] = {}

    def take(self, words: Iterable[Word]) -> set[str]:
        """Take lines of the journal; returns whose certificates are new."""
        new: set[str] = set()
        for word in words:
            if word.standing is None:
                self._devices = {}
                continue
            if word.certificate and not self.knows(word.device):
                new.add(word.device)
            self._devices[word.device] = word.certificate, word.standing
        return new & self._devices.keys()

    def standing(self, device: str) -> Standing | None:
        """What the library says of a device; ``None`` for nothing."""
        found = self._devices.get(device)
        return found[1] if found else None

    @property
    def members(self) -> Collection[str]:
        """Who may connect."""
        found = self._devices.copy()
        return [device for device, (_, at) in found.items() if at is Standing.MEMBER]

    @property
    def devices(self) -> set[str]:
        """Of whom the library has spoken."""
        return set(self._devices)

    def certificate(self, device: str) -> bytes:
        """A device's certificate, empty where it is not known."""
        found = self._devices.get(device)
        return found[0] if found else b""

    def agrees(
        self,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Iterable[str],
    ) -> bool:
        """Whether what a member says is known already."""
        known = self._devices.copy()
        return not judge(known, members, authors, frozenset(withdrawn))

    # What admission asks

    def replica(self, device: str, salt: bytes) -> str:
        """The id of the replica that a device begins with this salt."""
        return replica_of(device, salt)

    def knows(self, device: str) -> bool:
        """Whether the device's certificate is known."""
        return bool(self.certificate(device))

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Check that a known device signed a change of this library.

        Raises SignatureError.
        """
        if not self._is_signed(device, signature, signed_change(self.library, change_hash)):
            raise SignatureError("a change is not signed by the device that it names")

    def check(self, receipt: Receipt) -> None:
        """Check that a known device signed its receipt.

        Raises SignatureError.
        """
        bound = self.library, receipt.device, receipt.counter, receipt.epoch
        if not self._is_signed(
            receipt.device, receipt.signature, signed_data(*bound, receipt.body)
        ):
            raise SignatureError("a receipt is not signed by the device that it names")

    def _is_signed(self, device: str, signature: bytes, data: bytes) -> bool:
        try:
            return self.knows(device) and verify(self.certificate(device), signature, data)
        except CertificateError:
            return False


def all_vouched(registry: Registry) -> dict[str, Vouched]:
    """What a registry says of each library.  Raises StoreError."""
    found = {library: Vouched(library) for library in registry.libraries()}
    for word in registry.words(0):
        if word.library in found:
            found[word.library].take([word])
    return found
