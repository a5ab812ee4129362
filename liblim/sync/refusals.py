"""Every reason to close the line on a peer: its code, a sentence, and what would mend it.

The sentences are true on both ends, as both may show them.
"""

from __future__ import annotations

from typing import NamedTuple

from liblim.errors import ProtocolError


class Refusal(NamedTuple):
    """The words that go with a code; ``{detail}`` in them is filled in."""

    message: str
    mend: str


_CHECK_ADDRESS = "Check that the address is that of a device with this program."
_SAME_VERSION = "Update this program on both devices; if that does not help, report it."
AGAIN = "Nothing needs doing: the connection is tried again by itself."

REFUSALS: dict[str, Refusal] = {
    "garbage": Refusal("What was sent is not this protocol: {detail}.", _CHECK_ADDRESS),
    "too-long": Refusal("A line of more than {detail} bytes was sent.", _CHECK_ADDRESS),
    "half-line": Refusal("The connection ended in the middle of a line.", AGAIN),
    "bad-message": Refusal("A message breaks the protocol: {detail}.", _SAME_VERSION),
    "bad-change": Refusal("A change was sent that cannot be right: {detail}.", _SAME_VERSION),
    "wrong-version": Refusal(
        "The two devices speak different versions of the protocol ({detail}).",
        "Update this program on both devices.",
    ),
    "yourself": Refusal(
        "This address leads back to the same device.", "Enter the address of the other device."
    ),
    "removed": Refusal(
        "One of the two devices was removed from the library.",
        "It keeps its notes and gets no more. To bring it back, give it a new key and pair it again.",
    ),
    "another-library": Refusal(
        "The two devices hold the notes of different libraries.",
        "Pair them once more; the notes of both are kept.",
    ),
    "not-served": Refusal(
        "This server does not serve this device's library.",
        "Pair this device, or another one of the library, with the server once more.",
    ),
    "over-limit": Refusal(
        "The server takes no more of this library: {detail}.",
        "Ask whoever runs the server. Meanwhile the devices go on to sync with each other.",
    ),
    "too-late": Refusal("Nobody said hello within {detail} seconds.", _CHECK_ADDRESS),
    "too-slow": Refusal("Nothing of what was sent was taken for {detail} seconds.", AGAIN),
    "trouble": Refusal(
        "One of the two devices cannot read or write its notes right now.",
        "Look at what it says there; the connection is tried again by itself.",
    ),
}


def refusal(code: str, detail: str = "") -> ProtocolError:
    """The error for a code of the table, ready to be raised or sent."""
    found = REFUSALS[code]
    return ProtocolError(code, found.message.format(detail=detail), found.mend)
