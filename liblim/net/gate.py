"""The gate: what a connection that was made to us may be used for.  It denies by default."""

from __future__ import annotations

import enum
from collections.abc import Container

from liblim.net.tls import PAIR, SYNC


class Purpose(enum.Enum):
    """What follows the handshake of a connection that was made to us."""

    SYNC = "a member's sync session"
    PAIR = "somebody without a certificate may try the code"
    GRANT = "a device whose code was right comes for the keys, or brings them"
    REMOVED = "a removed device is told so, and no more"
    CLOSE = "nothing"


def decide(
    alpn: str,
    device: str | None,
    *,
    members: Container[str],
    removed: Container[str],
    expected: Container[str],
    window_open: bool,
) -> Purpose:
    """Decide on a connection by its protocol (ALPN) and the device that its certificate is of.

    ``device`` is ``None`` without a certificate; ``expected`` are devices with which pairing is under way.
    """
    if alpn == PAIR and device is None and window_open:
        return Purpose.PAIR
    if alpn == PAIR and device is not None and device in expected:
        return Purpose.GRANT
    if alpn == SYNC and device is not None and device in removed:
        return Purpose.REMOVED
    if alpn == SYNC and device is not None and device in members:
        return Purpose.SYNC
    return Purpose.CLOSE
