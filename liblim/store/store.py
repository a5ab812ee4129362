"""The log and the derived state of one library: every SQL statement stands here.

All methods are synchronous and meant for one thread; ``AsyncDatabase`` gives them one of their own.
Positions number the log's changes from 1 in order of arrival, which is a causal order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import apsw
import msgspec

from liblim.change import Change, Dep, Head, Header, Range
from liblim.store.connection import errors_in_words, open_connection, open_shared


class ReplicaRow(NamedTuple):
    """What a log holds of one replica: its device, its head, and the last counter that it took."""

    device: str
    head: Head
    end: int


class Admitted(NamedTuple):
    """A change with its position in the log."""

    position: int
    change: Change


class Fresh(NamedTuple):
    """What other processes wrote to a log: changes in order, hashes set aside (with the device), receipts."""

    changes: Sequence[Admitted] = ()
    aside: Mapping[bytes, str] = MappingProxyType({})
    receipts: Sequence[bytes] = ()


class DocumentRow(NamedTuple):
    """A document as the derived state knows it; ``summary`` is JSON, ``changed`` Unix ms.

    ``last`` is the position of the last change on it, ``listed`` of the last that the summary has seen.
    """

    oid: str
    kind: str
    changed: int
    last: int
    listed: int
    summary: str | None
    newer: bool


class Bound(NamedTuple):
    """A place in the list of all documents by when they changed: Unix ms, and a number among equals."""

    changed: int
    number: int


NO_BOUND = Bound(2**63 - 1, 0)
"""Before this stand all documents."""


class Summary(NamedTuple):
    """What lists show of a document, as JSON, having seen the log up to ``listed``.

    ``text`` is ``None`` where it is still to be made.  ``undo`` is what can be undone in it, where that is
    to be saved.
    """

    oid: str
    text: str | None
    listed: int
    newer: bool
    undo: bytes | None = None


_CHANGE = """
    SELECT c.position, r.replica, r.device, c.seq, coalesce(p.hash, r.salt), c.deps, c.clock, c.n, c.at,
           e.name, c.signature, c.body, c.body_hash, c.hash
    FROM changes c JOIN replicas r ON r.id = c.replica JOIN epoch_names e ON e.id = c.epoch
    LEFT JOIN changes p ON p.replica = c.replica AND p.seq = c.seq - 1
"""
_DOCUMENT = "SELECT oid, kind, changed, last, listed, summary, newer FROM documents"
_decode_change = msgspec.json.Decoder(Change).decode
_decode_deps = msgspec.json.Decoder(tuple[Dep, ...]).decode


class Store:
    """One library's database file, open in this process, and locked unless it is shared.

    Every method may raise StoreError; a failed transaction leaves the file as it was.
    """

    def __init__(self, path: str | Path, *, shared: bool = False) -> None:
        """Open or create the file (``:memory:`` for none); ``shared`` lets other processes read it.

        Raises StoreTooNew, StoreReadOnly, StoreBusy or StoreError.
        """
        self.path = path
        self._db: apsw.Connection = (open_shared if shared else open_connection)(path)
        query = "SELECT replica, id FROM replicas"
        self._ids: dict[str, int] = dict(self._db.execute(query))
        self._new: list[str] = []
        """The replicas of the transaction that is open."""

    def close(self) -> None:
        """Check-point and close the file."""
        with errors_in_words(self.path):
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes in one go, durably, or not at all."""
        ids, self._new = self._ids, []
        try:
            with errors_in_words(self.path), self._db:
                yield
        except BaseException:
            # What was written is gone; nothing is read for that, as the disk may not let us.
            if self._ids is ids:
                for replica in self._new:
                    del ids[replica]
            self._ids = ids
            raise

    def probe(self) -> None:
        """Write something of no meaning, to see whether the disk takes it."""
        self.set_fact("probe", "")

    # Facts: single values by name

    def fact(self, name: str) -> str | None:
        """The value kept under ``name``."""
        with errors_in_words(self.path):
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_fact(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``."""
        with errors_in_words(self.path):
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # The log

    def replicas(self) -> dict[str, ReplicaRow]:
        """All replicas of the log, by id."""
        with errors_in_words(self.path):
            rows = self._db.execute("SELECT replica, device, seq, hash, end FROM replicas")
            return {r: ReplicaRow(d, Head(seq, hash), end) for r, d, seq, hash, end in rows}

    def frontier(self) -> set[str]:
        """The replicas whose head is in no other change's causal past."""
        query = "SELECT r.replica FROM frontier JOIN replicas r ON r.id = frontier.replica"
        with errors_in_words(self.path):
            return {row[0] for row in self._db.execute(query)}

    def last_position(self) -> int:
        """The position of the last change, 0 where there is none."""
        with errors_in_words(self.path):
            return int(self._db.execute("SELECT coalesce(max(position), 0) FROM changes").get)

    def append(self, change: Change) -> int:
        """Add a change that was found admissible; returns its position.  Within a transaction."""
        header = change.header
        replica = self._advance(change)
        deps = msgspec.json.encode(header.deps) if header.deps else None
        values = (
            *(replica, header.seq, change.hash, deps, header.clock, header.n, header.at),
            *(change.signature, change.body),
            header.body if change.body is None else None,
        )
        self._db.execute("INSERT OR IGNORE INTO epoch_names (name) VALUES (?)", (header.epoch,))
        self._db.execute(
            "INSERT INTO changes (replica, seq, hash, deps, clock, n, at, signature, body, body_hash,"
            " epoch) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, id FROM epoch_names WHERE name = ?",
            (*values, header.epoch),
        )
        position = self._db.last_insert_rowid()
        passed = [self._ids[dep.replica] for dep in header.deps]
        self._db.executemany(
            "DELETE FROM frontier WHERE replica = ? AND "
            "(SELECT seq FROM replicas WHERE id = frontier.replica) = ?",
            [(row, dep.seq) for row, dep in zip(passed, header.deps, strict=True)],
        )
        self._db.execute("INSERT OR IGNORE INTO frontier VALUES (?)", (replica,))
        return position

    def _advance(self, change: Change) -> int:
        header = change.header
        known = self._ids.get(header.replica)
        if known is not None:
            self._db.execute(
                "UPDATE replicas SET seq = ?, hash = ?, end = ? WHERE id = ?",
                (header.seq, change.hash, header.end, known),
            )
            return known
        self._db.execute(
            "INSERT INTO replicas (replica, device, salt, seq, hash, end) VALUES (?, ?, ?, ?, ?, ?)",
            (header.replica, header.device, header.prev, header.seq, change.hash, header.end),
        )
        self._ids[header.replica] = row = self._db.last_insert_rowid()
        self._new.append(header.replica)
        return row

    def history(self, after: int, most: int) -> list[Admitted]:
        """The changes behind a position, in order, at most so many."""
        query = f"{_CHANGE} WHERE c.position > ? ORDER BY c.position LIMIT ?"
        with errors_in_words(self.path):
            rows = self._db.execute(query, (after, most))
            return [Admitted(row[0], _change(row)) for row in rows]

    def octets(self) -> int:
        """Bytes that the file takes, without what is not in use of it."""
        with errors_in_words(self.path):
            pages, free, each = (
                int(self._db.execute(f"PRAGMA {name}").get)
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * each

    def unread(self) -> list[Admitted]:
        """The changes with a body that is about no document yet: it could not be read."""
        query = (
            f"{_CHANGE} LEFT JOIN touches t ON t.position = c.position "
            "WHERE t.position IS NULL AND c.body IS NOT NULL ORDER BY c.position"
        )
        with errors_in_words(self.path):
            return [Admitted(row[0], _change(row)) for row in self._db.execute(query)]

    def unshown(self, kinds: Iterable[str]) -> int:
        """How many changes could not be read, or are about documents of other kinds than these."""
        marks = list(kinds)
        query = (
            "SELECT count(*) FROM changes c LEFT JOIN touches t ON t.position = c.position "
            "LEFT JOIN documents d ON d.id = t.document WHERE c.body IS NOT NULL "
            f"AND coalesce(d.kind NOT IN ({', '.join('?' * len(marks))}), 1)"
        )
        with errors_in_words(self.path):
            return int(self._db.execute(query, marks).get)

    def fresh(self) -> Fresh:
        """What other processes wrote since: nothing, as one process alone has the file for writing."""
        return Fresh()

    def set_aside(self, change: Change, device: str, reason: str) -> None:
        """Keep a change by ``device`` that contradicts the log, out of the way.  Within a transaction."""
        self._db.execute(
            "INSERT OR IGNORE INTO aside (hash, change, device, reason) VALUES (?, ?, ?, ?)",
            (change.hash, msgspec.json.encode(change), device, reason),
        )

    def aside(self) -> dict[bytes, str]:
        """The hashes of the changes that were set aside, each with the device that wrote it."""
        with errors_in_words(self.path):
            return dict(self._db.execute("SELECT hash, device FROM aside"))

    def changes_aside(self) -> list[tuple[Change, str, str]]:
        """The changes that were set aside, each with the device that wrote it, and why."""
        with errors_in_words(self.path):
            rows: list[Any] = self._db.execute(
                "SELECT change, device, reason FROM aside"
            ).fetchall()
        return [(_decode_change(change), device, reason) for change, device, reason in rows]

    def lookup(self, replica: str, seq: int) -> tuple[bytes, int] | None:
        """The hash and last counter of one change of the log."""
        row = self._db.execute(
            "SELECT hash, clock + n - 1 FROM changes WHERE replica = ? AND seq = ?",
            (self._ids.get(replica), seq),
        ).fetchone()
        return (row[0], row[1]) if row else None

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """The first of the changes in ``ranges`` that the log holds, in order of arrival.

        At most ``changes`` of them, and none more once their bodies come to ``octets`` bytes.
        """
        with errors_in_words(self.path):
            found: list[Change] = []
            for row in self._rows_in(ranges, changes):
                found.append(_change(row))
                octets -= len(found[-1].body or b"")
                if octets <= 0 or len(found) == changes:
                    break
            return found

    def _rows_in(self, ranges: Sequence[Range], limit: int) -> Iterator[Any]:
        bounds = [(self._ids[r.replica], r.first, r.last) for r in ranges if r.replica in self._ids]
        if sum(last - first + 1 for _, first, last in bounds) <= limit:
            one = f"{_CHANGE} WHERE c.replica = ? AND c.seq BETWEEN ? AND ?"
            yield from sorted(row for bound in bounds for row in self._db.execute(one, bound))
            return
        # Many: the log itself is in the order wanted; only what comes before is passed over.
        query = "SELECT min(position) FROM changes WHERE replica = ? AND seq >= ?"
        starts = [self._db.execute(query, bound[:2]).get for bound in bounds]
        start = min((position for position in starts if position is not None), default=None)
        if start is None:
            return
        wanted = {self._named(row): (first, last) for row, first, last in bounds}
        for row in self._db.execute(f"{_CHANGE} WHERE c.position >= ? ORDER BY 1", (start,)):
            first, last = wanted.get(row[1], (1, 0))
            if first <= row[3] <= last:
                yield row

    def _named(self, row: int) -> str:
        return str(self._db.execute("SELECT replica FROM replicas WHERE id = ?", (row,)).get)

    # Derived: documents and what changed them

    def touch(
        self, position: int, oid: str, kind: str, at: int, *, kind_holds: bool = False
    ) -> None:
        """Note that the change at ``position`` is about document ``oid``.

        A document's kind is what its first change said, unless ``kind_holds`` for a later one.
        """
        if kind_holds:
            self._db.execute(
                "UPDATE documents SET kind = ?, listed = 0 WHERE oid = ? AND kind <> ?",
                (kind, oid, kind),
            )
            if self._db.changes():
                self.forget_state(oid)
        self._db.execute(
            "INSERT INTO documents (oid, kind, changed, last) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (oid) DO UPDATE SET changed = max(changed, excluded.changed), "
            "last = max(last, excluded.last)",
            (oid, kind, at, position),
        )
        self._db.execute(
            "INSERT INTO touches SELECT id, ? FROM documents WHERE oid = ?", (position, oid)
        )

    def document(self, oid: str) -> DocumentRow | None:
        """One document's row."""
        with errors_in_words(self.path):
            row = self._db.execute(f"{_DOCUMENT} WHERE oid = ?", (oid,)).fetchone()
        return _document(row) if row else None

    def documents(self, kinds: Iterable[str]) -> list[DocumentRow]:
        """All documents of these kinds."""
        marks = list(kinds)
        query = f"{_DOCUMENT} WHERE kind IN ({', '.join('?' * len(marks))})"
        with errors_in_words(self.path):
            return [_document(row) for row in self._db.execute(query, marks)]

    def newest(
        self, kinds: Iterable[str], most: int, before: Bound = NO_BOUND
    ) -> tuple[list[DocumentRow], Bound | None]:
        """``most`` documents of these kinds, those that changed last first, from ``before`` on.

        Returns them, and before what the next ones stand; ``None`` where these were the last.
        """
        marks = list(kinds)
        query = (
            f"{_DOCUMENT.replace('SELECT', 'SELECT id,')} "
            f"WHERE (changed, id) < (?, ?) AND kind IN ({', '.join('?' * len(marks))}) "
            "ORDER BY changed DESC, id DESC LIMIT ?"
        )
        with errors_in_words(self.path):
            rows: list[Any] = self._db.execute(query, (*before, *marks, most)).fetchall()
        found = [_document(row[1:]) for row in rows]
        more = len(rows) == most
        return found, Bound(found[-1].changed, int(rows[-1][0])) if more else None

    def unlisted(self, kinds: Iterable[str], most: int = -1) -> list[str]:
        """The documents of these kinds with changes that their summary has not seen; ``most``, or all."""
        marks = list(kinds)
        query = (
            "SELECT oid FROM documents WHERE listed < last "
            f"AND kind IN ({', '.join('?' * len(marks))}) LIMIT ?"
        )
        with errors_in_words(self.path):
            return [str(row[0]) for row in self._db.execute(query, (*marks, most))]

    def state(self, oid: str) -> tuple[bytes | None, int]:
        """A document's last saved state and the position that it has seen."""
        query = (
            "SELECT s.state, s.position FROM documents d JOIN states s ON s.document = d.id "
            "WHERE d.oid = ?"
        )
        with errors_in_words(self.path):
            row = self._db.execute(query, (oid,)).fetchone()
        return (row[0], row[1]) if row else (None, 0)

    def changes_of(self, oid: str, after: int) -> Iterator[Admitted]:
        """The changes on one document that came after a position, in order."""
        query = _CHANGE + (
            "JOIN touches t ON t.position = c.position "
            "WHERE t.document = (SELECT id FROM documents WHERE oid = ?) AND t.position > ? "
            "ORDER BY t.position"
        )
        with errors_in_words(self.path):
            row: Any
            for row in self._db.execute(query, (oid, after)):
                yield Admitted(row[0], _change(row))

    def save_summary(self, summary: Summary) -> None:
        """Keep what lists show of a document."""
        with errors_in_words(self.path):
            self._db.execute(
                "UPDATE documents SET summary = ?, listed = ?, newer = ? WHERE oid = ?",
                (summary.text, summary.listed, summary.newer, summary.oid),
            )

    def save_state(self, oid: str, state: bytes, position: int) -> None:
        """Keep a document's state, having seen the log up to ``position``."""
        with errors_in_words(self.path):
            self._db.execute(
                "INSERT OR REPLACE INTO states SELECT id, ?, ? FROM documents WHERE oid = ?",
                (position, state, oid),
            )

    def forget_state(self, oid: str) -> None:
        """Drop a document's state and summary; they are made again from the log."""
        self._db.execute("UPDATE documents SET listed = 0 WHERE oid = ?", (oid,))
        self._db.execute(
            "DELETE FROM states WHERE document = (SELECT id FROM documents WHERE oid = ?)", (oid,)
        )

    def forget_derived(self) -> None:
        """Drop all states and summaries; they are made again from the log."""
        with self.transaction():
            self._db.execute("UPDATE documents SET listed = 0, newer = 0")
            self._db.execute("DELETE FROM states")

    def forget_gaps(self) -> None:
        """Mark summaries as behind that had to pass something over.  Within a transaction."""
        self._db.execute("UPDATE documents SET listed = 0 WHERE newer")

    # Undo: what this device alone keeps of a document

    def undo(self, oid: str, device: str) -> bytes | None:
        """What can be undone in a document, unless ``device``, this one, wrote in it since that was saved."""
        query = (
            "SELECT u.history FROM documents d JOIN undo u ON u.document = d.id "
            "WHERE d.oid = ? AND NOT EXISTS ("
            "SELECT 1 FROM touches t JOIN changes c ON c.position = t.position "
            "JOIN replicas r ON r.id = c.replica "
            "WHERE t.document = d.id AND t.position > u.position AND r.device = ?)"
        )
        with errors_in_words(self.path):
            row = self._db.execute(query, (oid, device)).fetchone()
        return row[0] if row else None

    def save_undo(self, oid: str, history: bytes, position: int) -> None:
        """Keep what can be undone in a document, having seen the log up to ``position``."""
        with errors_in_words(self.path):
            if history:
                self._db.execute(
                    "INSERT OR REPLACE INTO undo SELECT id, ?, ? FROM documents WHERE oid = ?",
                    (position, history, oid),
                )
            else:
                self._db.execute(
                    "DELETE FROM undo WHERE document = (SELECT id FROM documents WHERE oid = ?)",
                    (oid,),
                )

    def trim_undo(self, most: int) -> None:
        """Keep what can be undone only of the documents last written in."""
        with errors_in_words(self.path):
            self._db.execute(
                "DELETE FROM undo WHERE position <= "
                "(SELECT position FROM undo ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (most,),
            )

    # Keys

    def epochs(self) -> list[bytes]:
        """The keys of all epochs."""
        with errors_in_words(self.path):
            return [row[0] for row in self._db.execute("SELECT key FROM epochs")]

    def save_epoch(self, key: bytes) -> bool:
        """Keep an epoch's key; whether it is new."""
        with errors_in_words(self.path):
            self._db.execute("INSERT OR IGNORE INTO epochs VALUES (?)", (key,))
            return bool(self._db.changes())

    def certificates(self) -> list[tuple[bytes, bool]]:
        """All known certificates, and whether each was a member's when this library was joined."""
        with errors_in_words(self.path):
            rows = self._db.execute("SELECT certificate, member FROM certificates ORDER BY device")
            return [(certificate, bool(member)) for certificate, member in rows]

    def save_certificate(self, device: str, certificate: bytes, member: bool = False) -> None:
        """Keep a device's certificate."""
        with errors_in_words(self.path):
            self._db.execute(
                "INSERT INTO certificates VALUES (?, ?, ?) "
                "ON CONFLICT (device) DO UPDATE SET member = max(member, excluded.member)",
                (device, certificate, member),
            )

    def begin_anew(self) -> None:
        """Forget the log, the keys, and all that was derived.  Within a transaction."""
        for table in (
            *("undo", "states", "touches", "documents", "frontier", "aside", "changes"),
            *("replicas", "epochs", "epoch_names", "certificates", "receipts", "peers"),
        ):
            self._db.execute(f"DELETE FROM {table}")
        self._ids, self._new = {}, []

    def copy_to(self, path: str | Path) -> None:
        """Write a copy of the whole database into a new file."""
        with errors_in_words(path):
            Path(path).touch(mode=0o600, exist_ok=False)  # SQLite would let everybody read it
            self._db.execute("VACUUM INTO ?", (str(path),))

    # Receipts: what others hold

    def receipts(self) -> list[tuple[bytes, int]]:
        """What is kept of each device, with the position of the log at that time."""
        with errors_in_words(self.path):
            rows = self._db.execute("SELECT kept, position FROM receipts ORDER BY device")
            return [(kept, position) for kept, position in rows]

    def save_receipt(self, device: str, kept: bytes, position: int) -> None:
        """Keep what was heard of a device."""
        with errors_in_words(self.path):
            row = device, kept, position
            self._db.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)", row)

    def forget_receipt(self, device: str) -> None:
        """Drop what was heard of a device."""
        with errors_in_words(self.path):
            self._db.execute("DELETE FROM receipts WHERE device = ?", (device,))

    def first_after(self, position: int) -> dict[str, int]:
        """Of each replica the first change that came after a position."""
        query = (
            "SELECT r.replica, min(c.seq) FROM changes c JOIN replicas r ON r.id = c.replica "
            "WHERE c.position > ? GROUP BY c.replica"
        )
        with errors_in_words(self.path):
            return dict(self._db.execute(query, (position,)))

    def last_of(self, oid: str) -> dict[str, int]:
        """Of each replica the last change on a document."""
        query = (
            "SELECT r.replica, max(c.seq) FROM documents d JOIN touches t ON t.document = d.id "
            "JOIN changes c ON c.position = t.position JOIN replicas r ON r.id = c.replica "
            "WHERE d.oid = ? GROUP BY c.replica"
        )
        with errors_in_words(self.path):
            return dict(self._db.execute(query, (oid,)))

    def walk_back(
        self, position: int, most: int
    ) -> Iterator[tuple[int, str, int, tuple[Dep, ...]]]:
        """Changes from a position backwards, at most so many: position, replica, seq, deps."""
        query = (
            "SELECT c.position, r.replica, c.seq, c.deps FROM changes c "
            "JOIN replicas r ON r.id = c.replica WHERE c.position <= ? "
            "ORDER BY c.position DESC LIMIT ?"
        )
        with errors_in_words(self.path):
            row: Any
            for row in self._db.execute(query, (position, most)):
                yield row[0], row[1], row[2], _decode_deps(row[3]) if row[3] else ()

    # Peers: what this device alone knows of the others

    def peers(self) -> list[bytes]:
        """All peer records, as they were saved."""
        with errors_in_words(self.path):
            return [row[0] for row in self._db.execute("SELECT record FROM peers ORDER BY device")]

    def save_peer(self, device: str, record: bytes) -> None:
        """Keep a peer record."""
        with errors_in_words(self.path):
            self._db.execute("INSERT OR REPLACE INTO peers VALUES (?, ?)", (device, record))

    def forget_peer(self, device: str) -> None:
        """Drop a peer record."""
        with errors_in_words(self.path):
            self._db.execute("DELETE FROM peers WHERE device = ?", (device,))


def _document(row: Any) -> DocumentRow:
    oid, kind, changed, last, listed, summary, newer = row
    return DocumentRow(oid, kind, changed, last, listed, summary, bool(newer))


def _change(row: Any) -> Change:
    _, replica, device, seq, prev, deps, clock, n, at, epoch, signature, body, body_hash, own = row
    header = Header(
        replica=replica,
        seq=seq,
        prev=prev or b"",
        deps=_decode_deps(deps) if deps else (),
        clock=clock,
        n=n,
        at=at,
        epoch=epoch,
        device=device if seq == 1 else "",
        body=sha256(body).digest() if body_hash is None else body_hash,
    )
    change = Change(header, signature, body)
    change.__dict__["hash"] = own  # computed when it was admitted
    return change
