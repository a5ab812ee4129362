"""Pairing at a server: whoever proves to know the invitation's code may have a library served.

The handshake is that between devices.  Nobody is asked here: the invitation was the consent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from liblim.errors import CertificateError, LimError, PairingError, ProtocolError
from liblim.net.dial import Streams
from liblim.net.meeting import Meeting
from liblim.net.talk import Talk, in_words
from liblim.server.shelf import Shelf
from liblim.server.stores import Invitation, Registry, Standing
from liblim.trust import Identity, read_certificate
from liblim.trust.pairing import SECONDS, Joining, new_code
from liblim.trust.pairing_messages import (
    MAX_GRANT_LINE,
    About,
    Kthx,
    Mac,
    Vouch,
    problem,
)
from liblim.trust.pairing_proof import Handshake, Proof, Role, spake2_for
from liblim.words import on_one_line

TRIES = 3
HOURS = 1.0
"""How long an invitation counts, unless another time is asked for."""
NO_LIBRARY = "0" * 32

_log = logging.getLogger(__name__)


def invite(registry: Registry, hours: float = HOURS) -> Invitation:
    """A new invitation; one that was made before counts no more.  Raises StoreError."""
    invitation = Invitation(new_code(), time.time() + hours * 3600, TRIES)
    registry.invite(invitation)
    return invitation


class Inviter:
    """Pairs with one device at a time.

    ``guests`` may come once more, with their certificates.
    """

    def __init__(
        self,
        identity: Identity,
        shelf: Shelf,
        registry: Registry,
        executor: Executor,
        about: Callable[[], tuple[str, str, int]],
    ) -> None:
        """``about`` tells the server's name, its program, and where it listens."""
        self.pake = spake2_for
        self._identity = identity
        self._shelf = shelf
        self._registry = registry
        self._executor = executor
        self._about = about
        self._busy = False
        self._meeting: Meeting | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def guests(self) -> Mapping[str, bytes]:
        """The certificate of the device that is expected for the second connection."""
        meeting = self._meeting
        return {} if meeting is None else {meeting.device: meeting.other.certificate}

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def take(self, streams: Streams, certificate: bytes | None) -> None:
        """Take a connection: without a certificate a try of the code, else the second one."""
        if certificate is not None:
            assert self._meeting is not None
            self._meeting.take(streams)
            return
        talk = Talk(streams)
        if self._busy:
            talk.end(problem("busy"))
            return
        self._busy = True
        task = asyncio.ensure_future(self._serve(talk))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, talk))

    def _ended(self, task: asyncio.Task[None], talk: Talk) -> None:
        self._busy = False
        self._tasks.discard(task)
        talk.end()

    async def _serve(self, talk: Talk) -> None:
        """One try of the code, and all that follows if it is right."""
        try:
            with talk:
                about = self._own()
                proof = await self._check(talk, about)
                await talk.say(Mac(proof.own[False], False))
                await self._meet(Meeting(talk, proof.about, joins=False))
        except Exception as failure:
            if not isinstance(failure, LimError):
                _log.exception("pairing failed")
            _log.warning("pairing from %s: %s", talk.host, in_words(failure))

    def _own(self) -> About:
        name, agent, port = self._about()
        return About(
            name=name[:128],
            agent=agent[:128],
            library=NO_LIBRARY,
            # Whoever does not know of servers must not hand over its keys: one that is not alone never joins.
            alone=False,
            empty=True,
            certificate=self._identity.certificate,
            port=port,
            server=True,
        )

    async def _check(self, talk: Talk, about: About) -> Proof:
        """Let the other side prove that it knows the code; before that it gets nothing to test codes with."""
        invitation = await self._on_thread(self._registry.invitation)
        if invitation is None:
            raise problem("not-showing")
        if not invitation.tries:
            raise problem("code-used-up")
        if time.time() >= invitation.until:
            raise problem("expired")
        code = invitation.code
        handshake = await asyncio.to_thread(lambda: Handshake(Role.SHOWS, code, about, self.pake))
        await talk.say(handshake.line)
        line = await talk.hear_line()
        # Counted before it is looked at, by all processes of the server together.
        if not await self._on_thread(self._registry.guess, code):
            raise problem("code-used-up")
        proof = await asyncio.to_thread(lambda: handshake.finish(line, about.certificate))
        if not proof.check(await talk.hear(Mac)):
            raise problem("wrong-code")
        if not await self._on_thread(self._registry.spend, code):
            raise problem("code-used-up")
        return proof

    async def _meet(self, meeting: Meeting) -> None:
        """Hear on a connection of its own which library is to be served."""
        self._meeting = meeting
        self._shelf.pin(meeting.device, meeting.other.certificate)
        try:
            meeting.answer(Joining.ADD_MINE)
            await meeting.agree(lambda: None)
            with await meeting.connect_again(self._identity) as second:
                said = await second.hear(Vouch, SECONDS, MAX_GRANT_LINE)
                await self._take_on(meeting, said)
                await second.say(Kthx())
            name = on_one_line(meeting.other.name)
            _log.info("library %s: paired with %s (%s)", said.library, meeting.device, name)
        finally:
            meeting.close()
            self._meeting = None

    async def _take_on(self, meeting: Meeting, said: Vouch) -> None:
        """Serve a library from now on.

        One that is served already takes in nobody in this way: its members vouch for their devices.
        """
        try:
            members, authors = await asyncio.to_thread(
                lambda: (_read(said.members), _read(said.authors))
            )
        except CertificateError:
            raise problem("garbage") from None
        members[meeting.device] = meeting.other.certificate
        standing = self._shelf.standing(said.library, meeting.device)
        if standing is Standing.WITHDRAWN:
            raise problem("removed")
        if said.library in self._shelf.libraries and standing is not Standing.MEMBER:
            raise problem("unvouched")
        if meeting.device in said.withdrawn:
            raise problem("removed")
        try:
            await self._shelf.record(said.library, members, authors, said.withdrawn)
        except ProtocolError as error:
            raise PairingError(error.code, str(error), error.mend) from None

    async def _on_thread(self, work: Callable[..., Any], *args: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(*args))


def _read(certificates: tuple[bytes, ...]) -> dict[str, bytes]:
    return {read_certificate(der).device: der for der in certificates}
