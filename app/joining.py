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
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from app import kept
from app.folder import DATABASE, Folder
from app.kept import Pending
from app.notes import Note, Notes
from app.pairing import Joining
from liblim.aio import AsyncDatabase
from liblim.errors import LimError, StoreError
from liblim.trust import Grant, Identity
from liblim.trust.vault import Vault

AGAIN = 15.0
"""Seconds until adding notes is tried again where it failed."""
_AT_ONCE = 20
"""Notes that are added in one commit, and between two tellings of how far it is."""


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
        """Called when ``line`` says something else, or more may be due."""
        self.say: Callable[[str, str], None] = lambda level, text: None
        """Called with what belongs into the sync log: a level, and a sentence."""
        self._behind: asyncio.Task[None] | None = None
        self._halted = False
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        """Read what is still to be added; drop a copy that did not come to be needed.

        Raises StoreError.
        """
        self.pending = await kept.recall(self._database, self._folder)

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
            await _to_the_end(database.take_on(grant))
            return
        add = joining is Joining.ADD_MINE
        await kept.keep(database, self._vault, self._folder, add=add, first_sync=True)
        try:
            await _to_the_end(database.take_on(grant))
        finally:
            await self.load()

    # Adding

    def add_when_due(self, in_step: bool) -> None:
        """Begin to add behind, once all that has to be here is; ``in_step``: with some other device."""
        due = self.pending and (in_step or not self.waits) and not self._identity.locked
        if due and self._behind is None and not self._halted:
            self._behind = asyncio.ensure_future(self._add_behind())

    async def halt(self) -> None:
        """Stop adding behind, until ``go_on``."""
        self._halted = True
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.wait([self._behind])

    def go_on(self) -> None:
        """Let adding begin again."""
        self._halted = False

    async def _add_behind(self) -> None:
        said = ""
        try:
            while self.pending:
                try:
                    await self.add()
                except LimError as error:
                    if str(error) != said:
                        said = str(error)
                        self.say("warning", f"Your notes could not be added yet. {said}")
                    await asyncio.sleep(AGAIN)
        finally:
            self._behind = None
        self.on_change()

    async def add(self) -> int:
        """Add the notes that were kept; returns how many were added now.

        Raises LimError; then it goes on from there the next time.
        """
        added = 0
        async with self._turn:
            await self._database.commit()  # what was cut off may wait for that, and counts as there
            try:
                for pending in self.pending:
                    path = kept.path_of(self._folder, pending) / DATABASE
                    if path.exists():
                        added += await self._add_all(path, pending)
                    await self._done(pending)
            finally:
                self.added = self.total = 0
                self.on_change()
        if added:
            self.say("info", f"Your notes were added: {added:,}.")
        return added

    async def _done(self, pending: Pending) -> None:
        left = tuple(one for one in self.pending if one != pending)
        await kept.remember(self._database, *left)
        self.pending = left

    async def _add_all(self, path: Path, pending: Pending) -> int:
        options = {"identity": self._identity} if pending.sealed else {}
        source = await AsyncDatabase.open(path, [Note], **options)
        try:
            entries = [entry for entry in await source.entries() if entry.kind == Note.kind]
            await self._notes.complete()
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
