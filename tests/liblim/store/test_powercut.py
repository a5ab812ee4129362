"""Power cuts: what was acknowledged is there afterwards, and nothing is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.liblim.store.powercut import run_lives

PARTS = 4
"""Tests that the cuts are divided among, so that they run beside each other."""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_what_was_acknowledged_survives_power_cuts(
    part: int, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cuts: int = request.config.option.cuts
    run_lives(seed * 10**6 + part * 10**5, -(-cuts // PARTS), tmp_path)


def test_less_care_would_be_seen_to_lose_changes(seed: int, tmp_path: Path) -> None:
    """With ``synchronous=NORMAL``, SQLite's usual setting, the same cuts lose what was acknowledged."""
    assert run_lives(seed, 250, tmp_path, "NORMAL") >= 5
