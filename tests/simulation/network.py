"""Links that delay, break in mid-line and come back, and a world of devices that they join.

Everything follows from one seed: keys, what is typed, what the links deliver, where they are cut.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from typing import TypeAlias

from liblim.change import Change
from liblim.sync import Session
from tests.simulation.accounts import Accounts, visible
from tests.simulation.device import Device, Page
from tests.simulation.receipts import End, Witness

WHOLE = 1 << 20
MOST_PAGES = 6
PIECES = (1, 7, 100, 5_000, 100_000)
"""Bytes that may come through at once."""


class Link:
    """A connection between two devices: bytes that are on their way, each direction in order."""

    def __init__(self, world: World, ends: tuple[Device, Device]) -> None:
        self.world = world
        self.ends = ends
        self.down = True
        self.parted = self.stalled = 0.0
        """Until when nothing connects, and until when nothing comes through."""
        self.wires = [bytearray(), bytearray()]
        self._told: list[End] = []

    @property
    def allowed(self) -> bool:
        """Whether both ends take each other for members."""
        one, other = self.ends
        return one.trusts(other) and other.trusts(one)

    def connect(self) -> None:
        """Begin a session on both ends, if there is none and they may."""
        if not self.down or self.parted > self.world.now or not self.allowed:
            return
        self.down = False
        self.wires = [bytearray(), bytearray()]
        self._told = [self._begin(*ends) for ends in (self.ends, self.ends[::-1])]

    def _begin(self, end: Device, other: Device) -> End:
        peer, recall = other.identity.device, end.shell.holdings.recall
        session = Session(end.database, now=end.monotonic(), peer=peer, claims=end.claims)
        session.recall = lambda: recall(peer)
        end.sessions[self] = session
        return End(session, other)

    def end(self, device: Device) -> End:
        """A device's end of the connection that there is."""
        return self._told[self.ends.index(device)]

    def cut(self) -> None:
        """Break the connection, with whatever is on its way."""
        self.down = True
        for end in self.ends:
            if end.sessions.pop(self, None) is not None:
                end.part(self.end(end))

    def part(self, seconds: float) -> None:
        """Break the connection for so long."""
        self.cut()
        self.parted = self.world.now + seconds

    def carry(self, size: int | None = None) -> bool:
        """Move some bytes, cut anywhere; says whether there were any."""
        moved = False
        for at, end in enumerate(self.ends):
            if self.down:
                break
            wire = self.wires[at]
            while data := end.sessions[self].data_to_send():
                wire += data
            if wire and self.stalled <= self.world.now:
                moved = True
                size = size or self.world.rng.choice(PIECES)
                piece, wire[:] = bytes(wire[:size]), wire[size:]
                self.deliver(self.ends[1 - at], piece)
        if self.down:
            self.cut()
        return moved

    def deliver(self, end: Device, piece: bytes) -> None:
        """Hand over what has come through."""
        self.world.trace.update(piece)
        end.sessions[self].receive_data(piece, end.monotonic())
        end.handle(self)

    def ended(self, code: str) -> None:
        """Take note that a session is over, and why."""
        self.down = True

    def tick(self) -> None:
        """Let time pass for both ends."""
        for end in self.ends:
            self.look(end)

    def look(self, end: Device) -> None:
        """Let an end see whether it has anything to do now."""
        session = end.sessions.get(self)
        if session is not None:
            session.tick(end.monotonic())
            end.handle(self)
        if self.down:
            self.cut()


Act: TypeAlias = Callable[[Device, Link], object]


class World:
    """Some devices, the links between them, and one time; ``acts`` is what may happen, with weights."""

    pace = 2.0
    """Steps in a second."""

    def __init__(self, seed: int, folder: str, devices: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.folder = folder
        self.trace = hashlib.sha256()
        """Over all that came through: equal in two runs, all that matters was."""
        self.accounts = Accounts()
        self.witness = Witness()
        self.devices: list[Device] = []
        self.oids: list[str] = []
        self.links: list[Link] = []
        self.acts: list[tuple[float, Act]] = [
            (9, lambda device, link: self.type(device)),
            (4, lambda device, link: device.take_in(None)),
            (8, lambda device, link: self.work(device)),
            (14, lambda device, link: self.carry(link)),
            (3, lambda device, link: link.connect()),
            (1, lambda device, link: link.cut()),
            (0.4, lambda device, link: device.crash()),
            (2, lambda device, link: link.tick()),
        ]
        for _ in range(devices):
            newcomer = self.device()
            if newcomer is not self.devices[0]:
                self.devices[0].introduce(newcomer)
        self.links = [
            Link(self, (a, b))
            for n, a in enumerate(self.devices)
            for b in self.devices[n + 1 :]
            if b is self.devices[n + 1] or self.rng.random() < 0.4
        ]

    def device(self) -> Device:
        """One more device, in a library of its own."""
        self.devices.append(Device(self, f"{self.folder}/{len(self.devices)}.db"))
        return self.devices[-1]

    @property
    def keyed(self) -> list[Device]:
        """The devices with keys."""
        return [device for device in self.devices if not device.keyless]

    def step(self) -> None:
        """Let something happen somewhere."""
        rng = self.rng
        self.now += rng.expovariate(self.pace)
        weights, acts = zip(*self.acts, strict=True)
        [act] = rng.choices(acts, weights)
        act(rng.choice(self.devices), rng.choice(self.links))

    # What happens

    def carry(self, link: Link) -> None:
        """Let something come through."""
        for _ in range(self.rng.randint(1, 30)):
            if not link.carry():
                break

    def work(self, device: Device) -> None:
        """Let a store get on."""
        for _ in range(self.rng.randint(1, 12)):
            if not device.go_on():
                break

    def mixed(self, arrived: list[Change]) -> list[Change]:
        """What arrived; now and then in another order, and some of it twice."""
        rng = self.rng
        if len(arrived) > 1 and rng.random() < 0.1:
            arrived = arrived + rng.sample(arrived, len(arrived) // 2)
            rng.shuffle(arrived)
        return arrived

    def type(self, device: Device) -> None:
        """Edit a document, or write a new one."""
        rng = self.rng
        old = len(self.oids) == MOST_PAGES or (self.oids and rng.random() < 0.9)
        page = device.page(rng.choice(self.oids)) if old else None
        if page is None:
            if len(self.oids) == MOST_PAGES:
                return
            page = device.database.create(Page)
            self.oids.append(page.oid)
            device.pages[page.oid] = page
        body = page.body
        size = len(body)
        before = set()
        if size and rng.random() < 0.35:
            before = visible(body)
            start = rng.randrange(size)
            body.delete(start, min(size - start, rng.randint(1, 5)))
        else:
            place = rng.choice([0, size, rng.randint(0, size)])
            body.insert(place, rng.choice(["a", "bc", "😀", "line\n"]) * 3)
        if rng.random() < 0.1 and body.can_undo:
            before |= visible(body)
            body.undo()
        if before:
            self.accounts.edit(before, body)
        if rng.random() < 0.1:
            self.mark(page)
        device.show([page.oid])

    def mark(self, page: Page) -> None:
        """Write in the fields beside the text."""
        rng = self.rng
        page.place.set(rng.choice("abc"))
        rng.choice([page.pinned.enable, page.pinned.disable])()
        page.clicks.add(rng.choice([-1, 1]))
        tag = rng.choice("xyz")
        if tag in page.tags:
            page.tags.discard(tag)
        else:
            page.tags.add(tag)

    # How it ends

    def settle(self) -> None:
        """Commit everything, connect all links, and carry until all is at rest."""
        assert self.comes_to_rest(), "it does not come to rest"

    def comes_to_rest(self, turns: int = 400) -> bool:
        """Whether all is at rest in so many turns."""
        for device in self.devices:
            device.finish()
        for _ in range(turns):
            for link in self.links:
                link.connect()
            self.now += 0.05
            moved = [link.carry(WHOLE) for link in self.links]
            worked = [device.go_on() for device in self.devices]
            if not any(moved) and not any(worked):
                if self.at_rest() and not any(device.loop.timers for device in self.devices):
                    return True
                self.now += 1
                for link in self.links:
                    link.tick()
        return False

    def at_rest(self) -> bool:
        """Whether every session has proof that both ends hold the same."""
        sessions = [session for device in self.devices for session in device.sessions.values()]
        return all(session.identical and session.we_lack == 0 for session in sessions)

    def close(self) -> None:
        """End everything."""
        for device in self.devices:
            device.stop()


def texts(device: Device, oids: Iterable[str]) -> dict[str, str]:
    """The documents that are in the log, as they are shown."""
    pages = {oid: device.page(oid) for oid in oids}
    return {oid: str(page.body) for oid, page in pages.items() if page is not None}
