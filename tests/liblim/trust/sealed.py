"""Sealed and signed changes, made by hand, and a receiver that takes them as the product does."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import Any

import msgspec

from liblim.admission import Outcome
from liblim.change import Body, Change, Dep, Header, pack_body
from liblim.reading import ReadingAdmission
from liblim.store import Store
from liblim.trust.identity import Identity
from liblim.trust.keys import LibraryKeys

LIBRARY = "1b" * 16
EPOCH = bytes(range(32))
OID = "0a" * 16


def library_keys(
    identity: Identity | None = None,
    *,
    library: str = LIBRARY,
    epochs: Sequence[bytes] = (EPOCH,),
    certificates: Sequence[bytes] = (),
) -> LibraryKeys:
    """The keys of a library on a device, that use the first epoch."""
    identity = identity or Identity.generate()
    keys = LibraryKeys(library, identity, epochs, [identity.certificate, *certificates])
    keys.use(next(iter(keys.epochs)))
    return keys


class Author:
    """Writes changes of one replica, each chained to the one before."""

    def __init__(self, keys: LibraryKeys, letter: str = "a") -> None:
        self.keys = keys
        self.salt = letter.encode() * keys.salt_size
        self.replica = keys.replica(keys.device, self.salt)
        self.last: Change | None = None

    def write(
        self,
        text: str = "hello",
        deps: Sequence[Change] = (),
        *,
        packed: bytes | None = None,
        sealed: bytes | None = None,
        **members: Any,
    ) -> Change:
        """The next change, which inserts a text; ``members`` replace those of its header."""
        last = self.last
        past = [*deps, *([last] if last else [])]
        header = Header(
            replica=self.replica,
            seq=last.seq + 1 if last else 1,
            prev=last.hash if last else self.salt,
            deps=tuple(Dep(dep.replica, dep.seq, dep.hash) for dep in deps),
            clock=1 + max((change.header.end for change in past), default=0),
            n=len(text),
            at=1_700_000_000_000,
            epoch=self.keys.epoch,
            device="" if last else self.keys.device,
            body=b"",
        )
        header = msgspec.structs.replace(header, **members)
        if packed is None:
            packed = pack_body(Body(OID, "note", [["body", "+", 0, text]]))
        if sealed is None:
            sealed = self.keys.seal(packed, header)
        change = sign(self.keys, Change(rehash(header, sealed), b"", sealed))
        self.last = change
        return change


def rehash(header: Header, sealed: bytes) -> Header:
    """The header with the hash of another body."""
    return msgspec.structs.replace(header, body=sha256(sealed).digest())


def sign(keys: LibraryKeys, change: Change) -> Change:
    """The change with the signature that belongs to its hash."""
    return Change(change.header, keys.sign(change.hash), change.body)


class Receiver:
    """A device that takes changes; ``bodies`` are those that it could read."""

    def __init__(self, keys: LibraryKeys) -> None:
        self.keys = keys
        self.store = Store(":memory:")
        self.admission = ReadingAdmission(self.store, keys)
        self.entered: list[Change] = []
        self.bodies: dict[bytes, Body | None] = {}

    def take(self, *changes: Change) -> Outcome:
        """Take a batch."""
        outcome = self.admission.admit(changes)
        for new in (*outcome.entered, *outcome.revived):
            self.bodies[new.change.hash] = new.body
        self.entered += [new.change for new in outcome.entered]
        return outcome

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def flipped(data: bytes, at: int) -> bytes:
    """The data with one bit of one byte changed."""
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def mutated(rng: Random, data: bytes) -> bytes:
    """The data with some of its bytes changed, cut out, doubled or moved."""
    bad = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        start = rng.randrange(len(bad) + 1)
        end = min(len(bad), start + rng.choice((1, 1, 2, 8, 64)))
        piece = bad[start:end]
        match rng.randrange(5):
            case 0:
                bad[start:end] = rng.randbytes(len(piece))
            case 1:
                del bad[start:end]
            case 2:
                bad[start:start] = piece
            case 3:
                del bad[start:end]
                place = rng.randrange(len(bad) + 1)
                bad[place:place] = piece
            case _:
                del bad[start:]
                bad += rng.randbytes(rng.randrange(20))
    return bytes(bad)
