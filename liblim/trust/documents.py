"""The documents that say who is in a library, and how their operations are read.

They are ordinary documents, written in ordinary changes.  Their fields show what was written last; what
*holds* is for the :class:`~liblim.trust.ledger.Ledger` to say, which reads the operations themselves.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from liblim.change import MAX_CERTIFICATE, Body, Change, Counter, Identifier, ReplicaId
from liblim.crdt import Register, Set
from liblim.crdt.ops import Id, width
from liblim.document import Document
from liblim.errors import CertificateError, OperationError
from liblim.words import on_one_line

MAX_OPS = 2048
"""Operations of a change that count; a writer puts half as many into one."""
MAX_NAME = 64
"""Code points of a device's name that count."""
MAX_ADDRESSES = 16
MAX_ADDRESS = 100
MAX_SAW = 1000
"""Replicas that a removal may name."""
MAX_WRAPS = 1000
"""Devices for which one element may hold an epoch's key."""

Address = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS)]
Addresses = Annotated[list[Address], Meta(max_length=MAX_ADDRESSES)]
Wrap = Annotated[str, Meta(min_length=1, max_length=200)]


class Device(Document):
    """A device of the library; its ``oid`` is the device's id, so a certificate fits one document only."""

    kind = "device"
    certificate = Register(default="")
    name = Register(default="")
    addresses: Register[list[str]] = Register(default=[])


class Library(Document):
    """What concerns all devices; its ``oid`` is the library's id.  Both sets only ever grow."""

    kind = "library"
    removed = Set()
    epochs = Set()


class Server(Document):
    """A server, that keeps the library's changes and reads none; its ``oid`` is its id, as a device's."""

    kind = "server"
    certificate = Register(default="")
    name = Register(default="")
    addresses: Register[list[str]] = Register(default=[])


TRUST_TYPES: tuple[type[Document], ...] = (Device, Library, Server)


class Removed(msgspec.Struct, frozen=True):
    """An element of ``removed``: whom, and the last counter seen of each replica of that device."""

    device: Identifier
    saw: Annotated[dict[ReplicaId, Counter], Meta(max_length=MAX_SAW)]


class Wrapped(msgspec.Struct, frozen=True):
    """An element of ``epochs``: the epoch's key for some devices, each wrapped and in base64.

    One that has a key for its own author announces the epoch; any other hands it to more devices.
    """

    epoch: Identifier
    keys: Annotated[dict[Identifier, Wrap], Meta(min_length=1, max_length=MAX_WRAPS)]

    def __repr__(self) -> str:
        """Name the epoch; no keys."""
        return f"<Wrapped {self.epoch} for {len(self.keys)}>"


class Write(NamedTuple):
    """A value that an operation set or added: the operation's id, the field, the value as it came."""

    id: Id
    field: str
    value: Any


def writes(change: Change, body: Body) -> Iterator[Write]:
    """What a change sets in registers and adds to sets; the rest, and what has no shape, is passed over.

    Counters are handed out as ``Document.apply`` does it.  The first ``MAX_OPS`` operations count.
    """
    header = change.header
    counter = header.clock
    for op in body.ops[:MAX_OPS]:
        try:
            field, *rest = op
            taken = width(rest)
        except (OperationError, ValueError):
            return  # without its width, the counters of what follows are not known either
        if counter + taken - 1 > header.end:
            return  # these counters belong to others
        if len(rest) == 2 and rest[0] in ("=", "add") and isinstance(field, str):
            yield Write((counter, header.replica), f"{rest[0]} {field}", rest[1])
        counter += taken


def text_of(certificate: bytes) -> str:
    """A certificate as its register holds it."""
    return binascii.b2a_base64(certificate, newline=False).decode()


def bytes_of(text: object) -> bytes:
    """The certificate in a register's value.  Raises CertificateError where it cannot be one."""
    if not isinstance(text, str) or not 0 < len(text) <= 4 * MAX_CERTIFICATE // 3 + 4:
        raise CertificateError("This is no device's certificate.")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise CertificateError("This is no device's certificate.") from None


def clean_name(name: str) -> str:
    """A name on one line, of a bounded length, and fit to be shown: any member may have given it."""
    return on_one_line(name)[:MAX_NAME].strip()
