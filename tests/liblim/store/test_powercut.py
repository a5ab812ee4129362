"""Power cuts: what was acknowledged is there afterwards, and nothing is damaged."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random

import pytest

from liblim.database import Database
from liblim.errors import StoreError
from liblim.trust import Identity
from tests.liblim.store.disk import Disk, Off, path_on
from tests.liblim.store.powercut import run_lives
from tests.liblim.things import Thing

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


def test_a_library_with_keys_survives_cuts_at_each_operation(seed: int, tmp_path: Path) -> None:
    """While it is founded, and while it is written in: the keys are there as long as the notes are."""
    rng, identity = Random(seed), Identity.generate()
    oid = "c" * 32
    for at in count():
        disk = Disk()
        path = str(path_on(disk, tmp_path))
        saved = ""
        with disk.in_use():
            disk.fail(Off, after=at)
            database: Database | None = None
            with suppress(StoreError):
                database = Database(path, [Thing], identity=identity)
                thing = database.create(Thing, oid)
                for word in ("one ", "two "):
                    thing.body.insert(len(thing.body), word)
                    database.commit()
                    saved += word
            done = disk.failure is not None and not disk.hits
            disk.fail(Off)
            if database is not None:
                with suppress(StoreError):
                    database.store.close()
            disk.cut(rng)
            again = Database(path, [Thing], identity=identity)
            if saved:
                assert str(again.get(Thing, oid).body).startswith(saved), f"cut at {at}"
            fresh = again.create(Thing)
            fresh.body.insert(0, "and on")
            again.commit()
            assert list(again.ledger.members) == [identity.device]
            again.close()
        if done:
            break
    assert at > 100
