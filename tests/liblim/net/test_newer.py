"""Devices one version ahead, and one between them that is not: it keeps, passes on and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from liblim.aio import AsyncDatabase
from liblim.change import Body, digest, pack_body, unpack_body
from liblim.crdt import Register, Text
from liblim.database import READS
from liblim.document import Document
from liblim.sync import encode
from liblim.sync.messages import Ihaz
from liblim.trust import Identity
from tests.liblim.net.devices import Device, device, member
from tests.liblim.things import Thing


def later_types() -> tuple[type[Any], type[Any]]:
    """A thing with a field, and a kind, that only the newer version knows; gone with their test."""

    class NewThing(Thing):
        kind = "thing"
        mood = Register(default="")

        def summary(self) -> dict[str, Any]:
            return {**super().summary(), "mood": self.mood.value}

    class Thought(Document):
        kind = "thought"
        words = Text()

        def summary(self) -> dict[str, Any]:
            return {"words": str(self.words)}

    return NewThing, Thought


@asynccontextmanager
async def of_version(
    name: str,
    types: Sequence[type[Document]],
    path: str | Path = ":memory:",
    identity: Identity | None = None,
    *,
    unheard: bool = True,
) -> AsyncIterator[Device]:
    """A device that knows these types; ``unheard`` ones meet each other over a third one only."""
    own = identity or Identity.generate()
    database = await AsyncDatabase.open(path, types, identity=own)
    try:
        async with device(name, database=database, unheard=unheard) as found:
            yield found
    finally:
        await database.close()


def pack_later(body: Body) -> bytes:
    """A form of body that a newer version writes."""
    return b"\x03" + pack_body(body)


def unpack_later(data: bytes) -> Body:
    return unpack_body(data.removeprefix(b"\x03"))


async def write_ahead(lap: Device, types: tuple[type[Any], type[Any]]) -> tuple[Any, Any]:
    """What a newer version writes: a field, a kind, an operation, and last a form of body."""
    thing, thought = map(lap.database.create, types)
    thing.body.insert(0, "for all")
    thing.mood.set("good")
    thought.words.insert(0, "hm")
    await lap.database.commit()
    thing.author.start()
    thing.author.record("body", ["turn", 0, 3])
    thing.body.insert(0, "and ")
    await lap.database.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liblim.writer.pack_body", pack_later)
        thing.body.insert(0, "once more ")
        await lap.database.commit()
    return thing, thought


@pytest.mark.asyncio
async def test_all_is_kept_passed_on_said_and_read_after_the_update(tmp_path: Path) -> None:
    path, own = tmp_path / "desk.db", Identity.generate()
    newer = new_thing, new_thought = later_types()
    async with (
        of_version("Desk", [Thing], path, own, unheard=False) as desk,
        of_version("Lap", newer) as lap,
        of_version("Tab", newer) as tab,
    ):
        for one in (lap, tab):
            await desk.invite(one)
            await one.identical(desk)
        thing, thought = await write_ahead(lap, newer)
        await desk.identical(lap, tab)  # they listen nowhere: all went through the old one
        assert {s.device for s in tab.node.status() if s.connected} == {desk.id}
        assert (await tab.database.get(new_thing, thing.oid)).mood.value == "good"
        assert str((await tab.database.get(new_thought, thought.oid)).words) == "hm"
        assert await desk.database.unshown() == 2  # a kind and a form
        (entry,) = await desk.database.entries()
        assert (entry.oid, entry.newer) == (thing.oid, True)
        here = await desk.database.get(Thing, thing.oid)
        assert str(here.body) == "and for all"
        here.body.insert(len(here.body), "!")
        await desk.database.commit()
        await desk.identical(lap, tab)
        assert str(thing.body) == "once more and for all!"
        await desk.database.release(here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liblim.reading.unpack_body", unpack_later)
        patch.setattr("liblim.database.READS", READS + 1)
        async with of_version("Desk", newer, path, own) as desk:
            assert await desk.database.unshown() == 0
            entries = {entry.oid: entry for entry in await desk.database.entries()}
            assert entries[thought.oid].summary == {"words": "hm"}
            summary = entries[thing.oid].summary
            assert (summary["body"], summary["mood"]) == ("once more and for all!", "good")
            assert entries[thing.oid].newer  # nobody here knows how to turn


@pytest.mark.asyncio
async def test_verbs_and_members_of_the_greeting_that_are_not_known() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        greeting = encode(peer.greeting()).decode()
        ahead = greeting.replace("{", '{"colour":[1,{"deep":null}],', 1)
        await peer.say(ahead.encode(), Ihaz(0, digest({})))
        await peer.say(b'PURRZ {"loud":true}\n')
        await desk.logged("Guest said PURRZ, which this version does not know.")
        assert [status.connected for status in desk.node.status()] == [True]
