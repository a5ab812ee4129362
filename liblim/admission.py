"""Admission: the one gate through which changes, own and received, enter the log.

A change enters after its ``prev`` and ``deps``, exactly once, signed by its device.  One that comes early
waits in a bounded room, also for its device's certificate.  One that contradicts the log (two changes with
one replica and seq) is set aside, never dropped.  What a change *says* plays no part: ``Admission`` reads no
body, as on a server; ``liblim.reading`` has what a device does with those that it can read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from liblim.change import Body, Change, Head, Header
from liblim.errors import ChangeError
from liblim.store import Fresh, ReplicaRow
from liblim.trust import Verifier

WAITING_CHANGES = 4096
WAITING_BYTES = 16 * 1024 * 1024
MAX_UNSIGNED = 64
"""Changes of a run, the last with a good signature, among which no other has one."""
MAX_UNSIGNED_BYTES = 512 * 1024
"""Bytes of their bodies, give or take one."""


class AdmissionStore(Protocol):
    """What admission needs of a store; all may raise StoreError."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what the block writes in one go, durably, or not at all."""

    def replicas(self) -> dict[str, ReplicaRow]:
        """All replicas of the log, by id."""

    def aside(self) -> dict[bytes, str]:
        """The hashes of the changes that were set aside, each with the device that wrote it."""

    def fresh(self) -> Fresh:
        """What other processes wrote since the last call, or since the log was opened.

        Within a transaction all that was committed before it began.
        """

    def append(self, change: Change) -> int:
        """Add a change that was found admissible; returns its position.  Within a transaction."""

    def set_aside(self, change: Change, device: str, reason: str) -> None:
        """Keep a change by ``device`` that contradicts the log, out of the way.  Within a transaction."""

    def lookup(self, replica: str, seq: int) -> tuple[bytes, int] | None:
        """The hash and last counter of one change of the log."""


class Entered(NamedTuple):
    """A change that entered the log; ``body`` is ``None`` where this version cannot read it."""

    position: int
    change: Change
    body: Body | None


class Outside(NamedTuple):
    """A genuine change on the library's document that could not enter, with the device that wrote it."""

    change: Change
    author: str
    body: Body


class Outcome(NamedTuple):
    """What became of a batch of changes.

    ``refused`` is the first failure; nothing after that change was looked at, all before it counts.
    ``rest`` begins with it.
    ``revived`` entered earlier, and can be read only now.  ``elsewhere`` other processes had written before.
    ``passed`` counts those that contradict the log,
    by an author that cannot be told.  ``outside`` are among those that wait or were set aside: that nobody
    can keep a removal from being heard, by forking what it depends on.
    """

    entered: list[Entered]
    duplicates: int = 0
    waiting: int = 0
    aside: tuple[Change, ...] = ()
    refused: ChangeError | None = None
    rest: Sequence[Change] = ()
    revived: tuple[Entered, ...] = ()
    outside: tuple[Outside, ...] = ()
    passed: int = 0
    elsewhere: Fresh = Fresh()


class Early(Exception):
    """The change needs something that is not there yet: a change, or its device's certificate."""

    def __init__(self, name: str, seq: int) -> None:
        super().__init__(name, seq)
        self.wanted = (name, seq)


class _Fork(Exception):
    """The change contradicts one that is there, or continues or depends on one that does."""


class _Passed(Exception):
    """The change contradicts one that is there, and who wrote it cannot be told."""


class WaitingRoom:
    """Changes that came early, under what each waits for; bounded.

    That is a ``(replica, seq)``, or ``(device, 0)`` for a device's certificate.
    """

    def __init__(self, changes: int = WAITING_CHANGES, octets: int = WAITING_BYTES) -> None:
        """Make room for so many changes with bodies of so many bytes in all."""
        self._limits = changes, octets
        self._rooms: dict[tuple[str, int], dict[bytes, Change]] = {}
        self._authors: dict[bytes, str] = {}
        self._count = self._octets = 0

    def __len__(self) -> int:
        """How many changes wait."""
        return self._count

    def author(self, name: bytes) -> str:
        """The device that wrote the waiting change with this hash, as far as it is known; else ""."""
        return self._authors.get(name, "")

    def enter(self, wanted: tuple[str, int], change: Change, author: str = "") -> None:
        """Keep a change, unless the room is full: then it will have to be asked for again."""
        octets = self._octets + len(change.body or b"")
        if self._count >= self._limits[0] or octets > self._limits[1]:
            return
        room = self._rooms.setdefault(wanted, {})
        if change.hash not in room:
            room[change.hash] = change
            self._authors[change.hash] = author
            self._count += 1
            self._octets = octets

    def leave(self, arrived: tuple[str, int]) -> list[Change]:
        """Take out what waited for a change that has arrived."""
        changes = list(self._rooms.pop(arrived, {}).values())
        self._count -= len(changes)
        self._octets -= sum(len(change.body or b"") for change in changes)
        for change in changes:
            self._authors.pop(change.hash, None)
        return changes


class _Runs:
    """The runs of a batch: changes of one replica, each chained to the one before.

    A signature over one of a run covers all before it, as each hash covers the one before.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._places: dict[bytes, tuple[list[Change], int]] = {}
        for change in changes:
            run, place = self._places.get(change.header.prev, ([], -1))
            if place != len(run) - 1:
                run = []  # another change continues that one already
            elif run and run[-1].replica != change.replica:
                continue
            self._places[change.hash] = run, len(run)
            run.append(change)

    def rest(self, change: Change) -> list[Change]:
        """The run that a change stands in, from there on."""
        run, place = self._places.get(change.hash, ([change], 0))
        return run[place:]


class Admission:
    """The rules of entry, over a store; synchronous, for the store's thread."""

    def __init__(self, store: AdmissionStore, sealer: Verifier) -> None:
        """Read the heads of the log.

        Raises StoreError.
        """
        self._store = store
        self._sealer = sealer
        self._replicas = store.replicas()
        self._aside = store.aside()
        self._room = WaitingRoom()
        self._runs = _Runs(())
        self._ours = ""
        self._authentic: set[bytes] = set()
        self._outside: list[Outside] = []
        self._passed = 0
        self._introduced: list[str] = []
        self._elsewhere = Fresh()

    def admit(
        self, changes: Sequence[Change], ours: str = "", introduced: Collection[str] = ()
    ) -> Outcome:
        """Let a batch in, in one durable transaction; what waited for it comes along.

        None of it is by the replica ``ours``, which this process writes as right now.  What waited for the
        certificates of ``introduced``, which are known by now, comes along, too.

        Raises StoreError; then nothing of the batch was admitted.
        """
        before = None
        self._authentic, self._ours = set(), ours
        self._outside, self._passed = [], 0
        try:
            with self._store.transaction():
                ready = self._look(introduced)
                before = self._replicas.copy(), self._aside.copy()
                self._runs = _Runs(changes)
                outcome = self._admit([*ready, *changes], len(ready))
                outcome = outcome._replace(
                    revived=self._revive(), outside=tuple(self._outside), passed=self._passed
                )
        except BaseException:
            if before is not None:
                self._replicas, self._aside = before
            self._room = WaitingRoom()  # what waited may be among what was rolled back
            raise
        finally:
            self._runs = _Runs(())
        elsewhere, self._elsewhere = self._elsewhere, Fresh()
        return outcome._replace(elsewhere=elsewhere)

    def _look(self, introduced: Collection[str]) -> list[Change]:
        """Take over what other processes wrote; returns what waited for that, or for certificates.

        It is told with the next batch that succeeds, as the store will not tell it twice.
        """
        fresh, told = self._store.fresh(), self._elsewhere
        ready = [change for device in introduced for change in self._room.leave((device, 0))]
        if fresh == Fresh():
            return ready
        for _, change in fresh.changes:
            header, device = change.header, self._author(change)
            head = Head(change.seq, change.hash)
            self._replicas[change.replica] = ReplicaRow(device, head, header.end)
            ready += self._room.leave((change.replica, change.seq))
        self._aside.update(fresh.aside)
        self._elsewhere = Fresh(
            [*told.changes, *fresh.changes],
            {**told.aside, **fresh.aside},
            [*told.receipts, *fresh.receipts],
        )
        return ready

    def _admit(self, changes: Sequence[Change], waited: int = 0) -> Outcome:
        """Admit changes; of the first ``waited`` nobody is blamed, as their senders have left."""
        entered: list[Entered] = []
        aside: list[Change] = []
        duplicates = 0
        for number, change in enumerate(changes):
            try:
                change.check()
                found = list(self._enter_with_waiting(change, aside))
            except ChangeError as error:
                if number < waited:
                    continue
                waiting, rest = len(self._room), changes[number:]
                return Outcome(entered, duplicates, waiting, tuple(aside), error, rest)
            entered += (new for new in found if new is not None)
            duplicates += found[:1] == [None]
        return Outcome(entered, duplicates, len(self._room), tuple(aside))

    def _enter_with_waiting(self, change: Change, aside: list[Change]) -> Iterator[Entered | None]:
        """Admit a change and what waited for it; ``None`` for one that is there already."""
        ready = [change]
        while ready:
            nearest = ready.pop()
            place = nearest.replica, nearest.seq
            try:
                yield self._enter(nearest)
            except Early as early:
                self._room.enter(early.wanted, nearest, self._author(nearest))
                self._hear(nearest)
            except _Fork as fork:
                self._hear(nearest)
                self._set_aside(nearest, str(fork))
                aside.append(nearest)
                ready += self._room.leave(place)
            except _Passed:
                self._passed += 1
            except ChangeError:
                if nearest is change:
                    raise
                # One that waited: its sender has left.  It will be sent again, and blamed then.
            else:
                ready += self._room.leave(place)
                while self._introduced:
                    ready += self._room.leave((self._introduced.pop(), 0))

    def _enter(self, change: Change) -> Entered | None:
        row = self._replicas.get(change.replica)
        device = self._author(change)
        try:
            if row is not None and change.seq <= row.head.seq:
                if self._known(change.replica, change.seq)[0] == change.hash:
                    return None
                raise _Fork("the log holds another change with this replica and number")
            if change.replica == self._ours:
                raise _Fork("this device is writing another change with this replica and number")
            self._check_place(change, row)
        except _Fork:
            self._check_rival(change, device)
            raise
        self._authenticate(change, device)
        position = self._store.append(change)
        header = change.header
        self._replicas[change.replica] = ReplicaRow(
            device, Head(change.seq, change.hash), header.end
        )
        return self._read(position, change)

    def _author(self, change: Change) -> str:
        """The device that began the replica; "" where that is not known."""
        if change.seq == 1:
            return change.header.device
        row = self._replicas.get(change.replica)
        before = self._aside.get(change.header.prev) or (row.device if row else "")
        return before or self._room.author(change.header.prev)

    def _check_rival(self, change: Change, device: str) -> None:
        """Authenticate a change that contradicts the log or stands on one that does.

        Of a replica whose id two devices came to share (which takes 2^32 attempts) the log knows only one.
        Who passes on what the other wrote is honest, so what cannot be told apart from that is no offence.
        """
        try:
            self._authenticate(change, device)
        except ChangeError:
            if change.seq == 1 or change.header.prev in self._aside:
                raise
            raise _Passed from None

    def _set_aside(self, change: Change, reason: str) -> None:
        device = self._author(change)
        self._store.set_aside(change, device, reason)
        self._aside[change.hash] = device

    def _authenticate(self, change: Change, device: str) -> None:
        """Check who wrote a change: by its own signature, or by one over a later change of its run.

        Raises Early where the device's certificate is not known yet, and ChangeError.
        """
        header = change.header
        if change.seq == 1 and (header.device != device or not self._is_bound(header)):
            raise ChangeError("a replica does not belong to the device that began it")
        if not self._sealer.knows(device):
            raise Early(device, 0)
        if change.hash not in self._authentic:
            self._authentic.update(self._proven(device, self._runs.rest(change)))
        if change.hash not in self._authentic:
            self._sealer.verify(device, change.hash, change.signature)

    def _proven(self, device: str, run: list[Change]) -> set[bytes]:
        """The hashes of that beginning of a run which signatures prove.

        A good signature proves all before it.  But wrong ones must not come too many in a row: whoever is
        handed these changes next may get the good one much later.
        """
        tries = range(len(run) - 1, max(-1, len(run) - 1 - 2 * MAX_UNSIGNED), -1)
        last = next((n for n in tries if self._is_signed(device, run[n])), None)
        if last is None:
            return set()
        start = octets = 0
        for n in range(last):
            octets += len(run[n].body or b"")
            if n - start + 1 >= MAX_UNSIGNED or octets > MAX_UNSIGNED_BYTES:
                good = next(
                    (k for k in range(n, start - 1, -1) if self._is_signed(device, run[k])), None
                )
                if good is None:
                    return {change.hash for change in run[:start]}
                start = good + 1
                octets = sum(len(change.body or b"") for change in run[start : n + 1])
        return {change.hash for change in run[: last + 1]}

    def _is_signed(self, device: str, change: Change) -> bool:
        try:
            self._sealer.verify(device, change.hash, change.signature)
        except ChangeError:
            return False
        return True

    def _is_bound(self, header: Header) -> bool:
        """Whether the replica's id is one that its device alone could have chosen."""
        if len(header.prev) != self._sealer.salt_size:
            return False
        return not header.prev or self._sealer.replica(header.device, header.prev) == header.replica

    def _check_place(self, change: Change, row: ReplicaRow | None) -> None:
        """Check ``prev``, ``deps`` and ``clock`` against the log."""
        header = change.header
        if header.prev in self._aside:
            raise _Fork("it continues a change that was set aside")
        if change.seq != (row.head.seq if row else 0) + 1:
            raise Early(change.replica, change.seq - 1)
        if row is not None and header.prev != row.head.hash:
            raise _Fork("it continues a change that the log does not hold")
        past = row.end if row else 0
        for dep in header.deps:
            if dep.hash in self._aside:
                raise _Fork("it depends on a change that was set aside")
            known, end = self._known(dep.replica, dep.seq)
            if known != dep.hash:
                raise _Fork("it depends on a change that the log does not hold")
            past = max(past, end)
        if header.clock != past + 1:
            raise ChangeError("a change's clock does not follow from its causal past")

    def _known(self, replica: str, seq: int) -> tuple[bytes, int]:
        """The hash and last counter of a change of the log; raises Early where it is missing."""
        row = self._replicas.get(replica)
        if row is None or seq > row.head.seq:
            raise Early(replica, seq)
        if seq == row.head.seq:
            return row.head.hash, row.end
        found = self._store.lookup(replica, seq)
        assert found is not None, "the log has a gap"
        return found

    # What is done with a body: nothing, here

    def _read(self, position: int, change: Change) -> Entered:
        """Take note of what a change says that entered."""
        return Entered(position, change, None)

    def _hear(self, change: Change) -> None:
        """Take note of what a change says that cannot enter."""

    def _revive(self) -> tuple[Entered, ...]:
        """Read what could not be read before, if a key has come."""
        return ()
