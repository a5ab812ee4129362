"""The log and the derived state of one library, in one SQLite file."""

from __future__ import annotations

from liblim.store.store import Admitted, DocumentRow, ReplicaRow, Store, Summary

__all__ = ["Admitted", "DocumentRow", "ReplicaRow", "Store", "Summary"]
