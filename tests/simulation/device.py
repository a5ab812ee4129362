"""A device with a real database and real sessions: what its shell does, step by step, and what befalls it."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from liblim.aio import AsyncDatabase
from liblim.change import Change
from liblim.crdt import Counter, Flag, Register, Set, Text
from liblim.database import Database
from liblim.document import Document
from liblim.membership import Membership
from liblim.net.link import Link as NetLink
from liblim.sync import Arrived, Claims, Closed, Heard, Ready, Session, Wanted, refusal
from liblim.sync.belief import NONE
from liblim.trust import Identity
from tests.simulation.receipts import End, Simulated
from tests.simulation.shell import AtOnce, Loop, at_once

if TYPE_CHECKING:
    from tests.simulation.network import Link, World

ENDINGS = ("lost", "silent", "too-late", "removed")
"""How a session may end where nobody does wrong."""
REMEMBERED = ("_replica", "_salt", "_last", "_drift")
"""What a writer knows of the replica that it writes as."""


class Page(Document):
    """A document with a text, and some of what else there is."""

    kind = "page"
    body = Text()
    place = Register(default="")
    tags = Set()
    pinned = Flag()
    clicks = Counter()

    def summary(self) -> dict[str, Any]:
        """All but the text, whose elements are compared one by one."""
        tags = sorted(map(str, self.tags))
        return {
            "place": self.place.value,
            "tags": tags,
            "pin": bool(self.pinned),
            "n": self.clicks.value,
        }


class Memory(NamedTuple):
    """A running machine, kept as it is: its file, and what its writer and its clock knew."""

    path: Path
    writer: dict[str, Any]
    monotonic: float
    drift: float


class Device:
    """A database that may be restarted, with the sessions to its neighbours.

    The store half's work waits in ``work`` and is done stage by stage, as on the shell's thread: so people
    type, others are heard, and programs crash between any two stages.
    """

    database: Database
    keyless = False
    endings: tuple[str, ...] = ENDINGS

    def __init__(self, world: World, path: str, identity: Identity | None = None) -> None:
        self.world = world
        self.path = Path(path)
        self.identity = identity or Identity.generate(world.rng.randbytes)
        self.slept = self.wrong = 0.0
        self.brought: set[str] = set()
        """Whom it introduced."""
        self.lives: list[dict[str, int]] = []
        """What its log held whenever its disk was lost."""
        self.sessions: dict[Link, Session] = {}
        self.accepted: list[End] = []
        """Ends of sessions that both sides accepted, also with several copies of one device."""
        self.ends: dict[str, End] = {}
        """By device, the one whose word counts."""
        self.open()

    def open(self) -> None:
        """Start the program."""
        self.pages: dict[str, Page] = {}
        self.work: deque[Iterator[None]] = deque()
        self.admitted = False
        """Whether a batch is on disk that the document half has not heard of."""
        self.database = self.open_database()
        self.database.derive()  # as for the list that the app shows first
        self.loop = Loop(self.monotonic)
        self.claims = Claims()
        self.claims.on_free = self._freed
        self.shell = self.open_shell()
        self.database.subscribe(self._committed)
        through = cast(AsyncDatabase, self.shell)
        self.membership = Membership(through, self.world.rng.randbytes)
        self.library = self.database.library
        self.confirmations = self.open_confirmations()
        at_once(self.confirmations.load())
        self.confirmations.begin()
        if not self.keyless:
            self.database.subscribe_trust(self._trust_moved)

    def open_shell(self) -> AtOnce:
        """Put the shell around the database."""
        return AtOnce(self)

    def open_confirmations(self) -> Simulated:
        """Begin with receipts."""
        return Simulated(self, self.shell)

    def open_database(self) -> Database:
        """Start the database."""
        entropy = self.world.rng.randbytes
        return Database(self.path, [Page], identity=self.identity, clock=self, entropy=entropy)

    # Its clocks

    def wall(self) -> float:
        """Unix time, as it takes it to be."""
        return 1_700_000_000 + self.world.now + self.wrong

    def monotonic(self) -> float:
        """Seconds that it was awake."""
        return self.world.now - self.slept

    # What its shell does

    def _committed(self, changes: Sequence[Change]) -> None:
        for session in self.sessions.values():
            session.committed(changes, self.monotonic())
        self.confirmations.committed(changes)

    def take_in(self, changes: Sequence[Change] | None, link: Link | None = None) -> None:
        """Let what came, or what was written here (``None``), enter the log when its turn comes."""
        self.work.append(self._stages(changes, link, self.sessions.get(link) if link else None))

    def _stages(
        self, changes: Sequence[Change] | None, link: Link | None, session: Session | None
    ) -> Iterator[None]:
        database = self.database
        batch = database.close_change() if changes is None else changes
        outcome = database.admit(batch)
        assert outcome.refused is None, outcome.refused
        assert not outcome.aside, "two changes with one replica and number"
        self.admitted = True
        yield
        summaries = database.settle(outcome)
        self.admitted = False
        self.show(summary.oid for summary in summaries)
        yield
        database.derive(summaries)
        database.renew()
        if link is not None and session is not None and self.sessions.get(link) is session:
            session.settled(batch, self.monotonic())

    def go_on(self) -> bool:
        """Do one more stage of the store's work, and what else is due; says whether there was any."""
        busy = self.loop.go_on()
        if not self.work:
            return busy
        if next(self.work[0], self) is self:
            self.work.popleft()
        return True

    def finish(self) -> None:
        """Do all of the store's work, and commit what was written."""
        self.take_in(None)
        while self.go_on():
            pass

    def handle(self, link: Link) -> None:
        """Do for a session what its shell does."""
        session = self.sessions[link]
        for event in session.events():
            if isinstance(event, Arrived):
                self.take_in(self.world.mixed(event.changes), link)
            elif isinstance(event, Wanted):
                found = self.database.read(event.ranges, event.changes, event.octets)
                session.supply(event.request, found, self.monotonic())
            elif isinstance(event, Ready):
                self._met(link.end(self))
            elif isinstance(event, Heard):
                self.confirmations.heard(cast(NetLink, link.end(self)), event.receipt)
            elif isinstance(event, Closed):
                assert event.code in self.endings, event
                link.ended(event.code)

    def _met(self, end: End) -> None:
        rival = self.ends.get(end.device)
        if rival is not None:
            self.confirmations.parted(rival)
        self.accepted.append(end)
        self.ends[end.device] = end
        self.confirmations.met(cast(NetLink, end))

    def part(self, end: End) -> None:
        """Take note that a session is over."""
        end.session.eof(self.monotonic())
        if end in self.accepted:
            self.accepted.remove(end)
        if self.ends.get(end.device) is end:
            self.confirmations.parted(end)
            del self.ends[end.device]

    def _freed(self) -> None:
        self.loop.call_later(0, self._look)

    def _look(self) -> None:
        """Let every session see whether it has anything to do now."""
        for link in list(self.sessions):
            link.look(self)

    # What people do

    def page(self, oid: str) -> Page | None:
        """A document, if it is here yet."""
        if oid not in self.pages:
            # What the thread reads after a batch, the document half hears of after that batch.
            while self.admitted:
                self.go_on()
            if self.database.store.document(oid) is None:
                return None
            self.pages[oid] = self.database.get(Page, oid)
        return self.pages[oid]

    def show(self, oids: Iterable[str]) -> None:
        """Show which documents are saved, to somebody who keeps account."""
        for oid in oids:
            page = self.pages.get(oid)
            if page is not None and self.database.is_saved(page):
                self.world.accounts.show(oid, page.body)

    def put_away(self, oid: str) -> None:
        """Close a document."""
        self.finish()
        page = self.pages.pop(oid, None)
        if page is not None:
            self.database.release(page)

    # Who is in the library

    def trusts(self, other: Device) -> bool:
        """Whether the other is a member, by all that this device knows, or needs no trust."""
        return other.keyless or other.identity.device in self.database.ledger.members

    def introduce(self, newcomer: Device) -> None:
        """Take a new device into the library, and give it the keys.

        Raises LimError where this device is a member no more.
        """
        at_once(self.membership.introduce(newcomer.identity.certificate, "New"))
        newcomer.database.take_on(self.database.grant())
        newcomer.database.derive()  # the app shows its list anew
        self.brought.add(newcomer.identity.device)

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
        moved, self.library = self.library != self.database.library, self.database.library
        if moved:
            self.shell.holdings.clear()
        self.confirmations.trust_changed(moved=moved)

    # What befalls it

    def stop(self) -> None:
        """End the program at once: what was not committed is lost."""
        for link in list(self.sessions):
            link.cut()
        self.loop.stop()
        self.database.store.close()

    def crash(self) -> None:
        """End at once, and start again."""
        told = dict(self.database.heads)
        self.stop()
        self.open()
        for replica, head in told.items():
            held = self.database.heads.get(replica, NONE)
            assert held.seq >= head.seq, "a crash has taken what was said to be committed"

    def copy_to(self, path: Path) -> None:
        """Copy the data folder."""
        self.database.copy_to(path)

    def restore(self, copy: Path) -> None:
        """Put an earlier copy of the data folder in the place of what is there, and start."""
        self.stop()
        self.lives.append({replica: head.seq for replica, head in self.database.heads.items()})
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)
        shutil.copy(copy, self.path)
        self.open()

    def suspend(self, path: Path) -> Memory:
        """Keep the running machine as it is."""
        self.finish()
        self.copy_to(path)
        writer = {name: getattr(self.database.writer, name) for name in REMEMBERED}
        return Memory(path, writer, self.monotonic(), self.wall() - self.monotonic())

    def resume(self, memory: Memory) -> None:
        """Let the machine go on from there: its memory is that of then, and so is its monotonic clock."""
        self.slept = self.world.now - memory.monotonic
        self.restore(memory.path)
        for name, value in memory.writer.items():
            setattr(self.database.writer, name, value)
