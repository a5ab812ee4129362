"""liblim: database synchronisation on Convergent Replicated Data Types.

Declare document types, open a database, edit offline; databases that meet converge, and nothing is lost.
``README.rst`` beside this file shows a whole program.

- ``Document`` and the fields ``Text``, ``Register``, ``Set``, ``Flag``: what is replicated.
- ``Database``: the synchronous core.  ``AsyncDatabase``: the same on an asyncio loop.
- ``liblim.net.Node``: a database on the network.
- ``LimError`` and its kin: what can go wrong; ``str(error)`` is a sentence for people.
"""

from __future__ import annotations

from liblim.aio import LONG_PAUSE, SHORT_PAUSE, AsyncDatabase, Pause
from liblim.change import Change, Head, Range
from liblim.crdt import Anchor, Bias, Flag, Register, Set, Splice, Text
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
    "Database",
    "DefinitionError",
    "Document",
    "Effect",
    "Entry",
    "Flag",
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
    "StoreReadOnly",
    "StoreTooNew",
    "Text",
]
