"""What two devices say to each other while they are paired: lines of a verb and JSON, as in sync.

Both ends may be hostile, so all is bounded and nothing is believed before it is checked.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from liblim.change import MAX_CERTIFICATE, Identifier
from liblim.errors import PairingError
from liblim.trust.grant import MAX_GRANTED, Grant

PROTOCOL = 1
MAX_LINE = 4096
"""Bytes of a line before both people have accepted."""
MAX_GRANT_LINE = 4 * 1024 * 1024
"""Bytes of a line after that."""

Name = Annotated[str, Meta(max_length=128)]
Words = Annotated[str, Meta(max_length=500)]
Certificates = Annotated[
    tuple[Annotated[bytes, Meta(min_length=1, max_length=MAX_CERTIFICATE)], ...],
    Meta(max_length=MAX_GRANTED),
]


class Message(msgspec.Struct, frozen=True):
    """What all messages share."""

    verb: ClassVar[str]


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device, or a server, tells of itself.

    ``alone``: no other device is in its library.  ``empty``: it holds no notes.  ``port`` is where it
    listens, 0 if nowhere.
    """

    name: Name
    agent: Name
    library: Identifier
    alone: bool
    empty: bool
    certificate: Annotated[bytes, Meta(min_length=1, max_length=MAX_CERTIFICATE)]
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    server: bool = False


class Pair(Message, frozen=True):
    """The first message of each side."""

    verb: ClassVar[str] = "PAIR"

    protocol: Annotated[int, Meta(ge=0, le=2**31)]
    about: About
    pake: Annotated[bytes, Meta(min_length=33, max_length=33)]

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


class Vouch(Message, frozen=True):
    """To a server, on the second connection: the library to be served, and who is in it."""

    verb: ClassVar[str] = "VOUCH"

    library: Identifier
    members: Certificates
    authors: Certificates = ()
    withdrawn: Annotated[tuple[Identifier, ...], Meta(max_length=MAX_GRANTED)] = ()


class Kthx(Message, frozen=True):
    """The keys, or who is in the library, are on disk."""

    verb: ClassVar[str] = "KTHX"


class Nowai(Message, frozen=True):
    """No, and why."""

    verb: ClassVar[str] = "NOWAI"

    code: Annotated[str, Meta(pattern="^[a-z-]{1,32}\\Z")]
    message: Words = ""
    mend: Words = ""


VERBS: dict[str, type[Message]] = {
    message.verb: message for message in (Pair, Mac, Accept, Keys, Vouch, Kthx, Nowai)
}


PROBLEMS: dict[str, tuple[str, str]] = {
    "wrong-code": (
        "The code was not the one that the other device shows.",
        "Look at the code once more, and enter it again.",
    ),
    "code-used-up": (
        "Wrong codes were entered too often, so the code does not count any more.",
        "Show a new code, and enter that.",
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
    "between": (
        "Something between the two devices answers in place of the other one.",
        "Connect both to another network, or to each other directly, then begin again.",
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
    "unvouched": (
        "The server serves this library already, and does not know this device.",
        "Let it sync with another device of the library first; that one vouches for it.",
    ),
    "over-limit": (
        "The server takes no more libraries, or not one with so many devices.",
        "Ask whoever runs the server.",
    ),
    "trouble": (
        "One of the two devices cannot write its notes right now.",
        "Look at what it says there, then begin again.",
    ),
}


class _Version(msgspec.Struct):
    """What every version's ``PAIR`` has in common."""

    protocol: int


def problem(code: str) -> PairingError:
    """The error for a code of the table."""
    return PairingError(code, *PROBLEMS[code])


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
        # Another version's first message may look different.
        if known is Pair and msgspec.json.decode(text, type=_Version).protocol != PROTOCOL:
            raise problem("wrong-version")
        return msgspec.json.decode(text, type=known)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem("garbage") from None
