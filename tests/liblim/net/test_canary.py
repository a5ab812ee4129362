"""A text that is typed on one device stays unreadable to all that has no key, wherever it passes by."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from liblim.aio import AsyncDatabase
from liblim.change import Range
from liblim.net import Address
from liblim.trust import Identity
from tests.liblim.net.devices import QUICK, Device, new_database
from tests.liblim.things import Thing

CANARY = "a canary sings in the coal mine"
TITLE = "Quarterly confession"


def traces(secret: str) -> list[bytes]:
    """What a text looks like where it was written plainly, in base64 at any offset, or as hex."""
    plain = secret.encode()
    encoded = [b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)]
    return [plain, plain.hex().encode(), *encoded]


def assert_silent(where: str, data: bytes) -> None:
    for secret in (CANARY, TITLE):
        for trace in traces(secret):
            assert trace not in data, f"{where} has it: {trace!r}"


class Tap:
    """A relay on the path that keeps all that passes."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.heard = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Address:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return Address("127.0.0.1", self._server.sockets[0].getsockname()[1])

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        both = (self._pass(reader, back), self._pass(there, writer))
        self._tasks |= {asyncio.ensure_future(way) for way in both}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def keyless(desk: Device, path: Path) -> Device:
    """A device that stores and forwards what it cannot read: all certificates, and no right key."""
    identity = Identity.generate()
    database = await AsyncDatabase.open(path, [Thing], identity=identity)
    device = Device(database, "Relay", QUICK)
    await device.node.start("127.0.0.1", 0)
    await desk.node.membership.introduce(identity.certificate, "Relay")
    grant = desk.database.grant()
    await database.take_on(msgspec.structs.replace(grant, epochs=(bytes(32),)))
    return device


@pytest.mark.asyncio
async def test_a_keyless_peer_and_the_path_hear_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Device(await new_database(), "Desk", QUICK)
    lap = Device(await new_database(), "Lap", QUICK)
    for device in (desk, lap):
        await device.node.start("127.0.0.1", 0)
    await desk.node.membership.introduce(lap.identity.certificate, "Lap")
    relay = await keyless(desk, tmp_path / "relay.db")
    await lap.database.take_on(desk.database.grant())
    tap = Tap(relay.address)
    passed = await tap.start()
    # The two know each other only by way of the relay, and reach that through the tap.
    for device in (desk, lap):
        device.node.remember(relay.id, passed)
    thing = desk.database.create(Thing)
    thing.body.insert(0, f"{CANARY}, again and again: {CANARY}")
    thing.place.set(TITLE)
    await desk.database.commit()
    await lap.until(lambda: lap.database.digest == desk.database.digest)
    assert CANARY in await lap.read(thing.oid)
    assert relay.database.count == desk.database.count
    said = [line.text for device in (desk, lap, relay) for line in device.lines]
    changes = await relay.database.read(_everything(relay), 10**6, 10**9)
    assert changes
    for device in (desk, lap, relay):
        await device.node.stop()
        await device.database.close()
    await tap.stop()
    assert len(tap.heard) > 1000
    assert_silent("the path", bytes(tap.heard))
    assert_silent("what a keyless peer is given", msgspec.json.encode(changes))
    assert_silent("a log", "\n".join([*said, caplog.text]).encode())
    for file in tmp_path.iterdir():
        assert_silent(file.name, file.read_bytes())


def _everything(device: Device) -> list[Range]:
    return [Range(replica, 1, head.seq) for replica, head in device.database.heads.items()]


def test_the_traces_are_found_where_they_are() -> None:
    """The test of the test."""
    with pytest.raises(AssertionError, match="has it"):
        assert_silent("plain", f"... {CANARY} ...".encode())
    with pytest.raises(AssertionError, match="has it"):
        assert_silent("base64", b64encode(b"ab" + TITLE.encode() + b"cd"))
