"""Devices with real databases and real sessions, in one thread, under time and links of the test's own.

Everything follows from one seed: what is typed, what the links deliver, where they are cut.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from liblim.crdt import Text
from liblim.database import Database
from liblim.document import Document
from liblim.sync import Arrived, Closed, Session, Wanted
from liblim.trust import Device as DeviceDocument
from liblim.trust import Identity, Library
from liblim.trust.documents import text_of


class Page(Document):
    """A document with a text."""

    kind = "page"
    body = Text()


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
        self.database.subscribe(self._committed)
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
        """Take a new device into the library, and give it the keys."""
        document = self.database.ensure(DeviceDocument, newcomer.identity.device)
        document.certificate.set(text_of(newcomer.identity.certificate))
        self.database.release(document)
        newcomer.database.take_on(self.database.grant())

    def remove(self, other: Device) -> None:
        """Remove a device, with a new epoch for the rest."""
        database, gone = self.database, other.identity.device
        members = database.ledger.members.keys() - {gone}
        epoch = self._new_epoch(members)
        saw = {r: a.end for r, a in database.authors.items() if a.device == gone}
        document = database.ensure(Library, database.library)
        document.removed.add({"device": gone, "saw": saw})
        document.epochs.add(epoch)
        database.release(document)

    def tend(self) -> None:
        """Do what the ledger says is owed."""
        database = self.database
        duties = database.ledger.duties(database.device, database.keys.epochs)
        elements = [
            {"epoch": epoch, "keys": self._wraps(epoch, devices)}
            for epoch, devices in duties.wraps.items()
        ]
        if duties.new_epoch:
            elements.append(self._new_epoch(database.ledger.members))
        if elements:
            document = database.ensure(Library, database.library)
            for element in elements:
                document.epochs.add(element)
            database.release(document)

    def _new_epoch(self, members: Iterable[str]) -> dict[str, object]:
        epoch = self.database.keys.add_epoch(self.world.rng.randbytes(32))
        return {"epoch": epoch, "keys": self._wraps(epoch, members)}

    def _wraps(self, epoch: str, members: Iterable[str]) -> dict[str, str]:
        keys = self.database.keys
        return {member: text_of(keys.wrap_for(member, epoch)) for member in members}

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
                assert event.code in ("lost", "silent", "too-late"), event
                link.down = True


class Link:
    """A connection between two devices: bytes that are on their way, each direction in order."""

    def __init__(self, world: World, ends: tuple[Device, Device]) -> None:
        self.world = world
        self.ends = ends
        self.down = True
        self.wires = [bytearray(), bytearray()]

    def connect(self) -> None:
        """Begin a session on both ends, if both take each other for members."""
        one, other = self.ends
        if not (one.trusts(other) and other.trusts(one)):
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
                other = self.ends[1 - at]
                other.sessions[self].receive_data(piece, self.world.now)
                other.handle(self)
        if self.down:
            self.cut()
        return moved

    def tick(self) -> None:
        """Let time pass for both ends."""
        for end in self.ends:
            session = end.sessions.get(self)
            if session is not None:
                session.tick(self.world.now)
                end.handle(self)
        if self.down:
            self.cut()


class World:
    """Some devices, the links between them, and one clock."""

    def __init__(self, seed: int, folder: str, devices: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.devices = [Device(self, f"{folder}/{n}.db") for n in range(devices)]
        for newcomer in self.devices[1:]:
            self.devices[0].introduce(newcomer)
        self.links = [
            Link(self, (a, b))
            for n, a in enumerate(self.devices)
            for b in self.devices[n + 1 :]
            if b is self.devices[n + 1] or self.rng.random() < 0.4
        ]
        self.oids: list[str] = []

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
        device, link = rng.choice(self.devices), rng.choice(self.links)
        [happens] = rng.choices(
            ["type", "commit", "carry", "connect", "cut", "crash", "tick"],
            [6, 3, 14, 3, 1, 0.2, 2],
        )
        if happens == "type":
            self.type(device)
        elif happens == "commit":
            device.database.commit()
        elif happens == "carry":
            for _ in range(rng.randint(1, 30)):
                link.carry()
        elif happens == "connect":
            if link.down:
                link.connect()
        elif happens == "cut":
            link.cut()
        elif happens == "crash":
            device.crash()
        else:
            link.tick()

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
                if link.down:
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
