"""The database of one library on one device: the synchronous core.

Two halves, so that no edit waits for a disk.  The *store half* (``Admission`` and the methods marked
below) talks to SQLite and may run on a thread of its own; the *document half* holds documents, the open
change and the heads that were delivered, all in memory.  Batches go from one to the other in order:
``close_change`` -> ``admit`` -> ``settle`` -> ``derive``.  That is the one write path, for own and
received changes alike.  Used synchronously, as here, ``commit`` and ``receive`` run it at once;
``AsyncDatabase`` runs the store half on a thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from liblim.admission import Admission, Receipt
from liblim.change import Change, Head, Range, digest
from liblim.crdt.author import Author
from liblim.document import Document, Effect, by_kind
from liblim.errors import LimError, OperationError, StoreError
from liblim.store import DocumentRow, Store, Summary
from liblim.trust import Sealer, Unsealed
from liblim.writer import Clock, Seen, SystemClock, Writer

__all__ = ["Database", "Entry", "Loaded", "Summary"]

SAVE_STATE_AFTER = 64
"""Changes replayed on a document's saved state before a new state is worth writing."""

UNNAMED = "0" * 16
"""The replica of an author before its first operation; the writer names it then."""

D = TypeVar("D", bound=Document)


class Entry(NamedTuple):
    """A document as lists show it: its ``summary()``, and when it last changed (Unix ms)."""

    oid: str
    kind: str
    summary: dict[str, Any]
    changed: int
    newer: bool


class Loaded(NamedTuple):
    """A document as the store half read it, having seen the log up to ``position``."""

    document: Document
    position: int
    replayed: int


class _Live:
    """A document in use: how many hold it, the last position it has seen, who watches it."""

    def __init__(self, document: Document, position: int) -> None:
        self.document = document
        self.position = position
        self.users = 1
        self.watchers: list[Callable[[list[Effect]], None]] = []


class Database:
    """One library's documents, with the log that keeps them.

    ``library``, ``device`` and ``log_id`` are 32 hex digits each.  ``heads``, ``count``, ``digest`` and
    ``position`` speak of committed changes only.
    """

    def __init__(
        self,
        path: str | Path,
        types: Iterable[type[Document]],
        *,
        sealer: Sealer | None = None,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Open or create the database at ``path`` (``:memory:`` for none).

        Raises DefinitionError, StoreTooNew, StoreReadOnly, StoreBusy or StoreError.
        """
        self._types = by_kind(types)
        self._entropy = entropy
        self.store = Store(path)
        try:
            self._begin(sealer or Unsealed(), clock or SystemClock())
        except BaseException:
            self.store.close()
            raise

    def _begin(self, sealer: Sealer, clock: Clock) -> None:
        self.library = self._identifier("library")
        self.device = self._identifier("device")
        self.log_id = self._identifier("log")
        self._admission = Admission(self.store, sealer)
        self._writer = Writer(self.device, sealer, clock, self._entropy)
        self._start_writer()
        self.position = self.store.last_position()
        self._live: dict[str, _Live] = {}
        self._touched: dict[str, int] = {}
        self._digest = ""
        self._listeners: list[Callable[[list[Change]], None]] = []
        self.on_entries: Callable[[list[Entry]], None] = lambda entries: None
        """Called with the entries of documents that changed."""

    def _identifier(self, name: str) -> str:
        known = self.store.fact(name)
        if known is None:
            known = self._entropy(16).hex()
            self.store.set_fact(name, known)
        return known

    def _start_writer(self) -> None:
        replicas = self.store.replicas()
        self.heads: dict[str, Head] = {replica: row.head for replica, row in replicas.items()}
        self.count = sum(head.seq for head in self.heads.values())
        frontier = self.store.frontier()
        self._writer.start_from((r, Seen(replicas[r].head, replicas[r].end)) for r in frontier)

    def close(self) -> None:
        """Commit what is open and close the file.

        Raises StoreError where the last commit fails; the file is closed all the same.
        """
        try:
            self.commit()
        finally:
            self.store.close()

    @property
    def digest(self) -> str:
        """SHA-256 over the heads: equal on two devices, they hold the same changes."""
        self._digest = self._digest or digest(self.heads)
        return self._digest

    # Documents

    def create(self, document_type: type[D]) -> D:
        """A new, empty document; it becomes durable with its first operation."""
        document = document_type(self._entropy(16).hex(), Author(UNNAMED))
        self.register(Loaded(document, self.position, 0))
        return document

    def get(self, document_type: type[D], oid: str) -> D:
        """The document ``oid``; the same object until it was released as often as got.

        Raises LimError where there is none, or it is of another type.
        """
        found = self.share(oid)
        while found is None:
            found = self.register(self.load(oid))
        return self.as_type(document_type, found)

    def as_type(self, document_type: type[D], document: Document) -> D:
        """The document, if it is of this type; else it is released, and LimError raised."""
        if isinstance(document, document_type):
            return document
        self.let_go(document)
        raise LimError(f"This is a {document.kind!r}, not a {document_type.kind!r}.")

    def share(self, oid: str) -> Document | None:
        """The document if it is in use already, held once more."""
        live = self._live.get(oid)
        if live is None:
            return None
        live.users += 1
        return live.document

    def register(self, loaded: Loaded) -> Document | None:
        """Take a loaded document into use; ``None`` where it has to be loaded once more.

        That is where a change on it was delivered while it was being loaded.
        """
        document = loaded.document
        if document.oid in self._live:
            return self.share(document.oid)
        if self._touched.get(document.oid, 0) > loaded.position:
            return None
        document.author.begin = lambda: self._writer.begin(document)
        self._live[document.oid] = _Live(document, loaded.position)
        return document

    def watch(self, oid: str, watcher: Callable[[list[Effect]], None]) -> Callable[[], None]:
        """Call ``watcher`` with what received changes did to a document in use.

        Returns what ends it.
        """
        watchers = self._live[oid].watchers
        watchers.append(watcher)
        return lambda: watchers.remove(watcher)

    def release(self, document: Document) -> None:
        """Say that a document got or created is no longer used here."""
        try:
            self.commit()
        finally:
            state = self.let_go(document)
            if state is not None:
                self.store.save_state(document.oid, *state)

    def let_go(self, document: Document) -> tuple[bytes, int] | None:
        """Release in memory; returns the state to save, with its position, if that was the last."""
        live = self._live.get(document.oid)
        if live is None:
            return None
        live.users -= 1
        if live.users or not self.is_saved(document):
            return None
        del self._live[document.oid]
        return document.encode(), live.position

    def is_saved(self, document: Document) -> bool:
        """Whether every operation on the document is in the log, on disk."""
        return self._writer.is_saved(document.oid)

    @property
    def idle(self) -> bool:
        """Whether everything written here is in the log, on disk."""
        return self._writer.idle

    @property
    def writer(self) -> Writer:
        """The writer, for the shell's timers."""
        return self._writer

    def entries(self) -> list[Entry]:
        """All documents of the types, as lists show them."""
        rows = self.store.documents(self._types)
        return [entry for row in rows if (entry := _entry(row)) is not None]

    # The write path

    def commit(self) -> None:
        """Make everything written here durable.

        Raises StoreError; then it is kept, and the next commit tries again.
        """
        changes = self.close_change()
        if changes:
            self._finish(self.admit(changes))

    def receive(self, changes: Sequence[Change]) -> Receipt:
        """Admit changes from elsewhere.

        Raises StoreError; then none was admitted.
        """
        receipt = self.admit(changes)
        self._finish(receipt)
        return receipt

    def _finish(self, receipt: Receipt) -> None:
        self.on_entries(self.derive(self.settle(receipt)))

    def close_change(self) -> list[Change]:
        """Close the open change; returns all that the log does not hold yet."""
        self._writer.close()
        return list(self._writer.uncommitted.values())

    def admit(self, changes: Sequence[Change]) -> Receipt:
        """Store half: check and commit a batch.  Raises StoreError."""
        return self._admission.admit(changes)

    def settle(self, receipt: Receipt) -> list[Summary]:
        """Document half: take a committed batch into the heads and the documents in use.

        Returns what ``derive`` has to bring up to date.
        """
        effects: dict[str, list[Effect]] = {}
        self._observe([new.change for new in receipt.entered])
        for position, change, body in receipt.entered:
            self.heads[change.replica] = Head(change.seq, change.hash)
            self.count += 1
            self.position = position
            own = self._writer.uncommitted.pop(change.hash, None)
            if body is not None:
                self._touched[body.oid] = position
                live = self._live.get(body.oid)
                if live is not None:
                    live.position = position
                    if own is None:
                        header = change.header
                        found = live.document.apply(
                            header.clock, header.replica, body.ops, header.end
                        )
                        effects.setdefault(body.oid, []).extend(found)
        if receipt.entered:
            self._digest = ""
        self._announce(receipt, effects)
        return [self._summary(oid) for oid in {n.body.oid: 0 for n in receipt.entered if n.body}]

    def _summary(self, oid: str) -> Summary:
        """The summary of a document in use; of another, the store half has to make it."""
        live = self._live.get(oid)
        if live is None:
            return Summary(oid, None, 0, False)
        # What is not committed yet may stand in it: then it counts as behind, should we crash now.
        listed = live.position - (not self.is_saved(live.document))
        text = msgspec.json.encode(live.document.summary()).decode()
        return Summary(oid, text, listed, live.document.newer)

    def _observe(self, changes: list[Change]) -> None:
        foreign = [change for change in changes if change.hash not in self._writer.uncommitted]
        if foreign:
            self._writer.observe(foreign)

    def _announce(self, receipt: Receipt, effects: dict[str, list[Effect]]) -> None:
        for oid, found in effects.items():
            for watcher in list(self._live[oid].watchers):
                watcher(found)
        if receipt.entered:
            changes = [new.change for new in receipt.entered]
            for listener in list(self._listeners):
                listener(changes)

    def subscribe(self, listener: Callable[[list[Change]], None]) -> Callable[[], None]:
        """Call ``listener`` with every batch that entered the log, in order, once committed.

        Returns what ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # The store half: reading and deriving

    def load(self, oid: str) -> Loaded:
        """Read a document: its saved state, and what the log holds beyond.

        Raises LimError where there is none, or of a kind that is not among the types.
        """
        row = self.store.document(oid)
        if row is None:
            raise LimError("This document is not here, or not yet.")
        if row.kind not in self._types:
            raise LimError(f"This is a {row.kind!r}, written by a newer version of the program.")
        state, position = self.store.state(oid)
        document = self._types[row.kind](oid, Author(UNNAMED))
        if state is not None:
            try:
                document.load(state)
            except OperationError:
                # Derived, so never worth failing for: replay the log from the start.
                document, position = self._types[row.kind](oid, Author(UNNAMED)), 0
        replayed = 0
        for admitted in self.store.changes_of(oid, position):
            self._replay(document, admitted.change)
            position = admitted.position
            replayed += 1
        return Loaded(document, position, replayed)

    def _replay(self, document: Document, change: Change) -> None:
        body = self._admission.read_body(change)
        if body is not None:
            header = change.header
            document.apply(header.clock, header.replica, body.ops, header.end)

    def derive(self, summaries: Iterable[Summary] | None = None) -> list[Entry]:
        """Bring the entries of these documents up to date, or of all that are behind.

        Raises StoreError; they stay marked as behind.
        """
        if summaries is None:
            summaries = [Summary(oid, None, 0, False) for oid in self.store.unlisted()]
        with self.store.transaction():
            return [entry for summary in summaries if (entry := self._derive(summary)) is not None]

    def _derive(self, summary: Summary) -> Entry | None:
        row = self.store.document(summary.oid)
        if row is None or row.kind not in self._types:
            return None
        if summary.text is None:
            document, position, replayed = self.load(summary.oid)
            text = msgspec.json.encode(document.summary()).decode()
            summary = Summary(summary.oid, text, position, document.newer)
            if replayed >= SAVE_STATE_AFTER:
                self.store.save_state(summary.oid, document.encode(), position)
        self.store.save_summary(summary)
        return _entry(row._replace(summary=summary.text, newer=summary.newer))

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log in order of arrival; see ``Store.read``."""
        return self.store.read(ranges, changes, octets)

    def rebuild(self) -> list[Entry]:
        """Make all derived state again from the log."""
        self.store.forget_derived()
        return self.derive()

    def adopt(self, library: str) -> None:
        """Become a device of another library.

        Raises LimError where this database already holds changes.
        """
        if self.position or not self._writer.idle:
            raise LimError(
                "This device already holds notes of its own, so it cannot join another library."
            )
        self.store.set_fact("library", library)
        self.library = library


def _entry(row: DocumentRow) -> Entry | None:
    if row.summary is None:
        return None
    try:
        summary = msgspec.json.decode(row.summary, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StoreError(f"The note list is damaged: {error}") from error
    return Entry(row.oid, row.kind, summary, row.changed, row.newer)
