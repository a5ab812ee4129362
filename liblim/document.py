"""Document types: declared like models, every field a CRDT.

::

    class Note(Document):
        kind = "note"
        body = Text()
        pinned = Flag()

A field in the class body is a prototype; each document gets its own, bound to its author.  What is declared
wrongly raises DefinitionError there and then.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import msgspec

from liblim.crdt.author import Author
from liblim.crdt.field import Field
from liblim.crdt.ops import width
from liblim.crdt.splice import difference
from liblim.crdt.text import Text
from liblim.crdt.values import read
from liblim.errors import DefinitionError, OperationError

if TYPE_CHECKING:
    from liblim.change import Body, Header

STATE_VERSION = 0

D = TypeVar("D")


class Effect(NamedTuple):
    """What an operation from elsewhere did to a field; for a text, a list of splices."""

    field: str
    result: Any


class Document:
    """One synced object: an ``oid`` (32 hex digits), a kind, and its fields.

    Documents come from ``Database.create`` and ``Database.get``.  Change them through their fields, each of
    which is an attribute under its name: ``note.body.insert(0, "text")``.
    """

    kind: ClassVar[str] = ""
    fields: ClassVar[Mapping[str, Field]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        """Collect the fields.

        Raises DefinitionError, which names the field, where one is none or cannot have its name or default,
        and where another type at the top level of a module has the same kind.
        """
        super().__init_subclass__(**options)
        _check_kind(cls)
        for name, value in vars(cls).items():
            wrong = _what_is_wrong(cls, name, value)
            if wrong:
                raise DefinitionError(f"{cls.__name__}.{name}: {wrong}.")
        _check_annotations(cls)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls.fields = {**cls.fields, **own}

    def __init__(self, oid: str, author: Author) -> None:
        """Make an empty document whose operations ``author`` gathers."""
        self.oid = oid
        self.author = author
        self.newer = False
        """Whether a newer version of the program wrote something that this one passes over."""
        for name, prototype in self.fields.items():
            setattr(self, name, prototype.bind(name, author))

    def __repr__(self) -> str:
        """Name kind and oid; never contents."""
        return f"<{type(self).__name__} {self.oid}>"

    def summary(self) -> dict[str, Any]:
        """What lists show of the document without loading it; JSON-able.  Override it."""
        return {}

    def apply(
        self, clock: int, replica: str, ops: Sequence[Sequence[Any]], end: int | None = None
    ) -> list[Effect]:
        """Integrate the operations of one change, written by ``replica`` from ``clock`` on.

        ``end`` is the last counter that the change may take, if that is known.

        An operation that this version does not know, or that names what is not there, is passed
        over and marks the document as ``newer``; the others count.
        """
        effects = []
        for op in ops:
            try:
                name, *rest = op
                taken = width(rest)
            except (OperationError, ValueError):
                self.newer = True
                break  # without its width, the counters of what follows are not known either
            if end is not None and clock + taken - 1 > end:
                self.newer = True
                break  # these counters belong to others
            field = self._field(name)
            if field is None:
                self.newer = True
            else:
                try:
                    effects.append(Effect(name, field.apply_op(clock, replica, rest)))
                except OperationError:
                    self.newer = True
            clock += taken
        return effects

    def _field(self, name: object) -> Field | None:
        if not isinstance(name, str) or name not in self.fields:
            return None
        field = getattr(self, name)
        assert isinstance(field, Field)
        return field

    def encode(self) -> bytes:
        """The state of all fields, to be loaded without replaying the log."""
        parts = {name: self._state(name) for name in self.fields}
        index = msgspec.json.encode(
            {
                "version": STATE_VERSION,
                "newer": self.newer,
                "fields": [[name, len(part)] for name, part in parts.items()],
            }
        )
        return struct.pack(">I", len(index)) + index + b"".join(parts.values())

    def _state(self, name: str) -> bytes:
        field = self._field(name)
        assert field is not None
        return field.encode()

    def load(self, state: bytes) -> None:
        """Load what ``encode`` wrote into this empty document.

        Raises OperationError where the state is damaged, of another version, has other fields, or
        passes something over.
        """
        try:
            (size,) = struct.unpack_from(">I", state)
        except struct.error:
            raise OperationError("This is not the state of a document: it is too short.") from None
        index = read(state[4 : 4 + size], _StateIndex, "the state of a document")
        if index.version != STATE_VERSION or {name for name, _ in index.fields} != set(self.fields):
            raise OperationError("a document's state is of another version")
        if index.newer:
            # This version of the program may know what the one that saved it passed over.
            raise OperationError("a document's state has gaps: it has to be made from the log")
        start = 4 + size
        for name, length in index.fields:
            field = self._field(name)
            assert field is not None
            field.load(state[start : start + length])
            start += length

    def renew(self, made: Self, own: Iterable[tuple[Header, Body]]) -> list[Effect]:
        """Become what was ``made`` of the log, with ``own`` changes on top; return what the texts get.

        What can be undone stays, where it still fits.
        """
        before = {name: str(text) for name, text in self._texts().items()}
        history = self.encode_history()
        self.newer = made.newer
        for name in self.fields:
            field = self._field(name)
            assert field is not None
            field.load(made._state(name))
        for header, body in own:
            self.apply(header.clock, header.replica, body.ops, header.end)
        if history:
            with suppress(OperationError):
                self.load_history(history)
        return [
            Effect(name, [difference(before[name], str(text))])
            for name, text in self._texts().items()
            if before[name] != str(text)
        ]

    def _texts(self) -> dict[str, Text]:
        return {name: field for name in self.fields if isinstance(field := self._field(name), Text)}

    def encode_history(self) -> bytes:
        """What can be undone and redone in the texts, for this device alone; empty where nothing can."""
        kept = {name: b for name, text in self._texts().items() if (b := text.encode_history())}
        fields = {name: msgspec.Raw(blob) for name, blob in kept.items()}
        return msgspec.json.encode(_Histories(0, fields)) if fields else b""

    def load_history(self, blob: bytes) -> None:
        """Take over what ``encode_history`` gave.

        Raises OperationError where it is none, or the history of a text does not fit that: such are dropped.
        """
        histories = read(blob, _Histories, "what can be undone in a document")
        for name, history in histories.fields.items():
            field = self._field(name)
            if isinstance(field, Text):
                field.load_history(bytes(history))


_RESERVED = frozenset({"oid", "author", "newer"})
"""Attributes that each document gets when it is made."""


def _what_is_wrong(cls: type[Document], name: str, value: object) -> str:
    """Why a type cannot have this in its body; empty where it can."""
    if isinstance(value, type) and issubclass(value, Field):
        return f"a field is made by a call, {value.__name__}(...)"
    if not isinstance(value, Field):
        return "this is a field of the type that it derives from" if name in cls.fields else ""
    if name.startswith("_") or hasattr(Document, name) or name in _RESERVED or len(name) > 64:
        return "a field cannot have this name"
    try:
        value.check_definition()
    except DefinitionError as error:
        return str(error).removesuffix(".")
    return ""


def _check_annotations(cls: type[Document]) -> None:
    """Refuse a field that is only annotated, ``body: Text``: there would be none."""
    names = {field.__name__ for field in _all_subclasses(Field)}  # type: ignore[type-abstract]
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        wanted = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        wanted = wanted.partition("[")[0].rpartition(".")[2]
        if wanted in names and name not in vars(cls) and name not in cls.fields:
            raise DefinitionError(f"{cls.__name__}.{name}: write {name} = {wanted}(...).")


def _check_kind(cls: type[Document]) -> None:
    kind: object = cls.kind
    if not isinstance(kind, str) or not 1 <= len(kind) <= 64:
        raise DefinitionError(f"{cls.__name__}.kind has to be a name of 1 to 64 characters")
    for other in _all_subclasses(Document):
        if (
            other.kind == kind
            and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__)
            # A type that is made in a function may stand in for another.
            and "<locals>" not in cls.__qualname__ + other.__qualname__
        ):
            raise DefinitionError(
                f"{cls.__name__}.kind: {other.__module__}.{other.__qualname__} has the kind {kind!r} too"
            )


def _all_subclasses(cls: type[D]) -> Iterator[type[D]]:
    """The classes that derive from this one, directly or not."""
    for derived in cls.__subclasses__():
        yield derived
        yield from _all_subclasses(derived)


class _Histories(msgspec.Struct):
    version: Literal[0]
    fields: dict[str, msgspec.Raw]


class _StateIndex(msgspec.Struct):
    version: int
    newer: bool
    fields: list[tuple[str, int]]


def by_kind(types: Iterable[type[Document]]) -> dict[str, type[Document]]:
    """The types under their kinds.

    Raises DefinitionError where two have the same kind.
    """
    found: dict[str, type[Document]] = {}
    for document_type in types:
        if document_type.kind in found:
            raise DefinitionError(
                f"{document_type.__name__} and {found[document_type.kind].__name__} "
                f"have the same kind, {document_type.kind!r}"
            )
        found[document_type.kind] = document_type
    return found
