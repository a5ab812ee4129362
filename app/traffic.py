"""What goes in and out over time, and how far a backlog is: remembered between two looks at a device.

Everything else that is told of a device is true of one moment; this needs the moments before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from app.status import Flow, Progress
from liblim.net import PeerStatus

STEP = 20.0
"""Seconds of one point of the graph."""
POINTS = 30
"""Points of the graph at most: ten minutes in all."""

_Counts = tuple[int, int, int, int]
_NOTHING: _Counts = (0, 0, 0, 0)


class Traffic:
    """Follows all devices; call ``look`` whenever they may have changed, with a clock that never jumps."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._devices: dict[str, _Followed] = {}

    def look(self, peers: Iterable[PeerStatus], now: float) -> None:
        """Take note of how the counts stand; ``now`` in seconds, monotonic."""
        followed = {}
        for peer in peers:
            device = self._devices.get(peer.device) or _Followed(_counts(peer), now)
            device.look(peer, now)
            followed[peer.device] = device
        self._devices = followed

    def flow(self, device: str) -> Flow:
        """What went in and out of late, point by point, the last one being now."""
        return self._devices[device].flow()

    def progress(self, device: str) -> Progress:
        """How far the backlog with a device is."""
        return self._devices[device].progress()


@dataclass(slots=True)
class _Backlog:
    """The changes that one side lacks: how many, and how many they were at most since it lacked none."""

    lacking: int = 0
    total: int = 0

    def look(self, lacking: int | None) -> None:
        # What is not known (between two connections) is no news.
        if lacking is not None:
            self.total = max(self.total, lacking) if lacking else 0
            self.lacking = lacking


class _Followed:
    def __init__(self, counts: _Counts, now: float) -> None:
        # What was counted before, in earlier runs, did not happen now.
        self._last, self._until = counts, now + STEP
        self._points: deque[_Counts] = deque([_NOTHING], maxlen=POINTS)
        self._in, self._out = _Backlog(), _Backlog()

    def look(self, peer: PeerStatus, now: float) -> None:
        while now >= self._until:
            if (
                now >= self._until + POINTS * STEP
            ):  # asleep for long: nothing of it is shown any more
                self._points.clear()
                self._until = now
            self._points.append(_NOTHING)
            self._until += STEP
        counts = _counts(peer)
        gone = (max(0, new - old) for new, old in zip(counts, self._last, strict=True))
        first, second, third, fourth = (
            point + more for point, more in zip(self._points[-1], gone, strict=True)
        )
        self._points[-1] = first, second, third, fourth
        self._last = counts
        self._in.look(peer.we_lack)
        self._out.look(peer.they_lack)

    def flow(self) -> Flow:
        changes_in, changes_out, bytes_in, bytes_out = zip(*self._points, strict=True)
        return Flow(STEP, changes_in, changes_out, bytes_in, bytes_out)

    def progress(self) -> Progress:
        return Progress(
            received=self._in.total - self._in.lacking,
            to_receive=self._in.total,
            sent=self._out.total - self._out.lacking,
            to_send=self._out.total,
        )


def _counts(peer: PeerStatus) -> _Counts:
    return peer.changes_in, peer.changes_out, peer.bytes_in, peer.bytes_out
