"""The sync protocol without any I/O: messages, the line codec, and the session with one peer."""

from __future__ import annotations

from liblim.sync.claims import Claims
from liblim.sync.codec import LineDecoder, Unknown, encode
from liblim.sync.events import Arrived, Closed, Event, Hangs, Heard, Ready, Wanted, Welcomed
from liblim.sync.exchange import HANGING
from liblim.sync.log import LogView
from liblim.sync.messages import Ohai
from liblim.sync.refusals import refusal
from liblim.sync.session import Session, State

__all__ = [
    "HANGING",
    "Arrived",
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
    "Wanted",
    "Welcomed",
    "encode",
    "refusal",
]
