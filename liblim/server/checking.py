"""Going through a library's log from its first change on, by the rules by which changes are admitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

from liblim.admission import Admission, Receipt
from liblim.change import Change
from liblim.errors import SignatureError
from liblim.server.keyless import Vouched
from liblim.server.stores import Fresh, Log
from liblim.store import ReplicaRow

PAGE = 256
"""Changes that are looked at in one go."""
MAX_REST = 1024
"""Changes whose signature a later one may still prove."""


class Checked(NamedTuple):
    """What a log holds, and what is wrong with it: sentences, none where all is well."""

    library: str
    changes: int
    replicas: int
    devices: int
    octets: int
    faults: tuple[str, ...]


class _Replay:
    """An empty log, that counts what enters; where it has to know the past it reads that of a real one."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.position = 0

    def transaction(self) -> nullcontext[None]:
        return nullcontext()

    def replicas(self) -> dict[str, ReplicaRow]:
        return {}

    def aside(self) -> dict[bytes, str]:
        return {}

    def fresh(self) -> Fresh:
        return Fresh()

    def append(self, change: Change) -> int:
        self.position += 1
        return self.position

    def set_aside(self, change: Change, device: str, reason: str) -> None:
        """The receipt tells."""

    def lookup(self, replica: str, seq: int) -> tuple[bytes, int] | None:
        return self._log.lookup(replica, seq)


def check(log: Log, vouched: Vouched) -> Checked:
    """Check every hash, every chain, every dependency, every clock and every signature of a log.

    Raises StoreError where it cannot be read.
    """
    said = log.replicas()
    replay = _Replay(log)
    gate = Admission(replay, vouched)
    heads: dict[str, tuple[int, bytes]] = {}
    faults = list(_replay(log, gate, heads))
    for replica, row in said.items():
        if not faults and heads.get(replica, (0, b""))[0] < row.head.seq:
            faults.append(f"Replica {replica} ends before the change that is said to be its last.")
    devices = {row.device for row in said.values()}
    return Checked(
        vouched.library, replay.position, len(heads), len(devices), log.octets(), tuple(faults)
    )


def _replay(log: Log, gate: Admission, heads: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """Let a log through a gate; yields what is wrong, and ends with the first fault."""
    after, rest = 0, list[Change]()
    while True:
        page = log.history(after, PAGE)
        for number, (position, _) in enumerate(page, after + 1):
            if position != number:
                yield f"Position {number} is missing."
                return
        # What was read knows its hash from the store: here it is made anew.
        fresh = [Change(c.header, c.signature, c.body) for _, c in page]
        for (position, kept), made in zip(page, fresh, strict=True):
            if kept.hash != made.hash:
                yield f"The change at position {position} is not what its hash says."
                return
        receipt = gate.admit([*rest, *fresh])
        heads.update(
            (new.change.replica, (new.change.seq, new.change.hash)) for new in receipt.entered
        )
        fault = _fault(receipt, after, last=not page)
        if fault:
            yield fault
            return
        if not page:
            return
        rest, after = list(receipt.rest), after + len(page)


def _fault(receipt: Receipt, after: int, *, last: bool) -> str:
    where = f"Among the changes from position {after + 1} on"
    if receipt.refused is not None and (
        last or not isinstance(receipt.refused, SignatureError) or len(receipt.rest) > MAX_REST
    ):
        return f"{where}: {receipt.refused}."
    if receipt.aside or receipt.passed:
        return f"{where} one contradicts another."
    if receipt.waiting:
        return f"{where} one has something missing before it, or nobody vouched for its device."
    return ""
