"""Two routes to the same changes: what comes over one is not asked of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from liblim.change import Change
from liblim.sync import Claims
from tests.liblim.changes import make
from tests.liblim.sync.fakes import End, MemoryLog

STEP = 0.01
BACKLOG = 4000
FAST = 1_000_000
"""Bytes a second."""
SLOW = 50_000


def history(length: int) -> list[Change]:
    """Four replicas that write in turn, each having seen what the one before wrote."""
    last: dict[str, Change] = {}
    changes: list[Change] = []
    for number in range(length):
        letter = "abcd"[number % 4]
        seen = [change for change in changes[-1:] if change.replica[0] != letter]
        last[letter] = make(letter, last.get(letter), seen)
        changes.append(last[letter])
    return changes


HISTORY = history(BACKLOG)


@dataclass
class Wire:
    """A connection of a certain speed towards us; what is on its way arrives late, or never."""

    ours: End
    theirs: End
    speed: float
    stalls: bool = False
    cut: bool = False
    on_the_way: bytearray = field(default_factory=bytearray)
    received: int = 0
    changes: int = 0

    def carry(self, now: float) -> None:
        """What happens within one step."""
        if self.cut:
            return
        self.theirs.give(self.ours.take(now), now)
        # As a socket does, it takes only so much at a time.
        if len(self.on_the_way) < 64 * 1024 and (data := self.theirs.session.data_to_send()):
            self.on_the_way += data
        if self.stalls:
            return
        size = int(self.speed * STEP)
        chunk, self.on_the_way = bytes(self.on_the_way[:size]), self.on_the_way[size:]
        self.received += len(chunk)
        self.changes = self.ours.session.changes_in
        self.ours.give(chunk, now)

    def drop(self, now: float) -> None:
        """Cut it on both sides; what was on the way is lost."""
        self.cut = True
        for end in (self.ours, self.theirs):
            end.session.eof(now)
            end.work(now)


class Us:
    """A device with an empty log and wires to others that hold the same backlog."""

    def __init__(self, *speeds: float) -> None:
        self.log = MemoryLog("e")
        self.now = 0.0
        self.claims = Claims()
        self.claims.on_free = self._free
        self._freed = False
        self.wires: list[Wire] = []
        for letter, speed in zip("12", speeds, strict=False):
            log = MemoryLog(letter)
            log.receive(HISTORY)
            ours = End(self.log, letter, claims=self.claims)
            self.wires.append(Wire(ours, End(log, "e"), speed))
        for wire in self.wires:
            wire.ours.others = [other.ours for other in self.wires if other is not wire]

    def _free(self) -> None:
        self._freed = True

    def step(self) -> None:
        """One hundredth of a second."""
        self.now += STEP
        for wire in self.wires:
            wire.carry(self.now)
        for end in [wire.ours for wire in self.wires] + [wire.theirs for wire in self.wires]:
            due = end.session.next_timer()
            if due is not None and (due <= self.now or self._freed):
                end.session.tick(self.now)
                end.work(self.now)
        self._freed = False

    def until(self, share: float) -> None:
        """Go on until so much of the backlog is here."""
        while self.log.count < share * BACKLOG:
            assert self.now < 600, "it never comes"
            self.step()

    def finish(self) -> None:
        """Go on until all is here, and the rest of what is on its way has come, too."""
        self.until(1.0)
        for _ in range(300):
            self.step()

    @property
    def received(self) -> int:
        return sum(wire.received for wire in self.wires)


@pytest.fixture(scope="module")
def one_route() -> int:
    """The bytes that the backlog takes over one route."""
    us = Us(FAST)
    us.finish()
    return us.received


@pytest.mark.parametrize("speeds", [(FAST, FAST), (FAST, SLOW), (SLOW, FAST), (FAST, FAST / 3)])
def test_two_routes_take_hardly_more_bytes_than_one(
    speeds: Sequence[float], one_route: int
) -> None:
    us = Us(*speeds)
    us.finish()
    print(f"one route {one_route} bytes, two {us.received}: {us.received / one_route:.3f}")
    assert us.received <= 1.2 * one_route
    assert us.log.digest == us.wires[0].theirs.log.digest
    assert all(wire.ours.session.identical for wire in us.wires)


@pytest.mark.parametrize("fast", [0, 1])
def test_the_faster_route_brings_most(fast: int) -> None:
    us = Us(*((FAST, SLOW) if fast == 0 else (SLOW, FAST)))
    us.finish()
    assert us.wires[fast].changes >= 0.8 * BACKLOG


def test_a_route_that_only_trickles_is_overtaken() -> None:
    """It makes progress all the time, so it is not given up; but nobody waits for it."""
    us = Us(400.0, FAST)
    us.finish()
    assert us.now < 30
    assert us.wires[1].changes >= BACKLOG - 256


@pytest.mark.parametrize("stalls", [0, 1])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_was_asked_of_a_route_that_stalls_is_had_from_the_other(
    stalls: int, share: float, one_route: int
) -> None:
    us = Us(FAST, FAST)
    us.until(share)
    us.wires[stalls].stalls = True
    us.until(1.0)
    assert us.now < 10
    assert us.received <= 1.2 * one_route


@pytest.mark.parametrize("dropped", [0, 1])
def test_when_a_route_drops_the_other_goes_on_at_once(dropped: int, one_route: int) -> None:
    us = Us(FAST, FAST)
    us.until(0.5)
    before = us.now
    us.wires[dropped].drop(us.now)
    us.until(1.0)
    assert us.now - before < 0.6 * one_route / FAST + 0.5
    assert us.received <= 1.2 * one_route


def test_both_drop_and_come_back_again_and_again(one_route: int) -> None:
    """A new connection has no history; whatever was claimed over the old one is free."""
    us = Us(FAST, FAST)
    for turn in range(8):
        us.until((turn + 1) / 10)
        old = us.wires[turn % 2]
        old.drop(us.now)
        ours = End(us.log, old.theirs.log.device, us.now, claims=us.claims)
        new = Wire(ours, End(old.theirs.log, "e", us.now), FAST, received=old.received)
        us.wires[turn % 2] = new
        for wire in us.wires:
            wire.ours.others = [other.ours for other in us.wires if other is not wire]
    us.finish()
    assert us.log.digest == us.wires[0].theirs.log.digest
    assert len(us.claims.routes) == 2


def test_what_only_one_of_them_has_is_asked_of_that_one() -> None:
    us = Us(FAST, FAST)
    change = us.wires[1].theirs.log.write("f")
    us.until(1.0)
    while change not in us.log.changes:
        assert us.now < 30
        us.step()
