"""Devices with real databases and real sessions, in one thread, under time and links of the test's own.

Everything but the keys follows from one seed: what is typed, what the links deliver, where they are cut.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias, cast

from liblim.aio import AsyncDatabase
from liblim.crdt import Text
from liblim.database import Database
from liblim.document import Document
from liblim.membership import Membership
from liblim.sync import Arrived, Closed, Session, Wanted, refusal
from liblim.trust import Identity


class Page(Document):
    """A document with a text."""

    kind = "page"
    body = Text()


class AtOnce:
    """A database as ``Membership`` wants it, where nothing ever waits."""

    def __init__(self, core: Database) -> None:
        self.core = core

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    async def load_trust(self) -> None:
        """It is loaded."""

    async def commit(self) -> None:
        """Commit."""
        self.core.commit()

    async def ensure(self, document_type: type[Document], oid: str) -> Document:
        """A document."""
        return self.core.ensure(document_type, oid)

    async def release(self, document: Document) -> None:
        """Let it go."""
        self.core.release(document)


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what only ever lets others have their turn."""
    with contextlib.suppress(StopIteration):
        while True:
            work.send(None)


class Device:
    """A database that may be restarted, with the sessions to its neighbours."""

    def __init__(self, world: World, path: str) -> None:
        self.world = world
        self.path = path
        self.identity = Identity.generate()
        self.sessions: dict[Link, Session] = {}
        self.open()

    def open(self) -> None:
        """Start the database."""
        rng = self.world.rng
        self.database = Database(
            self.path, [Page], identity=self.identity, clock=self.world, entropy=rng.randbytes
        )
        self.membership = Membership(cast(AsyncDatabase, AtOnce(self.database)))
        self.database.subscribe(self._committed)
        self.database.subscribe_trust(self._trust_moved)
        self.pages: dict[str, Page] = {}

    def _committed(self, changes: object) -> None:
        for session in self.sessions.values():
            session.committed(changes, self.world.now)  # type: ignore[arg-type]

    def crash(self) -> None:
        """Lose what was not committed, and start again."""
        for link in list(self.sessions):
            link.cut()
        self.database.store.close()
        self.open()

    def page(self, oid: str) -> Page | None:
        """A document, if it is here yet."""
        if oid not in self.pages:
            if self.database.store.document(oid) is None:
                return None
            self.pages[oid] = self.database.get(Page, oid)
        return self.pages[oid]

    # Who is in the library

    def trusts(self, other: Device) -> bool:
        """Whether the other is a member, by all that this device knows."""
        return other.identity.device in self.database.ledger.members

    def introduce(self, newcomer: Device) -> None:
        """Take a new device into the library, and give it the keys.

        Raises LimError where this device is a member no more.
        """
        at_once(self.membership.introduce(newcomer.identity.certificate, "New"))
        newcomer.database.take_on(self.database.grant())

    def remove(self, other: Device) -> None:
        """Remove a device.  Raises LimError where that cannot be."""
        at_once(self.membership.remove(other.identity.device))

    def tend(self) -> None:
        """Do what this device owes the others."""
        at_once(self.membership.tend())

    def _trust_moved(self) -> None:
        """Tell those who are members no more, and end their sessions."""
        for link, session in self.sessions.items():
            if not link.allowed:
                session.refuse(refusal("removed"))

    def handle(self, link: Link) -> None:
        """Do for a session what its shell does."""
        session = self.sessions[link]
        for event in session.events():
            now = self.world.now
            if isinstance(event, Arrived):
                receipt = self.database.receive(event.changes)
                assert receipt.refused is None, receipt.refused
                assert not receipt.aside
                session.settled(event.changes, now)
            elif isinstance(event, Wanted):
                found = self.database.read(event.ranges, event.changes, event.octets)
                session.supply(event.request, found, now)
            elif isinstance(event, Closed):
                assert event.code in ("lost", "silent", "too-late", "removed"), event
                link.down = True


class Link:
    """A connection between two devices: bytes that are on their way, each direction in order."""

    def __init__(self, world: World, ends: tuple[Device, Device]) -> None:
        self.world = world
        self.ends = ends
        self.down = True
        self.wires = [bytearray(), bytearray()]

    @property
    def allowed(self) -> bool:
        """Whether both ends take each other for members."""
        one, other = self.ends
        return one.trusts(other) and other.trusts(one)

    def connect(self) -> None:
        """Begin a session on both ends, if there is none and they may."""
        if not self.down or not self.allowed:
            return
        self.down = False
        self.wires = [bytearray(), bytearray()]
        for end, other in zip(self.ends, self.ends[::-1], strict=True):
            peer = other.database.device
            end.sessions[self] = Session(end.database, now=self.world.now, peer=peer)

    def cut(self) -> None:
        """Break the connection, with whatever is on its way."""
        self.down = True
        for end in self.ends:
            end.sessions.pop(self, None)

    def carry(self) -> bool:
        """Move some bytes, cut anywhere; says whether there were any."""
        moved = False
        for at, end in enumerate(self.ends):
            if self.down:
                break
            wire = self.wires[at]
            while data := end.sessions[self].data_to_send():
                wire += data
            if wire:
                moved = True
                size = self.world.rng.choice([1, 7, 100, 5_000, 100_000])
                piece, wire[:] = bytes(wire[:size]), wire[size:]
                self.deliver(self.ends[1 - at], piece)
        if self.down:
            self.cut()
        return moved

    def deliver(self, end: Device, piece: bytes) -> None:
        """Hand over what has come through."""
        end.sessions[self].receive_data(piece, self.world.now)
        end.handle(self)

    def tick(self) -> None:
        """Let time pass for both ends."""
        for end in self.ends:
            session = end.sessions.get(self)
            if session is not None:
                session.tick(self.world.now)
                end.handle(self)
        if self.down:
            self.cut()


Act: TypeAlias = Callable[[Device, Link], object]


class World:
    """Some devices, the links between them, and one clock."""

    def __init__(self, seed: int, folder: str, devices: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.folder = folder
        self.devices: list[Device] = []
        self.oids: list[str] = []
        self.acts: list[tuple[float, Act]] = [
            (6, lambda device, link: self.type(device)),
            (3, lambda device, link: device.database.commit()),
            (14, lambda device, link: self.carry(link)),
            (3, lambda device, link: link.connect()),
            (1, lambda device, link: link.cut()),
            (0.2, lambda device, link: device.crash()),
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

    def wall(self) -> float:
        """Unix time."""
        return 1_700_000_000 + self.now

    def monotonic(self) -> float:
        """Time since start."""
        return self.now

    def step(self) -> None:
        """Let something happen somewhere."""
        rng = self.rng
        self.now += rng.expovariate(2)
        weights, acts = zip(*self.acts, strict=True)
        [act] = rng.choices(acts, weights)
        act(rng.choice(self.devices), rng.choice(self.links))

    def carry(self, link: Link) -> None:
        """Let something come through."""
        for _ in range(self.rng.randint(1, 30)):
            link.carry()

    def type(self, device: Device) -> None:
        """Edit a document, or write a new one."""
        rng = self.rng
        page = device.page(rng.choice(self.oids)) if self.oids and rng.random() < 0.9 else None
        if page is None:
            page = device.database.create(Page)
            self.oids.append(page.oid)
            device.pages[page.oid] = page
        size = len(page.body)
        if size and rng.random() < 0.35:
            start = rng.randrange(size)
            page.body.delete(start, min(size - start, rng.randint(1, 5)))
        else:
            page.body.insert(rng.randint(0, size), rng.choice(["a", "bc", "😀", "line\n"]) * 3)
        if rng.random() < 0.1 and page.body.can_undo:
            page.body.undo()

    def settle(self, turns: int = 5000) -> None:
        """Commit everything, connect all links, and carry until all is at rest."""
        for device in self.devices:
            device.database.commit()
        for _ in range(turns):
            for link in self.links:
                link.connect()
            self.now += 0.05
            moved = [link.carry() for link in self.links]
            if not any(moved):
                if self.at_rest():
                    return
                self.now += 1
                for link in self.links:
                    link.tick()
        raise AssertionError("it does not come to rest")

    def at_rest(self) -> bool:
        """Whether every session has proof that both ends hold the same."""
        sessions = [session for device in self.devices for session in device.sessions.values()]
        return all(session.identical and session.we_lack == 0 for session in sessions)

    def close(self) -> None:
        """End everything."""
        for device in self.devices:
            device.database.close()


def texts(device: Device, oids: Iterable[str]) -> dict[str, str]:
    """The documents that are in the log, as they are shown."""
    pages = {oid: device.page(oid) for oid in oids}
    return {oid: str(page.body) for oid, page in pages.items() if page is not None}
