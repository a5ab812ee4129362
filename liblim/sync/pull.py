"""Asking a peer for what we lack, a window at a time."""

from __future__ import annotations

from liblim.sync.belief import Belief
from liblim.sync.claims import PATIENCE, Claims, Route
from liblim.sync.messages import MAX_RANGES, Icanhaz, Ucanhaz

MAX_TRIES = 4
"""Requests in a row that may bring nothing new into the log."""


class Pull:
    """At most one request under way; the next goes out while the last window is being committed."""

    def __init__(self, claims: Claims) -> None:
        self.number = 0
        self.deadline: float | None = None
        """When the request under way is given up; ``None`` if none is."""
        self._claims = claims
        self._route = Route(claims)
        self._tries = 0
        self._batches = 0
        self._arrived_at = self._busy_since = 0.0

    @property
    def quiet(self) -> bool:
        """Whether nothing is asked for, and nothing that came waits to be committed."""
        return self.deadline is None and not self._batches

    @property
    def committing(self) -> bool:
        """Whether changes that came are with the log, which has not answered yet."""
        return self._batches > 0

    @property
    def stalled(self) -> bool:
        """Whether asking was given up until there is news."""
        return self._tries >= MAX_TRIES

    def next_request(self, belief: Belief, now: float) -> Icanhaz | None:
        """What to ask for now, if anything."""
        if self.deadline is not None:
            return None
        if self.stalled or not belief.complete:
            self._route.want_nothing()
            return None
        # So many as any try asks for.
        ranges = belief.lacking(self._claims.coming, MAX_TRIES // 2 * MAX_RANGES)
        if not self._route.may_ask(ranges, now):
            return None
        # The first of a very long list may depend on the rest: try from another place then.
        start = self._tries // 2 * MAX_RANGES % len(ranges) if len(ranges) > MAX_RANGES else 0
        self._tries += 1
        asked = tuple(ranges[start : start + MAX_RANGES])
        self._route.claim(asked, now)
        return Icanhaz(self._begin(now), asked)

    def ask_for_listing(self, now: float) -> Icanhaz:
        """A request for nothing: it is answered with all heads."""
        return Icanhaz(self._begin(now))

    def _begin(self, now: float) -> int:
        self.number += 1
        self.deadline = now + PATIENCE
        return self.number

    def arrived(self, message: Ucanhaz, now: float) -> None:
        """Take note of a change that came, asked for or not."""
        self._route.arrived(message.change)
        self._arrived_at = now
        if message.request == self.number and self.deadline is not None:
            self.deadline = now + PATIENCE if message.left else None
            if not message.left:
                self._route.answered(now)

    def listed(self) -> None:
        """Take note that a complete listing came: it answers a request that nothing can answer."""
        self.deadline = None
        self._route.free()

    def heard(self, now: float) -> None:
        """Take note that a long line is still coming in, or that nobody listened."""
        if self.deadline is not None:
            self.deadline = now + PATIENCE

    @property
    def timer(self) -> float | None:
        """When ``expire`` has something to do, or another route may have made room."""
        if self.deadline is None:
            return self._route.look_at
        return None if self.committing else self.deadline

    def expire(self, now: float) -> None:
        """Give up the request under way if it has made no progress for too long."""
        if self.deadline is not None and not self.committing and now >= self.deadline:
            self.deadline = None
            self._route.failed()

    def handed_over(self) -> None:
        """Take note that what came was given to the log."""
        if not self._batches:
            self._busy_since = self._arrived_at
        self._batches += 1

    def settled(self, now: float) -> None:
        """Take note that the log has dealt with a batch; what it left out is asked for again."""
        self._batches -= 1
        self.heard(now)  # while it did, nobody could see progress
        if not self._batches:
            self._route.excuse(now - self._busy_since)
            self._route.coming = {}

    def close(self) -> None:
        """Leave what is lacking to others."""
        self._route.leave()

    def encourage(self) -> None:
        """Try again from the start: there is news, or something of the peer's was committed."""
        self._tries = 0
