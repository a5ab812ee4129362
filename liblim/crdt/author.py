"""Where operations get their counters, and wait to be taken."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from liblim.crdt.ops import COUNTER_LIMIT, Id, Op, check_id, make_ref, width
from liblim.errors import OperationError

ENOUGH = 1024
"""After so many operations a further one begins anew: a change's deletes fit one body then."""
LARGEST_OP = 96 * 1024
"""Bytes of JSON of an operation that is not typed text; it has to fit one body."""
LONGEST_RUN = 4096
"""A longer insert is not extended: that would copy it with every keystroke."""


class Author:
    """Hands out counters to the fields that edit under one replica id, and gathers their operations.

    ``replica`` and ``counter`` are the id of the next operation; that counter is above all that the
    fields have seen (Lamport's rule).  ``begin``, where set, is called before the first operation after
    a :meth:`take` and may give both new values; what it raises stops that edit.  ``edits`` grows with
    each edit, whether it makes an operation of its own or lengthens the last one.  ``pending`` are the
    operations since the last take.
    """

    __slots__ = ("_open", "begin", "counter", "edits", "pending", "replica")

    def __init__(
        self, replica: str, counter: int = 1, begin: Callable[[], None] | None = None
    ) -> None:
        check_id(counter, replica)
        self.replica = replica
        self.counter = counter
        self.begin = begin
        self.edits = 0
        self._open = False
        self.pending: list[tuple[int, str, Op]] = []

    def start(self, n: int = 1) -> None:
        """Get ready for operations that take ``n`` counters: ``replica`` stays the same up to the next take.

        Raises OperationError where not so many counters are left.
        """
        if not self._open or len(self.pending) > ENOUGH:
            if self.begin is not None:
                self.begin()
            self._open = True
        # What takes no counter still has one for its id.
        if self.counter + max(n, 1) > COUNTER_LIMIT:
            raise OperationError("No counters are left.")

    def record(self, field: str, op: Op) -> int:
        """Append an operation of ``field``, after :meth:`start`; return its counter.

        Raises OperationError where it is too large.
        """
        if len(msgspec.json.encode(op)) > LARGEST_OP:
            raise OperationError("This value is too large: 96 KiB is the most.")
        counter = self.counter
        self.pending.append((counter, field, op))
        self.counter = counter + width(op)
        self.edits += 1
        return counter

    def record_insert(self, field: str, left: Id, text: str) -> Op:
        """Append an insert, or lengthen the last one by it, after :meth:`start`; return what holds it."""
        counter = self.counter
        self.counter = counter + len(text)
        self.edits += 1
        if self.pending and left[0] == counter - 1 and left[1] == self.replica:
            first, owner, last = self.pending[-1]
            if last[0] == "+" and owner == field and len(last[2]) == counter - first <= LONGEST_RUN:
                last[2] += text
                return last
        op: Op = ["+", make_ref(left, self.replica), text]
        self.pending.append((counter, field, op))
        return op

    def record_delete(self, field: str, counter: int, owner: str, n: int) -> None:
        """Append a delete of ``n`` elements of ``owner``, or widen the last one, after :meth:`start`."""
        own = owner == self.replica
        self.edits += 1
        if self.pending:
            at, name, last = self.pending[-1]
            if at == self.counter and last[0] == "-" and name == field:
                ref, size = last[1], last[2]
                low, lower = (ref, self.replica) if isinstance(ref, int) else ref
                if lower == owner and low in (counter + n, counter - size):
                    if low > counter:
                        last[1] = counter if own else [counter, owner]
                    last[2] = size + n
                    return
        ref = counter if own else [counter, owner]
        self.pending.append((self.counter, field, ["-", ref, n]))

    def open(self, field: str, op: Op) -> Op:
        """Append an operation that does nothing yet, after :meth:`start`; return it, to be lengthened."""
        self.pending.append((self.counter, field, op))
        return op

    def take(self) -> list[tuple[int, str, Op]]:
        """The operations since the last take as (counter, field, operation), in order of counters."""
        taken = self.pending
        self.pending = []
        self._open = False
        return taken

    def observe(self, counter: int) -> None:
        """Lamport's rule: what is written from now on has a higher counter than what was seen."""
        if counter >= self.counter:
            self.counter = counter + 1
