"""Whether two greetings fit together."""

from __future__ import annotations

from liblim.sync.messages import Ohai
from liblim.sync.refusals import refusal


def judge(ours: Ohai, theirs: Ohai, peer: str) -> None:
    """Decide on a peer; its own decision on us is this one, mirrored.

    ``peer`` is the device at the other end, as the connection has proved it.

    Raises ProtocolError for a refusal.
    """
    if peer == ours.device:
        raise refusal("yourself")
    if theirs.device != peer:
        raise refusal("bad-message", "ØHAI names another device than the certificate")
    if theirs.library != ours.library:
        raise refusal("another-library")
