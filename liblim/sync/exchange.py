"""The exchange of changes with one peer, once both are greeted: saying, asking, giving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liblim.change import Change, Range
from liblim.sync.belief import NONE, Belief
from liblim.sync.claims import Claims
from liblim.sync.events import Arrived, Behind, Event, Hangs, Ready, Wanted
from liblim.sync.log import LogView
from liblim.sync.messages import Icanhaz, Ihaz, Kthx, Message, Ucanhaz
from liblim.sync.outbox import Outbox
from liblim.sync.pull import Pull

REST = 2.0
"""Seconds that digests may differ for no known reason until all heads are asked for."""
HANGING = 10.0
"""Seconds without a word on what a peer was given until it is said to hang."""
MAX_AUDITS = 2
"""How often that is done until our log changes."""


class Exchange:
    """Brings our log and a peer's to the same changes.

    ``count`` and ``digest`` are what the peer last said it has; ``None`` and empty before that.
    """

    def __init__(self, log: LogView, claims: Claims) -> None:
        """Speak for ``log``, to whose other sessions ``claims`` leads."""
        self.count: int | None = None
        self.digest = ""
        self.changes_in = 0
        self.belief = Belief(log)
        self.outbox = Outbox(log, self.belief)
        self._log = log
        self._pull = Pull(claims)
        self._events: list[Event] = []
        self._arrived: list[Change] = []
        self._wanted: Wanted | None = None
        self._answering = self._lacked = 0
        self._audit: float | None = None
        self._audits = 0
        self._recalled = False
        self._owing: float | None = None
        self._owed_for = 0
        self._hangs = False

    def events(self) -> list[Event]:
        """What the shell has to do since the last call."""
        events, self._events = self._events, []
        if self._arrived:
            self._pull.handed_over()
            events.append(Arrived(self._arrived))
            self._arrived = []
        if self._wanted is not None:
            events.append(self._wanted)
            self._wanted = None
        return events

    def recall(self, lacks: Mapping[str, int] | None) -> None:
        """Begin with what is known from before: the first change of each replica that the peer lacks."""
        self._recalled = self.outbox.knows = lacks is not None
        if lacks is not None:
            self.belief.recall(lacks)

    # What the peer says

    def ihaz(self, message: Ihaz, now: float) -> None:
        """Believe what the peer says it has; if that is not what we have, list our heads to it."""
        first = self.count is None
        if message.page <= 1:
            self._lacked = self.belief.we_lack
        if message.page:
            self.belief.list_page(message.page, message.more, message.heads)
            if not message.more:
                self._pull.listed()
                self._learn_all()
        else:
            self.belief.amend(message.heads)
        if not message.more and self.belief.we_lack > self._lacked:
            self._pull.encourage()
        self._stated(message)
        if first:
            self._events.append(Ready())
            if not self.identical:
                self._introduce(message, now)

    def _learn_all(self) -> None:
        """After a complete listing: what was known from before, and went by till now, may have been wrong."""
        if self._recalled and self.count is not None:
            self.outbox.list_lacking()
        self._recalled = False

    def _introduce(self, first: Ihaz, now: float) -> None:
        """List our heads: those that the peer lacks where both know from before what the other holds."""
        if (
            self._recalled
            and not first.page
            and first.count < self.belief.count - self.belief.we_lack
        ):
            # It lost something: a backup of it was restored, say.
            self._events.append(Behind())
            self.belief.forget()
            self.outbox.say(self._pull.ask_for_listing(now))
            self._recalled = False
        if self._recalled and first.knows:
            self.outbox.list_lacking()
        else:
            self.outbox.list_heads()

    def kthx(self, message: Kthx) -> None:
        """Believe that the peer has committed what it says."""
        self.belief.amend(message.heads)
        self._stated(message)

    def _stated(self, message: Ihaz | Kthx) -> None:
        self._owing, self._hangs = None, False
        self.count, self.digest = message.count, message.digest
        self._compare()
        self.outbox.heard()

    def _compare(self) -> None:
        if self.identical:
            self.belief.assume_equal()
            self._recalled = False

    def icanhaz(self, message: Icanhaz) -> None:
        """Have the shell read what the peer asks for; if we hold none of it, say what we hold."""
        held = []
        for replica, first, last in message.ranges:
            end = min(last, self._log.heads.get(replica, NONE).seq)
            if first <= end:
                held.append(Range(replica, first, end))
        self._answering = message.request
        if held:
            self._wanted = Wanted(message.request, held, message.changes, message.octets)
        else:
            self.outbox.list_heads()

    def ucanhaz(self, message: Ucanhaz, now: float) -> None:
        """Take a change, for the shell to commit."""
        change = message.change
        self.changes_in += 1
        self._arrived.append(change)
        self.belief.hold(change.replica, change.seq, change.hash)
        self._pull.arrived(message, now)

    # What the shell says

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note that changes entered our log."""
        self.belief.look_again(dict.fromkeys(change.replica for change in changes))
        if any(self.belief.seq(change.replica) >= change.seq for change in changes):
            self._pull.encourage()
        self._audits = 0
        self._compare()  # it may have said so before, of what came only now, by way of another peer
        self.outbox.committed(changes)

    def settled(self, changes: Sequence[Change], now: float) -> None:
        """Take note that our log has dealt with what arrived; say what came of it."""
        self._pull.settled(now)
        self.outbox.acknowledge(changes)

    def supply(self, request: int, changes: Sequence[Change]) -> None:
        """Give what was wanted, unless something else is wanted by now."""
        if request != self._answering:
            return
        if changes:
            self.outbox.serve(request, changes)
        else:
            self.outbox.list_heads()

    def close(self, last: Message | None) -> None:
        """Say one last thing, or nothing more, and leave it to others to go on."""
        self._pull.close()
        self.outbox.close(last)

    # Time

    def go_on(self, now: float) -> None:
        """Ask for what we lack, if it is time to; watch for a difference that nothing explains."""
        request = self._pull.next_request(self.belief, now)
        if request is not None:
            self.outbox.say(request)
        self._watch_debts(now)
        if not self._unexplained():
            self._audit = None
        elif self._audit is None:
            self._audit = now + REST

    def _watch_debts(self, now: float) -> None:
        """Note since when the peer owes its word on what it was given; while more is given, it has time."""
        if not self.outbox.owed:
            self._owing, self._hangs = None, False
        elif self._owing is None or self._owed_for != self.outbox.given:
            self._owing, self._owed_for = now, self.outbox.given

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._pull.expire(now)
        self._watch_debts(now)
        if self._owing is not None and now >= self._owing + HANGING and not self._hangs:
            self._hangs = True
            self._events.append(Hangs())
        if self._audit is not None and now >= self._audit:
            self._audit = None
            self._audits += 1
            self.outbox.say(self._pull.ask_for_listing(now))

    def nudge(self, now: float) -> None:
        """Ask again for what was given up: somebody wants to know."""
        self._pull.encourage()
        self._audits = 0
        self.go_on(now)

    def progressing(self, now: float) -> None:
        """Take note that a long line is still coming in."""
        self._pull.heard(now)

    @property
    def timer(self) -> float | None:
        """When ``tick`` has something to do."""
        hanging = None if self._owing is None or self._hangs else self._owing + HANGING
        times = self._pull.timer, self._audit, hanging
        return min((time for time in times if time is not None), default=None)

    def _unexplained(self) -> bool:
        """Whether digests differ though neither side seems to lack anything, and all is at rest."""
        if self.count is None or self._audits >= MAX_AUDITS:
            return False
        if not self._pull.quiet or self.outbox.unacknowledged or self.identical:
            return False
        if not self.belief.complete:
            return True
        if self._recalled:  # it may be wrong either way
            return not self.belief.we_lack or self._pull.stalled
        return (self.belief.we_lack, self.belief.they_lack) == (0, 0)

    # Facts

    @property
    def identical(self) -> bool:
        """Whether the peer last said that it has exactly the changes that we have now."""
        return self.count == self._log.count and self.digest == self._log.digest

    @property
    def proven(self) -> bool:
        """Whether all heads of the peer are known by what it said on this connection."""
        return self.belief.complete and not self._recalled

    @property
    def committing(self) -> bool:
        """Whether our log has not dealt with all that arrived."""
        return self._pull.committing

    @property
    def waiting_for(self) -> str:
        """What is awaited of the peer, in words; empty if nothing."""
        if self.count is None:
            return "its answer"
        if self._pull.deadline is not None:
            return "changes that we asked for"
        if self._pull.stalled and self.belief.we_lack:
            return "changes that it has and does not give"
        if not self.belief.complete:
            return "its list of changes"
        if self._hangs:
            return "its word on what we sent: it answers, and seems to hang"
        if self.outbox.unacknowledged:
            return "its word that it has committed what we sent"
        return ""
