"""What a database set aside: read from its store, and issued again in its documents (``liblim.reissue``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from liblim.change import Body, Change, Range
from liblim.crdt.author import Author
from liblim.desk import Desk
from liblim.document import Document, Effect
from liblim.reissue import Issued, Kept, Pair, Place, Plan, Said, read_pairs
from liblim.store import Store
from liblim.writer import Writer

_NOBODY = "0" * 16


class Reissue:
    """Plans and carries out the issuing again of what one database set aside."""

    def __init__(
        self,
        store: Store,
        read_body: Callable[[Change], Body | None],
        types: Mapping[str, type[Document]],
        hidden: frozenset[str],
        writer: Writer,
        desk: Desk,
    ) -> None:
        """``types`` and ``hidden`` are as for ``Plan``."""
        self._store = store
        self._read_body = read_body
        self._types = types
        self._hidden = hidden
        self._writer = writer
        self._desk = desk

    def plan(self) -> Plan:
        """Store half: what was set aside, and what became of it.

        Raises StoreError.
        """
        rows = self._store.changes_aside()
        kept = [Kept(*row, self._read_body(row[0])) for row in rows]
        pairs = self._pairs() if rows else []
        return Plan(kept, pairs, self._find, self._kind_of, self._types, self._hidden)

    def _pairs(self) -> list[Pair]:
        """What the log says was issued."""
        pairs: list[Pair] = []
        for row in self._store.documents([Issued.kind]):
            record = Issued(row.oid, Author(_NOBODY))
            for _, change in self._store.changes_of(row.oid, 0):
                body = self._read_body(change)
                if body is not None and body.kind == Issued.kind:
                    header = change.header
                    record.apply(header.clock, header.replica, body.ops, header.end)
            pairs += read_pairs(record.pairs)
        return pairs

    def _find(self, place: Place) -> Said | None:
        """A change of the log, if that holds it and it can be read."""
        found = self._store.read([Range(place.replica, place.seq, place.seq)], 1, 1)
        if not found or found[0].hash.hex() != place.hash:
            return None
        body = self._read_body(found[0])
        return (found[0].header, body) if body is not None else None

    def _kind_of(self, oid: str) -> str:
        row = self._store.document(oid)
        return row.kind if row is not None else ""

    def issue(self, plan: Plan, documents: Mapping[str, Document], record: Issued) -> None:
        """Document half: write again what is due, and in ``record`` that it was.

        The next commit takes all of it in one transaction.  ``record`` is new, and let go of.
        """
        pairs: list[Pair] = []
        effects: list[tuple[str, list[Effect]]] = []
        for one in plan.due:
            assert one.body is not None
            self._writer.close()
            before = set(self._writer.uncommitted)
            effects.append((one.body.oid, plan.repeat(one, documents[one.body.oid])))
            self._writer.close()
            fresh = [new for new in self._writer.uncommitted.values() if new.hash not in before]
            place = Place.of(one.change)
            pairs += [(place, Place.of(new)) for new in fresh] or [(place, None)]
        for said, new in pairs:
            record.pairs.add([list(said), list(new) if new is not None else None])
        self._desk.let_go(record)
        for oid, found in effects:
            self._desk.tell(oid, found)
