"""What a session has to know of the log that it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from liblim.change import Head


class LogView(Protocol):
    """The committed part of a device's log, as facts in memory.

    ``heads`` is in the order in which the replicas first appeared in the log.
    """

    @property
    def library(self) -> str:
        """The library's id, 32 hex digits."""

    @property
    def device(self) -> str:
        """This device's id, 32 hex digits."""

    @property
    def heads(self) -> Mapping[str, Head]:
        """The last change of every replica."""

    @property
    def count(self) -> int:
        """How many changes the log holds."""

    @property
    def digest(self) -> str:
        """The digest over the heads, as hex."""
