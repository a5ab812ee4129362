"""Places in a text that stay right under edits."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Bias(enum.StrEnum):
    """Which neighbour a place keeps to when something is inserted exactly there."""

    LEFT = "left"
    RIGHT = "right"


class Anchor(NamedTuple):
    """A place beside an element: behind it with a bias to the left, before it with one to the right.

    The counter 0 stands for the beginning of the text with a bias to the left, and for its end with one to
    the right.  In JSON it is a list.
    """

    counter: int
    replica: str
    bias: Bias
