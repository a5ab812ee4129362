"""Replicated values that merge without conflicts: text, register, sets, flag, counter.

Two people edit one text, each on a copy of their own, and send each other what they did::

    >>> from liblim.crdt import Text
    >>> ann, bob = Text.new("ann"), Text.new("bob")
    >>> ann.insert(0, "Helo")
    >>> bob.apply(ann.take_ops())
    [Splice(pos=0, removed=0, inserted='Helo')]
    >>> ann.insert(2, "l")
    >>> bob.insert(4, "!")
    >>> to_bob, to_ann = ann.take_ops(), bob.take_ops()
    >>> to_bob
    [[5, 'ann', '+', 2, 'l']]
    >>> bob.apply(to_bob), ann.apply(to_ann)
    ([Splice(pos=2, removed=0, inserted='l')], [Splice(pos=5, removed=0, inserted='!')])
    >>> str(ann), str(bob)
    ('Hello!', 'Hello!')
    >>> ann.undo()
    [Splice(pos=2, removed=1, inserted='')]
    >>> blob = ann.encode()
    >>> Text.glance(blob), len(Text.decode(blob, "carol"))
    ('Helo!', 5)

Operations are lists that JSON can hold.  They may come in any order in which none comes before those that
its author had seen, and more than once; those who have the same operations have the same text.

Nothing here knows a clock, a disk, a network or chance: ids and operations come in and go out as
plain values.  See :class:`Text` for the sequence, :class:`Field` for what all have in common, and
:mod:`liblim.crdt.ops` for the operations as other implementations see them.  How a text is kept is told
in :mod:`liblim.crdt.rga` (where elements stand), :mod:`liblim.crdt.sequence` and
:mod:`liblim.crdt.span` (how they are found), :mod:`liblim.crdt.stroke` (the short way of what is typed on),
:mod:`liblim.crdt.remote` (what others did), and :mod:`liblim.crdt.state` (how they are stored).
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
