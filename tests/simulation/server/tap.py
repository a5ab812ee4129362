"""Listening to all that a server says on a connection, as it says it: nothing that it may not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liblim.change import Head
from liblim.server.stores import Standing
from liblim.sync.belief import NONE
from liblim.sync.codec import Decoded, LineDecoder
from liblim.sync.messages import (
    MAX_LINE,
    Entry,
    Igotz,
    Ihaz,
    Kthx,
    Nowai,
    Ohai,
    Ucanhaz,
)

if TYPE_CHECKING:
    from tests.simulation.server.branch import Branch


class Tap:
    """What a server says to ``device``, which has come for the library of ``branch``."""

    def __init__(self, branch: Branch, device: str) -> None:
        self._branch = branch
        self._device = device
        self._decoder = LineDecoder(MAX_LINE)

    def hear(self, data: bytes) -> None:
        """Check what the server says, at the moment when it does."""
        self._decoder.feed(data)
        while (message := self._decoder.next()) is not None:
            self._check(message)

    def _check(self, message: Decoded) -> None:
        branch = self._branch
        if branch.seat.removed:
            return
        server = branch.town.host.server
        if server.shelf.standing(branch.library, self._device) is not Standing.MEMBER:
            said = isinstance(message, Ihaz | Kthx | Ucanhaz | Igotz)
            assert not said, "somebody who is no member hears of the library"
        match message:
            case Ohai():
                assert message.library == branch.library, "it greets for another library"
            case Ihaz() | Kthx():
                branch.town.saw(f"says {message.verb}")
                for entry in message.heads:
                    self._check_head(entry)
                held = sum(head.seq for head in branch.seat.heads.values())
                assert message.count <= held, "it says that it holds more than it has committed"
            case Ucanhaz():
                change = message.change
                branch.town.saw("gives")
                self._check_head(Entry(change.replica, change.seq, change.hash))
            case Igotz():
                branch.town.saw("hands on receipts")
                issued = branch.witness.receipts
                assert message.receipt.signature in issued, "nobody has issued this receipt"

    def _check_head(self, entry: Entry) -> None:
        """Whatever the server says that it holds, or gives, is committed, in this library."""
        held = self._branch.seat.heads.get(entry.replica, NONE)
        assert held.seq >= entry.seq, "it speaks of a change that it has not committed"
        same = held.seq != entry.seq or held == Head(entry.seq, entry.hash)
        assert same, "it speaks of another change than it has"


class NoTap:
    """What a server says to somebody who should hear nothing of any library."""

    def __init__(self) -> None:
        self._decoder = LineDecoder(MAX_LINE)
        self.codes: list[str] = []

    def hear(self, data: bytes) -> None:
        """Check that it is a refusal."""
        self._decoder.feed(data)
        while (message := self._decoder.next()) is not None:
            assert isinstance(message, Nowai), "a stranger hears something"
            self.codes.append(message.code)
