"""Six deliberate faults, put into liblim from outside: each must be found by the simulation's own checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch
from weakref import WeakKeyDictionary

from liblim.admission import Admission
from liblim.change import Change, Head
from liblim.crdt.rga import Rga
from liblim.database import Database
from liblim.store import Store
from liblim.sync import Session
from liblim.sync.belief import Belief
from liblim.writer import Seen, Writer

Fault: TypeAlias = Callable[[], AbstractContextManager[None]]


@contextmanager
def acknowledge_before_commit() -> Iterator[None]:
    """Say that a batch is committed, and commit it with the next."""
    whole, copy = Store.transaction, Store.copy_to

    @contextmanager
    def transaction(store: Store) -> Iterator[None]:
        if store._db.in_transaction:
            store._db.execute("COMMIT")
        store._db.execute("BEGIN")
        with whole(store):
            yield

    def copy_to(store: Store, path: Any) -> None:
        if store._db.in_transaction:
            store._db.execute("COMMIT")
        copy(store, path)

    with patch.object(Store, "transaction", transaction), patch.object(Store, "copy_to", copy_to):
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
    """Remember from one session to the next what a device held, and believe no less of it."""
    init, listing = Session.__init__, Belief.list_page
    known: WeakKeyDictionary[Any, dict[str, dict[str, Head]]] = WeakKeyDictionary()

    def begin(session: Session, log: Any, **options: Any) -> None:
        init(session, log, **options)
        belief = session._exchange.belief
        belief.heads = known.setdefault(log, {}).setdefault(options["peer"], {})

    def list_page(belief: Belief, page: int, more: bool, entries: Any) -> None:
        kept = belief.heads
        before = dict(kept)
        listing(belief, page, more, entries)
        belief.heads, said = kept, belief.heads
        kept.update(said)
        kept.update({r: head for r, head in before.items() if head.seq > kept.get(r, head).seq})

    with (
        patch.object(Session, "__init__", begin),
        patch.object(Belief, "list_page", list_page),
    ):
        yield
