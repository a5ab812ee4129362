"""A single value: of concurrent writes one wins, the same everywhere."""

from __future__ import annotations

from typing import Generic, Self, TypeVar

import msgspec

from liblim.crdt.field import Field
from liblim.crdt.ops import BEGINNING, Id, Op, check_id, check_length, check_op, unknown
from liblim.crdt.values import canonical, parse, read
from liblim.errors import DefinitionError, OperationError

V = TypeVar("V")

VERSION = 0


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is encoded after the version octet, as JSON."""

    counter: int
    replica: str
    value: msgspec.Raw
    version: dict[str, int]


class Register(Field, Generic[V]):
    """A JSON value of the type of its default; any type, where the default is None.

    The write with the greatest operation id (counter, then replica) wins, never the latest by a clock: one
    that had seen another wins over it.  After Shapiro et al., "A comprehensive study of Convergent and
    Commutative Replicated Data Types" (2011), specification 9, with Lamport's clock for the time.
    """

    _default: V
    _id: Id
    _value: V
    _version: dict[str, int]

    def __init__(self, default: V) -> None:
        """Declare one; ``default`` is its value until one is set, and has to be JSON."""
        self._default = default

    def check_definition(self) -> None:
        """Raise DefinitionError where this cannot be a field of a document type, for its default say."""
        super().check_definition()
        try:
            canonical(self._default)
        except OperationError as error:
            raise DefinitionError(f"The default is impossible. {error}") from error

    def _blank(self) -> Self:
        return type(self)(self._default)

    def _reset(self) -> None:
        self._value = parse(canonical(self._default))
        self._id = BEGINNING
        self._version = {}

    @property
    def default(self) -> V:
        """The value until one is set."""
        return self._default

    @property
    def value(self) -> V:
        """The value now; change it by :meth:`set`, never in place."""
        return self._value

    def set(self, value: V) -> None:
        """Write ``value``, if it is another one.  Raises OperationError where it is not of the type."""
        fresh = self._checked(value)
        if canonical(self._value) == canonical(fresh):
            return
        author = self._author
        author.start()
        counter = author.record(self._name, ["=", self._checked(value)])
        self._write(counter, author.replica, fresh)

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of a write applied here."""
        return dict(self._version)

    def apply_op(self, counter: int, replica: str, op: Op) -> V | None:
        """Integrate a write; return the new value if it wins and differs from the old, else None."""
        check_op(counter, replica, op)
        if op[0] != "=":
            raise unknown(op)
        check_length(op, 2)
        value = self._checked(op[1])
        before = canonical(self._value)
        if (counter, replica) == self._id and canonical(value) != before:
            raise OperationError("Another write has this id.")
        self._write(counter, replica, value)
        return None if canonical(self._value) == before else self._value

    def _checked(self, value: object) -> V:
        """A copy of a value of the right type."""
        wanted = type(self._default)
        if wanted is float and type(value) is int:
            value = float(value)
        text = canonical(value)
        if self._default is not None and type(value) is not wanted:
            raise OperationError(f"This register holds a {wanted.__name__}.")
        copy: V = parse(text)
        return copy

    def _write(self, counter: int, replica: str, value: V) -> None:
        self._version[replica] = max(counter, self._version.get(replica, 0))
        if (counter, replica) > self._id:
            self._id = counter, replica
            self._value = value

    def encode(self) -> bytes:
        """The state: the octet 0, then [counter, replica, value, version] as JSON."""
        value = msgspec.Raw(canonical(self._value).encode())
        state = _State(*self._id, value, dict(sorted(self._version.items())))
        return bytes([VERSION]) + msgspec.json.encode(state)

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        if blob[:1] != bytes([VERSION]):
            raise OperationError("This is not the state of a register, or of a newer version.")
        state = read(blob[1:], _State, "the state of a register")
        value = read(state.value, object, "the value of a register")
        for replica, counter in state.version.items():
            check_id(counter, replica)
        if (state.counter, state.replica) != BEGINNING:
            check_id(state.counter, state.replica)
            if state.counter > state.version.get(state.replica, 0):
                raise OperationError("A register's value is newer than its state.")
        fresh = self._checked(value)
        self._value, self._id = fresh, (state.counter, state.replica)
        self._version = state.version
