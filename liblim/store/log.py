"""The log of changes, and the file that it is in.

Positions number the log's changes from 1 in order of arrival, which is a causal order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import apsw
import msgspec

from liblim.change import Change, Dep, Head, Header, Range
from liblim.store.connection import errors_in_words, open_connection, open_shared, transaction


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


CHANGE = """
    SELECT c.position, r.replica, r.device, c.seq, coalesce(p.hash, r.salt), c.deps, c.clock, c.n, c.at,
           e.name, c.signature, c.body, c.body_hash, c.hash
    FROM changes c JOIN replicas r ON r.id = c.replica JOIN epoch_names e ON e.id = c.epoch
    LEFT JOIN changes p ON p.replica = c.replica AND p.seq = c.seq - 1
"""
_decode_change = msgspec.json.Decoder(Change).decode
_decode_deps = msgspec.json.Decoder(tuple[Dep, ...]).decode


class Log:
    """A database file, open in this process, and locked unless it is shared, and the log in it."""

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
            with errors_in_words(self.path), transaction(self._db):
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

    def copy_to(self, path: str | Path) -> None:
        """Write a copy of the whole database into a new file."""
        with errors_in_words(path):
            Path(path).touch(mode=0o600, exist_ok=False)  # SQLite would let everybody read it
            self._db.execute("VACUUM INTO ?", (str(path),))

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

    def fresh(self) -> Fresh:
        """What other processes wrote since: nothing, as one process alone has the file for writing."""
        return Fresh()

    def history(self, after: int, most: int) -> list[Admitted]:
        """The changes behind a position, in order, at most so many."""
        query = f"{CHANGE} WHERE c.position > ? ORDER BY c.position LIMIT ?"
        with errors_in_words(self.path):
            rows = self._db.execute(query, (after, most))
            return [Admitted(row[0], change_of(row)) for row in rows]

    def octets(self) -> int:
        """Bytes that the file takes, without what is not in use of it."""
        with errors_in_words(self.path):
            pages, free, each = (
                int(self._db.execute(f"PRAGMA {name}").get)
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * each

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
                found.append(change_of(row))
                octets -= len(found[-1].body or b"")
                if octets <= 0 or len(found) == changes:
                    break
            return found

    def _rows_in(self, ranges: Sequence[Range], limit: int) -> Iterator[Any]:
        bounds = [(self._ids[r.replica], r.first, r.last) for r in ranges if r.replica in self._ids]
        if sum(last - first + 1 for _, first, last in bounds) <= limit:
            one = f"{CHANGE} WHERE c.replica = ? AND c.seq BETWEEN ? AND ?"
            yield from sorted(row for bound in bounds for row in self._db.execute(one, bound))
            return
        # Many: the log itself is in the order wanted; only what comes before is passed over.
        query = "SELECT min(position) FROM changes WHERE replica = ? AND seq >= ?"
        starts = [self._db.execute(query, bound[:2]).get for bound in bounds]
        start = min((position for position in starts if position is not None), default=None)
        if start is None:
            return
        wanted = {self._named(row): (first, last) for row, first, last in bounds}
        for row in self._db.execute(f"{CHANGE} WHERE c.position >= ? ORDER BY 1", (start,)):
            first, last = wanted.get(row[1], (1, 0))
            if first <= row[3] <= last:
                yield row

    def _named(self, row: int) -> str:
        return str(self._db.execute("SELECT replica FROM replicas WHERE id = ?", (row,)).get)

    def first_after(self, position: int) -> dict[str, int]:
        """Of each replica the first change that came after a position."""
        query = (
            "SELECT r.replica, min(c.seq) FROM changes c JOIN replicas r ON r.id = c.replica "
            "WHERE c.position > ? GROUP BY c.replica"
        )
        with errors_in_words(self.path):
            return dict(self._db.execute(query, (position,)))

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


def change_of(row: Any) -> Change:
    """The change in a row that ``CHANGE`` gave."""
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
