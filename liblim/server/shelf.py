"""All libraries of a server: what the registry says, and those that are in use.

The journal of the registry is followed: by asking after every word that is written here, on a hint of the
storage, and now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from liblim.errors import CertificateError, StoreError
from liblim.net.tls import pin
from liblim.server.circle import Circle, Terms
from liblim.server.keyless import Vouched
from liblim.server.served import ServedLibrary
from liblim.server.stores import Standing, Storage, Word
from liblim.sync import Vouch, refusal
from liblim.trust import read_certificate

LOOK = 2.0
"""Seconds after which the journal is read though nothing hinted at it."""
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
        for library in list(self.circles):
            await self._close(library)

    def _hint(self, library: str) -> None:
        if not library or library in self._opening:  # others are read when they are opened
            self._hinted.add(library)
            self._due.set()

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK):
                    await self._due.wait()
            except TimeoutError:
                self._hinted.add("")
            self._due.clear()
            hinted, self._hinted = self._hinted, set()
            if "" in hinted:
                await self._look_at("")  # which libraries there are is told first
            await asyncio.gather(*map(self._look_at, hinted - {""}))

    async def _look_at(self, library: str) -> None:
        try:
            if not library:
                await self.look()
            elif library in self.circles:
                await self.circles[library].served.look()
        except StoreError as error:
            if str(error) != self.trouble:
                _log.error("%s", error)
            self.trouble = str(error)
        except Exception:
            _log.exception("following the storage failed")

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
                    await self._take(library, said)
                except StoreError as error:
                    _log.error("library %s: %s", library, error)

    async def _take(self, library: str, words: list[Word]) -> None:
        if any(word.standing is None for word in words):
            if library in self.circles:
                self.circles[library].dismiss("not-served")
                await self._close(library)
            self.libraries.pop(library, None)
            last = max(n for n, word in enumerate(words) if word.standing is None)
            words = words[last + 1 :]
            if not words:
                return
        vouched = self.libraries.setdefault(library, Vouched(library))
        introduced = vouched.take(words)
        for word in words:
            if word.standing is Standing.MEMBER:
                self.pin(word.device, word.certificate)
        circle = self.circles.get(library)
        if circle is not None:
            circle.look()
            if introduced:
                await circle.served.look(introduced)

    def pin(self, device: str, certificate: bytes) -> None:
        """Let TLS take a certificate from now on."""
        if device not in self._pinned:
            pin(self._context, [certificate])
            self._pinned.add(device)

    def standing(self, library: str, device: str) -> Standing | None:
        """What a library says of a device; ``None`` for nothing, also where it is not served."""
        vouched = self.libraries.get(library)
        return vouched.standing(device) if vouched else None

    def knows(self, device: str) -> bool:
        """Whether any library has let the device in."""
        return device in self._pinned

    # What members say

    async def vouch(self, library: str, device: str, said: Vouch) -> None:
        """Take what a member says of its library.

        Raises StoreError, and ProtocolError where it may not.
        """
        members, authors = await asyncio.to_thread(
            lambda: (_read(said.members), _read(said.authors))
        )
        vouched = self.libraries.get(library)
        if self.standing(library, device) is not Standing.MEMBER or vouched is None:
            raise refusal("not-served")
        members.setdefault(device, vouched.certificate(device))
        await self.record(library, members, authors, said.withdrawn, by=device)

    async def record(
        self,
        library: str,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Iterable[str],
        *,
        by: str = "",
    ) -> None:
        """Write to the registry what is said of a library, and follow it; see ``Registry.vouch``.

        Raises as ``vouch``.
        """
        limits = self._terms.limits
        vouched = self.libraries.get(library)
        if vouched is None and len(self.libraries) >= limits.libraries:
            raise refusal("over-limit", f"it serves {limits.libraries} libraries already")
        said = {*members, *authors, *withdrawn}
        if len(said | vouched.devices if vouched else said) > limits.devices:
            raise refusal("over-limit", f"it may have {limits.devices} devices")
        if vouched is None or not vouched.agrees(members, authors, withdrawn):
            registry = self._storage.registry
            gone = frozenset(withdrawn)
            await self._on_thread(lambda: registry.vouch(library, members, authors, gone, by=by))
            await self.look()

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
                    self._storage, vouched, self._device, self._executor, self._terms.limits.octets
                )
                circle = self.circles[library] = Circle(served, self._terms, self, self._do)
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

    async def _on_thread(self, work: Callable[..., Any], *args: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(*args))


def _tell(loop: asyncio.AbstractEventLoop, hint: Callable[[str], None], library: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
        loop.call_soon_threadsafe(hint, library)


def _read(certificates: Iterable[bytes]) -> dict[str, bytes]:
    """Certificates by device.  Raises ProtocolError where one is none."""
    try:
        return {read_certificate(der).device: der for der in certificates}
    except CertificateError as error:
        raise refusal("bad-message", str(error)) from None
