"""What the tests of the facts share: a device as the node tells of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from liblim.net import PeerStatus

LAP = "d" * 32


def peer(**facts: Any) -> PeerStatus:
    """A laptop that is connected and identical, but for these facts."""
    plain = PeerStatus(
        device=LAP,
        name="Lap",
        agent="limnotes/0.1.0",
        words="ocean pencil silver tiger",
        address="127.0.0.1:4243",
        connected=True,
        connecting=False,
        incoming=False,
        last_seen=1000.0,
        count=7,
        digest="e" * 64,
        identical=True,
        they_lack=0,
        we_lack=0,
        waiting_for="",
        changes_in=0,
        changes_out=0,
        bytes_in=0,
        bytes_out=0,
        round_trip=0.001,
        error="",
        error_since=None,
        refused=False,
        next_try=None,
        removed_us=False,
    )
    return replace(plain, **facts)
