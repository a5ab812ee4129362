"""What all CRDTs have in common, whether they stand alone or are a field of a document."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Any, NoReturn, Self, TypeVar

from liblim.crdt.author import Author
from liblim.crdt.ops import Op, width
from liblim.errors import DefinitionError, OperationError

F = TypeVar("F", bound=type)


def interpreted(cls: F) -> F:
    """Mark a class in a module that mypyc may compile: it stays an ordinary Python class.

    mypyc does not run the metaclass of the classes that it makes itself, so each of them would share the
    answers that :class:`Field` gives to ``isinstance``.  Any decorator that mypyc does not know keeps it
    from making them; the methods are compiled all the same.
    """
    return cls


class Field(metaclass=ABCMeta):
    """A replicated value.

    As a class attribute of a document type it is a prototype that only holds options; :meth:`bind` makes
    the live one for each document.  :meth:`new` makes one that stands alone, with an author of its own.
    """

    _author: Author
    _name: str

    @classmethod
    def new(cls, replica: str, **options: Any) -> Self:
        """An empty one that stands alone and writes as ``replica``."""
        return cls(**options).bind("", Author(replica))

    def bind(self, name: str, author: Author) -> Self:
        """An empty one with the same options, whose edits ``author`` records under ``name``."""
        live = self._blank()
        live._name = name
        live._author = author
        live._reset()
        return live

    def check_definition(self) -> None:
        """Raise DefinitionError where this cannot be a field of a document type."""
        if "_author" in self.__dict__:
            raise DefinitionError(f"This {type(self).__name__} stands alone: declare a new one.")

    @abstractmethod
    def _blank(self) -> Self:
        """Another prototype with the same options."""

    @abstractmethod
    def _reset(self) -> None:
        """Make the empty state."""

    def __getattr__(self, name: str) -> NoReturn:
        """Reached only for what is not there, as the state of a prototype is not."""
        if name.startswith("_") and not name.startswith("__") and "_author" not in self.__dict__:
            raise DefinitionError(
                f"This {type(self).__name__} only declares a field: use that of a document, "
                f"or {type(self).__name__}.new(replica)."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    @abstractmethod
    def version(self) -> dict[str, int]:
        """For each replica the highest counter of what was applied here.

        A delete in a text counts with the counter that stood next when it was made.
        """

    @abstractmethod
    def apply_op(self, counter: int, replica: str, op: Op) -> Any:
        """Integrate one operation with this id, and return its visible effect.

        One that was applied before does nothing.  Raises OperationError, and leaves the state untouched,
        where it is malformed or its causal past is not here.
        """

    def take_ops(self) -> list[list[Any]]:
        """The free-standing operations made here since the last take, ready for JSON."""
        replica = self._author.replica
        return [[counter, replica, *op] for counter, _, op in self._author.take()]

    def apply(self, ops: Iterable[Any]) -> list[Any]:
        """Integrate free-standing operations in turn, and return the effect of each.

        Raises OperationError at the first that is refused: those before it are applied, and their effects
        are the error's ``effects``; it and those behind it are not.
        """
        effects: list[Any] = []
        author = self._author
        try:
            for free in ops:
                if not isinstance(free, (list, tuple)) or len(free) < 3:
                    raise OperationError(
                        "A free-standing operation is counter, replica, operation."
                    )
                counter, replica, *op = free
                self._gather(effects, self.apply_op(counter, replica, op))
                author.observe(counter + width(op) - 1)
        except OperationError as error:
            error.effects = effects
            raise
        return effects

    def _gather(self, effects: list[Any], effect: Any) -> None:
        """Put the effect of one operation to those before it."""
        effects.append(effect)

    @abstractmethod
    def encode(self) -> bytes:
        """The state as bytes: what was recorded and not yet taken is in it too."""

    @abstractmethod
    def load(self, blob: bytes) -> None:
        """Take over an encoded state in place of the own.  Raises OperationError where it is none."""

    @classmethod
    def decode(cls, blob: bytes, replica: str, **options: Any) -> Self:
        """One that stands alone, writes as ``replica`` and has the encoded state."""
        field = cls.new(replica, **options)
        field.load(blob)
        field._author.observe(max(field.version.values(), default=0))
        return field
