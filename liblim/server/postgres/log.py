"""The log of one library in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from typing import Any, LiteralString, NamedTuple, TypeVar

import msgspec

from liblim.change import Change, Dep, Head, Header, Range
from liblim.errors import StoreError
from liblim.server.postgres.pool import Connection, Pool
from liblim.server.stores import StoreWentBack
from liblim.store import Admitted, Fresh, ReplicaRow

ROW_OCTETS = 300
"""What a change takes beside its body, with its share of the indexes: roughly."""

R = TypeVar("R")

_REMOVED = "The library was removed from this server."
_COUNTERS = "SELECT last, tick, octets FROM libraries WHERE number = %s"
_OPEN = """
    SELECT l.number, l.last, l.tick, l.octets, r.replica, r.device, r.seq, r.hash, r.ends
    FROM libraries l LEFT JOIN replicas r ON r.library = l.number WHERE l.library = %s
"""
_COLUMNS = "replica, seq, hash, prev, deps, clock, n, at, epoch, device, signature, body"
_CHANGE = f"SELECT position, {_COLUMNS} FROM changes WHERE library = %s AND"
_FEW = """
    SELECT c.position, octet_length(c.body)
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) w (replica, first, last)
    JOIN changes c ON c.replica = w.replica AND c.seq BETWEEN w.first AND w.last
    WHERE c.library = %s AND c.position <= %s ORDER BY c.position
"""
_SLICE = """
    WITH slice AS MATERIALIZED (
        SELECT position, replica, seq, octet_length(body) AS size FROM changes
        WHERE library = %s AND position BETWEEN %s AND %s)
    SELECT s.position, s.size
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) w (replica, first, last)
    JOIN slice s ON s.replica = w.replica AND s.seq BETWEEN w.first AND w.last
    ORDER BY s.position LIMIT %s
"""
_START = """
    SELECT min(c.position) FROM unnest(%s::bigint[], %s::bigint[]) w (replica, first)
    JOIN changes c ON c.library = %s AND c.replica = w.replica AND c.seq = w.first
"""
_APPEND = f"""
    INSERT INTO changes (library, position, {_COLUMNS})
    VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
"""
_BEGIN_REPLICA = """
    INSERT INTO replicas (device, seq, hash, ends, library, replica) VALUES (%b, %b, %b, %b, %b, %b)
"""
_ADVANCE = "UPDATE replicas SET seq = %b, hash = %b, ends = %b WHERE library = %b AND replica = %b"
_ASIDE = "INSERT INTO aside VALUES (%b, %b, %b, %b, %b, %b) ON CONFLICT DO NOTHING"
_RECEIPT = """
    INSERT INTO receipts VALUES (%b, %b, %b, %b, %b) ON CONFLICT (library, device)
    DO UPDATE SET kept = excluded.kept, position = excluded.position, tick = excluded.tick
"""
_COUNT = "UPDATE libraries SET last = %b, tick = %b, octets = %b WHERE number = %b"
_ONE = f"WITH counted AS ({_COUNT}), advanced AS ({_ADVANCE}) {_APPEND}"
"""One change of a known replica, as when somebody types: the same three, in one."""

_encode = msgspec.json.Encoder().encode
_decode_deps = msgspec.json.Decoder(tuple[Dep, ...]).decode


class Counters(NamedTuple):
    """How far a library is: the position of its last change, what was kept beside changes, and its size."""

    last: int
    tick: int
    octets: int


class _Batch:
    """What a transaction has written so far: PostgreSQL is told of it in one go, at its end."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self.connection = connection
        self.locked = counters
        self.changes: list[Change] = []
        self.begun: dict[str, Change] = {}
        self.known: dict[tuple[str, int], tuple[bytes, int]] = {}
        self.aside: list[tuple[bytes, bytes, str, str]] = []
        self.receipts: dict[str, tuple[bytes, int]] = {}

    @property
    def counters(self) -> Counters:
        """The counters when it is committed."""
        last, tick, octets = self.locked
        octets += sum(ROW_OCTETS + len(change.body or b"") for change in self.changes)
        octets += sum(len(packed) for _, packed, *_ in self.aside)
        beside = bool(self.aside or self.receipts)
        return Counters(last + len(self.changes), tick + beside, octets)


class PostgresLog:
    """A ``Log``: see there.  A transaction locks the row of its library, from its begin to its commit."""

    def __init__(
        self,
        pool: Pool,
        library: str,
        written: Callable[[str], None],
        closed: Callable[[PostgresLog], None],
    ) -> None:
        """Open the log of a library; ``written`` is told of it after each commit, ``closed`` at the end.

        Raises StoreError.
        """
        self.library = library
        self._pool = pool
        self._written = written
        self._closed = closed
        self._batch: _Batch | None = None
        rows: list[Any] = pool.run(lambda db: db.execute(_OPEN, (library,)).fetchall())
        if not rows:
            raise StoreError("This server does not have that library.")
        # What this process has seen, in one look: what comes after is told by `fresh`.
        self._number = rows[0][0]
        self._seen = Counters(*rows[0][1:4])
        self._replicas = {
            read_replica(replica): ReplicaRow(device, Head(seq, hash), ends)
            for *_, replica, device, seq, hash, ends in rows
            if replica is not None
        }

    def close(self) -> None:
        """Let go of it."""
        self._closed(self)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes in one go, durably, or not at all.

        Where the answer to the commit is lost, what was written may be there: ``fresh`` tells.
        """
        assert self._batch is None, "transactions of a log do not nest"
        with self._pool.transaction(self._begin) as (connection, counters):
            self._batch = batch = _Batch(connection, counters)
            try:
                yield
                self._commit(batch)
            finally:
                self._batch = None
        if batch.counters != batch.locked:
            self._written(self.library)

    def _begin(self, connection: Connection) -> Counters:
        cursor = connection.execute(f"BEGIN; {_COUNTERS % self._number} FOR NO KEY UPDATE")
        cursor.nextset()
        return _counters(cursor.fetchall())

    def _commit(self, batch: _Batch) -> None:
        statements = list(self._statements(batch))
        # In one go; but to begin that costs more than to wait for one answer.
        with batch.connection.pipeline() if len(statements) > 1 else nullcontext():
            for query, values in statements:
                batch.connection.execute(query, values)
            batch.connection.execute("COMMIT")
        if self._seen[:2] == batch.locked[:2]:
            self._see(batch.changes, batch.counters)

    def _see(self, changes: Iterable[Change], counters: Counters) -> None:
        """Take note of all that there is up to these counters."""
        for change in changes:
            header, before = change.header, self._replicas.get(change.replica)
            device = before.device if before is not None else header.device
            head = Head(change.seq, change.hash)
            self._replicas[change.replica] = ReplicaRow(device, head, header.end)
        self._seen = counters

    def _statements(self, batch: _Batch) -> Iterator[tuple[LiteralString, Sequence[object]]]:
        """What a transaction has to write."""
        number, (last, tick, octets) = self._number, batch.counters
        if (last, tick) == batch.locked[:2]:
            return
        count = last, tick, octets, number
        heads = {change.replica: change for change in batch.changes}
        known = [
            _tip(head, number) for replica, head in heads.items() if replica not in batch.begun
        ]
        if len(batch.changes) == len(known) == 1 and tick == batch.locked.tick:
            yield _ONE, (*count, *known[0], number, last, *_row(batch.changes[0]))
            return
        yield _COUNT, count
        for tip in known:
            yield _ADVANCE, tip
        for replica, first in batch.begun.items():
            yield _BEGIN_REPLICA, (first.header.device, *_tip(heads[replica], number))
        for position, change in enumerate(batch.changes, batch.locked.last + 1):
            yield _APPEND, (number, position, *_row(change))
        for row in batch.aside:
            yield _ASIDE, (number, *row, tick)
        for device, kept in batch.receipts.items():
            yield _RECEIPT, (number, device, *kept, tick)

    # What admission needs

    def replicas(self) -> dict[str, ReplicaRow]:
        """All replicas of the log, by id, as far as this process has seen it."""
        return self._replicas.copy()

    def aside(self) -> dict[bytes, str]:
        """The hashes of the changes that were set aside, each with the device that wrote it."""
        query = "SELECT hash, device FROM aside WHERE library = %s AND tick <= %s"
        return dict(self._ask(query, (self._number, self._seen.tick)))

    def fresh(self) -> Fresh:
        """What other processes wrote since the last call, or since this log was opened.

        Within a transaction all that was committed before it began.  Raises StoreWentBack.
        """
        if self._batch is not None:
            now = self._batch.locked
        else:
            now = _counters(self._ask(_COUNTERS, (self._number,)))
        seen = self._seen
        if now[:2] == seen[:2]:
            return Fresh()
        # With the last one that was seen: it tells whether that is still this log's past.
        changes = self._changes("position BETWEEN %s AND %s", (seen.last, now.last))
        if now.last < seen.last or now.tick < seen.tick or not self._goes_on(changes):
            raise StoreWentBack("The database was put back to what it held earlier.")
        changes = [new for new in changes if new.position > seen.last]
        beside = self._number, seen.tick, now.tick
        query = "SELECT hash, device FROM aside WHERE library = %s AND tick > %s AND tick <= %s"
        aside = dict(self._ask(query, beside))
        query = "SELECT kept FROM receipts WHERE library = %s AND tick > %s AND tick <= %s"
        receipts = [row[0] for row in self._ask(query, beside)]
        self._see((new.change for new in changes), now)
        return Fresh(changes, aside, receipts)

    def _goes_on(self, changes: Sequence[Admitted]) -> bool:
        """Whether changes begin with the last one that was seen, if any was."""
        if not self._seen.last:
            return True
        first = changes[0].change if changes else None
        row = self._replicas.get(first.replica) if first is not None else None
        return row is not None and first is not None and row.head == (first.seq, first.hash)

    def append(self, change: Change) -> int:
        """Add a change that was found admissible; returns its position.  Within a transaction."""
        batch = self._batch
        assert batch is not None
        assert self._seen.last == batch.locked.last, "another process wrote, and nobody looked"
        if change.seq == 1:
            batch.begun[change.replica] = change
        batch.changes.append(change)
        batch.known[change.replica, change.seq] = change.hash, change.header.end
        return batch.locked.last + len(batch.changes)

    def set_aside(self, change: Change, device: str, reason: str) -> None:
        """Keep a change by ``device`` that contradicts the log, out of the way.  Within a transaction."""
        assert self._batch is not None
        self._batch.aside.append((change.hash, _encode(change), device, reason))

    def lookup(self, replica: str, seq: int) -> tuple[bytes, int] | None:
        """The hash and last counter of one change of the log."""
        if self._batch is not None and (replica, seq) in self._batch.known:
            return self._batch.known[replica, seq]
        query = "SELECT hash, clock + n - 1 FROM changes WHERE library = %s AND replica = %s AND seq = %s"
        rows: list[Any] = self._ask(query, (self._number, pack_replica(replica), seq))
        return (rows[0][0], rows[0][1]) if rows else None

    # What serving needs

    def last_position(self) -> int:
        """The position of the last change that this process has seen, 0 where there is none."""
        return self._seen.last

    def octets(self) -> int:
        """Bytes that the library takes, roughly; quick."""
        return self._seen.octets

    def history(self, after: int, most: int) -> list[Admitted]:
        """The changes behind a position that this process has seen, in order, at most so many."""
        last = min(after + most, self._seen.last)
        return self._changes("position BETWEEN %s AND %s", (after + 1, last))

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """The first of the changes in ``ranges`` that this process has seen, in order of arrival.

        At most ``changes`` of them, and none more once their bodies come to ``octets`` bytes.
        """
        wanted = [(pack_replica(r.replica), r.first, r.last) for r in ranges]
        if not wanted:
            return []
        columns = [list(column) for column in zip(*wanted, strict=True)]
        few = sum(last - first + 1 for _, first, last in wanted) <= changes
        found: list[int] = []
        for position, size in self._few(columns) if few else self._many(columns, changes):
            found.append(position)
            octets -= size
            if octets <= 0 or len(found) == changes:
                break
        return [new.change for new in self._changes("position = ANY(%s)", (found,))]

    def _few(self, columns: list[list[int]]) -> Iterator[tuple[int, int]]:
        yield from self._ask(_FEW, (*columns, self._number, self._seen.last))

    def _many(self, columns: list[list[int]], most: int) -> Iterator[tuple[int, int]]:
        """Position and size of what is wanted: the log is in the order wanted, and looked through.

        Where little of it is wanted, in ever larger steps.
        """
        [[start]] = self._ask(_START, (*columns[:2], self._number))
        size = 2 * most
        while start is not None and start <= self._seen.last:
            bounds = start, min(start + size - 1, self._seen.last)
            yield from self._ask(_SLICE, (self._number, *bounds, *columns, most))
            start, size = start + size, 2 * size

    # Receipts: what devices hold

    def receipts(self) -> list[tuple[bytes, int]]:
        """What is kept of each device, with the position of the log at that time."""
        query = "SELECT kept, position FROM receipts WHERE library = %s ORDER BY device"
        return [(kept, position) for kept, position in self._ask(query, (self._number,))]

    def save_receipt(self, device: str, kept: bytes, position: int) -> None:
        """Keep what was heard of a device, in the place of what was kept before."""
        if self._batch is None:
            with self.transaction():
                self.save_receipt(device, kept, position)
        else:
            self._batch.receipts[device] = kept, position

    def forget_receipt(self, device: str) -> None:
        """Drop what was heard of a device."""
        if self._batch is not None:
            self._batch.receipts.pop(device, None)
        query = "DELETE FROM receipts WHERE library = %s AND device = %s"
        self._do(lambda db: db.execute(query, (self._number, device)))

    def _changes(self, where: LiteralString, values: Sequence[object]) -> list[Admitted]:
        """Changes in order of arrival."""
        query = f"{_CHANGE} {where} ORDER BY position"
        rows = self._ask(query, (self._number, *values))
        return [Admitted(row[0], _read(row)) for row in rows]

    def _ask(self, query: LiteralString, values: Sequence[object]) -> list[Any]:
        """The rows that answer a query."""
        return self._do(lambda db: db.cursor(binary=True).execute(query, values).fetchall())

    def _do(self, work: Callable[[Connection], R]) -> R:
        return work(self._batch.connection) if self._batch is not None else self._pool.run(work)


def _counters(rows: Sequence[Any]) -> Counters:
    if not rows:
        raise StoreError(_REMOVED)
    return Counters(*rows[0])


def pack_replica(replica: str) -> int:
    """A replica's id as the signed number that its bytes are."""
    return int.from_bytes(bytes.fromhex(replica), signed=True)


def read_replica(number: int) -> str:
    """What ``pack_replica`` made a number of."""
    return number.to_bytes(8, signed=True).hex()


def _tip(head: Change, number: int) -> tuple[object, ...]:
    """What the table has of a replica with this head in the library with this number."""
    return head.seq, head.hash, head.header.end, number, pack_replica(head.replica)


def _row(change: Change) -> tuple[object, ...]:
    """What the table has of a change, beside library and position."""
    header = change.header
    deps = _encode(header.deps) if header.deps else None
    return (
        *(pack_replica(header.replica), header.seq, change.hash, header.prev, deps, header.clock),
        *(header.n, header.at, bytes.fromhex(header.epoch), header.device or None),
        *(change.signature, change.body),
    )


def _read(row: Any) -> Change:
    _, replica, seq, own, prev, deps, clock, n, at, epoch, device, signature, body = row
    header = Header(
        replica=read_replica(replica),
        seq=seq,
        prev=prev,
        deps=_decode_deps(deps) if deps else (),
        clock=clock,
        n=n,
        at=at,
        epoch=epoch.hex(),
        device=device or "",
        body=sha256(body).digest(),
    )
    change = Change(header, signature, body)
    change.__dict__["hash"] = own  # computed when it was admitted
    return change
