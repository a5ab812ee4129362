"""``Server``: many libraries on the network, each only for its own devices."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from liblim.errors import StoreError
from liblim.net.address import Address
from liblim.net.timing import Timing
from liblim.net.tls import server_context
from liblim.server.circle import Terms
from liblim.server.door import Door
from liblim.server.inviting import Inviter
from liblim.server.limits import Limits
from liblim.server.metrics import Counts
from liblim.server.shelf import Shelf
from liblim.server.stores import Registry, Storage
from liblim.server.trouble import in_words
from liblim.trust import Identity

THREADS = 8
"""For the storage: what waits for one library's disk should not keep the others waiting."""
LAST = 1.5
"""Seconds for the storage to finish when all connections are over."""
GOODBYE = "The server ends. Nothing needs doing: the connection is tried again by itself."

_log = logging.getLogger(__name__)


def identity_of(registry: Registry) -> Identity:
    """The server's key, made where there is none; all processes of a server have the same.

    Raises StoreError.
    """
    known = registry.fact("identity")
    if known is None:
        seed = b""

        def entropy(size: int) -> bytes:
            nonlocal seed
            made = os.urandom(size)
            seed = seed or made
            return made

        fresh = Identity.generate(entropy)
        packed = base64.b64encode(seed + fresh.certificate).decode()
        known = registry.set_fact_once("identity", packed)
    raw = base64.b64decode(known)
    identity = Identity(raw[32:])
    identity.unlock(raw[:32])
    return identity


class Server:
    """Serves what a storage holds, from ``start`` to ``stop``."""

    def __init__(
        self,
        storage: Storage,
        identity: Identity,
        *,
        name: str = "Server",
        agent: str = "limserver",
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Serve under a name, with a key that is the storage's own."""
        self.listening: Address | None = None
        self.terms = Terms(name, agent, timing or Timing(), limits or Limits(), Counts())
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="limserver-store")
        self._chores: set[asyncio.Task[None]] = set()
        context = server_context(identity, ())
        self.shelf = Shelf(storage, identity.device, context, self._executor, self.terms, self._do)
        self.inviter = Inviter(
            identity,
            self.shelf,
            storage.registry,
            self._executor,
            lambda: (name, agent, self.door.port),
        )
        self.door = Door(self.shelf, self.inviter, context, self.terms)

    async def start(self, host: str = "", port: int = 0) -> Address:
        """Listen; returns where.  Raises LimError."""
        await self.shelf.begin()
        self.listening = await self.door.open(host, port)
        return self.listening

    async def stop(self, patience: float = 3.0) -> bool:
        """Let nobody in, say goodbye to all, finish what is under way, and let go of all libraries.

        Connections that take their time are cut after ``patience`` seconds, and ``LAST`` seconds later the
        storage is waited for no more.  Returns whether it has finished; else threads of it hang.
        """
        await self.door.close()
        self.listening = None
        await self.inviter.stop()
        links = [task for circle in self.shelf.circles.values() for task in circle.links.values()]
        for circle in self.shelf.circles.values():
            circle.part(GOODBYE)
        if links:
            await asyncio.wait(links, timeout=patience)
        closing = asyncio.ensure_future(self._let_go())
        done, _ = await asyncio.wait([closing], timeout=LAST)
        if done:
            closing.result()
            return True
        closing.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
        return False

    async def _let_go(self) -> None:
        await self.shelf.close()
        if self._chores:
            await asyncio.wait(self._chores)
        await asyncio.to_thread(self._executor.shutdown)

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(chore)
        self._chores.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._chores.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreError):
            _log.error("%s", in_words(error))
        elif error is not None:
            _log.error("a chore failed", exc_info=error)
