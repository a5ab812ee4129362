"""What is derived of the log: documents, which changes are about each, and their states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from liblim.store.connection import errors_in_words
from liblim.store.log import CHANGE, Admitted, Log, change_of


class DocumentRow(NamedTuple):
    """A document as the derived state knows it; ``summary`` is JSON, ``changed`` Unix ms.

    ``last`` is the position of the last change on it, ``listed`` of the last that the summary has seen.
    """

    oid: str
    kind: str
    changed: int
    last: int
    listed: int
    summary: str | None
    newer: bool


class Bound(NamedTuple):
    """A place in the list of all documents by when they changed: Unix ms, and a number among equals."""

    changed: int
    number: int


NO_BOUND = Bound(2**63 - 1, 0)
"""Before this stand all documents."""


class Summary(NamedTuple):
    """What lists show of a document, as JSON, having seen the log up to ``listed``.

    ``text`` is ``None`` where it is still to be made.  ``undo`` is what can be undone in it, where that is
    to be saved.
    """

    oid: str
    text: str | None
    listed: int
    newer: bool
    undo: bytes | None = None


_DOCUMENT = "SELECT oid, kind, changed, last, listed, summary, newer FROM documents"


class Derived(Log):
    """The log with what is derived of it, and can be made again from it."""

    # Which changes are about what

    def unread(self) -> list[Admitted]:
        """The changes with a body that is about no document yet: it could not be read."""
        query = (
            f"{CHANGE} LEFT JOIN touches t ON t.position = c.position "
            "WHERE t.position IS NULL AND c.body IS NOT NULL ORDER BY c.position"
        )
        with errors_in_words(self.path):
            return [Admitted(row[0], change_of(row)) for row in self._db.execute(query)]

    def unshown(self, kinds: Iterable[str]) -> int:
        """How many changes could not be read, or are about documents of other kinds than these."""
        marks = list(kinds)
        query = (
            "SELECT count(*) FROM changes c LEFT JOIN touches t ON t.position = c.position "
            "LEFT JOIN documents d ON d.id = t.document WHERE c.body IS NOT NULL "
            f"AND coalesce(d.kind NOT IN ({', '.join('?' * len(marks))}), 1)"
        )
        with errors_in_words(self.path):
            return int(self._db.execute(query, marks).get)

    def touch(
        self, position: int, oid: str, kind: str, at: int, *, kind_holds: bool = False
    ) -> None:
        """Note that the change at ``position`` is about document ``oid``.

        A document's kind is what its first change said, unless ``kind_holds`` for a later one.
        """
        if kind_holds:
            self._db.execute(
                "UPDATE documents SET kind = ?, listed = 0 WHERE oid = ? AND kind <> ?",
                (kind, oid, kind),
            )
            if self._db.changes():
                self.forget_state(oid)
        self._db.execute(
            "INSERT INTO documents (oid, kind, changed, last) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (oid) DO UPDATE SET changed = max(changed, excluded.changed), "
            "last = max(last, excluded.last)",
            (oid, kind, at, position),
        )
        self._db.execute(
            "INSERT INTO touches SELECT id, ? FROM documents WHERE oid = ?", (position, oid)
        )

    def last_of(self, oid: str) -> dict[str, int]:
        """Of each replica the last change on a document."""
        query = (
            "SELECT r.replica, max(c.seq) FROM documents d JOIN touches t ON t.document = d.id "
            "JOIN changes c ON c.position = t.position JOIN replicas r ON r.id = c.replica "
            "WHERE d.oid = ? GROUP BY c.replica"
        )
        with errors_in_words(self.path):
            return dict(self._db.execute(query, (oid,)))

    # Documents

    def document(self, oid: str) -> DocumentRow | None:
        """One document's row."""
        with errors_in_words(self.path):
            row = self._db.execute(f"{_DOCUMENT} WHERE oid = ?", (oid,)).fetchone()
        return _document(row) if row else None

    def documents(self, kinds: Iterable[str]) -> list[DocumentRow]:
        """All documents of these kinds."""
        marks = list(kinds)
        query = f"{_DOCUMENT} WHERE kind IN ({', '.join('?' * len(marks))})"
        with errors_in_words(self.path):
            return [_document(row) for row in self._db.execute(query, marks)]

    def newest(
        self, kinds: Iterable[str], most: int, before: Bound = NO_BOUND
    ) -> tuple[list[DocumentRow], Bound | None]:
        """``most`` documents of these kinds, those that changed last first, from ``before`` on.

        Returns them, and before what the next ones stand; ``None`` where these were the last.
        """
        marks = list(kinds)
        query = (
            f"{_DOCUMENT.replace('SELECT', 'SELECT id,')} "
            f"WHERE (changed, id) < (?, ?) AND kind IN ({', '.join('?' * len(marks))}) "
            "ORDER BY changed DESC, id DESC LIMIT ?"
        )
        with errors_in_words(self.path):
            rows: list[Any] = self._db.execute(query, (*before, *marks, most)).fetchall()
        found = [_document(row[1:]) for row in rows]
        more = len(rows) == most
        return found, Bound(found[-1].changed, int(rows[-1][0])) if more else None

    def unlisted(self, kinds: Iterable[str], most: int = -1) -> list[str]:
        """The documents of these kinds with changes that their summary has not seen; ``most``, or all."""
        marks = list(kinds)
        query = (
            "SELECT oid FROM documents WHERE listed < last "
            f"AND kind IN ({', '.join('?' * len(marks))}) LIMIT ?"
        )
        with errors_in_words(self.path):
            return [str(row[0]) for row in self._db.execute(query, (*marks, most))]

    def state(self, oid: str) -> tuple[bytes | None, int]:
        """A document's last saved state and the position that it has seen."""
        query = (
            "SELECT s.state, s.position FROM documents d JOIN states s ON s.document = d.id "
            "WHERE d.oid = ?"
        )
        with errors_in_words(self.path):
            row = self._db.execute(query, (oid,)).fetchone()
        return (row[0], row[1]) if row else (None, 0)

    def changes_of(self, oid: str, after: int) -> Iterator[Admitted]:
        """The changes on one document that came after a position, in order."""
        query = CHANGE + (
            "JOIN touches t ON t.position = c.position "
            "WHERE t.document = (SELECT id FROM documents WHERE oid = ?) AND t.position > ? "
            "ORDER BY t.position"
        )
        with errors_in_words(self.path):
            row: Any
            for row in self._db.execute(query, (oid, after)):
                yield Admitted(row[0], change_of(row))

    def save_summary(self, summary: Summary) -> None:
        """Keep what lists show of a document."""
        with errors_in_words(self.path):
            self._db.execute(
                "UPDATE documents SET summary = ?, listed = ?, newer = ? WHERE oid = ?",
                (summary.text, summary.listed, summary.newer, summary.oid),
            )

    def save_state(self, oid: str, state: bytes, position: int) -> None:
        """Keep a document's state, having seen the log up to ``position``."""
        with errors_in_words(self.path):
            self._db.execute(
                "INSERT OR REPLACE INTO states SELECT id, ?, ? FROM documents WHERE oid = ?",
                (position, state, oid),
            )

    def forget_state(self, oid: str) -> None:
        """Drop a document's state and summary; they are made again from the log."""
        self._db.execute("UPDATE documents SET listed = 0 WHERE oid = ?", (oid,))
        self._db.execute(
            "DELETE FROM states WHERE document = (SELECT id FROM documents WHERE oid = ?)", (oid,)
        )

    def forget_derived(self) -> None:
        """Drop all states and summaries; they are made again from the log."""
        with self.transaction():
            self._db.execute("UPDATE documents SET listed = 0, newer = 0")
            self._db.execute("DELETE FROM states")

    def forget_gaps(self) -> None:
        """Mark summaries as behind that had to pass something over.  Within a transaction."""
        self._db.execute("UPDATE documents SET listed = 0 WHERE newer")

    # Undo: what this device alone keeps of a document

    def undo(self, oid: str, device: str) -> bytes | None:
        """What can be undone in a document, unless ``device``, this one, wrote in it since that was saved."""
        query = (
            "SELECT u.history FROM documents d JOIN undo u ON u.document = d.id "
            "WHERE d.oid = ? AND NOT EXISTS ("
            "SELECT 1 FROM touches t JOIN changes c ON c.position = t.position "
            "JOIN replicas r ON r.id = c.replica "
            "WHERE t.document = d.id AND t.position > u.position AND r.device = ?)"
        )
        with errors_in_words(self.path):
            row = self._db.execute(query, (oid, device)).fetchone()
        return row[0] if row else None

    def save_undo(self, oid: str, history: bytes, position: int) -> None:
        """Keep what can be undone in a document, having seen the log up to ``position``."""
        with errors_in_words(self.path):
            if history:
                self._db.execute(
                    "INSERT OR REPLACE INTO undo SELECT id, ?, ? FROM documents WHERE oid = ?",
                    (position, history, oid),
                )
            else:
                self._db.execute(
                    "DELETE FROM undo WHERE document = (SELECT id FROM documents WHERE oid = ?)",
                    (oid,),
                )

    def trim_undo(self, most: int) -> None:
        """Keep what can be undone only of the documents last written in."""
        with errors_in_words(self.path):
            self._db.execute(
                "DELETE FROM undo WHERE position <= "
                "(SELECT position FROM undo ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (most,),
            )


def _document(row: Any) -> DocumentRow:
    oid, kind, changed, last, listed, summary, newer = row
    return DocumentRow(oid, kind, changed, last, listed, summary, bool(newer))
