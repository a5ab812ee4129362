"""A library's keys on one device: what seals, opens, signs and checks its changes."""

from __future__ import annotations

import binascii
import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from liblim.change import Body, Change, Header
from liblim.errors import CertificateError, ChangeError, IdentityLocked, SignatureError
from liblim.receipt import (
    Receipt,
    Statement,
    bound_data,
    pack_statement,
    signed_data,
    unpack_statement,
)
from liblim.trust.documents import Device, Library, Wrapped, bytes_of, writes
from liblim.trust.epochs import Epoch
from liblim.trust.identity import Identity, device_of, read_certificate, verify, wrap
from liblim.trust.sealing import Learned


def replica_of(device: str, salt: bytes) -> str:
    """The id of the replica that a device begins with this salt.

    So no device can write under a replica id that another one has taken.
    """
    bound = b"lim/1 replica" + bytes.fromhex(device) + salt
    return hashlib.sha256(bound).digest()[:8].hex()


def signed_change(library: str, change_hash: bytes) -> bytes:
    """What a device signs of a change of a library."""
    return b"lim/1 change\0" + bytes.fromhex(library) + change_hash


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
        """The id of the replica that a device begins with this salt."""
        return replica_of(device, salt)

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Seal a packed body with the epoch that the header names."""
        return self._epoch(header.epoch).seal(packed, header, self.library)

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Open a sealed body.

        Raises ChangeError where the key is missing or anything was altered.
        """
        return self._epoch(header.epoch).open(sealed, header, self.library)

    def _epoch(self, name: str) -> Epoch:
        epoch = self.epochs.get(name)
        if epoch is None:
            raise ChangeError("the key of an epoch is missing")
        return epoch

    def sign(self, change_hash: bytes) -> bytes:
        """The device's signature over a change of this library.

        Raises IdentityLocked.
        """
        return self.identity.sign(signed_change(self.library, change_hash))

    def knows(self, device: str) -> bool:
        """Whether the device's certificate is known."""
        return device in self.certificates

    def verify(self, device: str, change_hash: bytes, signature: bytes) -> None:
        """Check that a known device signed a change of this library.

        Raises SignatureError.
        """
        if not self._is_signed(device, signature, signed_change(self.library, change_hash)):
            raise SignatureError("a change is not signed by the device that it names")

    def _is_signed(self, device: str, signature: bytes, data: bytes) -> bool:
        try:
            return verify(self.certificates[device], signature, data)
        except KeyError:
            return False  # nobody has introduced it here
        except CertificateError:
            return False  # one that a grant brought

    # Receipts

    def issue(self, counter: int, statement: Statement) -> Receipt:
        """A receipt of this device, under the epoch in use.

        Raises IdentityLocked.
        """
        bound = self.library, self.device, counter, self.epoch
        body = self._epoch(self.epoch).seal_bound(pack_statement(statement), bound_data(*bound))
        signature = self.identity.sign(signed_data(*bound, body))
        return Receipt(self.device, counter, self.epoch, body, signature)

    def check(self, receipt: Receipt) -> None:
        """Check that a known device signed its receipt; it takes no epoch's key.

        Raises SignatureError.
        """
        bound = self.library, receipt.device, receipt.counter, receipt.epoch
        data = signed_data(*bound, receipt.body)
        if not self._is_signed(receipt.device, receipt.signature, data):
            raise SignatureError("a receipt is not signed by the device that it names")

    def read(self, receipt: Receipt) -> Statement:
        """What a receipt says.

        Raises ChangeError where the key is missing or it makes no sense.
        """
        bound = bound_data(self.library, receipt.device, receipt.counter, receipt.epoch)
        return unpack_statement(self._epoch(receipt.epoch).open_bound(receipt.body, bound))

    # Keys that changes bring

    def learn(self, change: Change, body: Body) -> Learned:
        """Take the certificates and epochs that an authentic change brings; odd ones are passed over.

        It reads as the ledger does, lest one know devices that the other does not.
        """
        certificates: list[bytes] = []
        epochs: list[bytes] = []
        if body.kind == Device.kind:
            for write in writes(change, body):
                if write.field == "= certificate":
                    certificates.extend(self._certificate(body.oid, write.value))
        elif body.kind == Library.kind and body.oid == self.library:
            for write in writes(change, body):
                if write.field == "add epochs":
                    epochs.extend(self._wrapped(write.value))
        return Learned(certificates, epochs)

    def _certificate(self, device: str, text: Any) -> Iterator[bytes]:
        with contextlib.suppress(CertificateError):
            der = bytes_of(text)
            if read_certificate(der).device == device:
                self.add_certificate(der)
                yield der

    def _wrapped(self, value: Any) -> Iterator[bytes]:
        with contextlib.suppress(
            ChangeError, IdentityLocked, ValueError, KeyError, msgspec.ValidationError
        ):
            element = msgspec.convert(value, Wrapped)
            if element.epoch in self.epochs:
                yield self.epochs[element.epoch].key
                return
            wrapped = binascii.a2b_base64(element.keys[self.device], strict_mode=True)
            key = self.identity.unwrap(wrapped, self._wrapping(element.epoch))
            if Epoch(key).name == element.epoch:
                self.add_epoch(key)
                yield key

    def wrap_for(self, device: str, epoch: str) -> bytes:
        """An epoch's key, encrypted for a known device.

        Raises CertificateError.
        """
        return wrap(self.certificates[device], self.epochs[epoch].key, self._wrapping(epoch))

    def _wrapping(self, epoch: str) -> bytes:
        return b"lim/1 wrap" + bytes.fromhex(self.library) + bytes.fromhex(epoch)
