"""A whole number that many count up and down at once."""

from __future__ import annotations

import re
from typing import Self

import msgspec

from liblim.crdt.field import Field
from liblim.crdt.ops import COUNTER_LIMIT, Op, check_id, check_length, check_op, unknown
from liblim.crdt.values import read
from liblim.errors import OperationError

VERSION = 0

_SUM = re.compile(r"0|-?[1-9][0-9]{0,31}")


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is encoded after the version octet, as JSON."""

    replicas: list[tuple[str, int, str]]


class Counter(Field):
    """A whole number, 0 at first; concurrent additions and subtractions all count.

    One addition is below 2**53 either way, so that every JSON reader has it exactly; the value itself has
    no bound.  Nobody wins and nobody loses: the value is the sum of all operations.  After Shapiro et al.,
    "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011), specification 5;
    what each replica added is kept apart with its last counter, so that a repeated operation adds nothing.
    """

    _sums: dict[str, tuple[int, int]]
    _value: int

    def _blank(self) -> Self:
        return type(self)()

    def _reset(self) -> None:
        self._sums = {}
        self._value = 0

    @property
    def value(self) -> int:
        """The sum of all additions."""
        return self._value

    def __int__(self) -> int:
        return self._value

    def add(self, n: int = 1) -> None:
        """Add ``n``, which may be negative; nothing is recorded for 0.

        Raises OperationError where ``n`` is no whole number, or not below 2**53 either way.
        """
        _check_addend(n)
        if not n:
            return
        author = self._author
        author.start()
        counter = author.record(self._name, ["inc", n])
        self._count(counter, author.replica, n)

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of an addition applied here."""
        return {replica: counter for replica, (counter, _) in self._sums.items()}

    def apply_op(self, counter: int, replica: str, op: Op) -> int | None:
        """Integrate one addition; return the new value if it changed, else None.

        The additions of one replica come in the order of their counters.
        """
        check_op(counter, replica, op)
        if op[0] != "inc":
            raise unknown(op)
        check_length(op, 2)
        _check_addend(op[1])
        if counter <= self._sums.get(replica, (0, 0))[0]:
            return None
        self._count(counter, replica, op[1])
        return self._value if op[1] else None

    def _count(self, counter: int, replica: str, n: int) -> None:
        self._sums[replica] = counter, self._sums.get(replica, (0, 0))[1] + n
        self._value += n

    def encode(self) -> bytes:
        """The state: the octet 0, then [[[replica, last counter, "sum"], ...]] as JSON, by replica."""
        rows = [(replica, last, str(total)) for replica, (last, total) in self._sums.items()]
        return bytes([VERSION]) + msgspec.json.encode(_State(sorted(rows)))

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        if blob[:1] != bytes([VERSION]):
            raise OperationError("This is not the state of a counter, or of a newer version.")
        state = read(blob[1:], _State, "the state of a counter")
        sums: dict[str, tuple[int, int]] = {}
        for replica, last, text in state.replicas:
            check_id(last, replica)
            total = int(text) if _SUM.fullmatch(text) else None
            # Each counter is taken by one addition at most.
            if replica in sums or total is None or abs(total) >= last * COUNTER_LIMIT:
                raise OperationError("A counter's state contradicts itself.")
            sums[replica] = last, total
        self._sums = sums
        self._value = sum([total for _, total in sums.values()])


def _check_addend(n: object) -> None:
    if type(n) is not int or abs(n) >= COUNTER_LIMIT:
        raise OperationError("What is added to a counter is a whole number below 2**53 either way.")
