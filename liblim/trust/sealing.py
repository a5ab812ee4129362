"""Sealing: what turns a packed body into the bytes that are stored and forwarded, and who may do so."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from liblim.change import Body, Change, Header
from liblim.errors import ChangeError


class Learned(NamedTuple):
    """What a body tells about keys: certificates of devices (DER), keys of epochs."""

    certificates: list[bytes]
    epochs: list[bytes]


class Verifier(Protocol):
    """Checks who wrote a change of one library; it takes no secret."""

    salt_size: int
    """Bytes of the salt that binds a replica's id to its device; 0 where nothing does."""

    def replica(self, device: str, salt: bytes) -> str:
        """The id of the replica that a device begins with this salt."""

    def knows(self, device: str) -> bool:
        """Whether the device's certificate is known."""

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Check that a known device signed a change.

        Raises ChangeError.
        """


class Sealer(Verifier, Protocol):
    """Seals, opens, signs and checks for one library and one device."""

    @property
    def epoch(self) -> str:
        """The name of the epoch used for sealing, empty where nothing is sealed."""

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Seal a packed body; of ``header`` all but ``body`` is final, and bound to it."""

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Undo ``seal``.

        Raises ChangeError where the key is missing or anything was altered.
        """

    def sign(self, change_hash: bytes) -> bytes:
        """The device's signature over a change's hash.

        Raises IdentityLocked.
        """

    def learn(self, change: Change, body: Body) -> Learned:
        """Take the certificates and keys that an authentic change brings; never raises."""


class Unsealed:
    """No keys at all: for databases that stay on one device."""

    epoch = ""
    salt_size = 0

    def replica(self, device: str, salt: bytes) -> str:
        """Any will do: nothing is bound."""
        return ""

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Return the packed body as it is."""
        return packed

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Return the body as it is."""
        return sealed

    def sign(self, change_hash: bytes) -> bytes:
        """Return no signature."""
        return b""

    def knows(self, device: str) -> bool:
        """Take everybody."""
        return True

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Refuse what is signed: it belongs into a library with keys."""
        if signature:
            raise ChangeError("a change is signed, and this database has no keys")

    def learn(self, change: Change, body: Body) -> Learned:
        """Learn nothing."""
        return Learned([], [])
