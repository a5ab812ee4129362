"""Issuing again: what was set aside is written once more, as new changes that everybody can take.

A change is set aside where the log holds another with its replica and number, or where it stands on one such
(``Admission``).  Its ids name other elements than the log's, so it can never enter.  But what it *says* can
be said again: inserts go behind the same left neighbour, deletes take what is still there, other fields are
written by their ordinary methods.  Ids of elements that were issued again are followed to the new ones; an
insert whose place cannot be found goes to the end of its text, and is never dropped.  A change with an
operation that this version does not know is left for one that does.

What was issued is written into the log itself, in documents of the kind ``issued``, in the same transaction:
so a crash issues nothing twice, and no device issues what it knows another has.  Two that do so at once,
before they have synced, do write it twice.  The changes set aside stay as they are.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from liblim.change import Body, Change, Header, ReplicaId
from liblim.change import Counter as Count
from liblim.crdt import Anchor, Bias, Counter, Flag, GrowSet, Register, Set, Splice, Text
from liblim.crdt.ops import BEGINNING, Id, Op, read_ref, width
from liblim.document import Document, Effect
from liblim.errors import OperationError

Elements = tuple[int, str, int]
"""Elements with consecutive ids: counter, replica, how many."""

_VERBS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Text, ("+", "-")),
    (Register, ("=",)),
    (Set, ("add", "rm")),
    (GrowSet, ("add",)),
    (Flag, ("on", "off")),
    (Counter, ("inc",)),
)


class Issued(Document):
    """Which changes were issued again, each with one that does so, or null where nothing was left.

    A value is ``[[replica, seq, hash], [replica, seq, hash] or null]``, hashes as hex.
    """

    kind = "issued"
    pairs = GrowSet()


class Place(NamedTuple):
    """A change by its place and its hash (hex)."""

    replica: ReplicaId
    seq: Count
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]

    @classmethod
    def of(cls, change: Change) -> Place:
        """Where a change stands."""
        return cls(change.replica, change.seq, change.hash.hex())


Pair = tuple[Place, Place | None]


class Aside(NamedTuple):
    """A change that was set aside and not issued again.

    ``at`` is its author's clock in Unix ms; ``oid`` is empty where it cannot be read.
    """

    hash: bytes
    device: str
    replica: str
    seq: int
    at: int
    oid: str
    reason: str


class Kept(NamedTuple):
    """A change that was set aside, as the store keeps it; ``body`` where it can be read."""

    change: Change
    device: str
    reason: str
    body: Body | None


Said = tuple[Header, Body]


def read_pairs(values: Iterable[object]) -> Iterator[Pair]:
    """The pairs among the values of ``Issued.pairs``; what is none is passed over."""
    for value in values:
        try:
            yield msgspec.convert(value, Pair)
        except msgspec.ValidationError:
            continue


class _Names:
    """How the elements of one replica's branch are called now: ranges in order of their counters."""

    def __init__(self, first: int) -> None:
        """``first`` is the branch's first counter."""
        self.first = first
        self._rows: list[tuple[int, int, int, str]] = []

    def add(self, counter: int, n: int, new: Id) -> None:
        insort(self._rows, (counter, n, *new))

    def follow(self, counter: int, n: int) -> Iterator[Elements]:
        i = max(0, bisect_right(self._rows, counter, key=itemgetter(0)) - 1)
        for start, size, new, owner in self._rows[i:]:
            low, high = max(start, counter), min(start + size, counter + n)
            if start >= counter + n:
                return
            if low < high:
                yield new + low - start, owner, high - low


class Plan:
    """What was set aside, what of it is issued already, and how its elements are called now."""

    def __init__(
        self,
        kept: Iterable[Kept],
        pairs: Sequence[Pair],
        find: Callable[[Place], Said | None],
        kind_of: Callable[[str], str],
        types: Mapping[str, type[Document]],
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """``pairs`` are those in the log, where ``find`` finds changes; ``kind_of`` tells the kind of an oid.

        ``types`` are those whose changes can be issued, ``hidden`` the kinds that concern keys and members:
        these are heard where they are (``liblim.admission.Outside``).
        """
        order = sorted(kept, key=lambda one: (one.change.header.clock, one.change.replica))
        self._kept = {one.change.hash: one for one in order}
        self._find, self._kind_of, self._types = find, kind_of, types
        self._hidden = hidden | {Issued.kind}
        self._settled = {orig.hash for orig, _ in pairs}
        self._pairs = [*pairs, *self._pairs_aside()]
        self._origins = {new.hash: orig for orig, new in self._pairs if new is not None}
        self._past: dict[bytes, dict[str, _Names]] = {}
        self._recalled: set[str] = set()
        self._fresh: dict[str, str] = {}
        """The kinds of documents that only what was set aside is about."""
        for one in order:
            self._trace(one.change)
        unsaid = list(self._unsaid())
        self.listed = [_aside(one) for one in unsaid]
        """All that was not issued yet."""
        self.due = [one for one in unsaid if self._is_sayable(one.body)]
        """Those that can be issued now, in a causal order."""
        for one in order if self.due else ():
            if self._is_done(one):
                self._recall(one)

    def _pairs_aside(self) -> Iterator[Pair]:
        for one in self._kept.values():
            if one.body is not None and one.body.kind == Issued.kind:
                said = (op[-1] for op in one.body.ops if op[:-1] == ["pairs", "add"])
                yield from read_pairs(said)

    def _trace(self, change: Change) -> None:
        """Note which replicas' branches a change has in its past, its own among them."""
        past: dict[str, _Names] = {}
        for parent in (*(dep.hash for dep in change.header.deps), change.header.prev):
            past |= self._past.get(parent, {})
        if change.header.prev not in self._kept:
            past[change.replica] = _Names(change.header.clock)
        self._past[change.hash] = past

    def _is_done(self, one: Kept) -> bool:
        """Whether it was issued, or says again what is here."""
        name = one.change.hash.hex()
        origin = self._origins.get(name)
        return name in self._settled or (
            origin is not None and (origin.hash in self._settled or self._find(origin) is not None)
        )

    def _recall(self, one: Kept) -> None:
        """Find out how the elements of a change that is done are called now."""
        name = one.change.hash.hex()
        origin = self._origins.get(name)
        key = name if name in self._settled or origin is None else origin.hash
        if key in self._recalled:
            return
        self._recalled.add(key)
        again = [new for orig, new in self._pairs if orig.hash == key and new is not None]
        again.sort(key=lambda place: place.seq)
        old: Iterable[Said | None] = [_said(one)]
        new = [self._find(place) for place in again]
        if (
            key != name and origin is not None
        ):  # what was set aside says again what stands in the log
            old, new = [self._said_aside(place) for place in again], [self._find(origin)]
        names = self._past[one.change.hash][one.change.replica]
        for (counter, _, n), target in _alike(_present(old), _present(new)):
            names.add(counter, n, target)

    def _said_aside(self, place: Place) -> Said | None:
        one = self._kept.get(bytes.fromhex(place.hash))
        return _said(one) if one is not None else None

    def _unsaid(self) -> Iterator[Kept]:
        for one in self._kept.values():
            hidden = one.body is not None and one.body.kind in self._hidden
            if not hidden and not self._is_done(one):
                yield one

    def _is_sayable(self, body: Body | None) -> bool:
        if body is None or body.kind not in self._types:
            return False
        fields = self._types[body.kind].fields
        if not all(_is_known(fields, op) for op in body.ops):
            return False
        kind = self._kind_of(body.oid) or self._fresh.setdefault(body.oid, body.kind)
        return kind == body.kind

    def documents(self) -> list[tuple[type[Document], str]]:
        """Type and oid of each document that what is due is about."""
        bodies = {one.body.oid: one.body for one in self.due if one.body is not None}
        return [(self._types[body.kind], oid) for oid, body in bodies.items()]

    def repeat(self, one: Kept, document: Document) -> list[Effect]:
        """Write what a change says once more, in its document; returns what that did there."""
        assert one.body is not None
        header, effects = one.change.header, []
        voice = _Voice(document, header.replica, self._past[one.change.hash])
        clock = header.clock
        for op in one.body.ops:
            name, *rest = op
            if clock + width(rest) - 1 > header.end:
                break  # these counters belong to others
            with suppress(OperationError, IndexError, TypeError, ValueError):
                # What is nonsense is passed over, as applying it does.
                effects += voice.repeat(clock, name, rest)
            clock += width(rest)
        return effects


class _Voice:
    """Says again, in one document, what a replica said."""

    def __init__(self, document: Document, replica: str, past: Mapping[str, _Names]) -> None:
        self._document = document
        self._author = document.author
        self._replica = replica
        self._past = past

    def repeat(self, counter: int, name: str, op: Op) -> list[Effect]:
        """Write one operation, which had this counter, once more."""
        field: Any = getattr(self._document, name)
        match op[0]:
            case "+":
                return [Effect(name, [self._insert(field, counter, op)])]
            case "-":
                return [Effect(name, self._delete(field, op))]
            case "add" | "on":
                edits = self._author.edits
                field.enable() if op[0] == "on" else field.add(op[1])
                if self._author.edits != edits:
                    self._rename(counter, 1)
            case "rm" | "off":
                named = [read_ref(ref, self._replica) for ref in op[1]]
                field.take_back([now[:2] for id_ in named for now in self._follow(*id_, 1)])
            case "=":
                field.set(op[1])
            case "inc":
                field.add(op[1])
        return [Effect(name, None)]

    def _insert(self, text: Text, counter: int, op: Op) -> Splice:
        _, ref, inserted = op
        pos = self._place(text, read_ref(ref, self._replica))
        text.end_group()
        text.insert(pos, inserted)
        text.end_group()
        self._rename(counter, len(inserted))
        return Splice(pos, 0, inserted)

    def _place(self, text: Text, left: Id) -> int:
        """Where what stood behind this element goes; the end of the text, where that is not known."""
        if left == BEGINNING:
            return 0
        for counter, owner, _ in self._follow(*left, 1):
            try:
                return text.position(Anchor(counter, owner, Bias.LEFT))
            except OperationError:
                break
        return len(text)

    def _delete(self, text: Text, op: Op) -> list[Splice]:
        (counter, owner), n = read_ref(op[1], self._replica), op[2]
        found = list(self._follow(counter, owner, n))
        return [splice for one in found for splice in text.delete_elements(*one)]

    def _rename(self, counter: int, n: int) -> None:
        """The last ``n`` counters taken are those of what had these."""
        new = self._author.counter - n, self._author.replica
        self._past[self._replica].add(counter, n, new)

    def _follow(self, counter: int, owner: str, n: int) -> Iterator[Elements]:
        """How elements that the branch names are called now, as far as that is known."""
        names = self._past.get(owner)
        before = n if names is None else max(0, min(n, names.first - counter))
        if before:
            yield counter, owner, before
        if names is not None and before < n:
            yield from names.follow(counter + before, n - before)


def _said(one: Kept) -> Said | None:
    return (one.change.header, one.body) if one.body is not None else None


def _aside(one: Kept) -> Aside:
    header, oid = one.change.header, one.body.oid if one.body is not None else ""
    place = one.change.hash, one.device, header.replica, header.seq
    return Aside(*place, header.at, oid, one.reason)


def _is_known(fields: Mapping[str, object], op: Sequence[Any]) -> bool:
    """Whether this version knows what an operation of a change does."""
    field = fields.get(op[0]) if op and isinstance(op[0], str) else None
    try:
        width(list(op[1:]))
    except OperationError:
        return False
    return any(isinstance(field, kind) and op[1] in verbs for kind, verbs in _VERBS)


def _present(said: Iterable[Said | None]) -> list[Said]:
    return [one for one in said if one is not None]


def _alike(old: Sequence[Said], new: Sequence[Said]) -> Iterator[tuple[Elements, Id]]:
    """Which elements say the same in both: the inserted characters in turn, and additions of a value."""
    yield from _in_turn(_inserts(old), _inserts(new))
    there = dict(_additions(new))
    for key, (counter, owner) in _additions(old):
        if key in there:
            yield (counter, owner, 1), there[key]


def _in_turn(old: Iterable[Elements], new: Iterable[Elements]) -> Iterator[tuple[Elements, Id]]:
    targets = list(new)
    for first, owner, n in old:
        done = 0
        while done < n and targets:
            target, whose, room = targets.pop(0)
            size = min(n - done, room)
            yield (first + done, owner, size), (target, whose)
            done += size
            if size < room:
                targets.insert(0, (target + size, whose, room - size))


def _numbered(said: Iterable[Said]) -> Iterator[tuple[int, str, list[Any]]]:
    """Each operation with its id: (counter, replica, [field, verb, ...]); of a change, up to nonsense."""
    for header, body in said:
        clock = header.clock
        for op in body.ops:
            with suppress(OperationError):
                taken = width(op[1:])
                yield clock, header.replica, op
                clock += taken
                continue
            break


def _inserts(said: Iterable[Said]) -> Iterator[Elements]:
    for counter, replica, op in _numbered(said):
        if op[1] == "+":
            yield counter, replica, len(op[3])


def _additions(said: Iterable[Said]) -> Iterator[tuple[bytes, Id]]:
    for counter, replica, op in _numbered(said):
        if op[1] in ("add", "on"):
            yield msgspec.json.encode(op), (counter, replica)
