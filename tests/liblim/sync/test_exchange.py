"""The exchange on its own: what it believes of a peer."""

from __future__ import annotations

from liblim.sync.claims import Claims
from liblim.sync.exchange import Exchange
from liblim.sync.messages import Ihaz
from tests.liblim.changes import chain
from tests.liblim.sync.fakes import MemoryLog


def test_what_a_peer_said_may_become_ours_by_way_of_another() -> None:
    """Found by the simulation: it never listed its heads, so it was not known what it holds."""
    ours, theirs = MemoryLog("a"), MemoryLog("b")
    changes = chain("c", 3)
    theirs.receive(changes)
    exchange = Exchange(ours, Claims())
    exchange.ihaz(Ihaz(theirs.count, theirs.digest), 0.0)
    assert known(exchange) == (False, False)
    exchange.committed(ours.receive(changes))
    assert known(exchange) == (True, True)
    assert (exchange.belief.we_lack, exchange.belief.they_lack) == (0, 0)


def known(exchange: Exchange) -> tuple[bool, bool]:
    return exchange.identical, exchange.belief.complete
