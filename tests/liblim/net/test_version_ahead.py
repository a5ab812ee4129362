"""A peer one version ahead, and one that writes nonsense: kept, shown, passed over; all else flows."""

from __future__ import annotations

import pytest

from liblim.aio import AsyncDatabase
from liblim.change import Body, pack_body
from liblim.crdt import Register, Text
from liblim.document import Document
from liblim.trust import Identity
from tests.liblim.net.devices import Device, device
from tests.liblim.things import Thing


async def ahead() -> AsyncDatabase:
    """The database of a program that knows a further kind and a further field."""

    class Later(Document):
        kind = "later"
        thought = Text()

    class NewThing(Thing):
        kind = "thing"
        mood = Register(default="")

    return await AsyncDatabase.open(":memory:", [Later, NewThing], identity=Identity.generate())


async def write_what_is_new(database: AsyncDatabase, patch: pytest.MonkeyPatch) -> str:
    """Write what the version before does not know, and in between what it does; returns a thing's oid."""
    later, new_thing = (database.core._types[kind] for kind in ("later", "thing"))
    database.create(later).thought.insert(0, "a kind")  # type: ignore[attr-defined]
    thing = database.create(new_thing)
    thing.body.insert(0, "ab")  # type: ignore[attr-defined]
    thing.mood.set("a field")  # type: ignore[attr-defined]
    thing.body.insert(2, "cd")  # type: ignore[attr-defined]
    await database.commit()

    def other_form(body: Body) -> bytes:
        return b"\x77" + pack_body(body)

    with patch.context() as form:
        form.setattr("liblim.writer.pack_body", other_form)
        database.create(new_thing).body.insert(0, "a form")  # type: ignore[attr-defined]
        database.core.close_change()
    author = thing.author
    for op in (["~", "a verb", 7], ["+", [999, "f" * 16], "no such place"]):
        author.start(20)
        author.record("body", op)
    thing.body.insert(0, ">")  # type: ignore[attr-defined]
    await database.commit()
    return thing.oid


async def assert_all_else_flows(old: Device, other: Device, oid: str) -> None:
    """The older version shows what it can, says what it cannot, and passes all of it on."""
    for one in (old, other):
        entries = {entry.oid: entry for entry in await one.database.entries()}
        assert entries[oid].newer
        assert await one.database.unshown() == 2, "a kind and a form"
    thing = await old.database.get(Thing, oid)
    assert str(thing.body).startswith(">abcd")
    thing.body.insert(len(thing.body), " from old")
    await old.database.commit()


@pytest.mark.asyncio
async def test_all_that_is_known_flows_past_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    database = await ahead()
    async with (
        device("New", database=database) as new,
        device("Old") as old,
        device("Other") as other,
    ):
        await new.invite(old)
        await old.identical(new)
        await new.invite(other)
        await other.identical(new)
        oid = await write_what_is_new(database, monkeypatch)
        await old.identical(new)
        await other.identical(old)
        await assert_all_else_flows(old, other, oid)
        plain = await old.write("and a thing of old's own")
        await new.identical(old, other)
        await other.identical(new)
        for one in (new, other):
            found = await one.database.get(one.database.core._types["thing"], oid)
            assert str(found.body).endswith(" from old")  # type: ignore[attr-defined]
            found = await one.database.get(one.database.core._types["thing"], plain.oid)
            assert str(found.body) == "and a thing of old's own"  # type: ignore[attr-defined]
    await database.close()
