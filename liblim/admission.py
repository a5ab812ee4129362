"""Admission: the one gate through which changes, own and received, enter the log.

A change enters after its ``prev`` and ``deps``, exactly once.  One that comes early waits in a bounded
room.  One that contradicts the log (two changes with one replica and seq) is set aside, never dropped.
What a change *says* plays no part: a body of an unknown kind is admitted like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from liblim.change import Body, Change, Head, unpack_body
from liblim.errors import ChangeError
from liblim.store import ReplicaRow, Store
from liblim.trust import Sealer

WAITING_CHANGES = 4096
WAITING_BYTES = 16 * 1024 * 1024


class Entered(NamedTuple):
    """A change that entered the log; ``body`` is ``None`` where this version cannot read it."""

    position: int
    change: Change
    body: Body | None


class Receipt(NamedTuple):
    """What became of a batch of changes.

    ``refused`` is the first failure; nothing after that change was looked at, all before it counts.
    """

    entered: list[Entered]
    duplicates: int = 0
    waiting: int = 0
    aside: tuple[Change, ...] = ()
    refused: ChangeError | None = None


class _Early(Exception):
    """The change names one that is not there yet."""

    def __init__(self, replica: str, seq: int) -> None:
        super().__init__(replica, seq)
        self.wanted = (replica, seq)


class _Fork(Exception):
    """The change contradicts one that is there."""


class WaitingRoom:
    """Changes that came early, under the ``(replica, seq)`` that each waits for; bounded."""

    def __init__(self, changes: int = WAITING_CHANGES, octets: int = WAITING_BYTES) -> None:
        """Make room for so many changes with bodies of so many bytes in all."""
        self._limits = changes, octets
        self._rooms: dict[tuple[str, int], dict[bytes, Change]] = {}
        self._count = self._octets = 0

    def __len__(self) -> int:
        """How many changes wait."""
        return self._count

    def enter(self, wanted: tuple[str, int], change: Change) -> None:
        """Keep a change, unless the room is full: then it will have to be asked for again."""
        octets = self._octets + len(change.body or b"")
        if self._count >= self._limits[0] or octets > self._limits[1]:
            return
        room = self._rooms.setdefault(wanted, {})
        if change.hash not in room:
            room[change.hash] = change
            self._count += 1
            self._octets = octets

    def leave(self, arrived: tuple[str, int]) -> list[Change]:
        """Take out what waited for a change that has arrived."""
        changes = list(self._rooms.pop(arrived, {}).values())
        self._count -= len(changes)
        self._octets -= sum(len(change.body or b"") for change in changes)
        return changes


class Admission:
    """The rules of entry, over a store; synchronous, for the store's thread."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        """Read the heads of the log.

        Raises StoreError.
        """
        self._store = store
        self._sealer = sealer
        self._replicas = store.replicas()
        self._room = WaitingRoom()

    def admit(self, changes: Sequence[Change]) -> Receipt:
        """Let a batch in, in one durable transaction; what waited for it comes along.

        Raises StoreError; then nothing of the batch was admitted.
        """
        before = self._replicas.copy()
        try:
            with self._store.transaction():
                return self._admit(changes)
        except BaseException:
            self._replicas = before
            self._room = WaitingRoom()  # what waited may be among what was rolled back
            raise

    def _admit(self, changes: Sequence[Change]) -> Receipt:
        entered: list[Entered] = []
        aside: list[Change] = []
        duplicates = 0
        for change in changes:
            try:
                change.check()
                found = list(self._enter_with_waiting(change, aside))
            except ChangeError as error:
                return Receipt(entered, duplicates, len(self._room), tuple(aside), error)
            entered += (new for new in found if new is not None)
            duplicates += found[:1] == [None]
        return Receipt(entered, duplicates, len(self._room), tuple(aside))

    def _enter_with_waiting(self, change: Change, aside: list[Change]) -> Iterator[Entered | None]:
        """Admit a change and what waited for it; ``None`` for one that is there already."""
        ready = [change]
        while ready:
            nearest = ready.pop()
            try:
                yield self._enter(nearest)
            except _Early as early:
                self._room.enter(early.wanted, nearest)
            except _Fork as fork:
                self._store.set_aside(nearest, str(fork))
                aside.append(nearest)
            except ChangeError:
                if nearest is change:
                    raise
                # One that waited: its sender has left.  It will be sent again, and blamed then.
            else:
                ready += self._room.leave((nearest.replica, nearest.seq))

    def _enter(self, change: Change) -> Entered | None:
        row = self._replicas.get(change.replica)
        if row is not None and change.seq <= row.head.seq:
            if self._known(change.replica, change.seq)[0] != change.hash:
                raise _Fork("the log holds another change with this replica and number")
            return None
        self._check_place(change, row)
        position = self._store.append(change)
        header = change.header
        self._replicas[change.replica] = ReplicaRow(
            row.device if row else header.device, Head(change.seq, change.hash), header.end
        )
        body = self.read_body(change)
        if body is not None:
            self._store.touch(position, body.oid, body.kind, header.at)
        return Entered(position, change, body)

    def _check_place(self, change: Change, row: ReplicaRow | None) -> None:
        """Check ``prev``, ``deps`` and ``clock`` against the log."""
        header = change.header
        if change.seq != (row.head.seq if row else 0) + 1:
            raise _Early(change.replica, change.seq - 1)
        if row is not None and header.prev != row.head.hash:
            raise _Fork("it continues a change that the log does not hold")
        past = row.end if row else 0
        for dep in header.deps:
            known, end = self._known(dep.replica, dep.seq)
            if known != dep.hash:
                raise _Fork("it depends on a change that the log does not hold")
            past = max(past, end)
        if header.clock != past + 1:
            raise ChangeError("a change's clock does not follow from its causal past")

    def _known(self, replica: str, seq: int) -> tuple[bytes, int]:
        """The hash and last counter of a change of the log; raises _Early where it is missing."""
        row = self._replicas.get(replica)
        if row is None or seq > row.head.seq:
            raise _Early(replica, seq)
        if seq == row.head.seq:
            return row.head.hash, row.end
        found = self._store.lookup(replica, seq)
        assert found is not None, "the log has a gap"
        return found

    def read_body(self, change: Change) -> Body | None:
        """Open and read a change's body; ``None`` where this version cannot."""
        if change.body is None:
            return None
        try:
            return unpack_body(self._sealer.open(change.body, change.header))
        except ChangeError:
            return None
