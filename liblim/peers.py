"""What a device remembers of the devices that it is paired with."""

from __future__ import annotations

import msgspec

from liblim.change import Identifier
from liblim.errors import StoreError

GIVER = "giver"
"""The fact that says whose library this device joined, and where that one was: ``device host:port``."""


class PeerRecord(msgspec.Struct, frozen=True):
    """One paired device.

    ``address`` is where it can be dialled (``host:port``), empty if unknown; ``dial`` says whether
    to.  ``last_seen`` is in Unix seconds, 0 for never.  The totals count from the pairing on.
    """

    device: Identifier
    name: str = ""
    address: str = ""
    dial: bool = True
    last_seen: float = 0.0
    changes_in: int = 0
    changes_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


_decoder = msgspec.json.Decoder(PeerRecord)


def pack_peer(peer: PeerRecord) -> bytes:
    """Write a record as the store keeps it."""
    return msgspec.json.encode(peer)


def unpack_peer(data: bytes) -> PeerRecord:
    """Read what ``pack_peer`` wrote.

    Raises StoreError.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"What was kept about a paired device is damaged: {error}") from error
