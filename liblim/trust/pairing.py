"""Pairing: how two devices that share nothing but a code come to know each other's certificates.

Here is what people meet: the code and how long it counts, who joins whom, and what is shown.  The messages
are in ``pairing_messages``, the proof of the code in ``pairing_proof``.  No input and no output here.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, field

from liblim.errors import PairingError
from liblim.trust.pairing_messages import About, problem
from liblim.trust.pairing_proof import Role

DIGITS = 8
TRIES = 3
"""Wrong codes that end a window."""
SECONDS = 180.0
"""How long a code counts, and how long people have to accept."""

# The code and its window


def new_code() -> str:
    """Eight random digits."""
    return "".join(str(secrets.randbelow(10)) for _ in range(DIGITS))


def read_code(text: str) -> str:
    """A code as a person entered it, without spaces and dashes.

    Raises PairingError.
    """
    digits = "".join(text.split()).replace("-", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise PairingError(
            "no-code",
            f"A code has {DIGITS} digits.",
            "Enter the digits that the other device shows.",
        )
    return digits


class Window:
    """When a code counts: for three minutes, three wrong tries, one try at a time, and one success."""

    def __init__(self, code: str, now: float) -> None:
        """Open at ``now``, in Unix seconds."""
        self.code = code
        self.until = now + SECONDS
        self.tries = TRIES
        self.busy = False

    def __repr__(self) -> str:
        """Nothing of the code."""
        return f"<Window with {self.tries} tries>"

    def is_open(self, now: float) -> bool:
        """Whether the code still counts."""
        return self.tries > 0 and now < self.until

    def enter(self, now: float) -> None:
        """Begin a try; one that is under way when the time is over may go on.

        Raises PairingError where none may begin.
        """
        if self.busy:
            raise problem("busy")
        if not self.tries:
            raise problem("code-used-up")
        if now >= self.until:
            raise problem("expired")
        self.busy = True

    def guess(self) -> None:
        """Count the try, before it is known whether it is right: what cannot be checked is wrong."""
        self.tries -= 1

    def leave(self) -> None:
        """End a try that failed."""
        self.busy = False

    def expire(self) -> None:
        """Let no more tries begin, whatever the clock says."""
        self.until = 0.0


# Who joins whom


def joiner(shows: About, dials: About, shower_knows: bool, dialler_knows: bool) -> Role:
    """Which side takes on the other's library.

    ``shower_knows`` says whether the side that shows knows the other as a member of its library, and the
    other way round.  Raises PairingError where neither may.
    """
    if shows.library == dials.library:
        if shower_knows and dialler_knows:
            raise problem("already-paired")
        if not shower_knows and not dialler_knows:
            raise problem("strangers")
        return Role.SHOWS if shower_knows else Role.DIALS
    if not shows.alone and not dials.alone:
        raise problem("neither-alone")
    if shows.alone != dials.alone:
        return Role.SHOWS if shows.alone else Role.DIALS
    return Role.SHOWS if shows.empty and not dials.empty else Role.DIALS


# What is shown


class Phase(enum.Enum):
    """Where pairing stands."""

    IDLE = "idle"
    SHOWING = "showing"
    CONNECTING = "connecting"
    CHECKING = "checking"
    CONFIRM = "confirm"
    WAITING = "waiting"
    JOINING = "joining"
    PAIRED = "paired"
    FAILED = "failed"


class Joining(enum.Enum):
    """What becomes of the notes of a device that joins."""

    ADD_MINE = "add-mine"
    KEEP_APART = "keep-apart"


@dataclass(frozen=True, slots=True)
class PairingView:
    """All there is to show of pairing; ``until`` in Unix seconds."""

    phase: Phase = Phase.IDLE
    code: str = field(default="", repr=False)
    until: float = 0.0
    tries: int = 0
    peer: str = ""
    peer_name: str = ""
    peer_words: str = ""
    own_words: str = ""
    we_join: bool = False
    server: bool = False
    """Whether the other is a server: nobody joins then."""
    asks: bool = False
    error: str = ""
    mend: str = ""
