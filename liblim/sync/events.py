"""What a session tells its shell."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from liblim.change import Change, Range
from liblim.receipt import Receipt
from liblim.sync.codec import Unknown
from liblim.sync.messages import Ohai, Vouch


class Welcomed(NamedTuple):
    """The peer's greeting was accepted; whether ours was, ``Ready`` tells."""

    hello: Ohai


class Ready(NamedTuple):
    """The peer accepted us too: changes may flow."""


class Arrived(NamedTuple):
    """Changes came: commit them, then call ``settled`` with the same list."""

    changes: list[Change]


class Hangs(NamedTuple):
    """The peer answers, and says nothing about what it was given."""


class Heard(NamedTuple):
    """The peer handed on a receipt, its own or another device's."""

    receipt: Receipt


class Vouches(NamedTuple):
    """The peer says who is in its library."""

    said: Vouch


class Behind(NamedTuple):
    """The peer holds less than before: it lost some of it, as where a backup was restored."""


class Wanted(NamedTuple):
    """The peer asks for changes: read them, then call ``supply`` with them.

    A later ``Wanted`` takes the place of one that was not answered yet.
    """

    request: int
    ranges: list[Range]
    changes: int
    octets: int


class Closed(NamedTuple):
    """The session is over.  ``code`` is one of ``NOWAI``'s, or ``left``, ``lost``, ``silent``.

    ``reason`` and ``mend`` are sentences for people; ``by_peer`` says which end decided.
    """

    code: str
    reason: str
    mend: str = ""
    by_peer: bool = False

    @property
    def error(self) -> bool:
        """Whether it ended otherwise than in good order."""
        return self.code != "left"


Event: TypeAlias = (
    Welcomed | Ready | Arrived | Hangs | Heard | Vouches | Behind | Wanted | Unknown | Closed
)
