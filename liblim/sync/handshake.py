"""What two greetings mean for each other: welcome, joining a library, or a refusal."""

from __future__ import annotations

import enum

from liblim.sync.messages import Ohai
from liblim.sync.refusals import refusal


class Verdict(enum.Enum):
    """How a session goes on after both greetings."""

    WELCOME = "both are in one library"
    WE_ADOPT = "this device takes on the other's library"
    THEY_ADOPT = "the other device takes on this one's library"


def judge(ours: Ohai, theirs: Ohai, known: bool) -> Verdict:
    """Decide on a peer; its own decision on us is this one, mirrored.

    ``known`` says whether the peer's device is paired with ours.

    Raises ProtocolError for a refusal.
    """
    if theirs.device == ours.device:
        raise refusal("yourself")
    if not (ours.pair or theirs.pair or known):
        raise refusal("not-paired")
    if ours.library == theirs.library:
        return Verdict.WELCOME
    if not (ours.pair or theirs.pair) or not (ours.empty or theirs.empty):
        raise refusal("another-library")
    if ours.empty and theirs.empty:
        return Verdict.WE_ADOPT if _yields(ours, theirs) else Verdict.THEY_ADOPT
    return Verdict.WE_ADOPT if ours.empty else Verdict.THEY_ADOPT


def _yields(ours: Ohai, theirs: Ohai) -> bool:
    """Whether we adopt where either could: the one that asked to be paired does."""
    if ours.pair != theirs.pair:
        return ours.pair
    return ours.device < theirs.device
