"""liblim: database synchronisation on Convergent Replicated Data Types.

Declare document types, open a database, edit offline; databases that meet converge, and nothing is lost::

    from liblim import Database, Document, Register, Set, Text

    class Note(Document):
        kind = "note"                  # what the type is called in the database and between devices
        body = Text()
        notebook = Register(default="")
        tags = Set()

    database = Database("notes.db", [Note])
    note = database.create(Note)
    note.body.insert(0, "Hello")       # takes effect at once ...
    database.commit()                  # ... and is on disk when this returns

What is replicated is a ``Document`` with these fields; several devices may edit each at once:

============================  ==========================================================================
``Text``                      a sequence of Unicode code points, merged character by character; with
                              anchors, and with undo and redo of what was edited here
``Register(default=value)``   one JSON value: the write with the greatest operation id wins
``Set``                       JSON values: an addition wins over a removal that has not seen it
``GrowSet``                   JSON values that are never taken out again
``Flag``                      a switch: turning on wins over turning off that has not seen it
``Counter``                   a whole number: everything that was added, or subtracted, counts
============================  ==========================================================================

Each also stands alone, without a document or database: two replicas exchange plain lists, in any way that
keeps an operation behind those which its author had seen::

    one, other = Text.new("replica 1"), Text.new("replica 2")
    one.insert(0, "Hello")
    other.apply(one.take_ops())        # [Splice(pos=0, removed=0, inserted='Hello')]: what to show

- ``Database``: the synchronous core.  ``AsyncDatabase``: the same on an asyncio loop.
- ``liblim.net.Node``: a database on the network.  ``liblim.trust.Identity``: the key of a device.
- ``LimError`` and its kin: what can go wrong; ``str(error)`` is a sentence for people.

``README.rst`` beside this file shows a whole program on two devices, ``PROTOCOL.rst`` the wire.
"""

from __future__ import annotations

from liblim.aio import LONG_PAUSE, SHORT_PAUSE, AsyncDatabase, Pause
from liblim.change import Change, Head, Range
from liblim.crdt import Anchor, Bias, Counter, Flag, GrowSet, Register, Set, Splice, Text
from liblim.database import Database, Entry
from liblim.document import Document, Effect
from liblim.errors import (
    ChangeError,
    DefinitionError,
    LimError,
    OperationError,
    ProtocolError,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)

__all__ = [
    "LONG_PAUSE",
    "SHORT_PAUSE",
    "Anchor",
    "AsyncDatabase",
    "Bias",
    "Change",
    "ChangeError",
    "Counter",
    "Database",
    "DefinitionError",
    "Document",
    "Effect",
    "Entry",
    "Flag",
    "GrowSet",
    "Head",
    "LimError",
    "OperationError",
    "Pause",
    "ProtocolError",
    "Range",
    "Register",
    "Set",
    "Splice",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "StoreTooNew",
    "Text",
]
