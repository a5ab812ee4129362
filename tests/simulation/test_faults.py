"""The simulation can fail: its checks find each of six deliberate faults in liblim, one in two places."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation import faults
from tests.simulation.accounts import Accounts
from tests.simulation.faults import Fault
from tests.simulation.life import Found, live

ENOUGH = 200
"""Worlds within which every fault has to show."""
FOUND_BY: dict[Fault, tuple[int, ...]] = {
    faults.acknowledge_before_commit: (0, 21, 41, 44, 58, 81, 87, 91),
    faults.skip_a_dep_check: (0, 1, 4, 6, 7, 16, 17, 20),
    faults.continue_a_replica: (0, 4, 8, 11, 13, 14, 15, 16),
    faults.drop_a_forwarded_change: (1, 3, 6, 9, 10, 11, 12, 13),
    faults.wrong_tie_break: (13, 14, 25, 28, 36, 41),
    faults.receipts_that_never_go_down: (0, 1, 10, 16, 18, 25),
    faults.receipts_from_afar_that_never_go_down: (1, 11, 20, 24, 25, 28),
}
"""Worlds that show the fault, and are well without it.

What a seed leads to changes with liblim.  Where none of a row finds its fault any more, ``--long`` says which
do.
"""


def finds(fault: Fault, number: int, live: Callable[[int], object] = live) -> bool:
    """Whether a world's own checks, and nothing else, fail under a fault; ``live`` runs that world."""
    try:
        with fault():
            live(number)
    except Found as found:
        return isinstance(found.__cause__, AssertionError)
    return False


@pytest.mark.parametrize("fault", FOUND_BY, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(fault: Fault) -> None:
    found = next((number for number in FOUND_BY[fault] if finds(fault, number)), None)
    assert found is not None
    live(found)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FOUND_BY, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_soon(fault: Fault, seed: int) -> None:
    found = [number for number in range(seed, seed + ENOUGH) if finds(fault, number)]
    print(f"{fault.__name__}: {len(found)} of {ENOUGH} worlds find it: {found}")
    assert found


class Shown:
    """A text that shows these elements, and tombstones."""

    def __init__(self, *shown: tuple[int, str, str]) -> None:
        self.shown = shown

    def elements(self) -> tuple[tuple[int, str, str], ...]:
        return self.shown


def test_the_account_knows_what_is_missing_and_what_is_not() -> None:
    accounts = Accounts()
    whole = Shown((1, "a", "x"), (2, "a", "y"), (1, "b", "z"), (3, "a", ""))
    accounts.show("page", whole)
    assert not accounts.missing("page", whole)
    less = Shown((1, "a", "x"), (2, "a", ""), (3, "a", ""))
    assert accounts.missing("page", less) == {(2, "a"), (1, "b")}
    accounts.edit({(2, "a")}, less)
    assert accounts.missing("page", less) == {(1, "b")}
    accounts.lose([{"a": 3}, {"b": 1}])
    assert accounts.missing("page", less) == {(1, "b")}
    accounts.lose([{"a": 2}])
    assert not accounts.missing("page", less)
    assert accounts.written_off == {(1, "b")}
