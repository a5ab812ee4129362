"""Noticing that a peer is gone, and how long a word to it and back takes."""

from __future__ import annotations

from liblim.sync.messages import Nm, Sup

SILENCE = 5.0
"""Seconds without a byte until ``SUP`` asks whether the peer is there."""
DEAD = 15.0
"""Seconds without a byte until the peer is taken for gone."""


class Keepalive:
    """Asks after a silence; ``round_trip`` is in seconds, ``None`` until the first answer."""

    def __init__(self, now: float) -> None:
        self.round_trip: float | None = None
        self._heard = self._asked = now
        self._ping = 0
        self._pong: int | None = None

    def heard(self, now: float) -> None:
        """Take note that bytes came, or that nobody listened for them."""
        self._heard = now

    @property
    def ask_at(self) -> float:
        """When to send the next ``SUP``."""
        return max(self._heard, self._asked) + SILENCE

    @property
    def dead_at(self) -> float:
        """When the peer is to be taken for gone."""
        return self._heard + DEAD

    def ask(self, now: float) -> Sup:
        """The question to send now."""
        self._ping += 1
        self._asked = now
        return Sup(self._ping)

    def asked(self, message: Sup) -> None:
        """Take note that the peer asks; of several questions the last is answered."""
        self._pong = message.ping

    def answer(self) -> Nm | None:
        """The answer to send now, if one is due."""
        if self._pong is None:
            return None
        ping, self._pong = self._pong, None
        return Nm(ping)

    def answered(self, message: Nm, now: float) -> None:
        """Take note of an answer to our last question; others say nothing about time."""
        if message.ping == self._ping:
            self.round_trip = now - self._asked
