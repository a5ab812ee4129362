"""How long the network shells wait, and how the time between two tries grows."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from liblim.sync.session import GREETING_TIMEOUT


class Timing(NamedTuple):
    """All in seconds."""

    connect: float = 10.0
    """For a connection to be made."""
    handshake: float = 5.0
    """For who connects to us to finish the handshake of TLS."""
    greeting: float = GREETING_TIMEOUT
    """For a peer to say ``ØHAI``."""
    write: float = 12.0
    """For a peer to take anything of what is sent; looked at eight times."""
    linger: float = 1.0
    """For a peer to read our last words."""
    first_retry: float = 1.0
    last_retry: float = 60.0
    upkeep: float = 60.0
    """Until this device looks again whether its own addresses have changed."""
    look: float = 2.0
    """Until the clocks are compared again, to see whether the computer slept."""
    tend: float = 2.0
    """At most, until this device hands out keys that others may be about to hand out, too."""


class BackOff:
    """The time until the next try: doubled with each, give or take a quarter."""

    def __init__(self, timing: Timing, random: Random) -> None:
        """Begin with ``timing.first_retry``."""
        self._timing = timing
        self._random = random
        self._delay = timing.first_retry

    def next(self) -> float:
        """Seconds to wait now."""
        delay = self._delay
        self._delay = min(2 * delay, self._timing.last_retry)
        return delay * self._random.uniform(0.75, 1.25)

    def reset(self) -> None:
        """Begin anew: there is reason to think that the next try works."""
        self._delay = self._timing.first_retry
