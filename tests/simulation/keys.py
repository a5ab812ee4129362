"""Wrapping an epoch's key without chance: what a world says, and how long it is, follows from its seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from liblim.trust import read_certificate
from tests.vectors.decoder import hpke_keys


def wrap(certificate: bytes, secret: bytes, info: bytes) -> bytes:
    """Encrypt as liblim does (HPKE, base mode), but with a key that follows from what is encrypted."""
    once = X25519PrivateKey.from_private_bytes(sha256(certificate + secret + info).digest())
    theirs = read_certificate(certificate).agreement
    sent = once.public_key().public_bytes_raw()
    agreed = once.exchange(X25519PublicKey.from_public_bytes(theirs))
    key, nonce = hpke_keys(agreed, sent + theirs, info)
    return sent + ChaCha20Poly1305(key).encrypt(nonce, secret, b"")


@contextmanager
def without_chance() -> Iterator[None]:
    """Let liblim wrap keys as above; all other chance in it comes from its ``entropy``."""
    with patch("liblim.trust.keys.wrap", wrap):
        yield
