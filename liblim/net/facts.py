"""What a node tells of itself, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What is known of another device of the library right now.

    Times are in Unix seconds, durations in seconds, sizes in bytes; ``None`` is "not known".
    ``words`` are its fingerprint.  ``incoming`` says that it connected to us; ``refused`` that one side
    sent the other away; ``removed_us`` that it said this device was removed.  ``confirmed`` is when it was
    last heard what the device holds, from itself or by its receipt; ``they_lack`` goes by that, also while it
    is away.  ``differing`` are replicas (at most 20) of which one side holds other changes than the other.
    """

    device: str
    name: str
    agent: str
    words: str
    address: str
    connected: bool
    connecting: bool
    incoming: bool
    last_seen: float | None
    count: int | None
    digest: str
    identical: bool | None
    they_lack: int | None
    we_lack: int | None
    waiting_for: str
    changes_in: int
    changes_out: int
    bytes_in: int
    bytes_out: int
    round_trip: float | None
    error: str
    error_since: float | None
    refused: bool
    next_try: float | None
    removed_us: bool
    confirmed: float | None = None
    differing: tuple[str, ...] = ()
    pair_again: bool = False
    """Whether nothing but pairing once more is likely to help."""
    server: bool = False
    """Whether it is a server, that keeps what it cannot read."""


class LogLine(NamedTuple):
    """Something that a person may want to know: ``at`` in Unix seconds, ``level`` as in logging.

    ``device`` is the paired device it is about, empty where there is none.
    """

    at: float
    level: str
    device: str
    text: str
