"""``AsyncDatabase``: a database on an asyncio loop, its store half on a thread of its own.

Documents are edited on the loop and never wait.  What was typed is made durable after a short pause, at
the latest ``MAX_PAUSE`` after the first operation.  Runs on plain asyncio and on qasync alike.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import msgspec

from liblim.admission import Outcome
from liblim.change import Change, Dep, Range
from liblim.database import NO_BOUND, Author, Bound, Database, Entry, Page, Summary
from liblim.document import Document, Effect
from liblim.errors import StoreError
from liblim.holdings import Holdings, Remembered, Walk, load, save
from liblim.peers import PeerRecord, pack_peer, unpack_peer
from liblim.reissue import Aside, Issued
from liblim.trust import Grant, Ledger, LibraryKeys

RETRY = 1.0
"""Seconds until a commit that failed is tried again."""


class Pause(NamedTuple):
    """How long operations gather in the open change, in seconds: after the last, and at most."""

    after: float
    at_most: float


class _Typing(NamedTuple):
    """When the open change opened, when it last grew, and to how many operations."""

    since: float
    last: float
    edits: int


LONG_PAUSE = Pause(0.5, 0.9)
"""Nobody is watching.  Nothing typed stays undurable for more than 1 s, so the commit has 0.1 s."""
SHORT_PAUSE = Pause(0.2, 0.4)
"""Another device is connected directly."""

D = TypeVar("D", bound=Document)
P = ParamSpec("P")
R = TypeVar("R")


class AsyncDatabase:
    """The asyncio shell of a ``Database``; open one with ``await AsyncDatabase.open(...)``."""

    def __init__(self, core: Database, thread: ThreadPoolExecutor) -> None:
        """Take over a core whose store half runs on ``thread``, of one worker."""
        self.core = core
        self.on_saved: Callable[[], None] = lambda: None
        """Called when something became durable, or could not."""
        self.on_well: Callable[[], None] = lambda: None
        """Called when the disk, or the key, can be used again after ``problem`` said that it cannot."""
        self._thread = thread
        self._order = asyncio.Lock()
        self._issuing = asyncio.Lock()
        self._pause = LONG_PAUSE
        self._timer: asyncio.TimerHandle | None = None
        self._committing: asyncio.Task[None] | None = None
        self._closed = False
        self._trouble = ""
        self._behind = ""
        """Why the list could not be brought up to date, as a sentence."""
        self.holdings = Holdings()
        """What other devices hold of this log, as far as a ``Node`` has heard."""
        core.subscribe(self.holdings.grow)
        core.on_begin = self._opened

    @classmethod
    async def open(
        cls, path: str | Path, types: Iterable[type[Document]], **options: Any
    ) -> AsyncDatabase:
        """Open or create a database; arguments and errors as for ``Database``.

        Its ledger is empty until ``load_trust``.
        """
        # The store's thread must not keep the loop's thread waiting for Python's own lock.
        sys.setswitchinterval(0.0005)
        thread = ThreadPoolExecutor(1, thread_name_prefix="liblim-store")
        loop = asyncio.get_running_loop()
        try:
            core = await loop.run_in_executor(
                thread, lambda: Database(path, types, trust_later=True, **options)
            )
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(core, thread)

    async def close(self) -> None:
        """Commit what is open and close the file.

        Raises StoreError where the last commit fails; the file is closed all the same.
        """
        if self._closed:
            return
        self._stop_timer()
        try:
            if self._committing is not None:
                await self._committing
            for _ in range(2):  # something may be typed meanwhile
                if not self.core.idle:
                    await self._commit()
        finally:
            self._closed = True
            await self._on_thread(self.core.store.close)
            self._thread.shutdown()

    async def _on_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def _write(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Have something written; what keeps the store from that is told until it can again."""
        try:
            return await self._on_thread(work, *args, **kwargs)
        except StoreError as error:
            self._trouble = str(error)
            self._try_later()
            self.on_saved()
            raise

    # Facts, in memory

    @property
    def problem(self) -> str:
        """Why nothing can be made durable right now, own or received, as a sentence; empty if it can."""
        return self._trouble or self._behind

    @property
    def library(self) -> str:
        """The library's id."""
        return self.core.library

    @property
    def device(self) -> str:
        """This device's id."""
        return self.core.device

    @property
    def log_id(self) -> str:
        """The log's id."""
        return self.core.log_id

    @property
    def heads(self) -> dict[str, Any]:
        """The committed heads."""
        return self.core.heads

    @property
    def count(self) -> int:
        """How many changes are committed."""
        return self.core.count

    @property
    def digest(self) -> str:
        """The digest of the committed heads."""
        return self.core.digest

    @property
    def position(self) -> int:
        """The position of the last committed change."""
        return self.core.position

    @property
    def frontier(self) -> tuple[Dep, ...]:
        """The committed heads that are in no other change's causal past."""
        return self.core.frontier

    # Documents

    def create(self, document_type: type[D]) -> D:
        """A new, empty document; it becomes durable with its first operation."""
        return self.core.create(document_type)

    async def get(self, document_type: type[D], oid: str) -> D:
        """The document ``oid``, loaded if it is not in use yet; release it as often as you get it.

        Raises LimError where there is none, or it is of another type.
        """
        found = self.core.desk.share(oid)
        while found is None:
            found = self.core.desk.register(await self._on_thread(self.core.load, oid))
        return self.core.as_type(document_type, found)

    async def ensure(self, document_type: type[D], oid: str) -> D:
        """The document ``oid``; a new one with that oid where there is none.

        Raises LimError where it is of another type.
        """
        desk = self.core.desk
        found = oid in desk or await self._on_thread(self.core.holds, document_type, oid)
        if not found and oid not in desk:
            return self.core.create(document_type, oid)
        return await self.get(document_type, oid)

    def watch(self, oid: str, watcher: Callable[[list[Effect]], None]) -> Callable[[], None]:
        """Call ``watcher`` with what received changes did to a document in use."""
        return self.core.desk.watch(oid, watcher)

    async def release(self, document: Document) -> None:
        """Say that a document got or created is no longer used here; saves its state."""
        try:
            await self.commit()
        finally:
            left = self.core.desk.let_go(document)
            if left is not None:
                with suppress(StoreError):  # its text is in the log
                    await self._write(self.core.put_away, document.oid, left)

    async def entries(self) -> list[Entry]:
        """All documents as lists show them, brought up to date."""
        await self._on_thread(self.core.derive)
        return await self._on_thread(self.core.entries)

    async def newest(self, most: int, before: Bound = NO_BOUND) -> Page:
        """A page of documents as lists show them, as far as they were brought up to date."""
        return await self._on_thread(self.core.newest, most, before)

    async def catch_up(self, most: int) -> bool:
        """Bring at most so many entries up to date, and tell ``on_entries``; whether there may be more.

        Raises StoreError.
        """
        entries, more = await self._on_thread(self.core.derive_some, most)
        self.core.renew()
        self.core.on_entries(entries)
        return more

    # Writing

    def set_pause(self, pause: Pause) -> None:
        """Choose how long operations gather."""
        self._pause = pause

    def _opened(self) -> None:
        if self._timer is None and self._committing is None and not self._closed:
            now = asyncio.get_running_loop().time()
            self._watch_typing(_Typing(since=now, last=now, edits=0))

    def _watch_typing(self, typing: _Typing) -> None:
        """Commit once nothing was typed for a pause, or typing has gone on for long enough.

        Looks in four times a pause, so that a keystroke costs nothing here.
        """
        loop, writer = asyncio.get_running_loop(), self.core.writer
        now, edits, pause = loop.time(), writer.edits, self._pause
        if edits != typing.edits:
            typing = typing._replace(last=now, edits=edits)
        tick = pause.after / 4
        # Half a tick early rather than half a tick late: timers are coarse.
        due = min(typing.last + pause.after - 1.5 * tick, typing.since + pause.at_most - tick)
        # A change that something else closed (one received, say) waits for no pause.
        if now >= due or writer.uncommitted:
            self._timer = None
            self._start_commit()
        else:
            self._timer = loop.call_later(tick, lambda: self._watch_typing(typing))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_commit(self) -> None:
        if self._committing is None and not self._closed:
            self._committing = asyncio.ensure_future(self._try_commit())

    async def _try_commit(self) -> None:
        try:
            await self._commit(probe=bool(self.problem))
        except StoreError:
            pass  # told by `problem`
        finally:
            self._committing = None
        if self.problem:
            self._try_later()
        elif not self.core.idle:
            self._opened()

    def _try_later(self) -> None:
        if not self._closed and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._start_commit()

    async def commit(self) -> None:
        """Make everything written here durable now.

        Raises StoreError; then it is kept in memory and tried again by itself.
        """
        self._stop_timer()
        try:
            await self._commit()
        finally:
            # Failed, cancelled, or typed meanwhile: what still waits is not forgotten.
            if self.problem or not self.core.idle:
                self._try_later()

    async def _commit(self, *, probe: bool = False) -> None:
        """Commit what is written; where that is nothing, ``probe`` whether what failed would work again."""
        async with self._order:
            troubled = self.problem
            try:
                await self.load_trust()  # which epoch to use
                changes = self.core.close_change()
                if changes:
                    outcome = await self._take_in(changes)
                    if outcome.refused is not None:
                        raise StoreError(f"What you write cannot be stored: {outcome.refused}.")
                elif probe:
                    await self._probe()
                if changes or probe:
                    self._trouble = ""
            except StoreError as error:
                self._trouble = str(error)
                raise
            finally:
                self.on_saved()
            if troubled and not self.problem:
                self.on_well()

    async def _probe(self) -> None:
        if self._behind:
            await self._derive(None)
        else:
            await self._on_thread(self.core.store.probe)

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes from elsewhere; they are committed when this returns.

        Raises StoreError; then none was admitted.
        """
        async with self._order:
            try:
                return await self._take_in(changes, self.core.claim(changes))
            except StoreError as error:
                self._trouble = str(error)
                self._try_later()
                self.on_saved()
                raise

    async def _take_in(self, changes: Sequence[Change], ours: str = "") -> Outcome:
        """Commit a batch and take it over here; a caller that is cancelled does not part the two."""
        work = asyncio.ensure_future(self._admit_and_settle(changes, ours))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def _admit_and_settle(self, changes: Sequence[Change], ours: str) -> Outcome:
        outcome = await self._on_thread(self.core.admit, changes, ours)
        summaries = self.core.settle(outcome)
        if summaries or self._behind:
            await self._derive(None if self._behind else summaries)
        return outcome

    async def _derive(self, summaries: list[Summary] | None) -> None:
        """Bring the list up to date; where that fails, with the next batch: this one is committed."""
        try:
            entries = await self._on_thread(self.core.derive, summaries)
            self.core.renew()
            self.core.on_entries(entries)
            self._behind = ""
        except StoreError as error:
            self._behind = str(error)
            self._try_later()
            self.on_saved()

    def subscribe(self, listener: Callable[[list[Change]], None]) -> Callable[[], None]:
        """Call ``listener`` with every batch that entered the log, once committed."""
        return self.core.subscribe(listener)

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log in order of arrival; see ``Store.read``."""
        return await self._on_thread(self.core.read, ranges, changes, octets)

    async def unshown(self) -> int:
        """How many changes are kept and passed on, and wait for a newer version of the program or a key.

        Raises StoreError.
        """
        return await self._on_thread(self.core.unshown)

    # What was set aside

    async def aside(self) -> list[Aside]:
        """The changes that contradict the log, and were not issued again yet.

        Raises StoreError.
        """
        return await self._on_thread(self.core.aside)

    async def issue_again(self) -> int:
        """Write again what was set aside, as new changes; returns in how many documents.

        Raises StoreError; then what was written is kept in memory and tried again by itself.
        """
        async with self._issuing:
            await self.commit()  # else what waits might be issued twice
            plan = await self._on_thread(self.core.reissue.plan)
            documents: dict[str, Document] = {}
            try:
                for kind, oid in plan.documents():
                    documents[oid] = await self.ensure(kind, oid)
                self.core.reissue.issue(plan, documents, self.core.create(Issued))
                await self.commit()
            finally:
                for document in documents.values():
                    with suppress(StoreError):  # said by the commit
                        await self.release(document)
            return len(documents)

    # Keys and members

    @property
    def keys(self) -> LibraryKeys:
        """What seals and opens the library's changes.  Only with an identity."""
        return self.core.keys

    @property
    def ledger(self) -> Ledger:
        """Which devices are members; empty before ``load_trust``.  Only with an identity."""
        return self.core.ledger

    @property
    def authors(self) -> dict[str, Author]:
        """Who writes as which replica."""
        return self.core.authors

    async def load_trust(self) -> None:
        """Fill the ledger from the log, once.

        Raises StoreError.
        """
        if self.core.trust is not None and not self.core.trust.loaded:
            self.core.begin_trust(await self._on_thread(self.core.read_trust))

    def subscribe_trust(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` whenever the ledger may say something else; returns what ends it."""
        return self.core.subscribe_trust(listener)

    def grant(self, joiner: str = "") -> Grant:
        """All that the device ``joiner`` needs to become a member of this library."""
        return self.core.grant(joiner)

    async def take_on(self, grant: Grant) -> None:
        """Become a member of another library; what this database held is dropped.

        Raises LimError where documents are in use, or the grant is not for this device.
        """
        library = self.library
        async with self._issuing, self._order:  # what one library set aside is nothing for another
            words = await self._on_thread(self.core.adopt, grant)
            if grant.library != library:
                self.holdings.clear()
            self.core.begin_trust(words)

    async def copy_to(self, path: str | Path) -> None:
        """Write a copy of all that was written here into a new file.  Raises StoreError."""
        await self.commit()
        await self._on_thread(self.core.copy_to, path)

    # What other devices hold

    async def holders(self, oid: str) -> frozenset[str] | None:
        """The other devices that have confirmed every committed change on a document; see ``Node``.

        ``None`` where none is committed.  Raises StoreError.
        """
        wanted = await self._on_thread(self.core.store.last_of, oid)
        return self.holdings.holders(wanted, self.heads) if wanted else None

    async def load_receipts(self) -> list[Remembered]:
        """What was remembered of other devices' receipts and holdings.  Raises StoreError."""
        missed: list[Change] = []  # what enters the log meanwhile
        unsubscribe = self.subscribe(missed.extend)
        try:
            found = await self._on_thread(load, self.core.store)
        finally:
            unsubscribe()
        for kept in found:
            if kept.holding is not None:
                kept.holding.grow(missed)
        return found

    async def save_receipts(self, rows: Callable[[], Collection[Remembered]]) -> None:
        """Remember what ``rows`` gives, as of then.  Raises StoreError."""
        async with (
            self._order
        ):  # what was heard of one library must not stand in another's database
            # Packed at once, as what they lack may grow while the thread is busy.
            packed = [(kept.device, msgspec.json.encode(kept)) for kept in rows()]
            await self._on_thread(save, self.core.store, packed, self.position)

    async def forget_receipt(self, device: str) -> None:
        """Drop what was remembered of a device's receipt.  Raises StoreError."""
        await self._on_thread(self.core.store.forget_receipt, device)

    async def lacking(self, frontier: Collection[Dep], lacking: int) -> dict[str, int] | None:
        """The first change of each replica that is not in the causal past of ``frontier``, by now.

        ``lacking`` says how many changes are to be found.  ``None`` where the log holds other changes
        in the place of these.  Raises StoreError.
        """
        walk = Walk(frontier, self.position, lacking)
        if not await self._on_thread(walk.is_grounded, self.core.store):
            return None
        while not await self._on_thread(walk.step, self.core.store):
            pass
        return walk.lacks

    # Peers and facts

    async def load_peers(self) -> list[PeerRecord]:
        """What this device knows of the devices that it is paired with."""
        return [unpack_peer(data) for data in await self._on_thread(self.core.store.peers)]

    async def save_peer(self, peer: PeerRecord) -> None:
        """Keep what is known of a peer."""
        await self._write(self.core.store.save_peer, peer.device, pack_peer(peer))

    async def forget_peer(self, device: str) -> None:
        """Drop what is known of a peer."""
        await self._write(self.core.store.forget_peer, device)

    async def fact(self, name: str) -> str | None:
        """A single value kept under ``name``."""
        return await self._on_thread(self.core.store.fact, name)

    async def set_fact(self, name: str, value: str) -> None:
        """Keep a single value under ``name``."""
        await self._write(self.core.store.set_fact, name, value)


__all__ = ["LONG_PAUSE", "SHORT_PAUSE", "AsyncDatabase", "Pause"]
