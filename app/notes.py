"""Notes: the document type, and the list of them that every view shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import Struct

from liblim.aio import AsyncDatabase
from liblim.crdt import Flag, Register, Set, Splice, Text
from liblim.database import Bound, Entry
from liblim.document import Document, Effect
from liblim.errors import LimError, StoreError

TITLE_LENGTH = 120
SNIPPET_LENGTH = 200
PATIENCE = 5.0
"""Seconds for which notes in use are waited for, before another library's take their place."""
FIRST_ROWS = 300
"""Notes of which the rows are read before the window shows."""
SLICE = 100
"""Rows that are read or brought up to date in one go behind."""
AGAIN = 1.0
"""Seconds until reading is tried again where it failed."""
_HEAD_LENGTH = 1000
"""Code points of a note's beginning that title and snippet are taken from."""


class Note(Document):
    """One note.  Title and snippet derive from the body, so they have no conflicts of their own."""

    kind = "note"
    body = Text()
    trash = Set()
    """The body's version as each trashing saw it: one that missed an edit of the body is void."""
    notebook = Register(default="")
    tags = Set()
    pinned = Flag()
    origin: Register[list[str]] = Register(default=[])
    """Where it was brought from another library: that library's id, and its oid there."""

    @property
    def title(self) -> str:
        """The first line that is not blank, empty where there is none."""
        return self._title_and_snippet()[0]

    @property
    def trashed(self) -> bool:
        """Whether it is in the trash: some trashing has seen all that is written in it."""
        return any(self._covers(version) for version in self.trash)

    @property
    def kept(self) -> bool:
        """Whether it was trashed, and stays because somebody was writing in it meanwhile."""
        return len(self.trash) > 0 and not self.trashed

    def move_to_trash(self) -> None:
        """Trash it as it is now."""
        self.trash.add(dict(self.body.version))

    def restore(self) -> None:
        """Take it out of the trash, and forget trashings that were void."""
        for version in list(self.trash):
            self.trash.discard(version)

    def _covers(self, version: object) -> bool:
        if not isinstance(version, Mapping):
            return False
        return all(
            isinstance(seen := version.get(replica), int) and seen >= counter
            for replica, counter in self.body.version.items()
        )

    def summary(self) -> dict[str, Any]:
        """Title, snippet, and where it stands."""
        title, snippet = self._title_and_snippet()
        found: dict[str, Any] = {"title": title, "snippet": snippet}
        found |= {"trashed": self.trashed, "kept": self.kept}
        if self.origin.value:
            found["origin"] = self.origin.value
        return found

    def bring(self, note: Note, library: str) -> None:
        """Take over all that ``note`` of another library holds; this one is new."""
        self.body.insert(0, str(note.body))
        self.body.load_history(b"")  # nobody typed that here: undoing must not take it away
        self.notebook.set(note.notebook.value)
        for tag in note.tags:
            self.tags.add(tag)
        if note.pinned:
            self.pinned.enable()
        if note.trashed:
            self.move_to_trash()
        self.origin.set([library, note.oid])

    def _title_and_snippet(self) -> tuple[str, str]:
        head = self.body.slice(0, min(_HEAD_LENGTH, len(self.body)))
        lines = [line.strip() for line in head.splitlines() if line.strip()]
        title = lines[0].lstrip("#").strip() or lines[0] if lines else ""
        return title[:TITLE_LENGTH], " ".join(lines[1:])[:SNIPPET_LENGTH]


class NoteRow(Struct, frozen=True, gc=False):
    """A note as lists show it; ``changed`` in Unix milliseconds.

    The collector of garbage leaves rows alone: a look at those of 100,000 notes would hold up the loop.
    """

    oid: str
    title: str
    snippet: str
    changed: int
    trashed: bool
    kept: bool
    newer: bool
    origin: tuple[str, ...] = ()
    """The library that it was brought from, and its oid there."""


class Notes:
    """All notes of the library: the rows, and the notes in use."""

    def __init__(self, database: AsyncDatabase) -> None:
        """Call ``load`` before use."""
        self._database = database
        self._callbacks: list[Callable[[set[str]], None]] = []
        self._watchers: dict[str, list[Callable[[list[Splice]], None]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._read = asyncio.Event()
        """Set while all that can be read now is."""
        self._failure: StoreError | None = None
        """What keeps the rest from being read."""
        self._in_use = 0
        self._quiet, self._allowed = asyncio.Event(), asyncio.Event()
        self._quiet.set()
        self._allowed.set()
        self.rows: dict[str, NoteRow] = {}
        """The rows of all notes that hold something, by oid."""

    async def load(self) -> None:
        """Read the rows of the notes that changed last, and follow their changes; the others come behind.

        Raises StoreError.
        """
        await self.stop()
        self._database.core.on_entries = self._follow
        gone = set(self.rows)
        self.rows.clear()
        first = await self._database.newest(FIRST_ROWS)
        self._follow(first.entries)
        self._tell(gone - self.rows.keys())
        more = True
        with suppress(StoreError):  # a full disk, say: then it is tried again behind
            more = await self._database.catch_up(SLICE)
        if more or first.after is not None:
            self._failure = None
            self._read.clear()
            self._reading = asyncio.ensure_future(self._read_on(more, first.after))

    async def _read_on(self, behind: bool, after: Bound | None) -> None:
        """Read what is left, in slices: whoever types waits for no more than one."""
        try:
            await self._read_slices(behind, after)
        finally:
            self._read.set()

    async def _read_slices(self, behind: bool, after: Bound | None) -> None:
        while behind or after is not None:
            try:
                if after is not None:  # first, as it takes no room on the disk
                    page = await self._database.newest(SLICE, after)
                    after = page.after
                    # What was told of meanwhile is newer than what was read.
                    self._follow([entry for entry in page.entries if entry.oid not in self.rows])
                else:
                    behind = await self._database.catch_up(SLICE)
                self._failure = None
                self._read.clear()
            except StoreError as error:
                self._failure = error
                self._read.set()
                await asyncio.sleep(AGAIN)

    @property
    def reading(self) -> bool:
        """Whether there are notes of which the row is not there yet."""
        return self._reading is not None and not self._reading.done()

    async def complete(self) -> None:
        """Wait until the rows of all notes are there.

        Raises StoreError where some cannot be had right now; that is tried again behind.
        """
        if self._reading is not None:
            await self._read.wait()
            if self._failure is not None:
                raise StoreError(str(self._failure)) from self._failure

    async def stop(self) -> None:
        """Read no further."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
            self._reading = None
            self._read.set()  # also where it had not begun

    async def turn_to(self, database: AsyncDatabase) -> None:
        """Show another database's notes from now on.

        Raises StoreError.
        """
        self._database = database
        await self.load()

    def _follow(self, entries: list[Entry]) -> None:
        rows = {entry.oid: _row(entry) for entry in entries if entry.kind == Note.kind}
        changed = {oid for oid, row in rows.items() if self.rows.get(oid) != row}
        self.rows.update(rows)
        self._tell(changed)

    def _tell(self, changed: set[str]) -> None:
        if changed:
            for callback in list(self._callbacks):
                callback(changed)

    def subscribe(self, callback: Callable[[set[str]], None]) -> Callable[[], None]:
        """Call back with the oids whose rows changed, are new or gone; returns what ends it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def create(self) -> Note:
        """A new note; nothing of it is kept until something is written in it."""
        await self._enter()
        return self._database.create(Note)

    async def open(self, oid: str) -> Note:
        """The note ``oid``; close it as often as it was opened.

        Raises LimError where there is none.
        """
        await self._enter()
        try:
            return await self._database.get(Note, oid)
        except BaseException:
            self._leave()
            raise

    async def close(self, note: Note) -> None:
        """Make durable what was written in a note, and let go of it.

        Raises StoreError; what was written is kept in memory and tried again.
        """
        try:
            await self._database.release(note)
        finally:
            self._leave()

    async def _enter(self) -> None:
        await self._allowed.wait()
        self._in_use += 1
        self._quiet.clear()

    def _leave(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._quiet.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Within, no note is open: who wants one waits.

        Raises LimError where one stays open for more than ``PATIENCE``.
        """
        self._allowed.clear()
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._quiet.wait()
            except TimeoutError:
                raise LimError("Notes are still open here. Close them, and try again.") from None
            yield
        finally:
            self._allowed.set()

    async def trash(self, oid: str) -> None:
        """Move a note to the trash.

        Raises LimError.
        """
        await self._edit(oid, Note.move_to_trash)

    async def restore(self, oid: str) -> None:
        """Take a note out of the trash.

        Raises LimError.
        """
        await self._edit(oid, Note.restore)

    async def append(self, oid: str, text: str) -> None:
        """Add text at the end of a note, on a line of its own.

        Raises LimError.
        """

        def add(note: Note) -> None:
            end = len(note.body)
            joint = "" if not end or note.body.slice(end - 1, 1) == "\n" else "\n"
            note.body.insert(end, joint + text)
            # It may be open in the window, which hears of received changes only.
            for watcher in list(self._watchers.get(oid, ())):
                watcher([Splice(end, 0, joint + text)])

        await self._edit(oid, add)

    async def _edit(self, oid: str, edit: Callable[[Note], object]) -> None:
        note = await self.open(oid)
        try:
            edit(note)
        finally:
            await self.close(note)

    async def text(self, oid: str) -> str:
        """The whole text of a note.

        Raises LimError.
        """
        note = await self.open(oid)
        try:
            return str(note.body)
        finally:
            await self.close(note)

    def saved(self, note: Note) -> bool:
        """Whether all that was written in a note is on this device's disk."""
        return self._database.core.is_saved(note)

    def watch(self, note: Note, callback: Callable[[list[Splice]], None]) -> Callable[[], None]:
        """Call back with what was done to the body from elsewhere; returns what ends it."""

        def forward(effects: list[Effect]) -> None:
            splices = [
                splice for effect in effects if effect.field == "body" for splice in effect.result
            ]
            if splices:
                callback(splices)

        stop = self._database.watch(note.oid, forward)
        watchers = self._watchers.setdefault(note.oid, [])
        watchers.append(callback)

        def end() -> None:
            stop()
            watchers.remove(callback)

        return end


def _row(entry: Entry) -> NoteRow:
    summary = entry.summary
    return NoteRow(
        oid=entry.oid,
        title=str(summary.get("title", "")),
        snippet=str(summary.get("snippet", "")),
        changed=entry.changed,
        trashed=bool(summary.get("trashed")),
        kept=bool(summary.get("kept")),
        newer=entry.newer,
        origin=_origin(summary.get("origin")),
    )


def _origin(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
