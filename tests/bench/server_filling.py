"""What the server's bench does to a storage itself, while no server runs on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from liblim.admission import Admission
from liblim.server.keyless import Vouched
from liblim.server.stores import Storage
from tests.bench.server_process import Place
from tests.bench.server_world import Hand, name_of, vouch

REPLICA = 100
"""Changes that a device writes in one run of the program, in a library that is filled."""
BATCH = 500


def vouch_all(place: Place, devices: dict[int, int]) -> None:
    """Have libraries served, each with so many devices."""
    with _opened(place) as storage:
        vouch(storage, devices)


def fill(place: Place, library: int, count: int) -> dict[str, tuple[int, str]]:
    """Have the first device of a library write so many changes, admitted as a server does.

    Returns number and hash (hex) of the last of each replica.
    """
    name = name_of(library)
    with _opened(place) as storage:
        vouched = Vouched(name)
        vouched.take([word for word in storage.registry.words(0) if word.library == name])
        log = storage.open(name)
        admission = Admission(log, vouched)
        for first in range(0, count, REPLICA):
            hand = Hand(library, 0, f"filling {first}")
            for start in range(first, min(first + REPLICA, count), BATCH):
                size = min(BATCH, count - start)
                # A signature over the last of them covers all.
                changes = [hand.write(signed=n == size - 1 or n % 32 == 31) for n in range(size)]
                receipt = admission.admit(changes)
                assert receipt.refused is None
                assert len(receipt.entered) == size
        heads = {r: (row.head.seq, row.head.hash.hex()) for r, row in log.replicas().items()}
        log.close()
    return heads


def missing(place: Place, told: Mapping[str, Sequence[object]]) -> int:
    """How many changes are not there of what was told to be durable: by replica library, number, hash."""
    lost = 0
    with _opened(place) as storage:
        for library in {str(said[0]) for said in told.values()}:
            log = storage.open(library)
            rows = log.replicas()
            for replica, (where, seq, hash) in told.items():
                if where == library:
                    held = rows[replica].head.seq if replica in rows else 0
                    lost += max(0, int(str(seq)) - held)
                    if held >= int(str(seq)):
                        found = log.lookup(replica, int(str(seq)))
                        lost += found is None or found[0].hex() != hash
            log.close()
    return lost


@contextlib.contextmanager
def _opened(place: Place) -> Iterator[Storage]:
    storage = place.open()
    try:
        yield storage
    finally:
        storage.close()
