"""Databases on the network: listening, connecting, pairing.  On plain asyncio and on qasync alike."""

from __future__ import annotations

from liblim.net.address import DEFAULT_PORT, Address, parse_address
from liblim.net.facts import LogLine, PeerStatus
from liblim.net.node import Node
from liblim.net.timing import Timing
from liblim.trust.pairing import Joining, PairingView, Phase

__all__ = [
    "DEFAULT_PORT",
    "Address",
    "Joining",
    "LogLine",
    "Node",
    "PairingView",
    "PeerStatus",
    "Phase",
    "Timing",
    "parse_address",
]
