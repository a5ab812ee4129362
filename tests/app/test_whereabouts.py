"""Where one note is, in words."""

from __future__ import annotations

from typing import cast

import pytest

from app.facts import device_status
from app.status import DeviceStatus
from app.whereabouts import Whereabouts, whereabouts
from liblim.aio import AsyncDatabase
from tests.app.peers import peer
from tests.app.test_status import status

NOW = 1_000_000.0
DESK = device_status(peer(device="a" * 32, name="Desk", confirmed=NOW - 120))
AWAY = device_status(
    peer(device="b" * 32, name="Lap", connected=False, they_lack=3, confirmed=NOW - 240)
)
SILENT = device_status(peer(device="c" * 32, name="", connected=False, they_lack=None))


class Holders:
    """A database that says who holds a document."""

    async def holders(self, oid: str) -> frozenset[str] | None:
        if oid == "new":
            return None
        return frozenset({"n1": ["a" * 32], "n2": ["a" * 32, "c" * 32, "f" * 32]}.get(oid, []))


async def where(oid: str, *devices: DeviceStatus) -> Whereabouts:
    return await whereabouts(cast(AsyncDatabase, Holders()), status(*devices), oid)


@pytest.mark.asyncio
async def test_only_who_confirmed_it_is_said_to_have_it() -> None:
    found = await where("n1", DESK, AWAY, SILENT)
    assert found.line == "on Desk"
    assert found.more(NOW).splitlines() == [
        "Desk has it: confirmed 2 min ago.",
        "Lap has not confirmed it. It lacked 3 changes, by what it confirmed 4 min ago.",
        "Device cccccccc has not confirmed it; nothing was heard of what it holds.",
    ]
    assert (await where("n2", DESK, AWAY, SILENT)).line == "on Desk and Device cccccccc"


@pytest.mark.asyncio
async def test_of_a_new_note_nothing_is_said() -> None:
    found = await where("new", DESK, AWAY)
    assert (found.line, found.more(NOW)) == ("", "")


@pytest.mark.asyncio
async def test_a_note_that_nobody_has_confirmed() -> None:
    assert (await where("n3", DESK, AWAY)).line == "on no other device yet"
    assert (await where("n3")).line == ""
    busy = device_status(peer(name="Tab", they_lack=1, identical=False))
    assert (await where("n3", busy)).more(NOW) == "Tab has not confirmed it. It lacks 1 change."
