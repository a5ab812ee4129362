"""Hand-made changes, for tests of what takes them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from liblim.change import Body, Change, Dep, Header, pack_body

DEVICE = "d" * 32
OID = "0" * 32


def replica(letter: str) -> str:
    """A replica id made of one hex digit."""
    return letter * 16


def dep(change: Change) -> Dep:
    """What names a change as a dependency."""
    return Dep(change.replica, change.seq, change.hash)


def make(
    letter: str,
    prev: Change | None = None,
    deps: Sequence[Change] = (),
    *,
    ops: Sequence[list[Any]] = (["body", "-", 1, 1],),
    oid: str = OID,
    body: bytes | None = None,
    **header: Any,
) -> Change:
    """A change by replica ``letter`` that passes admission unless ``header`` says otherwise."""
    past = [*deps, *([prev] if prev else [])]
    packed = pack_body(Body(oid, "thing", list(ops))) if body is None else body
    fields: dict[str, Any] = {
        "replica": replica(letter),
        "seq": prev.seq + 1 if prev else 1,
        "prev": prev.hash if prev else b"",
        "deps": tuple(sorted((dep(change) for change in deps), key=lambda found: found.replica)),
        "clock": 1 + max((change.header.end for change in past), default=0),
        "n": 1,
        "at": 0,
        "epoch": "",
        "device": "" if prev else DEVICE,
        "body": sha256(packed).digest(),
    }
    return Change(Header(**{**fields, **header}), b"", packed)


def chain(letter: str, length: int) -> list[Change]:
    """The first changes of one replica."""
    changes = [make(letter)]
    while len(changes) < length:
        changes.append(make(letter, changes[-1]))
    return changes


def altered(change: Change, **header: Any) -> Change:
    """The change with other header members."""
    return msgspec.structs.replace(change, header=msgspec.structs.replace(change.header, **header))
