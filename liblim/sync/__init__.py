"""The sync protocol without any I/O: messages, the line codec, and the session with one peer."""

from __future__ import annotations

from liblim.sync.claims import Claims
from liblim.sync.codec import LineDecoder, Unknown, encode
from liblim.sync.events import (
    Arrived,
    Behind,
    Closed,
    Event,
    Hangs,
    Heard,
    Ready,
    Vouches,
    Wanted,
    Welcomed,
)
from liblim.sync.exchange import HANGING
from liblim.sync.log import LogView
from liblim.sync.messages import Ohai, Vouch
from liblim.sync.refusals import refusal
from liblim.sync.session import Session, State

__all__ = [
    "HANGING",
    "Arrived",
    "Behind",
    "Claims",
    "Closed",
    "Event",
    "Hangs",
    "Heard",
    "LineDecoder",
    "LogView",
    "Ohai",
    "Ready",
    "Session",
    "State",
    "Unknown",
    "Vouch",
    "Vouches",
    "Wanted",
    "Welcomed",
    "encode",
    "refusal",
]
