"""The log and the derived state of one library, in one SQLite file."""

from __future__ import annotations

from liblim.store.derived import NO_BOUND, Bound, DocumentRow, Summary
from liblim.store.log import Admitted, Fresh, ReplicaRow
from liblim.store.store import Store

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
