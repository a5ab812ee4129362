"""Six deliberate faults, one in two places, put into liblim from outside.

Each must be found by the simulation's own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

import apsw

from liblim.admission import Admission
from liblim.change import Change
from liblim.crdt.rga import Rga
from liblim.database import Database
from liblim.holdings import Holding
from liblim.net.confirmations import Confirmations
from liblim.store import Store
from liblim.sync import Session
from liblim.sync.belief import Belief
from liblim.writer import Seen, Writer

Fault: TypeAlias = Callable[[], AbstractContextManager[None]]


@contextmanager
def acknowledge_before_commit() -> Iterator[None]:
    """Say that a batch is committed, and commit it with the next."""
    copy = Store.copy_to

    @contextmanager
    def transaction(connection: apsw.Connection) -> Iterator[None]:
        if connection.in_transaction:
            connection.execute("COMMIT")
        connection.execute("BEGIN")
        with connection:  # a savepoint
            yield

    def copy_to(store: Store, path: Any) -> None:
        if store._db.in_transaction:
            store._db.execute("COMMIT")
        copy(store, path)

    with (
        patch("liblim.store.log.transaction", transaction),
        patch.object(Store, "copy_to", copy_to),
    ):
        yield


@contextmanager
def skip_a_dep_check() -> Iterator[None]:
    """Let a change into the log though not all of the replicas that it depends on is there."""
    strict = Admission._check_place

    def check(gate: Admission, change: Change, row: Any) -> None:
        known = gate._known

        def lenient(replica: str, seq: int) -> tuple[bytes, int]:
            found = gate._replicas.get(replica)
            if found is None or found.head.seq >= seq:
                return known(replica, seq)
            [dep] = [dep for dep in change.header.deps if dep.replica == replica]
            return dep.hash, change.header.clock - 1

        with patch.object(gate, "_known", lenient):
            strict(gate, change, row)

    with patch.object(Admission, "_check_place", check):
        yield


@contextmanager
def continue_a_replica() -> Iterator[None]:
    """Go on, after a start, with the replica of the run before."""
    start, choose = Database._start_writer, Writer._choose_replica

    def start_writer(database: Database, sealer: Any) -> None:
        start(database, sealer)
        rows = database.store.replicas()
        own = [name for name, row in rows.items() if row.device == database.device]
        if own:
            name = max(own, key=lambda one: rows[one].end)
            database.writer._replica = name
            database.writer._last = Seen(rows[name].head, rows[name].end)

    def choose_replica(writer: Writer) -> None:
        if not writer._replica:
            choose(writer)

    with (
        patch.object(Database, "_start_writer", start_writer),
        patch.object(Writer, "_choose_replica", choose_replica),
    ):
        yield


@contextmanager
def drop_a_forwarded_change() -> Iterator[None]:
    """Keep to oneself, of what others wrote, one change in sixteen."""
    supply, committed = Session.supply, Session.committed

    def given(session: Session, changes: Sequence[Change]) -> list[Change]:
        log = session._exchange._log
        assert isinstance(log, Database)
        return [
            c for c in changes if c.hash[0] >= 16 or log.authors[c.replica].device == log.device
        ]

    def drop_supply(session: Session, request: int, changes: Sequence[Change], now: float) -> None:
        supply(session, request, given(session, changes), now)

    def drop_committed(session: Session, changes: Sequence[Change], now: float) -> None:
        committed(session, given(session, changes), now)

    with (
        patch.object(Session, "supply", drop_supply),
        patch.object(Session, "committed", drop_committed),
    ):
        yield


@contextmanager
def wrong_tie_break() -> Iterator[None]:
    """Let what comes later stand first, of elements with equal counters at one place."""
    right = Rga._skip

    def skip(rga: Rga, chunk: Any, i: int, counter: int, replica: str) -> tuple[Any, int, int]:
        return right(rga, chunk, i, counter, "~")

    with patch.object(Rga, "_skip", skip):
        yield


@contextmanager
def receipts_that_never_go_down() -> Iterator[None]:
    """Believe no less of a device than was believed before, whatever it says on its connection."""
    listing = Belief.list_page

    def list_page(belief: Belief, page: int, more: bool, entries: Any) -> None:
        before = dict(belief.heads)
        listing(belief, page, more, entries)
        belief.heads.update((r, h) for r, h in before.items() if h.seq > belief.seq(r))

    with (
        patch.object(Belief, "list_page", list_page),
        patch.object(Belief, "forget", lambda belief: None),
    ):
        yield


@contextmanager
def receipts_from_afar_that_never_go_down() -> Iterator[None]:
    """Believe no less of a device than was believed before, whatever others hand on of it."""
    hold = Confirmations._hold

    def greater(
        told: Confirmations, device: str, holding: Holding | None, *, counted: bool
    ) -> None:
        before = told._database.holdings.recall(device)
        heard = told._known(device).heard
        if holding is not None and before is not None and holding.confirmed == heard:
            lacks = {r: max(n, before[r]) for r, n in holding.lacks.items() if r in before}
            holding = Holding(holding.confirmed, lacks)
        hold(told, device, holding, counted=counted)

    with patch.object(Confirmations, "_hold", greater):
        yield
