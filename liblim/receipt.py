"""Receipts: what a device says that it holds, signed and sealed, for others to hand on.

``PROTOCOL.rst``, section "Receipts", pins every byte that is signed or sealed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from liblim.change import MAX_COUNTER, Counter, Dep, Identifier
from liblim.errors import ChangeError

MAX_FRONTIER = 100
"""Heads that a receipt names; with more it counts only where the digests are equal."""
MAX_RECEIPT = 16 * 1024
"""Bytes of a statement as sealed."""


class Receipt(msgspec.Struct, frozen=True):
    """A sealed ``Statement`` of ``device``, with its signature; the greatest ``counter`` is the last."""

    device: Identifier
    counter: Counter
    epoch: Identifier
    body: Annotated[bytes, Meta(max_length=MAX_RECEIPT)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    @property
    def rank(self) -> tuple[int, bytes]:
        """Which of two receipts of a device is kept: the greater; all devices decide alike."""
        return self.counter, self.signature


class Statement(msgspec.Struct, frozen=True):
    """What a log holds: ``count`` changes with this digest, which are the causal past of ``frontier``.

    ``frontier`` are the heads that are in no other change's causal past; ``None`` where they are too many.
    ``at`` is the wall clock in milliseconds since 1970, for people only.
    """

    count: Annotated[int, Meta(ge=0, le=MAX_COUNTER)]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]
    at: Annotated[int, Meta(ge=-MAX_COUNTER, le=MAX_COUNTER)]
    frontier: Annotated[tuple[Dep, ...], Meta(max_length=MAX_FRONTIER)] | None = None


_decoder = msgspec.json.Decoder(Statement)


def bound_data(library: str, device: str, counter: int, epoch: str) -> bytes:
    """What a statement's seal binds."""
    named = bytes.fromhex(library) + bytes.fromhex(device) + counter.to_bytes(8)
    return b"lim/1 receipt\0" + named + bytes.fromhex(epoch)


def signed_data(library: str, device: str, counter: int, epoch: str, body: bytes) -> bytes:
    """What a device signs: all that is bound, and what came of sealing."""
    return bound_data(library, device, counter, epoch) + hashlib.sha256(body).digest()


def pack_statement(statement: Statement) -> bytes:
    """Write a statement as it goes under the seal."""
    return msgspec.json.encode(statement)


def unpack_statement(data: bytes) -> Statement:
    """Read what ``pack_statement`` wrote; what a newer version says beyond is passed over.

    Raises ChangeError.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ChangeError(f"a receipt cannot be read: {error}") from None
