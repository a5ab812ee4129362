"""Who may read and write: what seals and signs a change."""

from __future__ import annotations

from liblim.trust.sealing import Sealer, Unsealed

__all__ = ["Sealer", "Unsealed"]
