"""A set of values in which an addition wins over a concurrent removal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

from liblim.crdt.field import Field
from liblim.crdt.ops import Id, Op, check_length, check_op, unknown
from liblim.crdt.tags import Tags
from liblim.crdt.values import canonical, parse


class SetEffect(NamedTuple):
    """The values that came into a set, and those that left it."""

    added: list[Any]
    removed: list[Any]


class Set(Field):
    """A set of JSON values (observed-remove: a removal takes away only additions that it has seen).

    Values are the same where their canonical JSON is: ``1``, ``1.0`` and ``True`` are three values.
    Iteration is in the order of that JSON, so it is the same everywhere.  The source is named in
    ``liblim/crdt/tags.py``.
    """

    _tags: Tags

    def _blank(self) -> Self:
        return type(self)()

    def _reset(self) -> None:
        self._tags = Tags()

    def __contains__(self, value: object) -> bool:
        return canonical(value) in self._tags.keys

    def __iter__(self) -> Iterator[Any]:
        return iter([parse(key) for key in sorted(self._tags.keys)])

    def __len__(self) -> int:
        return len(self._tags.keys)

    def add(self, value: Any) -> None:
        """Put ``value`` in; nothing is recorded where it is in.  Raises OperationError if it is not JSON."""
        key = canonical(value)
        if key in self._tags.keys:
            return
        author = self._author
        author.start()
        counter = author.record(self._name, ["add", parse(key)])
        self._tags.add(counter, author.replica, key)

    def discard(self, value: Any) -> None:
        """Take ``value`` out; nothing is recorded where it is not in."""
        self.take_back(self._tags.keys.get(canonical(value), ()))

    def take_back(self, ids: Iterable[Id]) -> None:
        """Undo those of these additions that stand, and no others; nothing is recorded where none does."""
        self._tags.take_back(self._author, self._name, "rm", ids)

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of an operation applied here."""
        return dict(self._tags.version)

    def apply_op(self, counter: int, replica: str, op: Op) -> SetEffect:
        """Integrate one operation; return the values that came in and went out."""
        check_op(counter, replica, op)
        if op[0] not in ("add", "rm"):
            raise unknown(op)
        check_length(op, 2)
        tags = self._tags
        if op[0] == "add":
            key = canonical(op[1])
            came = tags.is_new(counter, replica) and tags.add(counter, replica, key)
            return SetEffect([parse(key)] if came else [], [])
        ids = tags.read_refs(op[1], replica, counter)
        gone = tags.remove(counter, replica, ids) if tags.is_new(counter, replica) else []
        return SetEffect([], [parse(key) for key in gone])

    def encode(self) -> bytes:
        """The state: the octet 0, then [[[counter, replica, value], ...], version] as JSON."""
        return self._tags.encode()

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        self._tags = Tags.decode(blob)
