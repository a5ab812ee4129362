"""Epochs: the keys of a library, one after another, and the sealing of bodies under them.

Sealing is ChaCha20-Poly1305 (RFC 8439) with a key and a nonce of its own for every body, both by HKDF-SHA256
(RFC 5869) from the epoch's key and a salt.  The salt is an HMAC over what is sealed, keyed so that nobody
without the epoch's key can test guesses; so it needs no counter and no randomness that a copied machine could
repeat.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from liblim.change import Dep, Header
from liblim.errors import ChangeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY = 32
"""Bytes of an epoch's key."""
SALT = 24
"""Bytes of a salt, which stands before what is sealed."""
NONCE = 12
TAG = 16


def epoch_name(key: bytes) -> str:
    """The name of an epoch: half of a hash of its key, as 32 hex digits."""
    return hashlib.sha256(b"lim/1 epoch name" + key).digest()[:16].hex()


class _Bound(msgspec.Struct, frozen=True):
    """A header without ``body``, which is not known before the seal is made."""

    replica: str
    seq: int
    prev: bytes
    deps: tuple[Dep, ...]
    clock: int
    n: int
    at: int
    epoch: str
    device: str


def associated_data(header: Header, library: str) -> bytes:
    """What a seal binds beside the body: the library, and the canonical header without ``body``."""
    bound = _Bound(
        header.replica,
        header.seq,
        header.prev,
        header.deps,
        header.clock,
        header.n,
        header.at,
        header.epoch,
        header.device,
    )
    return bytes.fromhex(library) + msgspec.json.encode(bound, order="sorted")


def hkdf(secret: bytes, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    """HKDF-SHA256 (RFC 5869)."""
    tools = _tools()
    return tools.HKDF(tools.SHA256, length, salt, info).derive(secret)


class _Tools(NamedTuple):
    HKDF: type[HKDF]
    SHA256: HashAlgorithm
    Cipher: type[ChaCha20Poly1305]
    InvalidTag: type[Exception]


@cache
def _tools() -> _Tools:
    """The parts of cryptography, imported at the first use; an import at each use is a third of a seal."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return _Tools(HKDF, SHA256(), ChaCha20Poly1305, InvalidTag)


class Epoch:
    """One key of a library."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes; raises ChangeError for another size."""
        if len(key) != KEY:
            raise ChangeError("an epoch's key has the wrong size")
        self.key = key
        self.name = epoch_name(key)

    def __repr__(self) -> str:
        """Name the epoch, never its key."""
        return f"<Epoch {self.name}>"

    @cached_property
    def _salt_key(self) -> bytes:
        return hkdf(self.key, b"lim/1 salt", 32)

    def seal(self, packed: bytes, header: Header, library: str) -> bytes:
        """Seal a packed body, bound to the library and to ``header`` but for its ``body``."""
        return self.seal_bound(packed, associated_data(header, library))

    def seal_bound(self, packed: bytes, bound: bytes) -> bytes:
        """Seal anything, with what is bound to it."""
        told = struct.pack(">Q", len(bound)) + bound + packed
        salt = hmac.digest(self._salt_key, told, "sha256")[:SALT]
        cipher, nonce = self._cipher(salt)
        return salt + cipher.encrypt(nonce, packed, bound)

    def open(self, sealed: bytes, header: Header, library: str) -> bytes:
        """Undo ``seal``.

        Raises ChangeError where anything was altered.
        """
        return self.open_bound(sealed, associated_data(header, library))

    def open_bound(self, sealed: bytes, bound: bytes) -> bytes:
        """Undo ``seal_bound``.

        Raises ChangeError where anything was altered.
        """
        if len(sealed) < SALT + TAG:
            raise ChangeError("a sealed body is too short")
        cipher, nonce = self._cipher(sealed[:SALT])
        try:
            return cipher.decrypt(nonce, sealed[SALT:], bound)
        except _tools().InvalidTag:
            raise ChangeError("a sealed body does not open: it was altered") from None

    def _cipher(self, salt: bytes) -> tuple[ChaCha20Poly1305, bytes]:
        material = hkdf(self.key, b"lim/1 seal", KEY + NONCE, salt)
        return _tools().Cipher(material[:KEY]), material[KEY:]
