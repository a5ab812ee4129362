"""A peer without keys stores changes and passes them on: it serves those who have keys, and reads nothing."""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from typing import Any

from tests.simulation.device import Device, Page
from tests.simulation.keyless import Keyless
from tests.simulation.network import Link, World, texts

CANARY = "The canary sings at midnight"


class Tapped(Link):
    """A link that somebody listens to."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.heard: dict[Any, bytes] = {}

    def deliver(self, end: Device, piece: bytes) -> None:
        """Listen, and hand over."""
        self.heard[end] = self.heard.get(end, b"") + piece
        super().deliver(end, piece)


def told(heard: bytes) -> list[bytes]:
    """What can be made of the lines on a wire without any key."""
    found = [heard]
    for text in re.findall(
        rb'"((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"', heard
    ):
        raw = base64.b64decode(text)
        found.append(raw)
        for start in range(min(len(raw), 64)):
            try:
                found.append(zlib.decompressobj().decompress(raw[start:], 10_000))
            except zlib.error:
                continue
    return found


def test_a_keyless_peer_passes_on_what_it_cannot_read(seed: int, tmp_path: Path) -> None:
    world = World(seed, str(tmp_path), 2)
    a, b = world.devices
    box = Keyless(world, str(tmp_path / "keyless.db"), a.database.library)
    links = [Tapped(world, (a, box)), Tapped(world, (b, box))]
    world.links = list(links)
    world.devices.append(box)
    page = a.database.create(Page)
    page.body.insert(0, CANARY * 20)
    a.database.release(page)
    a.database.commit()
    world.settle()
    b.tend()
    world.settle()
    assert texts(b, [page.oid]) == {page.oid: CANARY * 20}
    assert a.database.digest == b.database.digest == box.database.digest
    secrets = [CANARY.encode(), page.oid.encode(), b'"kind"', b"certificate", b'"New"']
    secrets += [epoch.key for epoch in a.database.keys.epochs.values()]
    wires = [heard for link in links for heard in link.heard.values()]
    assert len(wires) == 4
    for piece in [piece for heard in wires for piece in told(heard)]:
        assert not [secret for secret in secrets if secret in piece]
    world.close()


def test_what_the_listener_would_have_heard_without_seals() -> None:
    """The listener above can hear: it finds a text that was only packed."""
    body = b"\x01" + zlib.compress(CANARY.encode() * 20)
    wire = b'UCANHAZ {"body":"' + base64.b64encode(body) + b'"}\n'
    assert any(CANARY.encode() in piece for piece in told(wire))
