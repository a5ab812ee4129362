"""The log and the derived state of one library, in one SQLite file."""

from __future__ import annotations

from liblim.store.store import LAST_PLACE, Admitted, DocumentRow, Place, ReplicaRow, Store, Summary

__all__ = ["LAST_PLACE", "Admitted", "DocumentRow", "Place", "ReplicaRow", "Store", "Summary"]
