"""Replicated values that merge without conflicts: text, register, sets, flag, counter.

Nothing here knows a clock, a disk, a network or chance: ids and operations come in and go out as
plain values.  See :class:`Text` for the sequence, :class:`Field` for what all have in common, and
:mod:`liblim.crdt.ops` for the operations as other implementations see them.
"""

from __future__ import annotations

from liblim.crdt.anchor import Anchor, Bias
from liblim.crdt.author import Author
from liblim.crdt.counter import Counter
from liblim.crdt.field import Field
from liblim.crdt.flag import Flag
from liblim.crdt.gset import GrowSet
from liblim.crdt.ops import Id, Op, Ref, width
from liblim.crdt.orset import Set, SetEffect
from liblim.crdt.register import Register
from liblim.crdt.splice import Splice
from liblim.crdt.text import Text

__all__ = [
    "Anchor",
    "Author",
    "Bias",
    "Counter",
    "Field",
    "Flag",
    "GrowSet",
    "Id",
    "Op",
    "Ref",
    "Register",
    "Set",
    "SetEffect",
    "Splice",
    "Text",
    "width",
]
