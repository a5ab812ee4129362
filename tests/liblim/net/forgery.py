"""Certificates that no honest program makes."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from liblim.trust import Identity

FOREVER = (datetime.datetime(1970, 1, 2), datetime.datetime(9999, 12, 31))


class Forged(NamedTuple):
    """A certificate chain, the leaf first, and the leaf's key."""

    chain: list[x509.Certificate]
    key: Ed25519PrivateKey

    @property
    def der(self) -> bytes:
        return self.chain[0].public_bytes(serialization.Encoding.DER)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a TLS context show it."""
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.chain)
        pem += self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "forged.pem")
            path.write_bytes(pem)
            context.load_cert_chain(path)


def like(identity: Identity) -> Forged:
    """A self-made certificate that says word for word what a device's says, but for the keys."""
    model = x509.load_der_x509_certificate(identity.certificate)
    key = Ed25519PrivateKey.generate()
    return Forged([_build(model, key, key, model.subject)], key)


def signed_by(identity: Identity) -> Forged:
    """A leaf that a device signed as if it were an authority, with that device's own certificate."""
    model = x509.load_der_x509_certificate(identity.certificate)
    authority = identity._key
    assert authority is not None
    key = Ed25519PrivateKey.generate()
    return Forged([_build(model, key, authority, model.subject), model], key)


def dated(first: datetime.datetime, last: datetime.datetime) -> Forged:
    """A device's certificate, but for its dates."""
    key = Ed25519PrivateKey.generate()
    model = x509.load_der_x509_certificate(Identity.generate().certificate)
    return Forged([_build(model, key, key, model.subject, (first, last))], key)


def _build(
    model: x509.Certificate,
    key: Ed25519PrivateKey,
    signer: Ed25519PrivateKey,
    issuer: x509.Name,
    dates: tuple[datetime.datetime, datetime.datetime] = FOREVER,
) -> x509.Certificate:
    """A certificate with the names and extensions of ``model`` for another key."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(model.subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(model.serial_number)
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
    )
    for extension in model.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            value = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(value, extension.critical)
    return builder.sign(signer, None)
