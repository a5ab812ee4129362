"""The log and the derived state of one library, in one SQLite file."""

from __future__ import annotations

from liblim.store.store import (
    NO_BOUND,
    Admitted,
    Bound,
    DocumentRow,
    Fresh,
    ReplicaRow,
    Store,
    Summary,
)

__all__ = [
    "NO_BOUND",
    "Admitted",
    "Bound",
    "DocumentRow",
    "Fresh",
    "ReplicaRow",
    "Store",
    "Summary",
]
