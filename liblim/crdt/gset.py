"""A set of values that only grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import msgspec

from liblim.crdt.field import Field
from liblim.crdt.ops import Op, check_id, check_length, check_op, unknown
from liblim.crdt.values import canonical, parse, read
from liblim.errors import OperationError

VERSION = 0


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is encoded after the version octet, as JSON."""

    values: list[msgspec.Raw]
    version: dict[str, int]


class GrowSet(Field):
    """A set of JSON values from which nothing is ever taken: what anybody added is in it.

    Values are the same where their canonical JSON is: ``1``, ``1.0`` and ``True`` are three values.
    Iteration is in the order of that JSON, so it is the same everywhere.  After Shapiro et al., "A
    comprehensive study of Convergent and Commutative Replicated Data Types" (2011), specification 11.
    For values that may go again see :class:`~liblim.crdt.orset.Set`.
    """

    _keys: set[str]
    _version: dict[str, int]

    def _blank(self) -> Self:
        return type(self)()

    def _reset(self) -> None:
        self._keys = set()
        self._version = {}

    def __contains__(self, value: object) -> bool:
        return canonical(value) in self._keys

    def __iter__(self) -> Iterator[Any]:
        return iter([parse(key) for key in sorted(self._keys)])

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, value: Any) -> None:
        """Put ``value`` in; nothing is recorded where it is in.  Raises OperationError if it is not JSON."""
        key = canonical(value)
        if key in self._keys:
            return
        author = self._author
        author.start()
        counter = author.record(self._name, ["add", parse(key)])
        self._put(counter, author.replica, key)

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of an addition applied here."""
        return dict(self._version)

    def apply_op(self, counter: int, replica: str, op: Op) -> list[Any]:
        """Integrate one addition; return the values that came in, as a list of one or none."""
        check_op(counter, replica, op)
        if op[0] != "add":
            raise unknown(op)
        check_length(op, 2)
        key = canonical(op[1])
        came = key not in self._keys
        self._put(counter, replica, key)
        return [parse(key)] if came else []

    def _put(self, counter: int, replica: str, key: str) -> None:
        self._version[replica] = max(counter, self._version.get(replica, 0))
        self._keys.add(key)

    def encode(self) -> bytes:
        """The state: the octet 0, then [[value, ...], version] as JSON, in the order of iteration."""
        values = [msgspec.Raw(key.encode()) for key in sorted(self._keys)]
        state = _State(values, dict(sorted(self._version.items())))
        return bytes([VERSION]) + msgspec.json.encode(state)

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        if blob[:1] != bytes([VERSION]):
            raise OperationError("This is not the state of a set, or of a newer version.")
        state = read(blob[1:], _State, "the state of a set")
        keys = [canonical(read(value, object, "a value of a set")) for value in state.values]
        for replica, counter in state.version.items():
            check_id(counter, replica)
        if len(keys) > len(set(keys)) or (keys and not state.version):
            raise OperationError("A value stands twice in a set, or was added by nobody.")
        self._keys, self._version = set(keys), state.version
