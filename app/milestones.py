"""What is worth a line in the sync log though it is only seen by looking: trouble, its end, convergence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.status import SHORT
from app.words import changes_in_words
from liblim.net import PeerStatus


class Line(NamedTuple):
    """A line for the log; ``device`` is the paired device it is about, if there is one."""

    level: str
    device: str
    text: str


class Milestones:
    """Compares how things stand with how they stood."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._problem = ""
        self._met: set[str] = set()
        """Devices that were identical at some time of the connection that they have now."""

    def look(self, problem: str, peers: Iterable[PeerStatus]) -> Iterator[Line]:
        """What has become so; ``problem`` is why the database cannot be written, if it cannot."""
        if problem != self._problem:
            self._problem = problem
            if problem:
                yield Line("error", "", problem)
            else:
                yield Line("info", "", "What was kept in memory is saved; edits are saved again.")
        connected = set()
        for peer in peers:
            if peer.connected:
                connected.add(peer.device)
            if peer.connected and peer.identical and peer.device not in self._met:
                self._met.add(peer.device)
                held = f"{changes_in_words(peer.count)}, digest {peer.digest[:SHORT]}"
                name = peer.name or "A device without a name"
                yield Line("info", peer.device, f"{name} holds the same as this device: {held}.")
        self._met &= connected
