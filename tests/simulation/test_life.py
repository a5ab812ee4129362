"""Libraries of two to eight devices live through all that can happen to them, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import ROOT, SIMULATED
from tests.simulation.life import live

WORLDS = 200
"""How many there are unless ``--seeds`` says so: 40 s on 2 cores."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make as many worlds as ``--seeds`` says, from the seed of this run on."""
    if "number" in metafunc.fixturenames:
        options = metafunc.config.option
        worlds = WORLDS if options.seeds is None else options.seeds
        metafunc.parametrize("number", range(options.seed, options.seed + worlds))


def test_all_end_alike_and_nothing_is_lost(
    number: int, record_property: Callable[[str, object], None]
) -> None:
    record_property(SIMULATED, live(number).seconds)


@pytest.mark.parametrize("once", [7, 45])
def test_worlds_that_once_ended_otherwise(once: int) -> None:
    # What is sealed under an epoch whose announcement is lost with a disk has to be read by all.
    live(once)


@pytest.mark.parametrize("once", [331])
def test_a_receipt_may_be_ahead_of_its_devices_introduction(once: int) -> None:
    live(once)


@pytest.mark.parametrize("once", [18, 155])
def test_receipts_are_checked_with_the_keys_that_the_last_pairing_brought(once: int) -> None:
    live(once)


def test_a_seed_replays_exactly(seed: int) -> None:
    program = f"from tests.simulation.life import live; print(live({seed}).trace)"
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
