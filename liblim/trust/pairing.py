"""Pairing: how two devices that share nothing but an eight-digit code come to know each other's certificates.

SPAKE2 (RFC 9382 describes the scheme; ``spake2`` fixes group and encoding) turns the code into a key that nobody
can test guesses against without talking to one of the two.  Each side then proves that it has the key by a MAC over
all that was said, both TLS certificates included: a relay in the middle shows another certificate to each side,
and fails.  No input and no output here.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from liblim.change import Identifier
from liblim.errors import CertificateError, PairingError
from liblim.trust.epochs import hkdf
from liblim.trust.grant import MAX_CERTIFICATE, Grant
from liblim.trust.identity import device_of, read_certificate

PROTOCOL = 1
MAX_LINE = 4096
"""Bytes of a line before both people have accepted."""
MAX_GRANT_LINE = 4 * 1024 * 1024
"""Bytes of a line after that."""
DIGITS = 8
TRIES = 3
"""Wrong codes that end a window."""
SECONDS = 180.0
"""How long a code counts, and how long people have to accept."""

Name = Annotated[str, Meta(max_length=128)]
Words = Annotated[str, Meta(max_length=500)]


class Message(msgspec.Struct, frozen=True):
    """What all messages share."""

    verb: ClassVar[str]


class About(msgspec.Struct, frozen=True):
    """What a device tells of itself.

    ``alone``: no other device is in its library.  ``empty``: it holds no notes.  ``port`` is where it listens, 0 if
    nowhere.
    """

    name: Name
    agent: Name
    library: Identifier
    alone: bool
    empty: bool
    certificate: Annotated[bytes, Meta(min_length=1, max_length=MAX_CERTIFICATE)]
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


class Pair(Message, frozen=True):
    """The first message of each side."""

    verb: ClassVar[str] = "PAIR"

    protocol: Annotated[int, Meta(ge=0, le=2**31)]
    about: About
    pake: Annotated[bytes, Meta(max_length=64)]

    def __repr__(self) -> str:
        """Name the device, not the PAKE's message."""
        return f"<PAIR by {self.about.name!r}>"


class Mac(Message, frozen=True):
    """Proof of the code.  ``member``: the sender knows the receiver as a member of its library."""

    verb: ClassVar[str] = "MAC"

    mac: Annotated[bytes, Meta(min_length=32, max_length=32)]
    member: bool = False

    def __repr__(self) -> str:
        """Nothing of the MAC."""
        return "<MAC>"


class Accept(Message, frozen=True):
    """The person at the sender has accepted."""

    verb: ClassVar[str] = "ACCEPT"


class Keys(Message, frozen=True):
    """The library's keys, on the second connection."""

    verb: ClassVar[str] = "KEYS"

    grant: Grant


class Kthx(Message, frozen=True):
    """The keys are on disk."""

    verb: ClassVar[str] = "KTHX"


class Nowai(Message, frozen=True):
    """No, and why."""

    verb: ClassVar[str] = "NOWAI"

    code: Annotated[str, Meta(pattern="^[a-z-]{1,32}\\Z")]
    message: Words = ""
    mend: Words = ""


VERBS: dict[str, type[Message]] = {
    message.verb: message for message in (Pair, Mac, Accept, Keys, Kthx, Nowai)
}


def encode(message: Message) -> bytes:
    """A message as a line."""
    return message.verb.encode() + b" " + msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """Read a line without its newline.

    Raises PairingError.
    """
    verb, _, text = line.partition(b" ")
    known = VERBS.get(verb.decode("ascii", "replace"))
    if known is None:
        raise problem("garbage")
    try:
        return msgspec.json.decode(text, type=known)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem("garbage") from None


# What can go wrong

PROBLEMS: dict[str, tuple[str, str]] = {
    "wrong-code": (
        "The code was not the one that the other device shows.",
        "Look at the code once more, and enter it again.",
    ),
    "code-used-up": (
        "Wrong codes were entered too often, so the code does not count any more.",
        "Show a new code on the other device, and enter that.",
    ),
    "expired": (
        "The code was shown for too long, so it does not count any more.",
        "Show a new code, and enter it within three minutes.",
    ),
    "not-showing": (
        "The other device shows no code right now.",
        "Choose “Show a code” there, then try again.",
    ),
    "busy": (
        "The other device is being paired with somebody else right now.",
        "Wait a moment, and try again.",
    ),
    "refused": (
        "Pairing was refused on one of the two devices.",
        "If that was a mistake, begin again.",
    ),
    "cancelled": ("Pairing was given up on one of the two devices.", "Begin again if you like."),
    "too-late": ("Nobody answered for too long.", "Begin again, with both devices at hand."),
    "lost": (
        "The connection was lost before the two were paired.",
        "Check the network on both devices, and begin again.",
    ),
    "garbage": (
        "What answers at this address does not pair like this program.",
        "Check that the address is that of a device with this program.",
    ),
    "wrong-version": (
        "The two devices have different versions of this program.",
        "Update it on both devices.",
    ),
    "yourself": ("This is the same device.", "Enter the address of the other device."),
    "already-paired": (
        "The two devices are paired already.",
        "Nothing needs doing: they sync whenever they can reach each other.",
    ),
    "strangers": (
        "Neither of the two devices belongs to the library any more.",
        "Pair with a device that does.",
    ),
    "neither-alone": (
        "Each of the two devices shares its notes with others, in different libraries.",
        "Remove one of them from its library first, or pair from a device that is alone.",
    ),
    "removed": (
        "One of the two was removed from this library, and a removal holds for ever.",
        "Give it a new key (“limnotes identity new”), then pair it again.",
    ),
    "trouble": (
        "One of the two devices cannot write its notes right now.",
        "Look at what it says there, then begin again.",
    ),
}


def problem(code: str, more: str = "") -> PairingError:
    """The error for a code of the table."""
    message, mend = PROBLEMS[code]
    return PairingError(code, f"{message} {more}".strip(), mend)


# The code and its window


def new_code() -> str:
    """Eight random digits."""
    return "".join(str(secrets.randbelow(10)) for _ in range(DIGITS))


def read_code(text: str) -> str:
    """A code as a person entered it, without spaces and dashes.

    Raises PairingError.
    """
    digits = "".join(text.split()).replace("-", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise PairingError(
            "no-code",
            f"A code has {DIGITS} digits.",
            "Enter the digits that the other device shows.",
        )
    return digits


class Window:
    """When a code counts: for three minutes, three wrong tries, one try at a time, and one success."""

    def __init__(self, code: str, now: float) -> None:
        """Open at ``now``, in seconds."""
        self.code = code
        self.until = now + SECONDS
        self.tries = TRIES
        self._busy = False

    def __repr__(self) -> str:
        """Nothing of the code."""
        return f"<Window with {self.tries} tries>"

    def is_open(self, now: float) -> bool:
        """Whether the code still counts."""
        return self.tries > 0 and now < self.until

    def enter(self, now: float) -> None:
        """Begin a try.

        Raises PairingError where none may begin.
        """
        if self._busy:
            raise problem("busy")
        if not self.tries:
            raise problem("code-used-up")
        if now >= self.until:
            raise problem("expired")
        self._busy = True

    def leave(self, failed: bool) -> None:
        """End a try; one that failed after a guess counts."""
        self._busy = False
        if failed and self.tries:
            self.tries -= 1


# The proof


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
        if isinstance(pair, Nowai):
            raise PairingError(pair.code, pair.message, pair.mend)
        if not isinstance(pair, Pair):
            raise problem("garbage")
        if pair.protocol != PROTOCOL:
            raise problem("wrong-version")
        theirs = pair.about.certificate
        if device_of(theirs) == device_of(self._about.certificate):
            raise problem("yourself")
        if self._role is Role.DIALS and theirs != shower:
            raise problem("garbage")
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


# Who joins whom


def joiner(shows: About, dials: About, shower_knows: bool, dialler_knows: bool) -> Role:
    """Which side takes on the other's library.

    ``shower_knows`` says whether the side that shows knows the other as a member of its library, and the other way
    round.  Raises PairingError where neither may.
    """
    if shows.library == dials.library:
        if shower_knows and dialler_knows:
            raise problem("already-paired")
        if not shower_knows and not dialler_knows:
            raise problem("strangers")
        return Role.SHOWS if shower_knows else Role.DIALS
    if not shows.alone and not dials.alone:
        raise problem("neither-alone")
    if shows.alone != dials.alone:
        return Role.SHOWS if shows.alone else Role.DIALS
    return Role.SHOWS if shows.empty and not dials.empty else Role.DIALS


# What is shown


class Phase(enum.Enum):
    """Where pairing stands."""

    IDLE = "idle"
    SHOWING = "showing"
    CONNECTING = "connecting"
    CHECKING = "checking"
    CONFIRM = "confirm"
    WAITING = "waiting"
    JOINING = "joining"
    PAIRED = "paired"
    FAILED = "failed"


class Joining(enum.Enum):
    """What becomes of the notes of a device that joins."""

    ADD_MINE = "add-mine"
    KEEP_APART = "keep-apart"


@dataclass(frozen=True, slots=True)
class PairingView:
    """All there is to show of pairing; ``until`` in Unix seconds."""

    phase: Phase = Phase.IDLE
    code: str = field(default="", repr=False)
    until: float = 0.0
    tries: int = 0
    peer: str = ""
    peer_name: str = ""
    peer_words: str = ""
    own_words: str = ""
    we_join: bool = False
    asks: bool = False
    error: str = ""
    mend: str = ""
