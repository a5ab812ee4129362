"""A server for tests, and devices that use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from liblim.net.address import Address
from liblim.net.timing import Timing
from liblim.server.inviting import invite
from liblim.server.limits import Limits
from liblim.server.server import Server, identity_of
from liblim.server.stores import Standing, Storage
from liblim.trust.pairing import Phase
from tests.liblim.net.devices import QUICK, Device
from tests.liblim.server.conftest import Opener


def on_storage(test: Callable[[Opener], Coroutine[Any, Any, None]]) -> Callable[[Opener], None]:
    """Run a test on asyncio, a server knows no other loop, with each kind of storage."""

    def run(open_storage: Opener) -> None:
        asyncio.run(test(open_storage))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def on_folder(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """Likewise, with a folder of its own."""

    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Serving:
    """A running server with its storage."""

    def __init__(self, storage: Storage, server: Server) -> None:
        self.storage = storage
        self.server = server
        self.identity = identity_of(storage.registry)
        self.id = self.identity.device

    @property
    def address(self) -> Address:
        assert self.server.listening is not None
        return self.server.listening

    def standing(self, library: str, device: Device) -> Standing | None:
        return self.server.shelf.standing(library, device.id)

    def holds(self, library: str) -> tuple[int, str]:
        """Count and digest of what it holds of a library that is open."""
        served = self.server.shelf.circles[library].served
        return served.count, served.digest

    async def chores(self) -> None:
        """Wait until all is done that nobody waits for."""
        while self.server._chores:
            await asyncio.wait(self.server._chores)

    async def pair(self, device: Device) -> None:
        """Let a device have its library served here."""
        code = invite(self.storage.registry).code
        await pair(device, self.address, code)


async def pair(device: Device, address: Address, code: str, ends: Phase = Phase.PAIRED) -> None:
    """Pair a device with a server, as a person does."""
    pairing = device.node.pairing
    told = pairing.on_change

    def changed() -> None:
        told()
        device._something.set()

    pairing.on_change = changed
    pairing.dial([address], code)
    ending = (Phase.PAIRED, Phase.FAILED)
    await device.until(lambda: pairing.view.phase in (Phase.CONFIRM, *ending))
    if pairing.view.phase is Phase.CONFIRM:
        assert pairing.view.server
        assert not pairing.view.we_join
        pairing.accept()
    await device.until(lambda: pairing.view.phase in ending)
    assert pairing.view.phase is ends, pairing.view


@asynccontextmanager
async def serving(
    storage: Storage, port: int = 0, limits: Limits | None = None, timing: Timing = QUICK
) -> AsyncIterator[Serving]:
    """A server on a storage, until the end of the block."""
    with storage.writing():
        identity = identity_of(storage.registry)
        server = Server(storage, identity, timing=timing, limits=limits)
        await server.start("127.0.0.1", port)
        try:
            yield Serving(storage, server)
        finally:
            assert await server.stop()


class Slow:
    """Holds up one call of a method until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        real = getattr(owner, name)

        def slow(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(owner, name, real)
            done = real(*arguments, **named)
            self.reached.set()
            assert self.go.wait(30)
            return done

        monkeypatch.setattr(owner, name, slow)


def server_peer(device: Device) -> Any:
    """What a device knows of its server."""
    return next((s for s in device.node.status() if s.server), None)


async def in_step(device: Device) -> None:
    """Wait until a device and its server hold the same, and the device knows it."""
    await device.until(lambda: (s := server_peer(device)) is not None and s.identical is True)
