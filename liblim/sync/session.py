"""The conversation with one peer over one connection, as a state machine without any I/O.

The shell puts in bytes (``receive_data``, ``eof``), what its log did (``committed``, ``settled``,
``supply``) and time (``tick``); after each of these it fetches ``events`` and
``data_to_send``.  ``now`` is in seconds and only has to be monotonic.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from liblim.change import Change
from liblim.errors import ChangeError, LimError, ProtocolError
from liblim.receipt import Receipt
from liblim.sync.belief import Belief
from liblim.sync.claims import Claims
from liblim.sync.codec import LineDecoder, Unknown
from liblim.sync.events import Closed, Event, Heard, Vouches, Welcomed
from liblim.sync.exchange import Exchange
from liblim.sync.handshake import judge
from liblim.sync.keepalive import DEAD, Keepalive
from liblim.sync.log import LogView
from liblim.sync.messages import (
    MAX_LINE,
    PROTOCOL,
    Icanhaz,
    Igotz,
    Ihaz,
    Kthx,
    Kthxbye,
    Message,
    Nm,
    Nowai,
    Ohai,
    Sup,
    Ucanhaz,
    Vouch,
)
from liblim.sync.refusals import AGAIN, REFUSALS, refusal
from liblim.words import on_one_line

GREETING_TIMEOUT = 10.0
"""Seconds until the peer must have said ``ØHAI``."""
MAX_UNKNOWN = 16
"""Unknown verbs that are reported, each once."""


class State(enum.Enum):
    """Where a session stands."""

    GREETING = "waiting for the peer's ØHAI"
    OPEN = "both greeted"
    CLOSED = "over"


class Cue(enum.Enum):
    """What moves a session from one state to another."""

    WELCOME = "the peer's ØHAI is acceptable"
    END = "an error, a farewell, or the end of the connection"


TRANSITIONS: dict[tuple[State, Cue], State] = {
    (State.GREETING, Cue.WELCOME): State.OPEN,
    (State.GREETING, Cue.END): State.CLOSED,
    (State.OPEN, Cue.END): State.CLOSED,
}


class Session:
    """One connection to one peer, from ``ØHAI`` to the end.

    ``hello`` is the peer's greeting once it was accepted; ``bytes_in`` and ``bytes_out`` count this
    connection's; ``stated_at`` is when the peer last said what it holds; the properties below tell how the
    two logs stand to each other.
    """

    def __init__(
        self,
        log: LogView,
        *,
        now: float,
        name: str = "",
        agent: str = "",
        port: int = 0,
        peer: str,
        patience: float = GREETING_TIMEOUT,
        claims: Claims | None = None,
    ) -> None:
        """Greet the peer: ``data_to_send`` has our ``ØHAI`` at once.

        ``peer`` is the device at the other end, as the connection has proved it; ``port`` is where we
        listen, 0 if nowhere; ``patience`` is how many seconds the peer has for its greeting; ``claims`` are
        shared with the log's other sessions.
        """
        self.state = State.GREETING
        self.hello: Ohai | None = None
        self.bytes_in = self.bytes_out = 0
        self.stated_at: float | None = None
        self._peer = peer
        self._ours = Ohai(
            protocol=PROTOCOL,
            library=log.library,
            device=log.device,
            name=name[:128],
            agent=agent[:128],
            port=port,
        )
        self.recall: Callable[[], Mapping[str, int] | None] = lambda: None
        """Tells, when the peer has greeted, what is known of it from before: the first change of each replica
        of ours that it lacks; ``None`` for nothing."""
        self._patience = patience
        self._greet_by = now + patience
        self._decoder = LineDecoder()
        self._exchange = Exchange(log, claims or Claims())
        self._keepalive = Keepalive(now)
        self._events: list[Event] = []
        self._unknown: set[str] = set()
        self._say(self._ours)

    # What comes from the connection

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes that came from the peer."""
        if self.state is State.CLOSED:
            return
        self.bytes_in += len(data)
        self._keepalive.heard(now)
        self._decoder.feed(data)
        self._process(now)

    def eof(self, now: float) -> None:
        """Take note that nothing more comes: the peer has closed, or the connection is cut."""
        if self.state is State.CLOSED:
            return
        if self._decoder.partial:
            self.refuse(refusal("half-line"))
        elif self.hello is None:
            reason = "The other end closed the connection without a word."
            mend = "Look whether this program runs there, and whether it was not removed or reset."
            self._end(Closed("lost", reason, mend, by_peer=True))
        else:
            self._end(Closed("lost", "The connection was lost.", AGAIN, by_peer=True))

    def _process(self, now: float) -> None:
        try:
            while self.state in _ACCEPTED and (message := self._decoder.next()) is not None:
                if isinstance(message, Unknown):
                    self._pass_over(message)
                else:
                    self._handle(message, now)
        except ProtocolError as error:
            self.refuse(error)
        if self._decoder.partial:
            self._exchange.progressing(now)
        self._go_on(now)

    def _handle(self, message: Message, now: float) -> None:
        handler = _ACCEPTED[self.state].get(type(message))
        if handler is None:
            raise refusal("bad-message", f"{message.verb} is out of place")
        handler(self, message, now)

    def _pass_over(self, message: Unknown) -> None:
        if self.state is State.GREETING:
            raise refusal("bad-message", f"{message.verb} came before ØHAI")
        if message.verb not in self._unknown and len(self._unknown) < MAX_UNKNOWN:
            self._unknown.add(message.verb)
            self._events.append(message)

    def _go_on(self, now: float) -> None:
        if self.state is State.OPEN:
            self._exchange.go_on(now)
        self._events += self._exchange.events()

    # What comes from our log

    def committed(self, changes: Sequence[Change], now: float) -> None:
        """Take note that changes, from here or from any peer, entered our log."""
        if self.state is State.OPEN:
            self._exchange.committed(changes)
            self._go_on(now)

    def settled(self, changes: Sequence[Change], now: float) -> None:
        """Take note that our log has dealt with the changes of an ``Arrived``."""
        if self.state is State.OPEN:
            # Nobody listened meanwhile, so the silence was not the peer's.
            self._keepalive.heard(now)
            self._exchange.settled(changes, now)
            self._go_on(now)

    def supply(self, request: int, changes: Sequence[Change], now: float) -> None:
        """Give the peer what it ``Wanted``; nothing is an answer, too."""
        if self.state is State.OPEN:
            self._exchange.supply(request, changes)

    def hand_on(self, receipt: Receipt) -> None:
        """Give the peer a receipt, this device's own or another's."""
        if self.state is State.OPEN:
            self._exchange.outbox.hand_on(receipt)

    def vouch(self, message: Vouch) -> None:
        """Tell a server who is in the library."""
        if self.state is State.OPEN:
            self._say(message)

    def nudge(self, now: float) -> None:
        """Ask whether the peer is there, and again for what it did not give."""
        if self.state is State.OPEN:
            self._say(self._keepalive.ask(now))
            self._exchange.nudge(now)
            self._go_on(now)

    # The greeting

    def _greeted(self, theirs: Ohai, now: float) -> None:
        judge(self._ours, theirs, self._peer)
        self.hello = theirs
        self._decoder.limit = MAX_LINE
        self._events.append(Welcomed(theirs))
        self._move(Cue.WELCOME)
        self._exchange.recall(self.recall())
        self._exchange.outbox.summarise()
        self._say(self._keepalive.ask(now))

    # The end

    def refuse(self, error: LimError) -> None:
        """Close the line with a ``NOWAI`` that says why."""
        if self.state is State.CLOSED:
            return
        if isinstance(error, ProtocolError):
            said = error
        elif isinstance(error, ChangeError):
            said = refusal("bad-change", str(error))
        else:
            said = refusal("trouble")  # the error's own words may name files
        reason = str(error if said.code == "trouble" else said)
        self._end(
            Closed(said.code, reason, said.mend), Nowai(said.code, str(said)[:500], said.mend[:500])
        )

    def leave(self, reason: str) -> None:
        """Close the line in good order."""
        if self.state is not State.CLOSED:
            self._end(Closed("left", reason), Kthxbye(reason[:500]))

    def _refused(self, message: Nowai, now: float) -> None:
        reason = on_one_line(message.message)
        reason = reason or "The other device closed the line without saying why."
        # A code of a newer version is trouble of some kind; and a peer may not say "lost" for us.
        code = message.code if message.code in REFUSALS else "trouble"
        self._end(Closed(code, reason, on_one_line(message.mend), by_peer=True))

    def _left(self, message: Kthxbye, now: float) -> None:
        self._end(Closed("left", on_one_line(message.reason), by_peer=True))

    def _end(self, closed: Closed, last: Message | None = None) -> None:
        self._move(Cue.END)
        self._exchange.close(last)
        self._events += [*self._exchange.events(), closed]

    def _move(self, cue: Cue) -> None:
        self.state = TRANSITIONS[self.state, cue]

    # Time

    def tick(self, now: float) -> None:
        """Do what is due; call it at the time that ``next_timer`` says, or any time."""
        if self._ungreeted and now >= self._greet_by:
            self.refuse(refusal("too-late", f"{self._patience:g}"))
        if self.state is not State.OPEN:
            return
        if now >= self._keepalive.dead_at and not self._exchange.committing:
            self._end(Closed("silent", f"Nothing was heard for {DEAD:.0f} seconds.", AGAIN))
            return
        if now >= self._keepalive.ask_at:
            self._say(self._keepalive.ask(now))
        self._exchange.tick(now)
        self._go_on(now)

    @property
    def _ungreeted(self) -> bool:
        """Whether the peer has still to say hello: who it is, and that it accepts us."""
        return self.state is State.GREETING or (self.state is State.OPEN and self.count is None)

    def next_timer(self) -> float | None:
        """When to call ``tick``; ``None`` if there is nothing to wait for."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.GREETING:
            return self._greet_by
        times = [self._keepalive.ask_at, self._exchange.timer]
        if self._ungreeted:
            times.append(self._greet_by)
        if not self._exchange.committing:
            times.append(self._keepalive.dead_at)
        return min(time for time in times if time is not None)

    # What goes out

    def _say(self, message: Message) -> None:
        self._exchange.outbox.say(message)

    def data_to_send(self) -> bytes:
        """Bytes for the peer, empty if there are none; call again once they were taken."""
        answer = self._keepalive.answer()
        if answer is not None and self.state is State.OPEN:
            self._say(answer)
        data = self._exchange.outbox.data()
        self.bytes_out += len(data)
        return data

    def events(self) -> list[Event]:
        """What happened since the last call, in order; ``Closed`` is the last there is."""
        events, self._events = self._events, []
        return events

    # Facts

    @property
    def count(self) -> int | None:
        """How many changes the peer last said it has."""
        return self._exchange.count

    @property
    def digest(self) -> str:
        """The digest over them."""
        return self._exchange.digest

    @property
    def identical(self) -> bool:
        """Whether that is exactly what we have: the proof of convergence."""
        return self._exchange.identical

    @property
    def we_lack(self) -> int | None:
        """How many of its changes we do not hold; ``None`` until it has listed them."""
        belief = self._exchange.belief
        return belief.we_lack if belief.complete and self.count is not None else None

    @property
    def replicas_ahead(self) -> int:
        """Of how many replicas it says that it has changes which we do not hold."""
        return self._exchange.belief.replicas_ahead

    @property
    def they_lack(self) -> int | None:
        """How many of our changes it does not hold; ``None`` until that is certain."""
        return self.belief.they_lack if self.belief else None

    @property
    def belief(self) -> Belief | None:
        """What the peer holds; ``None`` until that is certain by its own word on this connection."""
        return self._exchange.belief if self._exchange.proven else None

    def lists_beyond(self, change: Change) -> bool:
        """Whether the peer holds later changes of that one's replica, by its own word."""
        return self._exchange.belief.seq(change.replica) > change.seq

    @property
    def changes_in(self) -> int:
        """Changes that came over this connection."""
        return self._exchange.changes_in

    @property
    def changes_out(self) -> int:
        """Changes that were given over this connection."""
        return self._exchange.outbox.changes_out

    @property
    def round_trip(self) -> float | None:
        """Seconds from a question to its answer."""
        return self._keepalive.round_trip

    @property
    def buffered(self) -> int:
        """Bytes of the peer that wait for the rest of their line."""
        return self._decoder.buffered

    @property
    def waiting_for(self) -> str:
        """What is awaited of the peer, in words; empty if nothing."""
        if self.state is State.OPEN:
            return self._exchange.waiting_for
        return "its greeting" if self.state is State.GREETING else ""

    # What a peer may say when

    def _says_ihaz(self, message: Ihaz, now: float) -> None:
        self.stated_at = now
        self._exchange.ihaz(message, now)

    def _says_icanhaz(self, message: Icanhaz, now: float) -> None:
        self._exchange.icanhaz(message)

    def _says_ucanhaz(self, message: Ucanhaz, now: float) -> None:
        self._exchange.ucanhaz(message, now)

    def _says_kthx(self, message: Kthx, now: float) -> None:
        self.stated_at = now
        self._exchange.kthx(message)

    def _says_igotz(self, message: Igotz, now: float) -> None:
        self._events.append(Heard(message.receipt))

    def _says_vouch(self, message: Vouch, now: float) -> None:
        self._events.append(Vouches(message))

    def _says_sup(self, message: Sup, now: float) -> None:
        self._keepalive.asked(message)

    def _says_nm(self, message: Nm, now: float) -> None:
        self._keepalive.answered(message, now)


_Handler: TypeAlias = Callable[[Session, Any, float], None]

_ACCEPTED: dict[State, dict[type[Message], _Handler]] = {
    State.GREETING: {
        Ohai: Session._greeted,
        Nowai: Session._refused,
        Kthxbye: Session._left,
    },
    State.OPEN: {
        Ihaz: Session._says_ihaz,
        Icanhaz: Session._says_icanhaz,
        Ucanhaz: Session._says_ucanhaz,
        Kthx: Session._says_kthx,
        Igotz: Session._says_igotz,
        Vouch: Session._says_vouch,
        Sup: Session._says_sup,
        Nm: Session._says_nm,
        Nowai: Session._refused,
        Kthxbye: Session._left,
    },
}
