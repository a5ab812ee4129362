"""A disk that fails while two devices sync: told, and synced by itself once the disk is well."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from liblim.aio import AsyncDatabase
from liblim.trust import Identity
from tests.liblim.net.devices import QUICK, device
from tests.liblim.store.disk import Disk, Failure
from tests.liblim.things import Thing

PATIENT = QUICK._replace(first_retry=60.0, last_retry=60.0)
"""Who waited so long for the next try would be too late for the tests."""


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [apsw.FullError, apsw.IOError, apsw.ReadOnlyError])
@pytest.mark.parametrize("after", [0, 50, 400])
async def test_what_could_not_be_received_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Failure, after: int
) -> None:
    monkeypatch.setattr("liblim.aio.RETRY", 0.02)
    with Disk().in_use() as disk:
        database = await AsyncDatabase.open(
            tmp_path / "lap.db", [Thing], identity=Identity.generate()
        )
        async with (
            device("Desk", timing=PATIENT) as desk,
            device("Lap", timing=PATIENT, database=database) as lap,
        ):
            await desk.invite(lap)
            await lap.identical(desk)
            oids = [thing.oid for thing in (await lap.write("own"), await desk.write("first"))]
            await lap.identical(desk)
            disk.fail(failure, after)
            changes = 0
            while not database.problem:
                changes += 1
                oids.append((await desk.write(f"note {changes}")).oid)
                await lap.until(lambda: database.problem or database.digest == desk.database.digest)
            kept = database.create(Thing)
            kept.body.insert(0, "typed meanwhile")
            await desk.write("and one more, while it lasts")
            assert database.problem
            # The peer was sent away, and would not be tried again for a minute.
            await lap.until(lambda: (peer := lap.peer(desk)) is not None and peer.next_try)
            disk.mend()
            await lap.identical(desk)
            await lap.until(lambda: not database.problem and database.core.idle)
            await lap.identical(desk)
            await desk.identical(lap)
            assert await desk.read(kept.oid) == "typed meanwhile"
            texts = sorted(entry.summary["body"] for entry in await database.entries())
            wanted = ["own", "first", "typed meanwhile", "and one more, while it lasts"]
            assert texts == sorted(wanted + [f"note {n + 1}" for n in range(changes)])
        await database.close()
