"""The database of one library on one device: the synchronous core.

Two halves, so that no edit waits for a disk.  The *store half* (``Admission`` and the methods marked
below) talks to SQLite and may run on a thread of its own; the *document half* holds documents, the open
change and the heads that were delivered, all in memory.  Batches go from one to the other in order:
``close_change`` -> ``admit`` -> ``settle`` -> ``derive``.  That is the one write path, for own and
received changes alike.  Used synchronously, as here, ``commit`` and ``receive`` run it at once;
``AsyncDatabase`` runs the store half on a thread.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from liblim.admission import Entered, Outcome
from liblim.aside import Reissue
from liblim.change import Change, Dep, Head, Range
from liblim.crdt.author import Author as OpAuthor
from liblim.desk import Desk, Left, Loaded
from liblim.document import Document, Effect, by_kind
from liblim.errors import LimError, OperationError, StoreError
from liblim.heads import HeadDigest
from liblim.library import TRUST_KINDS, Library, TrustWord, identifier, take_on
from liblim.reading import ReadingAdmission
from liblim.reissue import Aside, Issued
from liblim.store import NO_BOUND, Bound, DocumentRow, Store, Summary
from liblim.trust import TRUST_TYPES, Grant, Identity, Ledger, LibraryKeys, Sealer, Unsealed
from liblim.writer import Clock, Seen, SystemClock, Writer

__all__ = [
    "NO_BOUND",
    "Aside",
    "Bound",
    "Database",
    "Entry",
    "Loaded",
    "Page",
    "Summary",
]

_log = logging.getLogger(__name__)

SAVE_STATE_AFTER = 64
"""Changes replayed on a document's saved state before a new state is worth writing."""

READS = 1
"""To be raised whenever this program reads more of a field or a body than before."""
UNDO_DOCUMENTS = 500
"""Of so many documents, those last written in here, a database keeps what can be undone."""

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


class Page(NamedTuple):
    """Some entries, and from where on there are more: ``None`` after the last."""

    entries: list[Entry]
    after: Bound | None


class Author(NamedTuple):
    """Who writes as a replica, and the last counter that it took."""

    device: str
    end: int


class Database:
    """One library's documents, with the log that keeps them.

    ``library``, ``device`` and ``log_id`` are 32 hex digits each.  ``heads``, ``authors``, ``count``,
    ``digest`` and ``position`` speak of committed changes only.  With an ``identity`` the library has
    keys: every change is sealed and signed, and ``ledger`` says which devices are members.
    """

    def __init__(
        self,
        path: str | Path,
        types: Iterable[type[Document]],
        *,
        identity: Identity | None = None,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        trust_later: bool = False,
    ) -> None:
        """Open or create the database at ``path`` (``:memory:`` for none).

        ``trust_later`` leaves the ledger empty until ``load_trust``, which needs cryptography.

        Raises DefinitionError, StoreTooNew, StoreReadOnly, StoreBusy, StoreUnsealed or StoreError.
        """
        self._types = by_kind([*types, Issued, *(TRUST_TYPES if identity else ())])
        self._hidden = frozenset({Issued.kind, *(TRUST_KINDS if identity else ())})
        self._identity = identity
        self._clock = clock or SystemClock()
        self._entropy = entropy
        self._listeners: list[Callable[[list[Change]], None]] = []
        self._trusting: list[Callable[[], None]] = []
        self.on_entries: Callable[[list[Entry]], None] = lambda entries: None
        """Called with the entries of documents that changed."""
        self._made: list[Loaded] = []
        """Documents in use that ``derive`` made of the log, for ``renew``."""
        self.on_begin: Callable[[], None] = lambda: None
        """Called when a change opens: something waits to become durable."""
        self.store = Store(path)
        try:
            self._begin()
            self._read_with(self._types.values())
            if not trust_later:
                self.begin_trust(self.read_trust())
        except BaseException:
            self.store.close()
            raise

    def _begin(self) -> None:
        """Take over what the store holds."""
        identity = self._identity
        self.trust = Library(self.store, identity, self._entropy) if identity else None
        sealer: Sealer = self.trust.keys if self.trust else Unsealed()
        self.library = identifier(self.store, "library", self._entropy)
        self.device = (
            identity.device if identity else identifier(self.store, "device", self._entropy)
        )
        self.log_id = identifier(self.store, "log", self._entropy)
        self.store.trim_undo(UNDO_DOCUMENTS)
        self._admission = ReadingAdmission(self.store, sealer, self.library)
        self._start_writer(sealer)

    def _read_with(self, types: Iterable[type[Document]]) -> None:
        """Where other types than now read the log, read again what those passed over."""
        fields = {
            found.kind: {name: type(field).__name__ for name, field in found.fields.items()}
            for found in types
        }
        known = msgspec.json.encode([READS, fields], order="deterministic").decode()
        if self.store.fact("reads") != known:
            self._admission.read_again()
            with self.store.transaction():
                self.store.forget_gaps()
                self.store.set_fact("reads", known)

    def _start_writer(self, sealer: Sealer) -> None:
        replicas = self.store.replicas()
        self.heads: dict[str, Head] = {replica: row.head for replica, row in replicas.items()}
        self._digest = HeadDigest(self.heads)
        self.authors = {replica: Author(row.device, row.end) for replica, row in replicas.items()}
        self.count = sum(head.seq for head in self.heads.values())
        self.position = self.store.last_position()
        self._frontier = frontier = self.store.frontier()
        self._writer = Writer(self.device, sealer, self._clock, self._entropy)
        self._writer.on_begin = self._began
        self.desk = Desk(self._writer)
        types = {kind: one for kind, one in self._types.items() if kind not in self._hidden}
        read = self._admission.read_body
        self.reissue = Reissue(self.store, read, types, self._hidden, self._writer, self.desk)
        self._writer.start_from((r, Seen(replicas[r].head, replicas[r].end)) for r in frontier)

    def _began(self) -> None:
        self.on_begin()

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
        return self._digest.value

    # Documents

    def create(self, document_type: type[D], oid: str = "") -> D:
        """A new, empty document; it becomes durable with its first operation."""
        document = document_type(oid or self._entropy(16).hex(), OpAuthor(UNNAMED))
        self.desk.register(Loaded(document, self.position, 0))
        return document

    def get(self, document_type: type[D], oid: str) -> D:
        """The document ``oid``; the same object until it was released as often as got.

        Raises LimError where there is none, or it is of another type.
        """
        found = self.desk.share(oid)
        while found is None:
            found = self.desk.register(self.load(oid))
        return self.as_type(document_type, found)

    def ensure(self, document_type: type[D], oid: str) -> D:
        """The document ``oid``; a new one with that oid where there is none."""
        if oid in self.desk or self.holds(document_type, oid):
            return self.get(document_type, oid)
        return self.create(document_type, oid)

    def holds(self, document_type: type[Document], oid: str) -> bool:
        """Store half: whether the log holds a document of this type."""
        row = self.store.document(oid)
        return row is not None and row.kind == document_type.kind

    def as_type(self, document_type: type[D], document: Document) -> D:
        """The document, if it is of this type; else it is released, and LimError raised."""
        if isinstance(document, document_type):
            return document
        self.desk.let_go(document)
        raise LimError(f"This is a {document.kind!r}, not a {document_type.kind!r}.")

    def release(self, document: Document) -> None:
        """Say that a document got or created is no longer used here."""
        try:
            self.commit()
        finally:
            left = self.desk.let_go(document)
            if left is not None:
                self.put_away(document.oid, left)

    def put_away(self, oid: str, left: Left) -> None:
        """Store half: save a document that nobody uses any more."""
        with self.store.transaction():
            self.store.save_state(oid, left.state, left.position)
            if left.undo is not None:
                self.store.save_undo(oid, left.undo, left.position)

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
        rows = self.store.documents(self._types.keys() - self._hidden)
        return self._listed(rows)

    def newest(self, most: int, before: Bound = NO_BOUND) -> Page:
        """Store half: a page of the documents of the types, those that changed last first."""
        rows, after = self.store.newest(self._types.keys() - self._hidden, most, before)
        return Page(self._listed(rows), after)

    def _listed(self, rows: Iterable[DocumentRow]) -> list[Entry]:
        return [entry for row in rows if (entry := self._entry(row)) is not None]

    def _entry(self, row: DocumentRow) -> Entry | None:
        if row.summary is None or row.kind in self._hidden:
            return None
        try:
            summary = msgspec.json.decode(row.summary, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise StoreError(f"The note list is damaged: {error}") from error
        return Entry(row.oid, row.kind, summary, row.changed, row.newer)

    # The write path

    def commit(self) -> None:
        """Make everything written here durable.

        Raises StoreError; then it is kept, and the next commit tries again.
        """
        changes = self.close_change()
        if changes:
            self._finish(self.admit(changes))

    def receive(self, changes: Sequence[Change]) -> Outcome:
        """Admit changes from elsewhere.

        Raises StoreError; then none was admitted.
        """
        outcome = self.admit(changes, self.claim(changes))
        self._finish(outcome)
        return outcome

    def _finish(self, outcome: Outcome) -> None:
        entries = self.derive(self.settle(outcome))
        self.renew()
        self.on_entries(entries)

    def close_change(self) -> list[Change]:
        """Close the open change; returns all that the log does not hold yet, signed.

        Raises IdentityLocked; then it is kept.
        """
        self._writer.close()
        return self._writer.sign()

    def claim(self, changes: Sequence[Change]) -> str:
        """Document half: the replica that may get no changes from elsewhere, as this process writes as it.

        Where a running machine was copied, another may write as the same.  If nothing waits here, theirs is
        as good, and a new replica is taken; else ours is what this log holds, and theirs is set aside.
        """
        replica = self._writer.replica
        held = self.heads[replica].seq if replica in self.heads else 0
        if not any(change.replica == replica and change.seq > held for change in changes):
            return ""
        if self._writer.idle:
            self._writer.abandon()
            return ""
        return replica

    def admit(self, changes: Sequence[Change], ours: str = "") -> Outcome:
        """Store half: check and commit a batch; see ``claim`` for ``ours``.  Raises StoreError."""
        return self._admission.admit(changes, ours)

    def settle(self, outcome: Outcome) -> list[Summary]:
        """Document half: take a committed batch into the heads and the documents in use.

        Returns what ``derive`` has to bring up to date.
        """
        effects: dict[str, list[Effect]] = {}
        self._observe([new.change for new in outcome.entered])
        trusted = False
        for new in outcome.entered:
            change = new.change
            known = self.authors.get(change.replica)
            device = known.device if known else change.header.device
            self.authors[change.replica] = Author(device, change.header.end)
            self.heads[change.replica] = Head(change.seq, change.hash)
            self._pass_heads(change)
            self.count += 1
            self.position = new.position
            own = self._writer.uncommitted.pop(change.hash, None)
            trusted |= self._deliver(new, own is None, effects)
        for change in outcome.aside:
            self._writer.uncommitted.pop(change.hash, None)  # kept, if not where it was meant to be
        for new in outcome.revived:
            if new.body is not None:
                self.desk.outdate(new.body.oid, self.position)
            trusted |= self._hear(new)
        if self.trust is not None:
            for word in outcome.outside:
                trusted |= self.trust.hear(TrustWord(*word))
        if outcome.entered:
            self._digest.advanced({new.change.replica for new in outcome.entered})
        if trusted and self.trust is not None:
            self.trust.choose_epoch()
        self._announce(outcome, effects, trusted)
        read = [new.body.oid for new in (*outcome.revived, *outcome.entered) if new.body]
        summaries = [self.desk.summary(oid) for oid in dict.fromkeys(read)]
        self.desk.sweep()
        return summaries

    def _pass_heads(self, change: Change) -> None:
        for dep in change.header.deps:
            if self.heads[dep.replica].seq == dep.seq:
                self._frontier.discard(dep.replica)
        self._frontier.add(change.replica)

    @property
    def frontier(self) -> tuple[Dep, ...]:
        """The committed heads that are in no other change's causal past, in order of their replicas."""
        return tuple(Dep(replica, *self.heads[replica]) for replica in sorted(self._frontier))

    def _deliver(self, new: Entered, foreign: bool, effects: dict[str, list[Effect]]) -> bool:
        """Take one change into its document and the ledger; whether the ledger moved."""
        change, body = new.change, new.body
        if body is None:
            return False
        found = self.desk.deliver(self.position, change.header, body, foreign)
        if found:
            effects.setdefault(body.oid, []).extend(found)
        return self._hear(new)

    def _hear(self, new: Entered) -> bool:
        """Take one change into the ledger, if it is for that; whether the ledger moved."""
        change, body = new.change, new.body
        if body is None:
            return False
        if self.trust is None or body.kind not in TRUST_KINDS:
            return False
        return self.trust.take(TrustWord(change, self.authors[change.replica].device, body))

    def _observe(self, changes: list[Change]) -> None:
        foreign = [change for change in changes if change.hash not in self._writer.uncommitted]
        if foreign:
            self._writer.observe(foreign)

    def _announce(self, outcome: Outcome, effects: dict[str, list[Effect]], trusted: bool) -> None:
        for oid, found in effects.items():
            self.desk.tell(oid, found)
        if outcome.entered:
            changes = [new.change for new in outcome.entered]
            _call(self._listeners, changes)
        if trusted:
            self.tell_trust()

    def subscribe(self, listener: Callable[[list[Change]], None]) -> Callable[[], None]:
        """Call ``listener`` with every batch that entered the log, in order, once committed.

        Returns what ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # The store half: reading and deriving

    def load(self, oid: str) -> Loaded:
        """Read a document: its saved state, what the log holds beyond, and what can be undone in it.

        Raises LimError where there is none, or of a kind that is not among the types.
        """
        loaded = self._read(oid)
        history = self.store.undo(oid, self.device)
        if history:
            # It is of no use where it does not fit: where a backup was restored, say.
            with suppress(OperationError):
                loaded.document.load_history(history)
        return loaded

    def _read(self, oid: str) -> Loaded:
        row = self.store.document(oid)
        if row is None:
            raise LimError("This document is not here, or not yet.")
        if row.kind not in self._types:
            raise LimError(f"This is a {row.kind!r}, written by a newer version of the program.")
        state, position = self.store.state(oid)
        document = self._types[row.kind](oid, OpAuthor(UNNAMED))
        if state is not None:
            try:
                document.load(state)
            except OperationError:
                # Derived, so never worth failing for: replay the log from the start.
                document, position = self._types[row.kind](oid, OpAuthor(UNNAMED)), 0
        replayed = 0
        for admitted in self.store.changes_of(oid, position):
            self._replay(document, admitted.change)
            replayed += 1
        return Loaded(document, self.store.last_position(), replayed)

    def _replay(self, document: Document, change: Change) -> None:
        body = self._admission.read_body(change)
        if body is not None and body.kind == document.kind:
            header = change.header
            document.apply(header.clock, header.replica, body.ops, header.end)

    def derive(self, summaries: Iterable[Summary] | None = None) -> list[Entry]:
        """Bring the entries of these documents up to date, or of all that are behind.

        Raises StoreError; they stay marked as behind.
        """
        if summaries is None:
            summaries = [Summary(oid, None, 0, False) for oid in self.store.unlisted(self._types)]
        with self.store.transaction():
            if self.trust is not None:
                self.trust.remember_epoch()
            return [entry for summary in summaries if (entry := self._derive(summary)) is not None]

    def derive_some(self, most: int) -> tuple[list[Entry], bool]:
        """Store half: bring at most so many entries up to date; returns them, and whether there may be more.

        Raises StoreError; they stay marked as behind.
        """
        behind = self.store.unlisted(self._types, most)
        entries = self.derive([Summary(oid, None, 0, False) for oid in behind]) if behind else []
        return entries, len(behind) == most

    def renew(self) -> None:
        """Document half: let documents in use become what ``derive`` had to make of the log."""
        while self._made:
            made = self._made.pop()
            oid = made.document.oid
            self._writer.close()
            closed = [
                (c.header, self._admission.read_body(c)) for c in self._writer.uncommitted.values()
            ]
            own = [(header, body) for header, body in closed if body and body.oid == oid]
            effects = self.desk.renew(made, own)
            if effects:
                self.desk.tell(oid, effects)

    def _derive(self, summary: Summary) -> Entry | None:
        row = self.store.document(summary.oid)
        if row is None or row.kind not in self._types:
            return None
        if summary.text is None:
            document, position, replayed = made = self._read(summary.oid)
            if self.desk.is_stale(summary.oid):
                self._made.append(made)
            text = msgspec.json.encode(document.summary()).decode()
            summary = Summary(summary.oid, text, position, document.newer)
            if replayed >= SAVE_STATE_AFTER:
                self.store.save_state(summary.oid, document.encode(), position)
        self.store.save_summary(summary)
        if summary.undo is not None:
            self.store.save_undo(summary.oid, summary.undo, summary.listed)
        return self._entry(row._replace(summary=summary.text, newer=summary.newer))

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log in order of arrival; see ``Store.read``."""
        return self.store.read(ranges, changes, octets)

    def unshown(self) -> int:
        """Store half: how many changes are kept and passed on, and wait for a newer version or a key."""
        return self.store.unshown(self._types)

    def rebuild(self) -> list[Entry]:
        """Make all derived state again from the log."""
        self._admission.read_again()
        self.store.forget_derived()
        return self.derive()

    # What was set aside

    def aside(self) -> list[Aside]:
        """Store half: the changes that contradict the log, and were not issued again yet."""
        return self.reissue.plan().listed

    def issue_again(self) -> int:
        """Write again what was set aside, as new changes; returns in how many documents.

        Raises StoreError; then what was written waits to be committed like all that is written here.
        """
        self.commit()  # else what waits might be issued twice
        plan = self.reissue.plan()
        documents: dict[str, Document] = {}
        try:
            for kind, oid in plan.documents():
                documents[oid] = self.ensure(kind, oid)
            self.reissue.issue(plan, documents, self.create(Issued))
            self.commit()
        finally:
            for document in documents.values():
                with suppress(StoreError):  # said by the commit
                    self.release(document)
        return len(documents)

    # Keys and members

    @property
    def keys(self) -> LibraryKeys:
        """What seals and opens the library's changes.  Only with an identity."""
        return self._keyed.keys

    @property
    def ledger(self) -> Ledger:
        """Which devices are members, by what was committed.  Only with an identity."""
        return self._keyed.ledger

    @property
    def _keyed(self) -> Library:
        assert self.trust is not None, "this database was opened without an identity"
        return self.trust

    def subscribe_trust(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` whenever the ledger may say something else; returns what ends it."""
        self._trusting.append(listener)
        return lambda: self._trusting.remove(listener)

    def tell_trust(self) -> None:
        """Call who listens to the ledger."""
        _call(self._trusting)

    def read_trust(self) -> list[TrustWord]:
        """Store half: all changes on trust documents, in order."""
        words: dict[int, TrustWord] = {}
        for row in self.store.documents(TRUST_KINDS if self.trust else ()):
            for position, change in self.store.changes_of(row.oid, 0):
                body = self._admission.read_body(change)
                if body is not None and body.kind == row.kind:
                    device = self.authors[change.replica].device
                    words[position] = TrustWord(change, device, body)
        return [words[position] for position in sorted(words)]

    def begin_trust(self, words: list[TrustWord]) -> None:
        """Document half: fill the ledger with what ``read_trust`` found."""
        if self.trust is not None and not self.trust.loaded:
            self.trust.begin_with(words)
            self.tell_trust()

    def grant(self, joiner: str = "") -> Grant:
        """All that the device ``joiner`` needs to become a member of this library."""
        return self._keyed.grant(joiner)

    def take_on(self, grant: Grant) -> None:
        """Become a member of another library; what this database held is dropped.

        Of the own library, take only the keys that are missing.

        Raises LimError where documents are in use, or the grant is not for this device.
        """
        self.begin_trust(self.adopt(grant))

    def adopt(self, grant: Grant) -> list[TrustWord]:
        """Store half of ``take_on``: returns what ``begin_trust`` needs."""
        assert self._identity is not None, "this database was opened without an identity"
        if self.desk or not self._writer.idle:
            raise LimError("Notes are still open here. Close them, then pair once more.")
        take_on(self.store, self._identity, grant, self._entropy)
        self._begin()
        self._admission.read_again()  # the grant may have brought keys that were missing
        return self.read_trust()

    def copy_to(self, path: str | Path) -> None:
        """Write a copy of all that is committed into a new file.  Raises StoreError."""
        self.store.copy_to(path)


def _call(listeners: Sequence[Callable[..., None]], *arguments: object) -> None:
    """Call all listeners, also after one of them fails: the batch is committed for everybody."""
    for listener in list(listeners):
        try:
            listener(*arguments)
        except Exception:
            _log.exception("a listener failed")
