"""The model behind the note list: the notes of one shelf, newest first."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QDate,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)

from app.notes import NoteRow
from ui import moments

Index = QModelIndex | QPersistentModelIndex
_Key = tuple[int, str]

ROW = Qt.ItemDataRole.UserRole
"""The role of the whole NoteRow."""
UNTITLED = "New note"
"""What a note without a title is called."""
_ROOT = QModelIndex()


def title_of(row: NoteRow | None) -> str:
    """What to call a note."""
    return (row.title if row else "") or UNTITLED


class NoteModel(QAbstractListModel):
    """Rows of the notes that a shelf holds, kept in order by single moves and never by a reset.

    Some rows may be held in their places: the open note must not run away while it is edited.
    """

    def __init__(self, rows: Mapping[str, NoteRow], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = rows
        self._holds: Callable[[NoteRow], bool] = lambda row: True
        self._shown: dict[str, NoteRow] = {}
        self._keys: dict[str, _Key] = {}
        self._order: list[_Key] = []
        self._held: frozenset[str] = frozenset()

    # What Qt asks

    def rowCount(self, parent: Index = _ROOT) -> int:
        """How many notes there are."""
        return 0 if parent.isValid() else len(self._order)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The title, what a screen reader says, or the row itself."""
        if not index.isValid():
            return None
        row = self._shown[self._order[index.row()][1]]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return title_of(row)
            case Qt.ItemDataRole.AccessibleTextRole:
                changed = moments.full(row.changed, QDate.currentDate())
                return f"{title_of(row)}, changed {changed}"
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return row.snippet
            case Qt.ItemDataRole.ToolTipRole:
                return _tip(row)
            case _:
                return row if role == ROW else None

    # What the list asks

    def index_of(self, oid: str) -> QModelIndex:
        """Where a note stands; not valid where it is not shown."""
        key = self._keys.get(oid)
        return QModelIndex() if key is None else self.index(bisect_left(self._order, key))

    def oid_at(self, row: int) -> str:
        """The note in a row; empty beyond the ends."""
        return self._order[row][1] if 0 <= row < len(self._order) else ""

    # Changes

    def show(self, holds: Callable[[NoteRow], bool]) -> None:
        """Show the notes that ``holds`` chooses, and no others."""
        self.beginResetModel()
        self._holds = holds
        self._shown = {oid: row for oid, row in self._source.items() if holds(row)}
        self._keys = {oid: _key(row) for oid, row in self._shown.items()}
        self._order = sorted(self._keys.values())
        self.endResetModel()

    @property
    def held(self) -> frozenset[str]:
        """The notes that are held."""
        return self._held

    def hold(self, oids: Iterable[str]) -> None:
        """Keep notes where they stand, whatever changes; those held before find their places."""
        before, self._held = self._held, frozenset(oids)
        self.refresh(before - self._held)

    def refresh(self, oids: Iterable[str]) -> None:
        """Take over changed rows."""
        new: dict[_Key, NoteRow] = {}
        for oid in oids:
            row = self._source.get(oid)
            if row is None or not self._holds(row):
                self._remove(oid)
            elif oid in self._keys:
                self._update(oid, row)
            else:
                new[_key(row)] = row
        self._insert(new)

    def _insert(self, new: dict[_Key, NoteRow]) -> None:
        """Insert rows; those that come to stand side by side in one go."""
        places = groupby(sorted(new), lambda key: bisect_left(self._order, key))
        runs = [(at, list(keys)) for at, keys in places]
        for at, keys in reversed(runs):  # from the end, so that places stay what they are
            self.beginInsertRows(QModelIndex(), at, at + len(keys) - 1)
            self._order[at:at] = keys
            for key in keys:
                self._keys[key[1]], self._shown[key[1]] = key, new[key]
            self.endInsertRows()

    def _remove(self, oid: str) -> None:
        key = self._keys.get(oid)
        if key is None:
            return
        at = bisect_left(self._order, key)
        self.beginRemoveRows(QModelIndex(), at, at)
        del self._order[at], self._keys[oid], self._shown[oid]
        self.endRemoveRows()

    def _update(self, oid: str, row: NoteRow) -> None:
        if oid not in self._held:
            self._move(oid, _key(row))
        if self._shown[oid] != row:
            self._shown[oid] = row
            index = self.index_of(oid)
            self.dataChanged.emit(index, index)

    def _move(self, oid: str, key: _Key) -> None:
        old = self._keys[oid]
        source, target = bisect_left(self._order, old), bisect_left(self._order, key)
        moves = target not in (source, source + 1)
        if moves:
            self.beginMoveRows(QModelIndex(), source, source, QModelIndex(), target)
        del self._order[source]
        insort(self._order, key)
        self._keys[oid] = key
        if moves:
            self.endMoveRows()


def _tip(row: NoteRow) -> str | None:
    """What the mark beside a title means."""
    if row.kept:
        return "It was edited while it was being moved to the trash, so it stays."
    if row.newer:
        return "A newer version of Lim Notes wrote something in it that this one cannot show."
    return None


def _key(row: NoteRow) -> _Key:
    return -row.changed, row.oid
