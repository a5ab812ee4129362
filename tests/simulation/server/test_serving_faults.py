"""The simulation of the server can fail: its checks find each of the deliberate faults."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Fault
from tests.simulation.server import faults
from tests.simulation.server.town import live
from tests.simulation.test_faults import finds

ENOUGH = 150
"""Worlds within which every fault has to show."""
FOUND_BY: dict[Fault, tuple[int, ...]] = {
    faults.acknowledge_before_commit: (0, 1, 2, 3, 4, 5, 6, 7),
    faults.go_on_after_a_failed_commit: (0, 6, 7, 10, 11, 12, 15, 16),
    faults.drop_a_forwarded_change: (0, 2, 3, 5, 6, 7, 8, 12),
    faults.drop_receipts: (0, 2, 3, 5, 7, 12, 13, 17),
    faults.talk_on_with_the_removed: (3, 6, 10, 16, 23, 26, 28),
    faults.let_in_the_removed: (0, 3, 5, 6, 7, 10, 17, 20),
    faults.serve_members_of_any_library: (0, 1, 2, 3, 4, 5, 6, 7),
}
"""Worlds that show the fault, and are well without it.

What a seed leads to changes with liblim.  Where none of a row finds its fault any more, ``--long`` says which
do.
"""


@pytest.mark.parametrize("fault", FOUND_BY, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_server_is_found(fault: Fault) -> None:
    found = next((number for number in FOUND_BY[fault] if finds(fault, number, live)), None)
    assert found is not None
    live(found)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FOUND_BY, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_server_is_found_soon(fault: Fault, seed: int) -> None:
    found = [number for number in range(seed, seed + ENOUGH) if finds(fault, number, live)]
    print(f"{fault.__name__}: {len(found)} of {ENOUGH} worlds find it: {found}")
    assert found
