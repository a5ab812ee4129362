"""A switch that is on when somebody turned it on and nobody who knew of that turned it off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from liblim.crdt.field import Field
from liblim.crdt.ops import Id, Op, check_length, check_op, unknown
from liblim.crdt.tags import Tags
from liblim.errors import OperationError

_KEY = "true"


class Flag(Field):
    """A switch, off at first; of a concurrent on and off the on wins."""

    _tags: Tags

    def _blank(self) -> Self:
        return type(self)()

    def _reset(self) -> None:
        self._tags = Tags()

    def __bool__(self) -> bool:
        return bool(self._tags.standing)

    def enable(self) -> None:
        """Turn it on; nothing is recorded where it is on."""
        if self:
            return
        author = self._author
        author.start()
        counter = author.record(self._name, ["on"])
        self._tags.add(counter, author.replica, _KEY)

    def disable(self) -> None:
        """Turn it off; nothing is recorded where it is off."""
        self.take_back(self._tags.standing)

    def take_back(self, ids: Iterable[Id]) -> None:
        """Undo those of these enablings that stand, and no others; nothing is recorded where none does."""
        self._tags.take_back(self._author, self._name, "off", ids)

    @property
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of an operation applied here."""
        return dict(self._tags.version)

    def apply_op(self, counter: int, replica: str, op: Op) -> bool | None:
        """Integrate one operation; return the new value if it changed, else None."""
        check_op(counter, replica, op)
        before = bool(self)
        tags = self._tags
        if op[0] == "on":
            check_length(op, 1)
            if tags.is_new(counter, replica):
                tags.add(counter, replica, _KEY)
        elif op[0] == "off":
            check_length(op, 2)
            ids = tags.read_refs(op[1], replica, counter)
            if tags.is_new(counter, replica):
                tags.remove(counter, replica, ids)
        else:
            raise unknown(op)
        return None if bool(self) == before else bool(self)

    def encode(self) -> bytes:
        """The state: the octet 0, then [[[counter, replica, true], ...], version] as JSON."""
        return self._tags.encode()

    def load(self, blob: bytes) -> None:
        """Take over an encoded state.  Raises OperationError, with nothing touched, where it is none."""
        tags = Tags.decode(blob)
        if tags.keys.keys() - {_KEY}:
            raise OperationError("This is not the state of a flag.")
        self._tags = tags
