"""Devices for the network tests, and both kinds of loop to run them on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from liblim.aio import AsyncDatabase
from liblim.change import digest
from liblim.net import Address, LogLine, Node, PeerStatus, Timing
from liblim.net.dial import Streams, dial
from liblim.net.link import Link
from liblim.net.tls import SYNC, client_context
from liblim.sync.codec import LineDecoder, Unknown, encode
from liblim.sync.messages import MAX_LINE, PROTOCOL, Ihaz, Kthxbye, Message, Nowai, Ohai
from liblim.trust import Identity
from tests.liblim.things import Thing

QUICK = Timing(
    connect=5.0,
    greeting=5.0,
    write=5.0,
    linger=0.5,
    first_retry=0.02,
    last_retry=0.05,
    tend=0.0,
)
"""Retries at once, as tests do not wait; everything else as long as a busy machine may need."""

Test = Callable[[], Coroutine[Any, Any, None]]


def both_loops(test: Test) -> Callable[..., None]:
    """Run a test on plain asyncio and on Qt's loop."""

    @pytest.mark.parametrize("loop", ["asyncio", "qasync"])
    def run(loop: str, request: pytest.FixtureRequest) -> None:
        if loop == "asyncio":
            asyncio.run(test())
        else:
            _run_on_qt(test(), request.getfixturevalue("qapp"))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def _run_on_qt(test: Coroutine[Any, Any, None], application: Any) -> None:
    qasync = pytest.importorskip("qasync")
    with qasync.QEventLoop(application) as loop:
        loop.run_until_complete(test)
    # Timers that were cancelled live on.  Were they collected as garbage on a store's thread, later,
    # Qt could not stop them from there, and would crash when they are due.
    pytest.importorskip("shiboken6").delete(loop._timer)


async def new_database(identity: Identity | None = None) -> AsyncDatabase:
    """A library in memory of a device's own."""
    return await AsyncDatabase.open(":memory:", [Thing], identity=identity or Identity.generate())


class WatchedNode(Node):
    """Notes with whom it opened a session."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sessions: list[str] = []

    def _open(self, streams: Streams, device: str, target: Address | None = None) -> Link:
        self.sessions.append(device)
        return super()._open(streams, device, target)


class Device:
    """A database in memory on the network."""

    def __init__(
        self,
        database: AsyncDatabase,
        name: str,
        timing: Timing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.database = database
        self.lines: list[LogLine] = []
        self._something = asyncio.Event()
        self.node = WatchedNode(
            database, agent="test/1", timing=timing, random=Random(1), clock=clock
        )
        self.node.on_event = self._line
        self.node.on_change = self._something.set
        database.subscribe(lambda _: self._something.set())

    def _line(self, line: LogLine) -> None:
        self.lines.append(line)
        self._something.set()

    @property
    def id(self) -> str:
        return self.database.device

    @property
    def identity(self) -> Identity:
        return self.database.keys.identity

    @property
    def address(self) -> Address:
        assert self.node.listening is not None
        return self.node.listening

    async def told(self) -> None:
        """Wait until the device tells of anything."""
        await self._something.wait()
        self._something.clear()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds; it is looked at whenever the device tells of anything."""
        async with asyncio.timeout(15):
            while not holds():
                await self.told()

    async def logged(self, text: str) -> LogLine:
        """Wait for a line of the sync log that has this text."""
        await self.until(lambda: any(text in line.text for line in self.lines))
        return next(line for line in self.lines if text in line.text)

    def peer(self, other: Device) -> PeerStatus | None:
        """What this device knows of another."""
        found = [s for s in self.node.status() if s.device == other.id]
        return found[0] if found else None

    def connected(self, other: Device) -> bool:
        status = self.peer(other)
        return status is not None and status.connected

    async def invite(self, other: Device, *, met: bool = True) -> None:
        """Make another device a member of this one's library, as pairing does, which it then dials."""
        await self.node.membership.introduce(other.identity.certificate, other.name)
        if met:
            other.node.remember(self.id, self.address)
        await other.database.take_on(self.database.grant())

    async def identical(self, *others: Device) -> None:
        """Wait until this device and others hold the same, and this one knows it."""
        await self.until(lambda: all(map(self._identical, others)))

    def _identical(self, other: Device) -> bool:
        status = self.peer(other)
        same = self.database.digest == other.database.digest
        return same and status is not None and status.identical is True

    async def write(self, text: str) -> Thing:
        thing = self.database.create(Thing)
        thing.body.insert(0, text)
        await self.database.commit()
        return thing

    async def read(self, oid: str) -> str:
        return str((await self.database.get(Thing, oid)).body)


@asynccontextmanager
async def device(
    name: str,
    *,
    timing: Timing = QUICK,
    database: AsyncDatabase | None = None,
    port: int = 0,
    unheard: bool = False,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Device]:
    """A device that listens on some port, or nowhere, until the end of the block."""
    own = database or await new_database()
    found = Device(own, name, timing, clock)
    await own.load_trust()
    if own.device in own.ledger.members:
        await found.node.membership.rename(own.device, name)
    if unheard:
        await found.node.start_unheard()
    else:
        await found.node.start("127.0.0.1", port)
    try:
        yield found
    finally:
        await found.node.stop()
        if database is None:
            await own.close()


class Stranger:
    """A bare connection that says what a test wants."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self.writer = streams
        self._decoder = LineDecoder(MAX_LINE)

    async def say(self, *words: bytes | Message) -> None:
        for word in words:
            self.writer.write(word if isinstance(word, bytes) else encode(word))
        await self.writer.drain()

    async def hear(self) -> Message | None:
        """The next message, ``None`` at the end of the stream."""
        while (message := self._decoder.next()) is None:
            data = await asyncio.wait_for(self._reader.read(65536), 10)
            if not data:
                return None
            self._decoder.feed(data)
        assert not isinstance(message, Unknown)
        return message

    async def hear_all(self) -> list[Message]:
        """All messages up to the end of the stream; after a reason it takes its leave."""
        found = []
        while (message := await self.hear()) is not None:
            found.append(message)
            if isinstance(message, Nowai):
                with contextlib.suppress(ConnectionError):
                    await self.say(Kthxbye(""))  # else the other end lingers
        return found

    async def hear_of(self, kind: type[Message]) -> Any:
        """The next message of a kind."""
        while (message := await self.hear()) is not None:
            if isinstance(message, kind):
                return message
        raise AssertionError(f"the stream ended without {kind.verb}")


@asynccontextmanager
async def knock(at: Device, context: ssl.SSLContext) -> AsyncIterator[Stranger]:
    """A connection to a device with some TLS context."""
    dialled = await dial([at.address], context, 10.0)
    try:
        yield Stranger(dialled.streams)
    finally:
        dialled.streams[1].transport.abort()


class Member(Stranger):
    """A member of a device's library, whose program may do anything."""

    def __init__(self, streams: Streams, at: Device, identity: Identity) -> None:
        super().__init__(streams)
        self._at = at
        self.identity = identity

    def greeting(self, **members: Any) -> Ohai:
        """A greeting that the device accepts."""
        members = {"library": self._at.database.library, "protocol": PROTOCOL, **members}
        return Ohai(device=members.pop("device", self.identity.device), **members)

    async def greet(self, **members: Any) -> None:
        """Say what it takes until both sides have accepted each other: an empty log is here."""
        await self.say(self.greeting(**members), Ihaz(0, digest({})))
        await self._at.until(
            lambda: any(
                s.device == self.identity.device and s.connected for s in self._at.node.status()
            )
        )


@asynccontextmanager
async def member(
    at: Device, identity: Identity | None = None, name: str = "Guest"
) -> AsyncIterator[Member]:
    """A connection to a device, made with the key of a member."""
    identity = identity or Identity.generate()
    await at.node.membership.introduce(identity.certificate, name)
    if (
        at.node.listening is not None
    ):  # with somebody else in the library it says where; then all is quiet
        await at.until(lambda: at.database.ledger.members[at.id].addresses)
    async with knock(at, client_context(identity, at.identity.certificate, SYNC)) as stranger:
        yield Member((stranger._reader, stranger.writer), at, identity)
