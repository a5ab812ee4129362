"""Several databases, links that deliver in pieces and are cut anywhere, crashes: all end alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.network import World, texts

STEPS = 250


def run(seed: int, folder: Path) -> None:
    """One world, from its seed to its end."""
    world = World(seed, str(folder), 2 + seed % 4)
    for _ in range(STEPS):
        world.step()
    world.settle()
    first, *others = world.devices
    here = texts(first, world.oids)
    assert here, f"seed {seed}: nothing was written"
    for device in others:
        assert device.database.digest == first.database.digest, f"seed {seed}"
        assert texts(device, world.oids) == here, f"seed {seed}"
    for device in world.devices:
        live = {oid: list(page.body.elements()) for oid, page in device.pages.items()}
        for oid, elements in live.items():
            if oid in here:
                again = device.database.load(oid).document
                assert list(again.body.elements()) == elements, f"seed {seed}"  # type: ignore[attr-defined]
    world.close()


@pytest.mark.parametrize("number", range(24))
def test_all_devices_end_alike(number: int, tmp_path: Path) -> None:
    run(number, tmp_path)


def test_a_seed_of_this_run(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_seeds(seed: int, tmp_path: Path) -> None:
    for number in range(seed, seed + 500):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(number, folder)
