"""Pairing over the network: showing a code, entering one, and what follows if it was right."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any

from liblim.aio import AsyncDatabase
from liblim.errors import LimError, PairingError
from liblim.membership import Membership
from liblim.net.address import Address
from liblim.net.dial import Streams, dial
from liblim.net.meeting import Meeting
from liblim.net.talk import Talk, in_words
from liblim.net.timing import Timing
from liblim.net.tls import PAIR, client_context
from liblim.peers import GIVER
from liblim.trust import Grant, device_of, words_of
from liblim.trust.pairing import (
    SECONDS,
    Joining,
    PairingView,
    Phase,
    Window,
    joiner,
    new_code,
    read_code,
)
from liblim.trust.pairing_messages import About, Mac, problem
from liblim.trust.pairing_proof import Handshake, Proof, Role, spake2_for
from liblim.words import on_one_line

_log = logging.getLogger(__name__)


class PairingHost:
    """Pairs this device, with one other at a time; ``view`` says how that goes.

    Everything that starts or answers returns at once.  ``about`` gives this device's name, and whether it
    holds no notes; ``join`` takes on another library.  The app may replace both.
    """

    def __init__(
        self,
        database: AsyncDatabase,
        membership: Membership,
        *,
        agent: str,
        timing: Timing,
        clock: Callable[[], float],
    ) -> None:
        """Pair ``database``; ``clock`` gives Unix seconds."""
        self.view = PairingView()
        self.on_change: Callable[[], None] = lambda: None
        self.on_paired: Callable[[str, Address], None] = lambda device, address: None
        """Called with a device that was paired just now, and where it may be dialled."""
        self.about: Callable[[], tuple[str, bool]] = lambda: ("", True)
        self.join: Callable[[Grant, Joining], Awaitable[None]] = self._take_on
        self.port = 0
        """Where this device listens, 0 if nowhere."""
        self.pake = spake2_for
        self._database = database
        self._membership = membership
        self._agent = agent
        self._timing = timing
        self._clock = clock
        self._window: Window | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._meeting: Meeting | None = None
        self._task: asyncio.Task[None] | None = None
        """What may change the view; an earlier one that was cancelled may not, while it ends."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def window_open(self) -> bool:
        """Whether somebody without a certificate may try the code."""
        return self._window is not None and self._window.is_open(self._clock())

    @property
    def guests(self) -> dict[str, bytes]:
        """The certificate of the device that may come for the keys, or bring them, by device."""
        meeting = self._meeting
        if meeting is None or not meeting.waits:
            return {}
        return {meeting.device: meeting.other.certificate}

    # What people do

    def show(self) -> None:
        """Show a new code; one that was shown before counts no more."""
        self.cancel()
        self._window = Window(new_code(), self._clock())
        self._closing = asyncio.get_running_loop().call_later(SECONDS, self._expire)
        self._show(_code_view(self._window, Phase.SHOWING))

    def dial(self, addresses: Sequence[Address], code: str) -> None:
        """Pair with the device that shows this code at one of these addresses."""
        self.cancel()
        try:
            digits = read_code(code)
        except PairingError as error:
            self._show(_failure_view(error))
            return
        self._show(PairingView(Phase.CONNECTING))
        self._begin(self._dial(addresses, digits))

    def accept(self, joining: Joining = Joining.ADD_MINE) -> None:
        """Accept the device that is shown."""
        if self._meeting is not None:
            self._meeting.answer(joining)

    def refuse(self) -> None:
        """Refuse it; the other device is told."""
        if self._meeting is not None:
            self._meeting.answer(None)

    def cancel(self) -> None:
        """Give up whatever goes on, and show nothing any more."""
        self._close_window()
        self._meeting = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._show(PairingView())

    async def stop(self) -> None:
        """Give up, and wait until all is cleaned up."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # The window

    def _expire(self) -> None:
        """End the code; a try that is under way is waited for."""
        self._closing = None
        if self._window is None:
            return
        self._window.expire()
        if not self._window.busy:
            self._close_window()
            self._show(_failure_view(problem("expired")))

    def _close_window(self) -> None:
        self._window = None
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    # What comes in

    def take(self, streams: Streams, certificate: bytes | None) -> None:
        """Take a connection: without certificate a try of the code, else the one for the keys."""
        if certificate is not None:
            if self._meeting is not None and device_of(certificate) in self.guests:
                self._meeting.take(streams)
            else:
                streams[1].transport.abort()
            return
        try:
            if self._window is None:
                raise problem("not-showing")
            self._window.enter(self._clock())
        except PairingError as error:
            Talk(streams).end(error)
            return
        talk = Talk(streams)
        task = self._begin(self._serve(talk, self._window))
        task.add_done_callback(lambda _: talk.end())  # it may be cancelled before it begins

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The side that shows

    async def _serve(self, talk: Talk, window: Window) -> None:
        """One try of the code, and all that follows if it is right."""
        before = window.tries
        self._tell(_code_view(window, Phase.CHECKING))
        try:
            about = self._about()
            proof, theirs = await self._check(talk, window, about)
        except asyncio.CancelledError as cancelled:
            talk.end(in_words(cancelled))
            raise
        except Exception as failure:
            self._failed_try(talk, window, failure, guessed=window.tries < before)
            return
        self._close_window()
        with self._telling(talk):
            knows = self._knows(proof.about)
            await talk.say(Mac(proof.own[knows], knows))
            joins = joiner(about, proof.about, knows, theirs.member) is Role.SHOWS
            await self._meet(talk, Meeting(talk, proof.about, joins=joins))

    async def _check(self, talk: Talk, window: Window, about: About) -> tuple[Proof, Mac]:
        """Let the other side prove that it knows the code; before that it gets nothing to test codes with."""
        # Qt's loop logs the arguments of what runs on a thread, so that has none.
        handshake = await asyncio.to_thread(
            lambda: Handshake(Role.SHOWS, window.code, about, self.pake)
        )
        await talk.say(handshake.line)
        line = await talk.hear_line()
        window.guess()
        proof = await asyncio.to_thread(lambda: handshake.finish(line, about.certificate))
        mac = await talk.hear(Mac)
        if not proof.check(mac):
            raise problem("wrong-code")
        return proof, mac

    def _failed_try(self, talk: Talk, window: Window, failure: Exception, *, guessed: bool) -> None:
        """Tell of a try that came to nothing, and go on showing the code while it counts."""
        _log_unexpected(failure)
        error = in_words(failure)
        if guessed and not window.tries:
            error = problem("code-used-up")
        elif error.code == "wrong-code" and window.is_open(self._clock()):
            more = f"{error.mend} Tries left: {window.tries}."
            error = PairingError(error.code, str(error), more)
        talk.end(error)
        window.leave()
        if self._window is not window:
            return
        if window.is_open(self._clock()):
            self._tell(_code_view(window, Phase.SHOWING))
        else:
            self._close_window()
            self._tell(_failure_view(error if not window.tries else problem("expired")))

    # The side that dials

    async def _dial(self, addresses: Sequence[Address], code: str) -> None:
        try:
            context = client_context(None, None, PAIR)
            streams, address = await dial(addresses, context, self._timing.connect)
        except LimError as error:
            self._tell(_failure_view(error))
            return
        talk = Talk(streams)
        with self._telling(talk):
            self._tell(PairingView(Phase.CHECKING))
            about = self._about()
            if talk.certificate == about.certificate:
                raise problem("yourself")
            proof = await self._prove(talk, code, about)
            knows = self._knows(proof.about)
            await talk.say(Mac(proof.own[knows], knows))
            theirs = await talk.hear(Mac)
            if not proof.check(theirs):
                raise problem("wrong-code")
            joins = not proof.about.server and (
                joiner(proof.about, about, theirs.member, knows) is Role.DIALS
            )
            await self._meet(talk, Meeting(talk, proof.about, joins=joins, address=address))

    async def _prove(self, talk: Talk, code: str, about: About) -> Proof:
        handshake = await asyncio.to_thread(lambda: Handshake(Role.DIALS, code, about, self.pake))
        try:
            line = await talk.hear_line()
        except PairingError as error:
            # Who shows no code closes without a word.
            raise (problem("not-showing") if error.code == "lost" else error) from None
        shower = talk.certificate or b""
        proof = await asyncio.to_thread(lambda: handshake.finish(line, shower))
        await talk.say(handshake.line)
        return proof

    # Both sides

    async def _meet(self, talk: Talk, meeting: Meeting) -> None:
        """Ask both people, then hand over the keys on a connection of its own."""
        if not meeting.joins and meeting.device in self._database.ledger.removed:
            raise problem("removed")
        self._meeting = meeting
        try:
            self._tell(self._meeting_view(meeting))
            joining = await meeting.agree(
                lambda: self._tell(replace(self.view, phase=Phase.WAITING))
            )
            self._tell(replace(self.view, phase=Phase.JOINING))
            where = meeting.address or Address(talk.host, meeting.other.port)
            with await meeting.connect_again(self._database.keys.identity) as second:
                if meeting.server:
                    await meeting.entrust(second, self._database, self._membership, where)
                elif meeting.joins:
                    # Else who is killed once it has joined knows nowhere to get the notes from.
                    await self._database.set_fact(GIVER, f"{meeting.device} {where}")
                    await meeting.receive(second, lambda grant: self.join(grant, joining))
                else:
                    await meeting.give(second, self._database, self._membership)
            if where.port:
                self.on_paired(meeting.device, where)
            self._tell(replace(self.view, phase=Phase.PAIRED))
        finally:
            meeting.close()
            if self._meeting is meeting:
                self._meeting = None

    @contextlib.contextmanager
    def _telling(self, talk: Talk) -> Iterator[None]:
        """Whatever goes wrong is told to both people, and the connection is closed."""
        try:
            with talk:
                yield
        except Exception as failure:
            _log_unexpected(failure)
            self._tell(_failure_view(failure))

    async def _take_on(self, grant: Grant, joining: Joining) -> None:
        await self._database.take_on(grant)

    # What there is to know

    def _about(self) -> About:
        name, empty = self.about()
        database = self._database
        members = database.ledger.members
        return About(
            name=name[:128],
            agent=self._agent[:128],
            library=database.library,
            # Who is no member of its own library shares it with nobody any more.
            alone=database.device not in members or len(members) == 1,
            empty=empty,
            certificate=database.keys.identity.certificate,
            port=self.port,
        )

    def _knows(self, other: About) -> bool:
        return device_of(other.certificate) in self._database.ledger.members

    def _meeting_view(self, meeting: Meeting) -> PairingView:
        own, other = self._about(), meeting.other
        return PairingView(
            Phase.CONFIRM,
            until=self._clock() + SECONDS,
            peer=meeting.device,
            peer_name=on_one_line(other.name),
            peer_words=words_of(other.certificate),
            own_words=words_of(own.certificate),
            we_join=meeting.joins,
            server=meeting.server,
            asks=meeting.joins and not own.empty and own.library != other.library,
        )

    def _tell(self, view: PairingView) -> None:
        """Show what the present task has to tell, if nothing was begun since."""
        if asyncio.current_task() is self._task:
            self._show(view)

    def _show(self, view: PairingView) -> None:
        self.view = view
        self.on_change()


def _code_view(window: Window, phase: Phase) -> PairingView:
    half = len(window.code) // 2
    code = f"{window.code[:half]} {window.code[half:]}"
    return PairingView(phase, code=code, until=window.until, tries=window.tries)


def _failure_view(failure: Exception) -> PairingView:
    """What a failure says: of this device's own, in its own words."""
    error = failure if isinstance(failure, LimError) else in_words(failure)
    return PairingView(
        Phase.FAILED,
        error=on_one_line(str(error)),
        mend=on_one_line(getattr(error, "mend", "")),
    )


def _log_unexpected(failure: Exception) -> None:
    if not isinstance(failure, LimError):
        _log.error("Pairing failed.", exc_info=failure)
