"""Whoever speaks to a server with a program of their own, and those whom they must not disturb."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

from liblim.change import digest
from liblim.net.dial import dial
from liblim.net.tls import SYNC, client_context
from liblim.receipt import Receipt, signed_data
from liblim.sync.messages import PROTOCOL, Ihaz, Message, Nowai, Ohai
from liblim.trust import Identity
from tests.liblim.net.devices import Device, Stranger, device, new_database
from tests.liblim.server.serving import Serving, in_step
from tests.liblim.trust.sealed import Author, library_keys

NOTHING = Ihaz(0, digest({}))
"""What an empty log has."""
_MISTAKES = ("a link failed", "a chore failed", "made a mistake", "following the storage failed")


@asynccontextmanager
async def knock(
    server: Serving, identity: Identity | None, alpn: str = SYNC
) -> AsyncIterator[Stranger]:
    """A bare connection to a server."""
    dialled = await dial(
        [server.address], client_context(identity, server.identity.certificate, alpn), 10.0
    )
    try:
        yield Stranger(dialled.streams)
    finally:
        dialled.streams[1].transport.abort()


def greeting(library: str, identity: Identity) -> Ohai:
    return Ohai(protocol=PROTOCOL, library=library, device=identity.device)


async def answer(server: Serving, identity: Identity, *words: bytes | Message) -> list[Message]:
    """All that a server says to somebody."""
    async with knock(server, identity) as guest:
        await guest.say(*words)
        return await guest.hear_all()


def codes(said: list[Message]) -> list[str]:
    return [message.code for message in said if isinstance(message, Nowai)]


class Household(NamedTuple):
    """A library that a server serves, and the keys of its members, whose programs may do anything."""

    server: Serving
    library: str
    members: list[Identity]

    @asynccontextmanager
    async def come(self, number: int = 0) -> AsyncIterator[Stranger]:
        """A member's connection, on which both sides have accepted each other."""
        identity = self.members[number]
        async with knock(self.server, identity) as guest:
            await guest.say(greeting(self.library, identity), NOTHING)
            await guest.hear_of(Ihaz)
            yield guest

    def author(self, number: int = 0, letter: str = "a") -> Author:
        """A replica of a member's."""
        return Author(library_keys(self.members[number], library=self.library), letter)

    def receipt(self, counter: int, number: int = 0, **members: str | bytes) -> Receipt:
        """A receipt of a member's, sealed with noise; ``members`` replace those that are signed."""
        identity, epoch, body = self.members[number], "e" * 32, b"sealed"
        data = signed_data(self.library, identity.device, counter, epoch, body)
        said = {"device": identity.device, "epoch": epoch, "body": body, **members}
        return Receipt(counter=counter, signature=identity.sign(data), **said)  # type: ignore[arg-type]


async def household(
    server: Serving, members: int = 1, entropy: Callable[[int], bytes] = os.urandom
) -> Household:
    """A library of which nothing is known but its members."""
    library = entropy(16).hex()
    identities = [Identity.generate(entropy) for _ in range(members)]
    said = {identity.device: identity.certificate for identity in identities}
    vouch, by = server.storage.registry.vouch, identities[0].device
    await asyncio.to_thread(lambda: vouch(by, library, said, {}, (), founding=True))
    await server.server.shelf.look()
    return Household(server, library, identities)


class Couple:
    """Two devices of a library, which reach each other only through the server."""

    def __init__(self, server: Serving, lap: Device, desk: Device) -> None:
        self.server, self.lap, self.desk = server, lap, desk
        self._said = [device.database.digest for device in (lap, desk)]

    async def go_on(self, notes: int = 1) -> None:
        """What one writes the other gets, over connections that were not lost meanwhile."""
        lines = len(self.lap.lines), len(self.desk.lines)
        for number in range(notes):
            thing = await self.lap.write(f"note {number}")
            await self.desk.until(lambda: self.desk.database.digest == self.lap.database.digest)
            assert await self.desk.read(thing.oid) == f"note {number}"
        for at, before in zip((self.lap, self.desk), lines, strict=True):
            assert [line.text for line in at.lines[before:] if line.level != "info"] == []


@asynccontextmanager
async def couple(server: Serving) -> AsyncIterator[Couple]:
    """Such two, until the end of the block."""
    async with AsyncExitStack() as stack:
        databases = [await new_database(), await new_database()]
        for database in databases:
            stack.push_async_callback(database.close)
        async with (
            device("Lap", database=databases[0]) as lap,
            device("Desk", database=databases[1]) as desk,
        ):
            await lap.invite(desk)
            await lap.identical(desk)
            await server.pair(lap)
            await in_step(desk)
            await in_step(lap)
        devices = [
            await stack.enter_async_context(device(name, database=database, unheard=True))
            for name, database in zip(("Lap", "Desk"), databases, strict=True)
        ]
        for one in devices:
            await in_step(one)
        found = Couple(server, *devices)
        await found.go_on()
        yield found


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        self.lines.append(said)
        loop = record.name == "asyncio" and record.levelno >= logging.ERROR
        if record.exc_info or loop or any(words in said for words in _MISTAKES):
            self.wrong.append(logging.Formatter().format(record))


@contextmanager
def no_mistakes() -> Iterator[list[str]]:
    """Within the block no exception may reach a log; gives what was logged."""
    collected, root = _Collected(), logging.getLogger()
    level = root.level
    root.addHandler(collected)
    root.setLevel(logging.INFO)
    try:
        yield collected.lines
    finally:
        root.removeHandler(collected)
        root.setLevel(level)
    assert collected.wrong == []
