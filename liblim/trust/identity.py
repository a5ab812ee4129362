"""A device's identity: one secret, and the certificate that tells others all they need.

The secret is an Ed25519 seed (RFC 8032): it signs changes and is the key of the TLS certificate.  The
X25519 key (RFC 7748) to which epochs are wrapped is derived from it, and its public half stands in the
certificate.  So the hash of the certificate, the device's id, covers both keys.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liblim.change import MAX_CERTIFICATE
from liblim.errors import CertificateError, ChangeError, IdentityLocked
from liblim.trust.epochs import hkdf

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

SEED = 32
SIGNATURE = 64
SERIAL = 20
"""Bytes of a certificate's serial number, at most (RFC 5280, section 4.1.2.2)."""
_ANYBODY = bytes(32)
"""A seed for what has to be signed, and is not believed."""
_AGREEMENT = "urn:lim:x25519:"


def device_of(certificate: bytes) -> str:
    """The id of the device with this certificate (DER): half of its hash, as 32 hex digits."""
    return hashlib.sha256(certificate).digest()[:16].hex()


def words_of(certificate: bytes) -> str:
    """Four words that stand for a certificate (DER), to be compared by people.

    The first 44 bits of its SHA-256, 11 for each word of BIP 39's English list.
    """
    bits = int.from_bytes(hashlib.sha256(certificate).digest()[:6], "big") >> 4
    words = _word_list()
    return " ".join(words[bits >> shift & 2047] for shift in (33, 22, 11, 0))


@cache
def _word_list() -> tuple[str, ...]:
    from mnemonic import Mnemonic

    return tuple(Mnemonic("english").wordlist)


class Certificate(NamedTuple):
    """What a device's certificate says: the public keys are raw, 32 bytes each."""

    der: bytes
    device: str
    signing: bytes
    agreement: bytes


@lru_cache(maxsize=1024)
def read_certificate(der: bytes) -> Certificate:
    """Read a certificate, which has to be byte for byte what a device makes of its keys.

    Raises CertificateError for anything else, so that no other parser of it sees something else.
    """
    if len(der) > MAX_CERTIFICATE:
        raise CertificateError("A device's certificate is too large.")
    try:
        return _read_certificate(der)
    except Exception:
        # Reading X.509 raises from half a dozen trees, and which of them changes with the library's version.
        raise CertificateError("This is not the certificate of a device.") from None


def _read_certificate(der: bytes) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    found = x509.load_der_x509_certificate(der)
    signing = found.public_key()
    if not isinstance(signing, Ed25519PublicKey):
        raise TypeError
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    agreement = bytes.fromhex(uri.removeprefix(_AGREEMENT))
    # A key of small order would fail when an epoch is wrapped for it; it raises here.
    X25519PrivateKey.from_private_bytes(bytes(32)).exchange(
        X25519PublicKey.from_public_bytes(agreement)
    )
    same = _certificate(signing, agreement, found.serial_number, _ANYBODY)
    if der[:-SIGNATURE] != same[:-SIGNATURE]:
        raise ValueError
    signing.verify(der[-SIGNATURE:], found.tbs_certificate_bytes)
    return Certificate(der, device_of(der), signing.public_bytes_raw(), agreement)


@lru_cache(maxsize=4096)
def _verifier(certificate: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(read_certificate(certificate).signing)


def verify(certificate: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the device with this certificate (DER) signed the data.

    Raises CertificateError.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        _verifier(certificate).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def wrap(certificate: bytes, secret: bytes, info: bytes) -> bytes:
    """Encrypt a secret for the device with this certificate (DER): HPKE, base mode (RFC 9180).

    Raises CertificateError.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    public = X25519PublicKey.from_public_bytes(read_certificate(certificate).agreement)
    return _suite().encrypt(secret, public, info)


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class Identity:
    """This device's certificate, and once it is unlocked, its key."""

    def __init__(self, certificate: bytes) -> None:
        """Take a certificate (DER); locked until ``unlock``."""
        self.certificate = certificate
        self.device = device_of(certificate)
        self._key: Ed25519PrivateKey | None = None
        self._agreement: X25519PrivateKey | None = None

    def __repr__(self) -> str:
        """Name the device, never its key."""
        return f"<Identity {self.device}{' locked' if self.locked else ''}>"

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes] = os.urandom) -> Identity:
        """A new device, unlocked, kept nowhere; all of it follows from ``entropy(n)``, n random bytes."""
        seed = entropy(SEED)
        identity = cls(_make_certificate(seed, entropy(SERIAL)))
        identity.unlock(seed)
        return identity

    @property
    def locked(self) -> bool:
        """Whether the key cannot be used yet."""
        return self._key is None

    def unlock(self, seed: bytes) -> None:
        """Take the secret, 32 bytes.

        Raises CertificateError where it is not the certificate's.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        read = read_certificate(self.certificate)
        if len(seed) != SEED:
            raise CertificateError("This key does not belong to this device's certificate.")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        agreement = _agreement_key(seed)
        if (
            key.public_key().public_bytes_raw() != read.signing
            or agreement.public_key().public_bytes_raw() != read.agreement
        ):
            raise CertificateError("This key does not belong to this device's certificate.")
        self._agreement = agreement
        self._key = key  # the last: another thread may be looking whether it is there

    def _unlocked(self) -> Ed25519PrivateKey:
        if self._key is None:
            raise IdentityLocked(
                "This device's key is locked, so nothing can be saved. What you write is kept in memory "
                "until it is unlocked."
            )
        return self._key

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes.

        Raises IdentityLocked.
        """
        return self._unlocked().sign(data)

    def unwrap(self, wrapped: bytes, info: bytes) -> bytes:
        """Undo ``wrap``.

        Raises IdentityLocked, or ChangeError where it is not for this device.
        """
        from cryptography.exceptions import InvalidTag

        self._unlocked()
        assert self._agreement is not None
        try:
            return _suite().decrypt(wrapped, self._agreement, info)
        except (InvalidTag, ValueError):
            raise ChangeError("a wrapped key is not for this device") from None

    def to_pem(self, passphrase: bytes) -> bytes:
        """Certificate and encrypted key (PKCS #8), as OpenSSL reads them from one file.

        Raises IdentityLocked.
        """
        from cryptography.hazmat.primitives import serialization

        key = self._unlocked().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase),
        )
        return ssl.DER_cert_to_PEM_cert(self.certificate).encode() + key

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a TLS context show this device's certificate.

        Raises IdentityLocked.
        """
        # OpenSSL takes a path only, so the key goes through a file, encrypted with what never leaves here.
        passphrase = os.urandom(32).hex()
        pem = self.to_pem(passphrase.encode())
        handle, name = tempfile.mkstemp(prefix="lim-", suffix=".pem")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
            context.load_cert_chain(name, password=passphrase)
        finally:
            Path(name).unlink()


def _agreement_key(seed: bytes) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(hkdf(seed, b"lim/1 x25519", 32))


def _make_certificate(seed: bytes, serial: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signing = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    agreement = _agreement_key(seed).public_key().public_bytes_raw()
    # Of 159 bits, as X.509 wants it positive; and not 0.
    return _certificate(signing, agreement, int.from_bytes(serial) >> 1 or 1, seed)


def _certificate(signing: Ed25519PublicKey, agreement: bytes, serial: int, seed: bytes) -> bytes:
    """The certificate (DER) for two public keys, signed with ``seed``; the signature is its end.

    Its dates mean nothing: what counts is that it is pinned.
    """
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lim device")])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    uri = x509.UniformResourceIdentifier(_AGREEMENT + agreement.hex())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing)
        .serial_number(serial)
        .not_valid_before(datetime.datetime(1970, 1, 2))
        .not_valid_after(datetime.datetime(9999, 12, 31))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signing), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False)
    )
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return builder.sign(key, None).public_bytes(Encoding.DER)
