"""Who fetches what: shared by all sessions of one log, so that nothing is asked of two peers at once.

Every session has a ``Route``.  One that asks claims the replicas that it asks for until the answer is
complete; others that lack changes of these wait, and look again when ``on_free`` says so or their timer.
Whose turn is next goes by the pace of the last answers, so that the fastest route carries most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from liblim.change import Change, Range

PATIENCE = 2.0
"""Seconds without progress until a request is made anew, or what it claims may be had from a faster peer."""
FASTER = 2.0
"""How many times as fast a route has to be to take over what another is still bringing."""
OVERHEAD = 400
"""Bytes of a change on the wire beside its body, roughly."""


class Claims:
    """What the sessions of one log have asked for."""

    def __init__(self) -> None:
        """Begin without sessions."""
        self.on_free: Callable[[], None] = lambda: None
        """Called when sessions that wait should ``tick``, soon but not within this call."""
        self.routes: list[Route] = []
        self.last: Route | None = None
        """Who asked last."""

    def coming(self, replica: str) -> int:
        """The last change of a replica that came over any route and is not committed yet; 0 for none."""
        return max((route.coming.get(replica, 0) for route in self.routes), default=0)


class Route:
    """One session's part in it."""

    def __init__(self, claims: Claims) -> None:
        """Claim nothing yet."""
        self.claimed: frozenset[str] = frozenset()
        self.coming: dict[str, int] = {}
        self.wanted: frozenset[str] = frozenset()
        """What this session would ask for if it were its turn."""
        self.look_at: float | None = None
        """When to look again, while something is wanted."""
        self._claims = claims
        self._pace = math.inf  # until there is a figure: everybody gets a try
        self._begun = 0.0
        self._octets = 0
        claims.routes.append(self)

    def may_ask(self, ranges: Sequence[Range], now: float) -> bool:
        """Whether it is this session's turn to ask for some of these; if not, it waits for that."""
        if not ranges:
            self.want_nothing()
            return False
        self.wanted = frozenset(range.replica for range in ranges)
        self.look_at = now + PATIENCE
        others = [route for route in self._claims.routes if route is not self]
        bringing = [route for route in others if route.claimed & self.wanted]
        return all(self._is_faster(route, now) for route in bringing) and not any(
            self._yields(route) for route in others if route.wanted & self.wanted
        )

    def _is_faster(self, other: Route, now: float) -> bool:
        """Whether to ask for what another is bringing: it takes its time, and this route is better."""
        late = now >= other._begun + PATIENCE
        return late and self._pace > FASTER * other._pace_until(now)

    def _yields(self, other: Route) -> bool:
        return other._pace > self._pace or (other._pace == self._pace and self._claims.last is self)

    def _pace_until(self, now: float) -> float:
        """Bytes a second of the answer that is coming."""
        return self._octets / max(now - self._begun, 1e-6)

    def want_nothing(self) -> None:
        """Leave it to others."""
        if self.wanted:
            self.wanted, self.look_at = frozenset(), None
            self._claims.on_free()

    def claim(self, ranges: Sequence[Range], now: float) -> None:
        """Take note that these are asked for now."""
        self.claimed = frozenset(range.replica for range in ranges)
        self.wanted, self.look_at = frozenset(), None
        self._begun, self._octets = now, 0
        for route in self._claims.routes:
            if route is not self:
                route.claimed -= self.claimed  # it was overtaken
        self._claims.last = self

    def arrived(self, change: Change) -> None:
        """Take note of a change that came, asked for or not."""
        self.coming[change.replica] = max(change.seq, self.coming.get(change.replica, 0))
        self._octets += OVERHEAD + len(change.body or b"")

    def excuse(self, seconds: float) -> None:
        """Take note that our own log was busy for so long."""
        self._begun += seconds

    def answered(self, now: float) -> None:
        """Take note that the answer is complete."""
        self._pace = self._pace_until(now)
        self.free()

    def failed(self) -> None:
        """Take note that no answer came."""
        self._pace = 0.0
        self.free()

    def free(self) -> None:
        """Claim nothing any more."""
        if self.claimed:
            self.claimed = frozenset()
            self._claims.on_free()

    def leave(self) -> None:
        """Take no further part."""
        if self in self._claims.routes:
            self._claims.routes.remove(self)
            # Of many sessions that end at once most kept nobody waiting.
            waited_for = self.claimed or self.coming or self.wanted
            self.coming = {}
            if waited_for:
                self._claims.on_free()
