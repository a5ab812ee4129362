"""The proof that two devices were told the same code, and that nobody stands between them.

SPAKE2 (RFC 9382 describes the scheme; ``spake2`` fixes group and encoding) turns the code into a key that
nobody can test guesses against without talking to one of the two.  Each side then proves that it has the key
by a MAC over all that was said, both TLS certificates included: a relay in the middle shows another
certificate to each side, and fails.  No input and no output here.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

from liblim.errors import CertificateError
from liblim.trust.epochs import hkdf
from liblim.trust.identity import device_of, read_certificate
from liblim.trust.pairing_messages import PROTOCOL, About, Mac, Pair, decode, encode, problem


class Role(enum.Enum):
    """The two sides of a pairing."""

    DIALS = b"dials"
    SHOWS = b"shows"


class Pake(Protocol):
    """One side of SPAKE2."""

    def start(self) -> bytes:
        """The message for the other side."""

    def finish(self, message: bytes) -> bytes:
        """The key that both sides have if the password was the same."""


def spake2_for(role: Role, code: str) -> Pake:
    """SPAKE2 as the package ``spake2`` has it: side A dials."""
    from spake2 import SPAKE2_A, SPAKE2_B

    side = SPAKE2_A if role is Role.DIALS else SPAKE2_B
    made: Pake = side(code.encode(), idA=b"lim-pair/1 dials", idB=b"lim-pair/1 shows")
    return made


class Proof(NamedTuple):
    """What follows from both first messages: the other's words, and the MACs to send and to expect."""

    about: About
    own: dict[bool, bytes]
    theirs: dict[bool, bytes]

    def __repr__(self) -> str:
        """Nothing of the MACs."""
        return f"<Proof about {self.about.name!r}>"

    def check(self, mac: Mac) -> bool:
        """Whether the other side has the same key."""
        return hmac.compare_digest(self.theirs[mac.member], mac.mac)


class Handshake:
    """One side's part in proving the code; each step takes some 10 ms of arithmetic."""

    def __init__(
        self,
        role: Role,
        code: str,
        about: About,
        pake: Callable[[Role, str], Pake] = spake2_for,
    ) -> None:
        """Make the first message, ``line``."""
        self._role = role
        self._about = about
        self._pake = pake(role, code)
        self.line = encode(Pair(PROTOCOL, about, self._pake.start()))

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"<Handshake of the side that {self._role.value.decode()}>"

    def finish(self, line: bytes, shower: bytes) -> Proof:
        """Take the other's first message, a line; ``shower`` is the certificate of the TLS server.

        The side that dials gives the one that it saw, the side that shows its own.  Raises PairingError.
        """
        pair = decode(line.removesuffix(b"\n"))
        if not isinstance(pair, Pair):
            raise problem("garbage")
        theirs = pair.about.certificate
        if device_of(theirs) == device_of(self._about.certificate):
            raise problem("yourself")
        if self._role is Role.DIALS and theirs != shower:
            raise problem("between")
        try:
            read_certificate(theirs)
            secret = self._pake.finish(pair.pake)
        except CertificateError:
            raise problem("garbage") from None
        except Exception:
            # spake2 raises many things; none of them may tell one wrong message from another.
            raise problem("wrong-code") from None
        dials = self._role is Role.DIALS
        lines = (self.line, line) if dials else (line, self.line)
        dialler = self._about.certificate if dials else theirs
        keys = _mac_keys(secret, lines, dialler, shower)
        own, other = keys if dials else (keys[1], keys[0])
        return Proof(pair.about, _macs(own), _macs(other))


def _mac_keys(
    secret: bytes, lines: tuple[bytes, bytes], dialler: bytes, shower: bytes
) -> tuple[bytes, bytes]:
    """The keys of the MACs of the side that dials and of the side that shows."""
    parts = [
        b"lim-pair/1",
        hashlib.sha256(dialler).digest(),
        hashlib.sha256(shower).digest(),
        *(line.removesuffix(b"\n") for line in lines),
    ]
    transcript = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
    material = hkdf(secret, b"lim-pair/1 mac" + hashlib.sha256(transcript).digest(), 64)
    return material[:32], material[32:]


def _macs(key: bytes) -> dict[bool, bytes]:
    said = {False: b"stranger", True: b"member"}
    return {member: hmac.digest(key, words, "sha256") for member, words in said.items()}
