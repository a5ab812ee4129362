"""Libraries and devices of the server's bench: all of them follows from numbers, so that processes agree.

Their changes are signed and chained as those of real devices, and their bodies are noise, as sealed ones
are to a server.
"""

from __future__ import annotations

import hashlib
import random
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from liblim.change import Change, Head, Header, Range
from liblim.heads import HeadDigest
from liblim.server.stores import Storage
from liblim.trust import Identity, replica_of
from liblim.trust.keys import signed_change

BODY = 120
"""Bytes of a change's body: a few words of typing, sealed."""
EPOCH = "e" * 32


def name_of(library: int) -> str:
    """A library's id."""
    return hashlib.sha256(f"bench library {library}".encode()).hexdigest()[:32]


@cache
def identity_of(library: int, device: int) -> Identity:
    """A device's key."""
    return Identity.generate(random.Random(f"{library} {device}").randbytes)


def vouch(storage: Storage, devices: dict[int, int]) -> None:
    """Let a server serve libraries, each with so many devices."""
    for library, count in devices.items():
        identities = [identity_of(library, device) for device in range(count)]
        members = {identity.device: identity.certificate for identity in identities}
        by = identities[0].device
        storage.registry.vouch(by, name_of(library), members, {}, [], founding=True)


def stamp_of(change: Change) -> float:
    """When a change was written (``time.perf_counter``, which on Linux all processes share)."""
    assert change.body is not None
    (written,) = struct.unpack_from("<d", change.body)
    return float(written)


class Hand:
    """Writes a chain of changes as one device of a library."""

    def __init__(self, library: int, device: int, run: str = "") -> None:
        """Begin a replica; ``run`` is another one's for the same device."""
        identity = identity_of(library, device)
        salt = hashlib.sha256(f"salt {library} {device} {run}".encode()).digest()
        self.replica = replica_of(identity.device, salt)
        self._identity, self._library = identity, name_of(library)
        self._last = Head(0, salt)
        self.written = 0
        self._noise = random.Random(f"{library} {device} {run}")

    def write(self, *, signed: bool = True) -> Change:
        """The next change, as of now; of a long run it is enough to have the last one signed."""
        seq, prev = self._last
        body = struct.pack("<d", time.perf_counter()) + self._noise.randbytes(BODY - 8)
        header = Header(
            replica=self.replica,
            seq=seq + 1,
            prev=prev,
            deps=(),
            clock=seq + 1,
            n=1,
            at=seq,
            epoch=EPOCH,
            device="" if seq else self._identity.device,
            body=hashlib.sha256(body).digest(),
        )
        hash = hashlib.sha256(header.canonical()).digest()
        data = signed_change(self._library, hash)
        signature = self._identity.sign(data) if signed else bytes(64)
        self._last = Head(seq + 1, hash)
        self.written = seq + 1
        return Change(header, signature, body)


class LightLog:
    """A device's log in memory, with the face that sessions and links want; it believes all that it gets."""

    def __init__(self, library: int, device: int) -> None:
        self.library = name_of(library)
        self.device = identity_of(library, device).device
        self._changes: dict[str, list[Change]] = {}
        self.start_from({})

    def start_from(self, heads: Mapping[str, Head]) -> None:
        """Hold what these stand for, and give none of it."""
        self.heads: dict[str, Head] = dict(heads)
        self._digest = HeadDigest(self.heads)
        self.count = sum(head.seq for head in heads.values())

    @property
    def digest(self) -> str:
        """The digest over the heads."""
        return self._digest.value

    def add(self, changes: Sequence[Change]) -> list[Change]:
        """Take changes; returns those that are new and follow on what is there."""
        return [change for change in changes if self._follows(change)]

    def _follows(self, change: Change) -> bool:
        chain = self._changes.setdefault(change.replica, [])
        if change.seq != len(chain) + 1:
            return False
        chain.append(change)
        self.heads[change.replica] = Head(change.seq, change.hash)
        self.count += 1
        self._digest.advanced([change.replica])
        return True

    def within(self, ranges: Sequence[Range], most: int) -> list[Change]:
        """The first of the changes in these ranges."""
        return [change for wanted in ranges for change in self._in(wanted)][:most]

    def _in(self, wanted: Range) -> Iterator[Change]:
        yield from self._changes.get(wanted.replica, [])[wanted.first - 1 : wanted.last]
