"""All libraries of a server: what the registry says, and those that are in use.

The journal of the registry is followed: by asking after every word that is written here, on a hint of the
storage, and now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any

from liblim.errors import CertificateError, StoreError
from liblim.net.tls import pin
from liblim.server.circle import Circle, Terms
from liblim.server.keyless import Vouched
from liblim.server.served import ServedLibrary
from liblim.server.stores import Standing, Storage, Word
from liblim.server.trouble import in_words
from liblim.sync import Vouch, refusal
from liblim.trust import device_of, read_certificate

LOOK = 2.0
"""Seconds after which the journal is read though nothing hinted at it, and what failed is tried again."""
REOPENED = "The server begins anew with this library. The connection is tried again by itself."
IDLE = 60.0
"""Seconds for which a library stays open that nobody is connected for."""

_log = logging.getLogger(__name__)


class Shelf:
    """Opens libraries as devices come, and closes them again.

    Certificates are pinned in ``context`` as they come.  They are never taken out of it: who may connect is
    for ``standing`` to say, after the handshake.
    """

    def __init__(
        self,
        storage: Storage,
        device: str,
        context: ssl.SSLContext,
        executor: Executor,
        terms: Terms,
        do: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Know of nothing until ``look``."""
        self.circles: dict[str, Circle] = {}
        self.libraries: dict[str, Vouched] = {}
        self._storage = storage
        self._device = device
        self._context = context
        self._executor = executor
        self._terms = terms
        self._do = do
        self._read = 0
        self._looking = asyncio.Lock()
        self._opening: dict[str, asyncio.Lock] = {}
        self._pinned: set[str] = set()
        self._idle: dict[str, asyncio.TimerHandle] = {}
        self._stale: dict[str, set[str]] = {}
        """Libraries in use that may have news, with the devices whose certificates came."""
        self._refreshing: set[str] = set()
        self._following: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        self._hinted: set[str] = set()
        self.trouble = ""
        """Why the registry cannot be read, as a sentence; empty where it can."""

    # From start to stop

    async def begin(self) -> None:
        """Read the journal, and follow it from now on.  Raises StoreError."""
        loop = asyncio.get_running_loop()
        self._storage.listen(lambda library: _tell(loop, self._hint, library))
        await self.look()
        self._following = asyncio.ensure_future(self._follow())

    async def close(self) -> None:
        """Close all that is open."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        for timer in self._idle.values():
            timer.cancel()
        await asyncio.gather(*map(self._close, list(self.circles)))

    def _hint(self, library: str) -> None:
        if not library or library in self._opening:  # others are read when they are opened
            self._hinted.add(library)
            self._due.set()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + LOOK
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._due.wait()
            if loop.time() >= due:  # however many hints come meanwhile
                self._hinted |= {"", *self._stale}
                due = loop.time() + LOOK
            self._due.clear()
            hinted, self._hinted = self._hinted, set()
            if "" in hinted:
                await self._follow_journal()  # which libraries there are is told first
            for library in hinted - {""}:
                self._refresh(library)

    async def _follow_journal(self) -> None:
        try:
            await self.look()
        except StoreError as error:
            said = in_words(error)
            if said != self.trouble:
                _log.error("%s", said)
            self.trouble = said
        except Exception:
            _log.exception("following the storage failed")

    def _refresh(self, library: str, introduced: Iterable[str] = ()) -> None:
        """Look for news of a library behind: one that is slow or locked keeps no other waiting."""
        if library in self.circles:
            self._stale.setdefault(library, set()).update(introduced)
            if library not in self._refreshing:
                self._refreshing.add(library)
                self._do(self._refresh_now(library))

    async def _refresh_now(self, library: str) -> None:
        try:
            while library in self._stale and library in self.circles:
                introduced = self._stale.pop(library)
                try:
                    await self.circles[library].served.look(introduced)
                except BaseException:
                    self._stale.setdefault(library, set()).update(introduced)
                    raise
        except StoreError as error:
            _log.error("library %s: %s", library, error)
        finally:
            self._refreshing.discard(library)
            if library not in self.circles:
                self._stale.pop(library, None)

    # The journal

    async def look(self) -> None:
        """Take over what the registry says by now.  Raises StoreError."""
        async with self._looking:
            words = await self._on_thread(self._storage.registry.words, self._read)
            self.trouble = ""
            news: dict[str, list[Word]] = {}
            for word in words:
                news.setdefault(word.library, []).append(word)
                self._read = max(self._read, word.number)
            for library, said in news.items():
                try:
                    self._take(library, said)
                except Exception:
                    _log.exception("library %s: what the registry says cannot be followed", library)

    def _take(self, library: str, words: list[Word]) -> None:
        if any(word.standing is None for word in words):
            self.libraries.pop(library, None)
            circle = self.circles.pop(library, None)
            if circle is not None:
                circle.dismiss("not-served")
                self._do(self._put_away(library, circle))
            last = max(n for n, word in enumerate(words) if word.standing is None)
            words = words[last + 1 :]
            if not words:
                return
        vouched = self.libraries.setdefault(library, Vouched(library))
        introduced = vouched.take(words)
        for word in words:
            # Who was removed, too, that it can be told so, and by no mere closed connection.
            if word.standing is not Standing.AUTHOR and word.certificate:
                self.pin(word.device, word.certificate)
        circle = self.circles.get(library)
        if circle is not None:
            circle.look()
        if introduced:
            self._refresh(library, introduced)

    def pin(self, device: str, certificate: bytes) -> None:
        """Let TLS take a certificate from now on."""
        if device not in self._pinned:
            pin(self._context, [certificate])
            self._pinned.add(device)

    def standing(self, library: str, device: str) -> Standing | None:
        """What a library says of a device; ``None`` for nothing, also where it is not served."""
        vouched = self.libraries.get(library)
        return vouched.standing(device) if vouched else None

    # What members say

    async def vouch(self, library: str, device: str, said: Vouch) -> None:
        """Take what a member says of its library.

        Raises StoreError, and ProtocolError where it may not.
        """
        vouched = self.libraries.get(library)
        if vouched is None or vouched.standing(device) is not Standing.MEMBER:
            raise refusal("not-served")
        await self._take_word(library, device, vouched.certificate(device), said)

    async def found(self, library: str, device: str, certificate: bytes, said: Vouch) -> None:
        """Serve a library from now on, whose first word comes from a guest.  Raises as ``vouch``.

        Where it is served already the guest has to be a member.
        """
        limits = self._terms.limits
        full = len(self.libraries) >= limits.libraries or len(self._pinned) >= limits.all_devices
        if full and library not in self.libraries:
            raise refusal("over-limit", "it serves as many libraries or devices as it may")
        await self._take_word(library, device, certificate, said, founding=True)

    async def _take_word(
        self, library: str, device: str, certificate: bytes, said: Vouch, *, founding: bool = False
    ) -> None:
        members, authors = _by_device(said.members), _by_device(said.authors)
        members.setdefault(device, certificate)
        withdrawn = frozenset(said.withdrawn)
        known, most = self.libraries.get(library) or Vouched(library), self._terms.limits.devices
        if known.agrees(members, authors, withdrawn):
            return  # as most that is said
        too_many = len({*members, *authors, *withdrawn} | known.devices) > most
        if too_many:
            # Else whoever fills the table could not be removed any more.
            members = {one: der for one, der in members.items() if one in known.devices}
            authors, withdrawn = {}, withdrawn & known.devices
        new = [der for one, der in {**authors, **members}.items() if not known.knows(one)]
        await self._on_thread(_check, new)
        if members and not known.agrees(members, authors, withdrawn):
            word = device, library, members, authors, withdrawn
            taken = await self._on_thread(
                lambda: self._storage.registry.vouch(*word, founding=founding)
            )
            await self.look()
            if not taken:  # removed meanwhile, itself or with its library
                gone = self.standing(library, device) is Standing.WITHDRAWN
                raise refusal("removed" if gone else "not-served")
        if too_many:
            raise refusal("over-limit", f"it may have {most} devices")

    # Libraries in use

    async def open(self, library: str) -> Circle:
        """The circle of a library that is served.  Raises StoreError, and ProtocolError where it is not."""
        async with self._opening.setdefault(library, asyncio.Lock()):
            circle = self.circles.get(library)
            if circle is None:
                vouched = self.libraries.get(library)
                if vouched is None:
                    raise refusal("not-served")
                served = await ServedLibrary.open(
                    self._storage, vouched, self._device, self._executor, self._terms.limits
                )
                if self.libraries.get(library) is not vouched:  # removed meanwhile
                    await served.close()
                    raise refusal("not-served")
                circle = self.circles[library] = Circle(served, self._terms, self, self._do)
                self._refresh(library)  # a hint that came meanwhile found nothing to look at
            self._watch(library)
            return circle

    def _watch(self, library: str) -> None:
        """Close a library when nobody was connected for a while."""
        timer = self._idle.pop(library, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._idle[library] = loop.call_later(IDLE, self._close_idle, library)

    def _close_idle(self, library: str) -> None:
        if library in self.circles and self.circles[library].links:
            self._watch(library)
        else:
            self._idle.pop(library, None)
            self._do(self._close(library, idle=True))

    async def _close(self, library: str, *, idle: bool = False) -> None:
        async with self._opening.setdefault(library, asyncio.Lock()):
            circle = self.circles.get(library)
            if circle is None or (idle and circle.links):
                return
            del self.circles[library]
            await circle.close()
        timer = self._idle.pop(library, None)
        if timer is not None:
            timer.cancel()

    def reopen(self, library: str) -> None:
        """Part from all devices of a library, and open it anew when they come again."""
        circle = self.circles.pop(library, None)
        if circle is not None:
            _log.error("library %s: its storage was put back to an earlier state", library)
            circle.part(REOPENED)
            self._do(self._put_away(library, circle))

    async def _put_away(self, library: str, circle: Circle) -> None:
        """Close what is not in use any more."""
        async with self._opening.setdefault(library, asyncio.Lock()):
            await circle.close()

    async def _on_thread(self, work: Callable[..., Any], *args: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(*args))


def _tell(loop: asyncio.AbstractEventLoop, hint: Callable[[str], None], library: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
        loop.call_soon_threadsafe(hint, library)


def _by_device(certificates: Iterable[bytes]) -> dict[str, bytes]:
    return {device_of(der): der for der in certificates}


def _check(certificates: Iterable[bytes]) -> None:
    """Raises ProtocolError where one is none, on a thread: each takes some tenths of a millisecond."""
    try:
        for der in certificates:
            read_certificate(der)
    except CertificateError as error:
        raise refusal("bad-message", str(error)) from None
