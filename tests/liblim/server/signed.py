"""Devices that write signed changes, and a server's gate for them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from liblim.admission import Admission, Outcome
from liblim.change import Change
from liblim.server.keyless import Vouched
from liblim.server.stores import Log, Standing, Storage, Word
from liblim.trust.identity import Identity
from tests.liblim.trust.sealed import LIBRARY, Author, library_keys

IDENTITIES = [Identity.generate() for _ in range(3)]


def writers(library: str = LIBRARY) -> list[Author]:
    """A replica of each device."""
    return [Author(library_keys(identity, library=library)) for identity in IDENTITIES]


def vouch(storage: Storage, library: str = LIBRARY) -> None:
    """Let the devices be members of a library."""
    members = {i.device: i.certificate for i in IDENTITIES}
    storage.registry.vouch(IDENTITIES[0].device, library, members, {}, [], founding=True)


class Gate:
    """A log with its admission, as a server process has it."""

    def __init__(self, storage: Storage, library: str = LIBRARY) -> None:
        self.log: Log = storage.open(library)
        devices = Vouched(library)
        words = enumerate(IDENTITIES, 1)
        devices.take(Word(n, library, i.device, i.certificate, Standing.MEMBER) for n, i in words)
        self.admission = Admission(self.log, devices)

    def take(self, *changes: Change) -> Outcome:
        """Admit a batch."""
        return self.admission.admit(changes)

    def heads(self) -> dict[str, int]:
        """The last change of each replica."""
        return {replica: row.head.seq for replica, row in self.log.replicas().items()}


def conversation(rng: Random, authors: Sequence[Author], length: int) -> list[Change]:
    """Changes in a causal order; some depend on others' last ones."""
    written: list[Change] = []
    for number in range(length):
        author = rng.choice(authors)
        others = [other.last for other in authors if other is not author and other.last is not None]
        deps = sorted(rng.sample(others, rng.randint(0, len(others))), key=lambda c: c.replica)
        written.append(author.write("x" * rng.choice((1, 5, 300)) + str(number), deps))
    return written


__all__ = ["IDENTITIES", "LIBRARY", "Author", "Gate", "conversation", "vouch", "writers"]
