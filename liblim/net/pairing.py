"""Pairing over the network: showing a code, entering one, and handing over the library's keys."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from liblim.aio import AsyncDatabase
from liblim.errors import LimError, PairingError
from liblim.membership import Membership
from liblim.net.address import Address
from liblim.net.dial import Streams, dial
from liblim.net.timing import Timing
from liblim.net.tls import PAIR, certificate_of, client_context
from liblim.sync.messages import on_one_line
from liblim.trust import Grant, device_of, words_of
from liblim.trust.pairing import (
    MAX_GRANT_LINE,
    MAX_LINE,
    SECONDS,
    About,
    Accept,
    Handshake,
    Joining,
    Keys,
    Kthx,
    Mac,
    Message,
    Nowai,
    PairingView,
    Phase,
    Proof,
    Role,
    Window,
    decode,
    encode,
    joiner,
    new_code,
    problem,
    read_code,
    spake2_for,
)

ANSWER = 10.0
"""Seconds for a program to answer."""
CHUNK = 65536
SECOND = 30.0
"""Seconds from both people's accepting to the connection over which the keys cross."""

M = TypeVar("M", bound=Message)
_log = logging.getLogger(__name__)


class Talk:
    """A connection on which lines of the pairing protocol are said and heard."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._buffer = b""
        self.host = str((self._writer.get_extra_info("peername") or ("",))[0])
        self.server_certificate = certificate_of(self._writer)

    async def say(self, line: bytes | Message) -> None:
        """Send a line."""
        self._writer.write(line if isinstance(line, bytes) else encode(line))
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def hear_line(self, patience: float, most: int = MAX_LINE) -> bytes:
        """The next line, with its newline.

        Raises PairingError.
        """
        try:
            async with asyncio.timeout(patience):
                while b"\n" not in self._buffer[:most]:
                    if len(self._buffer) >= most:
                        raise problem("garbage")
                    data = await self._reader.read(CHUNK)
                    if not data:
                        raise problem("lost")
                    self._buffer += data
        except TimeoutError:
            raise problem("too-late") from None
        except OSError:
            raise problem("lost") from None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    async def hear(self, kind: type[M], patience: float, most: int = MAX_LINE) -> M:
        """The next message, which has to be of a kind.

        Raises PairingError, also for the other side's ``NOWAI``.
        """
        message = decode((await self.hear_line(patience, most)).removesuffix(b"\n"))
        if isinstance(message, Nowai):
            said = on_one_line(message.message) or "The other device ended pairing."
            raise PairingError(message.code, said, on_one_line(message.mend))
        if not isinstance(message, kind):
            raise problem("garbage")
        return message

    async def end(self, error: PairingError | None = None) -> None:
        """Say why, where there is a reason, and close."""
        if error is not None:
            await self.say(Nowai(error.code, str(error)[:500], error.mend[:500]))
        self._writer.close()


class PairingHost:
    """Pairs this device, one at a time; ``view`` says how that goes.

    Everything that starts or answers returns at once.  ``about`` gives this device's name, and whether it holds no
    notes; ``join`` takes on another library.  The app may replace both.
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
        self.guests: dict[str, bytes] = {}
        """Certificates of devices that may come for the keys, or bring them, by device."""
        self.pake = spake2_for
        self._database = database
        self._membership = membership
        self._agent = agent
        self._timing = timing
        self._clock = clock
        self._window: Window | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Joining] | None = None
        self._second: asyncio.Future[Streams] | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()

    @property
    def window_open(self) -> bool:
        """Whether somebody without a certificate may try the code."""
        return self._window is not None and self._window.is_open(self._clock())

    # What people do

    def show(self) -> None:
        """Show a new code; one that was shown before counts no more."""
        self.cancel()
        self._window = Window(new_code(), self._clock())
        self._closing = asyncio.get_running_loop().call_later(SECONDS, self._expire)
        self._show_code()

    def dial(self, addresses: Sequence[Address], code: str) -> None:
        """Pair with the device that shows this code at one of these addresses."""
        self.cancel()
        try:
            digits = read_code(code)
        except PairingError as error:
            self._fail(error)
            return
        self._show(PairingView(Phase.CONNECTING))
        self._start(self._dial(addresses, digits))

    def accept(self, joining: Joining = Joining.ADD_MINE) -> None:
        """Accept the device that is shown."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(joining)

    def refuse(self) -> None:
        """Refuse it; the other device is told."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem("refused"))

    def cancel(self) -> None:
        """Give up whatever goes on, and show nothing any more."""
        self._close_window()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._show(PairingView())

    # The window

    def _show_code(self) -> None:
        assert self._window is not None
        code = self._window.code
        half = len(code) // 2
        self._show(
            PairingView(
                Phase.SHOWING,
                code=f"{code[:half]} {code[half:]}",
                until=self._window.until,
                tries=self._window.tries,
            )
        )

    def _expire(self) -> None:
        self._closing = None
        if self._window is not None and self.view.phase is Phase.SHOWING:
            self._close_window()
            self._fail(problem("expired"))

    def _close_window(self) -> None:
        self._window = None
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    # What comes in

    def take(self, streams: Streams, certificate: bytes | None) -> None:
        """Take a connection: without certificate a try of the code, else the one for the keys."""
        if certificate is not None:
            if self._second is not None and not self._second.done():
                self._second.set_result(streams)
            else:
                streams[1].close()
            return
        if self._window is None:
            self._turn_away(streams, problem("not-showing"))
            return
        try:
            self._window.enter(self._clock())
        except PairingError as error:
            self._turn_away(streams, error)
            return
        self._start(self._serve(streams, self._window))

    def _turn_away(self, streams: Streams, error: PairingError) -> None:
        task = asyncio.ensure_future(Talk(streams).end(error))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.ensure_future(work)

    # The side that shows

    async def _serve(self, streams: Streams, window: Window) -> None:
        """One try of the code, and all that follows if it is right."""
        talk = Talk(streams)
        guessed = False
        try:
            about = self._about()
            handshake = await asyncio.to_thread(
                Handshake, Role.SHOWS, window.code, about, self.pake
            )
            await talk.say(handshake.line)
            line = await talk.hear_line(ANSWER)
            guessed = True
            proof = await asyncio.to_thread(handshake.finish, line, about.certificate)
            if not proof.check(mac := await talk.hear(Mac, ANSWER)):
                raise problem("wrong-code")
        except PairingError as error:
            await self._failed_try(talk, window, error, guessed)
            return
        except asyncio.CancelledError:
            await talk.end(problem("cancelled"))
            raise
        self._close_window()
        knows = self._knows(proof.about)
        await talk.say(Mac(proof.own[knows], knows))
        await self._finish(
            talk, proof, Role.SHOWS, joins=lambda: joiner(about, proof.about, knows, mac.member)
        )

    async def _failed_try(
        self, talk: Talk, window: Window, error: PairingError, guessed: bool
    ) -> None:
        window.leave(failed=guessed)
        self._task = None
        if guessed and window.tries:
            error = problem(error.code, f"{window.tries} more can be tried.")
        elif guessed:
            error = problem("code-used-up")
        await talk.end(error)
        if self._window is not window:
            return
        if window.tries:
            self._show_code()
        else:
            self._close_window()
            self._fail(error)

    # The side that dials

    async def _dial(self, addresses: Sequence[Address], code: str) -> None:
        try:
            context = client_context(None, None, PAIR)
            streams, address = await dial(addresses, context, self._timing.connect)
        except LimError as error:
            self._fail(error)
            return
        talk = Talk(streams)
        self._show(PairingView(Phase.CHECKING))
        try:
            about = self._about()
            handshake = await asyncio.to_thread(Handshake, Role.DIALS, code, about, self.pake)
            line = await self._first_line(talk)
            seen = talk.server_certificate or b""
            proof = await asyncio.to_thread(handshake.finish, line, seen)
            await talk.say(handshake.line)
            knows = self._knows(proof.about)
            await talk.say(Mac(proof.own[knows], knows))
            if not proof.check(mac := await talk.hear(Mac, ANSWER)):
                raise problem("wrong-code")
        except PairingError as error:
            await talk.end()
            self._fail(error)
            return
        except asyncio.CancelledError:
            await talk.end()
            raise
        await self._finish(
            talk,
            proof,
            Role.DIALS,
            joins=lambda: joiner(proof.about, about, mac.member, knows),
            address=address,
        )

    async def _first_line(self, talk: Talk) -> bytes:
        """The other's first line; that it closes without one means that it shows no code."""
        try:
            return await talk.hear_line(ANSWER)
        except PairingError as error:
            raise (problem("not-showing") if error.code == "lost" else error) from None

    # Both sides

    async def _finish(
        self,
        talk: Talk,
        proof: Proof,
        role: Role,
        *,
        joins: Callable[[], Role],
        address: Address | None = None,
    ) -> None:
        """Ask both people, then hand over the keys on a connection of its own."""
        certificate = proof.about.certificate
        device = device_of(certificate)
        self._second = asyncio.get_running_loop().create_future()
        try:
            we_join = joins() is role
            if not we_join and device in self._database.ledger.removed:
                raise problem("removed")
            self.guests[device] = certificate
            joining = await self._agree(talk, proof, we_join)
            self._show(replace(self.view, phase=Phase.JOINING))
            second = await self._connect_again(certificate, address)
            await self._hand_over(second, proof.about, joining if we_join else None)
        except PairingError as error:
            await talk.end(error)
            self._fail(error)
        except LimError as error:
            await talk.end(problem("trouble"))
            self._fail(error)
        except asyncio.CancelledError:
            await talk.end(problem("cancelled"))
            raise
        except Exception:
            _log.exception("pairing failed")
            await talk.end(problem("trouble"))
            self._fail(problem("trouble"))
        else:
            await talk.end()
            where = address or Address(talk.host, proof.about.port)
            if where.port:
                self.on_paired(device, where)
            self._task = None
            self._show(replace(self.view, phase=Phase.PAIRED))
        finally:
            self.guests.pop(device, None)
            self._second = self._answer = None

    async def _agree(self, talk: Talk, proof: Proof, we_join: bool) -> Joining:
        """Show each person the other device, until both have accepted."""
        own, other = self._about(), proof.about
        self._show(
            PairingView(
                Phase.CONFIRM,
                until=self._clock() + SECONDS,
                peer=device_of(other.certificate),
                peer_name=on_one_line(other.name),
                peer_words=words_of(other.certificate),
                own_words=words_of(own.certificate),
                we_join=we_join,
                asks=we_join and not own.empty and own.library != other.library,
            )
        )
        self._answer = asyncio.get_running_loop().create_future()
        theirs = asyncio.ensure_future(talk.hear(Accept, SECONDS))
        try:
            await asyncio.wait(
                [theirs, self._answer], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if theirs.done():
                theirs.result()  # raises where they have not accepted
                await asyncio.wait([self._answer], timeout=SECONDS)
            if not self._answer.done():
                raise problem("too-late")
            joining = self._answer.result()
            await talk.say(Accept())
            self._show(replace(self.view, phase=Phase.WAITING))
            await theirs
            return joining
        finally:
            theirs.cancel()
            await asyncio.gather(theirs, return_exceptions=True)
            if self._answer.done() and not self._answer.cancelled():
                self._answer.exception()

    async def _connect_again(self, certificate: bytes, address: Address | None) -> Talk:
        """The connection for the keys: mutual TLS, made by the side that dialled before."""
        if address is None:
            assert self._second is not None
            try:
                async with asyncio.timeout(SECOND):
                    return Talk(await self._second)
            except TimeoutError:
                raise problem("lost") from None
        context = client_context(self._database.keys.identity, certificate, PAIR)
        try:
            return Talk((await dial([address], context, SECOND)).streams)
        except PairingError:
            raise
        except LimError:
            raise problem("lost") from None

    async def _hand_over(self, talk: Talk, other: About, joining: Joining | None) -> None:
        """Give the keys, or take them where this device joins."""
        try:
            if joining is None:
                await self._membership.introduce(other.certificate, on_one_line(other.name))
                await talk.say(Keys(self._database.grant()))
                await talk.hear(Kthx, SECONDS)
            else:
                keys = await talk.hear(Keys, SECONDS, MAX_GRANT_LINE)
                if keys.grant.library != other.library:
                    raise problem("garbage")
                await self.join(keys.grant, joining)
                await talk.say(Kthx())
        finally:
            await talk.end()

    async def _take_on(self, grant: Grant, joining: Joining) -> None:
        await self._database.take_on(grant)

    # What there is to know

    def _about(self) -> About:
        name, empty = self.about()
        database = self._database
        others = database.ledger.members.keys() - {database.device}
        return About(
            name=name[:128],
            agent=self._agent[:128],
            library=database.library,
            alone=not others,
            empty=empty,
            certificate=database.keys.identity.certificate,
            port=self.port,
        )

    def _knows(self, other: About) -> bool:
        return device_of(other.certificate) in self._database.ledger.members

    def _show(self, view: PairingView) -> None:
        self.view = view
        self.on_change()

    def _fail(self, error: LimError) -> None:
        self._task = None
        self._show(
            PairingView(
                Phase.FAILED,
                error=on_one_line(str(error)),
                mend=on_one_line(getattr(error, "mend", "")),
            )
        )
