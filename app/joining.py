"""Joining another library with notes of one's own, so that a crash at any step loses none.

1.  The old library is copied.
2.  The fact ``kept`` names the copy, and the log that was copied.
3.  The copy gets its place, ``<data>/kept/<date>-<library>/``: a data folder of its own.
4.  The database takes on the other library, with a new log.  As long as it has the log that was copied, that
    did not happen: then the copy is dropped.
5.  Once the other library's notes are here, each note of the copy is written as a new one, with its
    ``origin``; one whose origin is there already is passed over.  So this may be cut off and done again.
6.  The fact is dropped.  The copy stays.

All but step 4 also bring over a library that is founded anew (``app.opening``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from app.folder import DATABASE, Folder
from app.notes import Note, Notes
from app.pairing import Joining
from liblim.aio import AsyncDatabase
from liblim.errors import StoreError
from liblim.trust import Grant, Identity
from liblim.trust.vault import Vault

KEPT = "kept"
"""The folder, in the data folder, of the libraries that were kept."""
OWN_FACTS = ("name", "port", "discovery")
"""What a device keeps when it founds a library anew."""
_FACT = "kept"
_DRAFT = ".draft"
_AT_ONCE = 20
"""Notes that are added in one commit, and between two tellings of how far it is."""


class Pending(msgspec.Struct, frozen=True):
    """A library that was kept, and what is still to be done with its notes.

    ``log`` is the log that was copied.  ``add`` says that the notes are to be added to the present library,
    ``first_sync`` that this waits for that one's own notes, ``sealed`` whether the copy has keys.
    """

    folder: str
    library: str
    log: str
    add: bool
    first_sync: bool
    sealed: bool


class Kept(NamedTuple):
    """A library that was kept aside: its data folder, and what to call it."""

    path: Path
    label: str


def kept_libraries(folder: Folder) -> list[Kept]:
    """The libraries that were kept aside, the newest first."""
    found = [path.parent for path in (folder.path / KEPT).glob(f"*/{DATABASE}")]
    paths = sorted((path for path in found if path.name != _DRAFT), key=lambda path: path.name)
    days = Counter[str]()
    kept = []
    for path in paths:
        day = path.name[:10]
        days[day] += 1
        more = f" ({days[day]})" if days[day] > 1 else ""
        kept.append(Kept(path, f"Notes kept on {day}{more}"))
    return kept[::-1]


def is_kept(folder: Folder) -> bool:
    """Whether a data folder is that of a library which was kept aside."""
    return folder.path.resolve().parent.name == KEPT


async def keep(
    database: AsyncDatabase, vault: Vault, folder: Folder, *, add: bool, first_sync: bool
) -> tuple[Pending, ...]:
    """Copy a library, with this device's key, to where it is kept, unless it has no notes.

    Returns all that is pending then.  Raises StoreError.
    """
    pending = await recall(database, folder)
    if not any(entry.kind == Note.kind for entry in await database.entries()):
        return pending
    draft = folder.path / KEPT / _DRAFT
    try:
        await asyncio.to_thread(_make_empty, draft)
        await database.copy_to(draft / DATABASE)
        sealed = await database.fact("genesis") is not None
        if sealed:
            await asyncio.to_thread(vault.copy_to, draft)
        name = _free_name(draft.parent, database.library)
        new = Pending(name, database.library, database.log_id, add, first_sync, sealed)
        await remember(database, *pending, new)
        await asyncio.to_thread(_put_in_place, draft, name)
    except OSError as error:
        raise StoreError(
            f"Your notes could not be copied to {draft.parent}: {error.strerror or error}. "
            "Nothing was changed."
        ) from error
    return *pending, new


async def remember(database: AsyncDatabase, *pending: Pending) -> None:
    """Write down what is pending.  Raises StoreError."""
    await database.set_fact(_FACT, msgspec.json.encode(pending).decode())


async def recall(database: AsyncDatabase, folder: Folder) -> tuple[Pending, ...]:
    """What is pending; a copy of the very log that the database still has is dropped.

    Raises StoreError.
    """
    try:
        text = await database.fact(_FACT)
        found = msgspec.json.decode(text or "[]", type=tuple[Pending, ...])
    except msgspec.DecodeError:
        return ()
    needless = [one for one in found if one.log == database.log_id]
    for one in needless:
        await asyncio.to_thread(shutil.rmtree, _path(folder, one), ignore_errors=True)
    pending = tuple(one for one in found if one.add and one not in needless)
    if pending != found:
        await remember(database, *pending)
    return pending


def _path(folder: Folder, pending: Pending) -> Path:
    return folder.path / KEPT / Path(pending.folder).name


def _make_empty(draft: Path) -> None:
    if draft.exists():
        shutil.rmtree(draft)
    draft.parent.mkdir(mode=0o700, exist_ok=True)
    draft.mkdir(mode=0o700)


def _free_name(kept: Path, library: str) -> str:
    wanted = f"{time.strftime('%Y-%m-%d')}-{library[:8]}"
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if not (kept / name).exists())


def _put_in_place(draft: Path, name: str) -> None:
    """Give the copy its name once it is on the disk: SQLite does not wait for that when it copies."""
    for path in (*draft.iterdir(), draft):
        _flush(path)
    draft.rename(draft.parent / name)
    _flush(draft.parent)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot, and need not
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Joiner:
    """Takes on other libraries, and adds notes that were kept, for one open library."""

    def __init__(
        self,
        folder: Folder,
        vault: Vault,
        identity: Identity,
        database: AsyncDatabase,
        notes: Notes,
    ) -> None:
        """Call ``load`` before use."""
        self._folder, self._vault, self._identity = folder, vault, identity
        self._database, self._notes = database, notes
        self.pending: tuple[Pending, ...] = ()
        """What is still to be added."""
        self.added = 0
        """How many notes were added just now; of ``total``."""
        self.total = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when ``line`` says something else."""

    async def load(self) -> None:
        """Read what is still to be added; drop a copy that did not come to be needed.

        Raises StoreError.
        """
        self.pending = await recall(self._database, self._folder)

    @property
    def line(self) -> str:
        """How far adding is, as a sentence; empty where nothing is to be added."""
        if not self.pending:
            return ""
        if self.total:
            return f"Adding your notes: {self.added:,} of {self.total:,}"
        if self.waits:
            return "Your notes are added once the notes of the other device are here"
        return "Your notes are added in a moment"

    @property
    def waits(self) -> bool:
        """Whether adding has to wait for the notes of the library that was joined."""
        return any(pending.first_sync for pending in self.pending)

    # Joining

    async def join(self, grant: Grant, joining: Joining) -> None:
        """Become a member of another library; all notes are closed.

        Raises LimError; then this device's library is as it was.
        """
        database = self._database
        await database.commit()
        if grant.library == database.library:
            await database.take_on(grant)
            return
        add = joining is Joining.ADD_MINE
        await keep(database, self._vault, self._folder, add=add, first_sync=True)
        try:
            await _to_the_end(database.take_on(grant))
        finally:
            await self.load()

    # Adding

    async def add(self) -> int:
        """Add the notes that were kept; returns how many were added now.

        Raises LimError; then it goes on from there the next time.
        """
        await self._database.commit()  # what was cut off may wait for that, and counts as there
        added = 0
        try:
            for pending in self.pending:
                path = _path(self._folder, pending) / DATABASE
                if path.exists():
                    added += await self._add_all(path, pending)
                await self._done(pending)
        finally:
            self.added = self.total = 0
            self.on_change()
        return added

    async def _done(self, pending: Pending) -> None:
        left = tuple(one for one in self.pending if one != pending)
        await remember(self._database, *left)
        self.pending = left

    async def _add_all(self, path: Path, pending: Pending) -> int:
        options = {"identity": self._identity} if pending.sealed else {}
        source = await AsyncDatabase.open(path, [Note], **options)
        try:
            entries = [entry for entry in await source.entries() if entry.kind == Note.kind]
            here = {row.origin for row in self._notes.rows.values()}
            if pending.library == self._database.library:
                here |= {(pending.library, oid) for oid in self._notes.rows}
            wanted = [entry for entry in entries if (pending.library, entry.oid) not in here]
            self.added, self.total = 0, len(wanted)
            oids = [entry.oid for entry in sorted(wanted, key=lambda entry: entry.changed)]
            for first in range(0, len(oids), _AT_ONCE):
                some = oids[first : first + _AT_ONCE]
                await _to_the_end(self._add_some(source, some, pending.library))
                self.added += len(some)
                self.on_change()
            return self.added
        finally:
            with contextlib.suppress(StoreError):
                await source.close()

    async def _add_some(self, source: AsyncDatabase, oids: list[str], library: str) -> None:
        added = []
        try:
            for oid in oids:
                theirs = await source.get(Note, oid)
                added.append(note := self._database.create(Note))
                # In one turn of the loop, so it becomes durable whole or not at all.
                note.bring(theirs, library)
                await source.release(theirs)
            await self._database.commit()
        finally:
            for note in added:
                with contextlib.suppress(StoreError):  # what could not be committed is tried again
                    await self._database.release(note)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that goes on when the one who waits is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
