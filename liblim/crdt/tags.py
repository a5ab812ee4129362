"""Additions that can be taken back: what an observed-remove set and a flag are made of.

Each addition is tagged with the id of its operation; a removal names the tags that it saw.  So an addition
that a removal did not see survives it.  After Shapiro et al., "A comprehensive study of Convergent and
Commutative Replicated Data Types" (2011), specification 15.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from liblim.crdt.author import Author
from liblim.crdt.ops import Id, check_id, make_ref, read_ref
from liblim.crdt.values import canonical, read
from liblim.errors import OperationError

VERSION = 0


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is encoded after the version octet, as JSON."""

    standing: list[tuple[int, str, msgspec.Raw]]
    version: dict[str, int]


class Tags:
    """The tags that stand, each with a key, and for each replica the highest counter applied.

    Operations come in a causal order; so one whose counter is not above its replica's was applied before.
    """

    __slots__ = ("keys", "standing", "version")

    def __init__(self) -> None:
        self.standing: dict[Id, str] = {}
        self.keys: dict[str, set[Id]] = {}
        self.version: dict[str, int] = {}

    def is_new(self, counter: int, replica: str) -> bool:
        """Whether the operation with this id was not applied yet."""
        return counter > self.version.get(replica, 0)

    def add(self, counter: int, replica: str, key: str) -> bool:
        """Let a tag stand; return whether its key is new."""
        self.version[replica] = max(counter, self.version.get(replica, 0))
        self.standing[counter, replica] = key
        tags = self.keys.setdefault(key, set())
        tags.add((counter, replica))
        return len(tags) == 1

    def read_refs(self, refs: object, replica: str, counter: int) -> list[Id]:
        """The ids that the removal with this id names.  Raises OperationError for one not seen here."""
        if type(refs) is not list or not refs:
            raise OperationError("A removal names what it removes.")
        ids = [read_ref(ref, replica) for ref in refs]
        for tag, owner in ids:
            if not 0 < tag <= self.version.get(owner, 0) or tag >= counter:
                raise OperationError("A removal names an operation that is not here.")
        return ids

    def remove(self, counter: int, replica: str, ids: list[Id]) -> list[str]:
        """Let tags fall; return the keys of which none stands any more."""
        self.version[replica] = counter
        gone: list[str] = []
        for tag in ids:
            key = self.standing.pop(tag, None)
            if key is None:
                continue
            self.keys[key].discard(tag)
            if not self.keys[key]:
                del self.keys[key]
                gone.append(key)
        return gone

    def take_back(self, author: Author, field: str, verb: str, ids: Iterable[Id]) -> None:
        """Record that those of these tags fall that stand, and let them; nothing where none does."""
        standing = sorted(tag for tag in set(ids) if tag in self.standing)
        if not standing:
            return
        author.start()
        refs = [make_ref(tag, author.replica) for tag in standing]
        self.remove(author.record(field, [verb, refs]), author.replica, standing)

    def encode(self) -> bytes:
        """The octet 0, then [[[counter, replica, key], ...], version] as JSON."""
        standing = [
            (counter, replica, msgspec.Raw(key.encode()))
            for (counter, replica), key in sorted(self.standing.items())
        ]
        state = _State(standing, dict(sorted(self.version.items())))
        return bytes([VERSION]) + msgspec.json.encode(state)

    @classmethod
    def decode(cls, blob: bytes) -> Tags:
        """The tags that these bytes hold.  Raises OperationError where they hold none."""
        if blob[:1] != bytes([VERSION]):
            raise OperationError("This is not the state of a set or flag, or of a newer version.")
        state = read(blob[1:], _State, "the state of a set or flag")
        standing = [
            (tag, owner, read(value, object, "a value of a set or flag"))
            for tag, owner, value in state.standing
        ]
        tags = cls()
        tags.version = state.version
        for replica, counter in state.version.items():
            check_id(counter, replica)
        for counter, replica, value in standing:
            check_id(counter, replica)
            if tags.is_new(counter, replica) or (counter, replica) in tags.standing:
                raise OperationError("A tag is newer than its state, or stands twice.")
            tags.add(counter, replica, canonical(value))
        return tags
