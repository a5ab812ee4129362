"""Deliberate faults, put into the server from outside: the simulation's own checks must find each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from liblim.admission import Admission, Outcome
from liblim.change import Change
from liblim.errors import StoreError
from liblim.net.link import Link
from liblim.receipt import Receipt
from liblim.server.circle import Circle
from liblim.server.door import Door
from liblim.server.served import ServedLibrary
from liblim.server.shelf import Shelf
from liblim.server.stores import Standing
from liblim.sync import Session
from tests.simulation.server.disk import Log


@contextmanager
def acknowledge_before_commit() -> Iterator[None]:
    """Say that a batch is committed, and commit it with the next."""

    @contextmanager
    def transaction(log: Log) -> Iterator[None]:
        if log._db.in_transaction:
            log._db.execute("COMMIT")
        log._db.execute("BEGIN")
        with log._db:  # a savepoint
            yield

    with patch.object(Log, "transaction", transaction):
        yield


@contextmanager
def go_on_after_a_failed_commit() -> Iterator[None]:
    """Let the heads in memory be those that a failed commit was to bring."""
    admit = Admission.admit

    def ahead(gate: Admission, *arguments: Any, **more: Any) -> Outcome:
        moved = gate._replicas
        try:
            return admit(gate, *arguments, **more)
        except StoreError:
            gate._replicas = moved
            raise

    with patch.object(Admission, "admit", ahead):
        yield


@contextmanager
def drop_a_forwarded_change() -> Iterator[None]:
    """Keep from all others one change in sixteen that a device brings."""
    supply, committed = Session.supply, Session.committed

    def given(session: Session, changes: Sequence[Change]) -> list[Change]:
        serves = isinstance(session._exchange._log, ServedLibrary)
        return [change for change in changes if not serves or change.hash[0] >= 16]

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
def drop_receipts() -> Iterator[None]:
    """Keep every other receipt to oneself."""
    hand_on = Link.hand_on

    def some(link: Link, receipt: Receipt) -> None:
        if receipt.signature[0] >= 128:
            hand_on(link, receipt)

    with patch.object(Link, "hand_on", some):
        yield


@contextmanager
def talk_on_with_the_removed() -> Iterator[None]:
    """Look at who is a member only when somebody connects."""
    with patch.object(Circle, "look", lambda circle: None):
        yield


@contextmanager
def let_in_the_removed() -> Iterator[None]:
    """Let in whoever was a member once."""
    check = Door._check

    def lenient(door: Door, library: str, device: str) -> None:
        if door._shelf.standing(library, device) is None:
            check(door, library, device)

    with patch.object(Door, "_check", lenient):
        yield


@contextmanager
def serve_members_of_any_library() -> Iterator[None]:
    """Let in whoever is a member of some library."""

    def lenient(door: Door, library: str, device: str) -> None:
        shelf: Shelf = door._shelf
        found = [shelf.standing(name, device) for name in shelf.libraries]
        if Standing.MEMBER not in found:
            door_check(door, library, device)

    door_check = Door._check
    with patch.object(Door, "_check", lenient):
        yield
