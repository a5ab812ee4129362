"""A library's keys on one device: what seals, opens, signs and checks its changes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from liblim.change import Body, Header
from liblim.errors import CertificateError, ChangeError, IdentityLocked, SignatureError
from liblim.trust.epochs import Epoch
from liblim.trust.identity import Identity, device_of, read_certificate, verify, wrap
from liblim.trust.sealing import Learned

DEVICE_KIND = "device"
LIBRARY_KIND = "library"


class LibraryKeys:
    """A ``Sealer`` with keys.

    ``epochs`` are by name, ``certificates`` (DER) by device.  Both only ever grow, so the store's thread may
    add to them while the loop's thread reads.
    """

    def __init__(
        self,
        library: str,
        identity: Identity,
        epochs: Iterable[bytes] = (),
        certificates: Iterable[bytes] = (),
    ) -> None:
        """Hold the keys of a library; ``use`` says which epoch seals."""
        self.library = library
        self.identity = identity
        self.device = identity.device
        self.epoch = ""
        self.epochs: dict[str, Epoch] = {}
        self.certificates: dict[str, bytes] = {}
        self._signed = b"lim/1 change\0" + bytes.fromhex(library)
        for key in epochs:
            self.add_epoch(key)
        for certificate in certificates:
            self.add_certificate(certificate)

    def __repr__(self) -> str:
        """Name library and device, never a key."""
        return f"<LibraryKeys of {self.library} on {self.device}>"

    def add_epoch(self, key: bytes) -> str:
        """Hold one more epoch's key; returns the epoch's name."""
        epoch = Epoch(key)
        self.epochs.setdefault(epoch.name, epoch)
        return epoch.name

    def add_certificate(self, certificate: bytes) -> str:
        """Know one more device by its certificate (DER); returns the device's id."""
        device = device_of(certificate)
        self.certificates.setdefault(device, certificate)
        return device

    def use(self, epoch: str) -> None:
        """Seal with this epoch from now on.

        Raises ChangeError where its key is not here.
        """
        if epoch not in self.epochs:
            raise ChangeError("the key of an epoch is missing")
        self.epoch = epoch

    # What a change needs

    salt_size = 32

    def replica(self, device: str, salt: bytes) -> str:
        """The id of the replica that a device begins with this salt.

        So no device can write under a replica id that another one has taken.
        """
        bound = b"lim/1 replica" + bytes.fromhex(device) + salt
        return hashlib.sha256(bound).digest()[:8].hex()

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Seal a packed body with the epoch that the header names."""
        return self._epoch(header).seal(packed, header, self.library)

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Open a sealed body.

        Raises ChangeError where the key is missing or anything was altered.
        """
        return self._epoch(header).open(sealed, header, self.library)

    def _epoch(self, header: Header) -> Epoch:
        epoch = self.epochs.get(header.epoch)
        if epoch is None:
            raise ChangeError("the key of an epoch is missing")
        return epoch

    def sign(self, change_hash: bytes) -> bytes:
        """The device's signature over a change of this library.

        Raises IdentityLocked.
        """
        return self.identity.sign(self._signed + change_hash)

    def knows(self, device: str) -> bool:
        """Whether the device's certificate is known."""
        return device in self.certificates

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Check that a known device signed a change of this library.

        Raises SignatureError.
        """
        try:
            signed = verify(self.certificates[device], signature, self._signed + change_hash)
        except CertificateError:
            signed = False  # one that a grant brought
        if not signed:
            raise SignatureError("a change is not signed by the device that it names")

    # Keys that changes bring

    def learn(self, body: Body) -> Learned:
        """Take the certificates and epochs that an authentic body brings; odd ones are passed over."""
        certificates: list[bytes] = []
        epochs: list[bytes] = []
        if body.kind == DEVICE_KIND:
            for operation in body.ops:
                match operation:
                    case ["certificate", "=", str(text)]:
                        certificates.extend(self._certificate(body.oid, text))
        elif body.kind == LIBRARY_KIND and body.oid == self.library:
            for operation in body.ops:
                match operation:
                    case ["epochs", "add", {"epoch": str(epoch), "keys": dict(keys)}]:
                        epochs.extend(self._wrapped(epoch, keys.get(self.device)))
        return Learned(certificates, epochs)

    def _certificate(self, device: str, text: str) -> Iterator[bytes]:
        der = _decode(text)
        try:
            if read_certificate(der).device == device:
                self.add_certificate(der)
                yield der
        except CertificateError:
            pass

    def _wrapped(self, epoch: str, text: Any) -> Iterator[bytes]:
        if epoch in self.epochs:
            yield self.epochs[epoch].key
            return
        try:
            key = self.identity.unwrap(_decode(text), self._wrapping(epoch))
            if Epoch(key).name == epoch:
                self.add_epoch(key)
                yield key
        except (ChangeError, IdentityLocked, ValueError):
            pass

    def wrap_for(self, device: str, epoch: str) -> bytes:
        """An epoch's key, encrypted for a known device.

        Raises CertificateError.
        """
        return wrap(self.certificates[device], self.epochs[epoch].key, self._wrapping(epoch))

    def _wrapping(self, epoch: str) -> bytes:
        return b"lim/1 wrap" + bytes.fromhex(self.library) + bytes.fromhex(epoch)


def _decode(text: Any) -> bytes:
    """Bytes from base64, empty where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return b""
