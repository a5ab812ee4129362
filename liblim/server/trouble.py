"""A storage that fails, in words: those for whoever runs the server, and those for devices."""

from __future__ import annotations

from liblim.errors import LimError, ProtocolError, StoreFull

FULL = "The disk that holds what is served is full. Free some space there; until then nothing new is kept."

_TOLD = "Ask whoever runs the server. Nothing is lost, and the connection is tried again by itself."


def in_words(error: LimError) -> str:
    """For whoever runs the server: a store's own words are for who writes on the computer that it is on."""
    return FULL if isinstance(error, StoreFull) else str(error)


def refused(error: LimError) -> ProtocolError:
    """For a device, whose person must not look for the fault on a computer of their own.

    No more than that: the error itself may name files.
    """
    said = (
        "The server's disk is full, so it takes nothing new."
        if isinstance(error, StoreFull)
        else "The server cannot read or write what it keeps right now."
    )
    return ProtocolError("trouble", said, _TOLD)
