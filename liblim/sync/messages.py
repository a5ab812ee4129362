"""The messages of the protocol, one class per verb, with the bounds of every member.

``PROTOCOL.rst`` describes each.  Members that are not listed are ignored, so that a newer version
may say more; a member that is left out has its default.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta, Struct

from liblim.change import (
    MAX_CERTIFICATE,
    MAX_COUNTER,
    Change,
    Counter,
    Hash,
    Identifier,
    Range,
    ReplicaId,
)
from liblim.receipt import Receipt

PROTOCOL = 1
"""The version of the protocol that is spoken here."""

MAX_LINE = 1024 * 1024
"""Bytes of a line, its newline included."""
MAX_GREETING = 4096
"""Bytes of a line before the peer's ``ØHAI`` was accepted."""
MAX_HEADS = 1000
"""Entries of one ``IHAZ`` or ``KTHX``."""
MAX_COUNT_OF_HEADS = 1_000_000
"""Replicas that a peer may claim to hold, so that a belief has a bound."""
MAX_RANGES = 1000
"""Ranges of one ``ICANHAZ``."""
MAX_VOUCHED = 1000
"""Certificates, and device ids, of one list in ``VOUCH``."""
WINDOW_CHANGES = 256
"""Changes that one ``ICANHAZ`` may ask for."""
WINDOW_OCTETS = 1024 * 1024
"""Bytes of bodies that one ``ICANHAZ`` may ask for."""

Name = Annotated[str, Meta(max_length=128)]
Words = Annotated[str, Meta(max_length=500)]
Code = Annotated[str, Meta(pattern="^[a-z-]{1,32}\\Z")]
Feature = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}\\Z")]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]
Natural = Annotated[int, Meta(ge=0, le=MAX_COUNTER)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Entry(NamedTuple):
    """One of the sender's heads: the last change of ``replica`` that it holds."""

    replica: ReplicaId
    seq: Counter
    hash: Hash


Certificate = Annotated[bytes, Meta(min_length=1, max_length=MAX_CERTIFICATE)]
Entries = Annotated[tuple[Entry, ...], Meta(max_length=MAX_HEADS)]
Ranges = Annotated[tuple[Range, ...], Meta(max_length=MAX_RANGES)]


class Message(Struct, frozen=True, omit_defaults=True):
    """What all messages share."""

    verb: ClassVar[str]


class Ohai(Message, frozen=True):
    """Who I am.  Both sides send it first, at once."""

    verb: ClassVar[str] = "ØHAI"

    protocol: Natural
    library: Identifier
    device: Identifier
    name: Name = ""
    agent: Name = ""
    features: Annotated[tuple[Feature, ...], Meta(max_length=16)] = ()
    port: Port = 0


class Ihaz(Message, frozen=True):
    """What I have.

    ``page`` 0 amends what I said before; 1, 2, 3 … are a complete listing of my heads, and ``more`` says
    that another page follows.  ``knows`` is said in the first: that I know from before what you hold.
    """

    verb: ClassVar[str] = "IHAZ"

    count: Natural
    digest: Digest
    page: Natural = 0
    more: bool = False
    heads: Entries = ()
    knows: bool = False


class Icanhaz(Message, frozen=True):
    """Give me the first changes of these ranges, in your order of arrival."""

    verb: ClassVar[str] = "ICANHAZ"

    request: Counter
    ranges: Ranges = ()
    changes: Annotated[int, Meta(ge=1, le=WINDOW_CHANGES)] = WINDOW_CHANGES
    octets: Annotated[int, Meta(ge=1, le=WINDOW_OCTETS)] = WINDOW_OCTETS


class Ucanhaz(Message, frozen=True):
    """A change: the answer to ``request``, with ``left`` more to come; new if ``request`` is 0."""

    verb: ClassVar[str] = "UCANHAZ"

    change: Change
    request: Natural = 0
    left: Annotated[int, Meta(ge=0, le=WINDOW_CHANGES)] = 0


class Kthx(Message, frozen=True):
    """Committed here: the heads that this changed."""

    verb: ClassVar[str] = "KTHX"

    count: Natural
    digest: Digest
    heads: Entries = ()


class Igotz(Message, frozen=True):
    """A device's own word on what it holds, handed on."""

    verb: ClassVar[str] = "IGOTZ"

    receipt: Receipt


class Vouch(Message, frozen=True):
    """To a server: who is in the library.

    ``members`` may connect; of ``authors``, who are none, changes may still be forwarded; ``withdrawn`` were
    removed.
    """

    verb: ClassVar[str] = "VOUCH"

    members: Annotated[tuple[Certificate, ...], Meta(max_length=MAX_VOUCHED)] = ()
    authors: Annotated[tuple[Certificate, ...], Meta(max_length=MAX_VOUCHED)] = ()
    withdrawn: Annotated[tuple[Identifier, ...], Meta(max_length=MAX_VOUCHED)] = ()


class Sup(Message, frozen=True):
    """Are you there.  It measures the round trip, too."""

    verb: ClassVar[str] = "SUP"

    ping: Natural


class Nm(Message, frozen=True):
    """I am: the answer to the ``SUP`` of this number."""

    verb: ClassVar[str] = "NM"

    ping: Natural


class Nowai(Message, frozen=True):
    """No: I close the line, because of this."""

    verb: ClassVar[str] = "NOWAI"

    code: Code
    message: Words = ""
    mend: Words = ""


class Kthxbye(Message, frozen=True):
    """I am leaving in good order."""

    verb: ClassVar[str] = "KTHXBYE"

    reason: Words = ""


VERBS: dict[str, type[Message]] = {
    message.verb: message
    for message in (Ohai, Ihaz, Icanhaz, Ucanhaz, Kthx, Igotz, Vouch, Sup, Nm, Nowai, Kthxbye)
}
