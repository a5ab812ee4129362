"""Peers that are there and do not do their part: each is found out within 15 s, and said so in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liblim.change import digest
from liblim.sync import Arrived, Closed, Hangs, State, Wanted, encode
from liblim.sync.codec import LineDecoder
from liblim.sync.messages import (
    MAX_LINE,
    PROTOCOL,
    Entry,
    Icanhaz,
    Ihaz,
    Kthx,
    Message,
    Nm,
    Ohai,
    Sup,
    Ucanhaz,
)
from tests.liblim.changes import chain
from tests.liblim.sync.fakes import LIBRARY, End, MemoryLog

GREETING = [Ohai(PROTOCOL, LIBRARY, "b" * 32)]
EMPTY = [*GREETING, Ihaz(0, digest({}), page=1)]


class Half:
    """A peer that says some things at the start, answers ``SUP``, and does whatever a test adds."""

    def __init__(self, says: Sequence[Message] = (), *, answers: bool = True) -> None:
        self.end = End(MemoryLog("a"), "b")
        self.now = 0.0
        self.answers = answers
        self.reads = True
        self.chats = False
        self.heard: list[object] = []
        self.on: Callable[[object], list[Message]] = lambda message: []
        self._decoder = LineDecoder(MAX_LINE)
        for message in says:
            self.end.give(encode(message), 0.0)

    def step(self) -> None:
        """A tenth of a second."""
        self.now += 0.1
        end = self.end
        timer = end.session.next_timer()
        if timer is not None and timer <= self.now:
            end.session.tick(self.now)
        end.work(self.now)
        if self.chats and end.session.state is not State.CLOSED:
            end.give(encode(Sup(1)), self.now)
        if not self.reads:
            return
        self._decoder.feed(end.take(self.now))
        while (message := self._decoder.next()) is not None:
            self.heard.append(message)
            if isinstance(message, Sup) and self.answers:
                end.give(encode(Nm(message.ping)), self.now)
            for said in self.on(message):
                end.give(encode(said), self.now)

    def until(self, holds: Callable[[], object]) -> float:
        """Go on until something holds; how long that took."""
        start = self.now
        while not holds():
            self.step()
            assert self.now - start < 15.2, f"not found out; waits for {self.waiting_for!r}"
        return self.now - start

    @property
    def waiting_for(self) -> str:
        return self.end.session.waiting_for

    def closed(self) -> str:
        self.until(lambda: self.end.of(Closed))
        return self.end.closed.code


def test_one_that_connects_and_says_nothing() -> None:
    assert Half().closed() == "too-late"


def test_one_that_greets_and_says_no_more() -> None:
    peer = Half(GREETING, answers=False)
    assert peer.waiting_for == "its answer"
    assert peer.closed() == "too-late"


def test_one_that_greets_and_answers_and_says_no_more() -> None:
    """Nothing is known of what it holds, and nobody else may be tried in its place."""
    assert Half(GREETING).closed() == "too-late"


def test_one_that_falls_silent() -> None:
    assert Half(EMPTY, answers=False).closed() == "silent"


def test_one_that_answers_and_never_commits() -> None:
    peer = Half(EMPTY)
    peer.step()
    peer.end.write("a", peer.now)
    peer.until(lambda: "seems to hang" in peer.waiting_for)
    assert peer.end.of(Hangs) == [Hangs()]
    assert any(isinstance(message, Ucanhaz) for message in peer.heard)
    assert peer.end.session.state is State.OPEN, "it may go on yet"
    # As soon as it says anything about that, it does not hang.
    head = Entry("a" * 16, 1, peer.end.log.changes[0].hash)
    peer.end.give(encode(Kthx(1, peer.end.log.digest, (head,))), peer.now)
    assert peer.waiting_for == ""
    peer.end.write("a", peer.now)
    peer.until(lambda: len(peer.end.of(Hangs)) == 2)


def test_one_that_asks_and_never_commits() -> None:
    peer = Half(GREETING)
    for change in chain("c", 3):
        peer.end.log.receive([change])
    peer.end.give(encode(EMPTY[1]), peer.now)
    peer.end.give(encode(Icanhaz(1, (("c" * 16, 1, 3),))), peer.now)  # type: ignore[arg-type]
    assert peer.end.of(Wanted)
    peer.until(lambda: "seems to hang" in peer.waiting_for)


def test_one_that_talks_and_reads_nothing() -> None:
    """What is sent to it vanishes into buffers; it is known by what it does not say."""
    peer = Half(EMPTY)
    peer.step()
    peer.reads, peer.chats = False, True
    peer.end.write("a", peer.now)
    peer.until(lambda: "seems to hang" in peer.waiting_for)


def test_one_that_is_slow_to_take_what_it_is_given_does_not_hang() -> None:
    peer = Half(EMPTY)
    for _ in range(200):
        peer.step()
        if peer.now % 3 < 0.1:
            peer.end.write("a", peer.now)
    assert not peer.end.of(Hangs)
    assert peer.waiting_for == "its word that it has committed what we sent"


def test_one_that_has_changes_and_does_not_give_them() -> None:
    head = Entry("c" * 16, 3, bytes(32))
    peer = Half([*GREETING, Ihaz(3, "0" * 64, page=1, heads=(head,))])
    assert peer.waiting_for == "changes that we asked for"
    peer.until(lambda: peer.waiting_for == "changes that it has and does not give")
    assert 1 <= sum(isinstance(message, Icanhaz) for message in peer.heard) <= 4
    # A person who does not believe it has it asked again.
    before = len(peer.heard)
    peer.end.session.nudge(peer.now)
    peer.step()
    assert any(isinstance(message, Icanhaz) for message in peer.heard[before:])
    assert any(isinstance(message, Sup) for message in peer.heard[before:])


def test_one_that_does_not_list_what_it_holds() -> None:
    peer = Half([*GREETING, Ihaz(3, "0" * 64)])
    peer.until(lambda: peer.waiting_for == "its list of changes")


def test_one_whose_changes_our_own_log_does_not_take_is_not_to_blame() -> None:
    peer = Half(EMPTY)
    arrived = Arrived([])
    peer.end.handle(arrived, 0.0)
    for _ in range(200):
        peer.step()
    assert not peer.end.of(Hangs)
    assert peer.end.session.state is State.OPEN
