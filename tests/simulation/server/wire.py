"""A connection between a device and the server, and what a library has there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import apsw

from liblim.change import Head
from liblim.sync.belief import NONE
from tests.simulation.device import Device
from tests.simulation.network import PIECES, Link
from tests.simulation.server.pipe import Pipe
from tests.simulation.server.tap import Tap

if TYPE_CHECKING:
    from tests.simulation.server.branch import Branch
    from tests.simulation.server.client import Client

ROOMS = (300, 20_000, 1 << 20)
"""Bytes that the network may take of a connection before the device does."""
FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds until a device that was sent away comes again; doubled with each time."""


class Seat:
    """What the server holds of a library: committed, as another process reads its file.

    To the parts of the simulation that know only devices it looks like one without keys.
    """

    keyless = True

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.identity = SimpleNamespace(device=branch.town.host.identity.device)
        self.lives: list[dict[str, int]] = []
        """What it held whenever an older backup was put in the place of its files."""
        self.removed = False
        """Whether its file was deleted just now, which the server has still open."""
        self._db: apsw.Connection | None = None
        self._path = Path()
        self._version = -1
        self._heads: dict[str, Head] = {}

    @property
    def database(self) -> Seat:
        """Itself."""
        return self

    @property
    def heads(self) -> dict[str, Head]:
        """The heads that stand in the file."""
        path = self.branch.town.host.log_of(self.branch.library)
        if not path.exists():
            return {}  # nobody has come yet
        if self._db is None or path != self._path:
            self.close()
            self._db, self._path, self._version = apsw.Connection(str(path)), path, -1
        version = int(self._db.execute("PRAGMA data_version").get)
        if version != self._version:
            query = "SELECT replica, seq, hash FROM replicas"
            self._heads = {name: Head(seq, hash) for name, seq, hash in self._db.execute(query)}
            self._version = version
        return self._heads

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


class Wire(Link):
    """A device's connection to the server: bytes that are on their way, each direction in order."""

    def __init__(self, branch: Branch, device: Client) -> None:
        self.branch = branch
        self.device = device
        self.pipe: Pipe | None = None
        self.code = ""
        """How the last session ended."""
        self._retry = FIRST_RETRY
        self._up = bytearray()
        super().__init__(branch, (device, cast(Device, branch.seat)))

    @property
    def allowed(self) -> bool:
        """Whether the device knows the server as its library's."""
        return self.branch.seat.identity.device in self.device.database.ledger.servers

    def connect(self) -> None:
        """Begin a session, if there is none, the server is up, and TLS would take the device."""
        host, device = self.branch.town.host, self.device
        if not self.down or self.parted > self.world.now or not self.allowed or not host.is_up:
            return
        name = device.identity.device
        if not host.pins(name):
            self._sent_away()
            return
        self.down = False
        self._up = bytearray()
        room = self.world.rng.choice(ROOMS)
        self.pipe = host.knock(device.identity.certificate, room, Tap(self.branch, name).hear)
        self._told = [self._begin(device, cast(Device, self.branch.seat))]

    def end(self, device: Device) -> Any:
        """The device's end of the connection that there is."""
        return self._told[0]

    def cut(self) -> None:
        """Break the connection, with whatever is on its way; the server may hear of it, or not."""
        self.down = True
        device, pipe = self.device, self.pipe
        session = device.sessions.pop(self, None)
        if session is not None:
            device.part(self.end(device))
        self.pipe = None
        if pipe is not None and not pipe.over:
            [how] = self.world.rng.choices([pipe.break_off, pipe.vanish, pipe.leave], [4, 1, 2])
            how()

    def ended(self, code: str) -> None:
        """Take note that a session is over, and why."""
        self.code = code
        self.branch.town.saw(f"is parted: {code}")
        if code in ("removed", "not-served"):
            self._sent_away()
        self.down = True

    def _sent_away(self) -> None:
        self.parted = self.world.now + self._retry
        self._retry = min(2 * self._retry, LAST_RETRY)

    def carry(self, size: int | None = None) -> bool:
        """Move some bytes, cut anywhere; says whether there were any."""
        if self.down or self.pipe is None:
            return False
        moved = False
        if self.stalled <= self.world.now:
            moved = self._carry_up(size) | self._carry_down(size)
        if self.pipe.over and not self.pipe.wire:
            self.down = True
        if self.down:
            self._last_words()
            self.cut()
        return moved

    def _piece(self, size: int | None) -> int:
        return size or self.world.rng.choice(PIECES)

    def _carry_up(self, size: int | None) -> bool:
        assert self.pipe is not None
        session = self.device.sessions[self]
        while data := session.data_to_send():
            self._up += data
        if not self._up or self.pipe.over or not self.pipe.reading:
            return False
        size = self._piece(size)
        piece, self._up[:] = bytes(self._up[:size]), self._up[size:]
        self.world.trace.update(piece)
        self.pipe.hear(piece)
        return True

    def _carry_down(self, size: int | None) -> bool:
        assert self.pipe is not None
        if not self.pipe.wire:
            return False
        size = self._piece(size)
        piece, self.pipe.wire[:] = bytes(self.pipe.wire[:size]), self.pipe.wire[size:]
        self.pipe.flow()
        self.deliver(self.device, piece)
        if self.end(self.device).session.count is not None:
            self._retry = FIRST_RETRY  # both accepted each other
        self.check()
        return True

    def _last_words(self) -> None:
        """Let a device that has closed the session say why, mostly."""
        pipe, session = self.pipe, self.device.sessions.get(self)
        if pipe is None or session is None or self.world.rng.random() < 0.3:
            return
        while data := session.data_to_send():
            self._up += data
        if not pipe.over:
            pipe.hear(bytes(self._up))
            pipe.leave()

    def tick(self) -> None:
        """Let time pass for the device."""
        self.look(self.device)

    def check(self) -> None:
        """The device does not take the server to hold more than that one has committed."""
        session = self.device.sessions.get(self)
        if session is None:
            return
        assert (session.we_lack or 0) >= 0, "less than nothing is lacking"
        assert (session.they_lack or 0) >= 0, "less than nothing is lacking"
        held = self.branch.seat.heads
        for replica, head in (session.belief.heads if session.belief else {}).items():
            assert held.get(replica, NONE).seq >= head.seq, "what was acknowledged is not committed"
