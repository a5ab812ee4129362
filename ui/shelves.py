"""Shelves: what the sidebar offers, each a choice among the notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.notes import NoteRow


@dataclass(frozen=True, slots=True)
class Shelf:
    """Some of the notes, under a name; ``holds`` tells which.

    ``empty`` and ``hint`` are what an empty list says.
    """

    key: str
    name: str
    icon: str
    holds: Callable[[NoteRow], bool]
    empty: str
    hint: str


ALL = Shelf(
    key="all",
    name="All notes",
    icon="notes",
    holds=lambda row: not row.trashed,
    empty="No notes yet",
    hint="Write the first one, or pair with a device that has some.",
)
TRASH = Shelf(
    key="trash",
    name="Trash",
    icon="trash",
    holds=lambda row: row.trashed,
    empty="The trash is empty",
    hint="Notes that you move to the trash stay here, and can be restored.",
)
SHELVES = (ALL, TRASH)
