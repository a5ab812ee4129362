"""Sealing: what turns a packed body into the bytes that are stored and forwarded."""

from __future__ import annotations

from typing import Protocol

from liblim.change import Header


class Sealer(Protocol):
    """Seals, opens and signs for one library and one device."""

    @property
    def epoch(self) -> str:
        """The name of the epoch used for sealing, empty where nothing is sealed."""

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Seal a packed body; of ``header`` all but ``body`` is final, and bound to it."""

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Undo ``seal``.

        Raises ChangeError where the key is missing or anything was altered.
        """

    def sign(self, change_hash: bytes) -> bytes:
        """The device's signature over a change's hash."""


class Unsealed:
    """No keys at all: protocol version 0, which stays on the loopback interface."""

    epoch = ""

    def seal(self, packed: bytes, header: Header) -> bytes:
        """Return the packed body as it is."""
        return packed

    def open(self, sealed: bytes, header: Header) -> bytes:
        """Return the body as it is."""
        return sealed

    def sign(self, change_hash: bytes) -> bytes:
        """Return no signature."""
        return b""
