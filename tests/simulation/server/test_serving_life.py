"""Libraries of two to five devices share a server that is killed, stopped, restored and out of room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tests.conftest import ROOT, SIMULATED
from tests.simulation.server.town import live

WORLDS = 12
"""How many there are unless ``--seeds`` says so: 10 s of one core."""
MOST = 40
"""Worlds within which all that can happen does; it takes a few."""
HAPPENS = {
    *("meets", "vouches", "gives", "hands on receipts", "says IHAZ", "says KTHX", "intrudes"),
    *("kills", "kills at work", "stops", "restores", "starts in vain", "closes all libraries"),
    *("joins", "removes", "pairs anew", "is parted: removed", "is parted: trouble"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make as many worlds as ``--seeds`` says, from the seed of this run on."""
    if "number" in metafunc.fixturenames:
        options = metafunc.config.option
        worlds = WORLDS if options.seeds is None else options.seeds
        metafunc.parametrize("number", range(options.seed, options.seed + worlds))


def test_the_server_keeps_what_it_says_and_all_end_alike(
    number: int, record_property: Callable[[str, object], None]
) -> None:
    record_property(SIMULATED, live(number).seconds)


def test_all_of_it_happens() -> None:
    """Else the worlds above would say little."""
    seen: Counter[str] = Counter()
    for number in range(MOST):
        seen += live(number).seen
        if seen.keys() >= HAPPENS:
            return
    raise AssertionError(f"in {MOST} worlds there was no {', no '.join(HAPPENS - seen.keys())}")


def test_a_seed_replays_exactly(seed: int) -> None:
    program = f"from tests.simulation.server.town import live; print(live({seed}).trace)"
    environment = {**os.environ, "PYTHONHASHSEED": str(1 + seed % 1000)}
    again = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    assert again.stdout.strip() == live(seed).trace
