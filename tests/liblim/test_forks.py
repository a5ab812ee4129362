"""A member that writes two histories of one replica parts the others' logs; never who is removed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest

from liblim.change import Change
from liblim.database import Database
from liblim.trust.keys import LibraryKeys
from tests.liblim.test_membership import (
    NewPlace,
    Place,
    library_of,
    place,  # noqa: F401 (a fixture)
)
from tests.liblim.things import Thing


def first_change(author: Database, replica: str, salt: bytes, text: str) -> list[Change]:
    """The first change of a replica, not kept by its author, who can so write any number of them."""
    writer = author.writer
    seen = dict(writer._frontier)
    writer._replica, writer._salt, writer._last = replica, salt, None
    thing = author.create(Thing)
    thing.body.insert(0, text)
    changes = author.close_change()
    writer.uncommitted.clear()
    writer._replica, writer._frontier = "", seen
    return changes


async def part(a: Place, c: Place, forks: Iterable[list[Change]]) -> None:
    """Give each of two devices another of two changes with one replica and number."""
    for taker, changes in zip((a, c), forks, strict=True):
        outcome = await taker.database.receive(changes)
        assert [new.change for new in outcome.entered] == changes


async def carry(giver: Place, taker: Place) -> None:
    """Let one device read what another has, and say again what it cannot log."""
    outcome = await taker.database.receive(await giver.changes())
    assert outcome.refused is None
    await taker.membership.tend()


async def assert_it_is_removed_everywhere(a: Place, c: Place, d: Place, *gone: Place) -> None:
    """Though ``c`` cannot log what ``a`` writes, and ``d`` hears of ``c`` only."""
    await a.write("on top of one of the forks")
    for hostile in gone:
        await a.membership.remove(hostile.device)
    await carry(a, c)
    await carry(c, d)
    for one in (a, c, d):
        assert one.database.ledger.removed.keys() == {hostile.device for hostile in gone}
        assert one.members == {a.device, c.device, d.device}
        assert not any(hostile.identity.device in one.members for hostile in gone)
    assert c.epoch == d.epoch
    # What is written from now on is sealed with a key that those who were removed never got.
    for hostile in gone:
        await carry(c, hostile)
        assert c.epoch not in hostile.database.keys.epochs
    # It is said again once, and not by those who know it.
    counts = [one.database.count for one in (a, c, d)]
    for _ in range(2):
        await carry(a, c)
        await carry(c, d)
        await carry(d, c)
    assert [one.database.count for one in (a, c, d)] == counts


@pytest.mark.asyncio
async def test_a_fork_does_not_keep_a_removal_back(place: NewPlace) -> None:  # noqa: F811
    a, hostile, c, d = await library_of(place, 4)
    keys = hostile.database.keys
    salt = b"s" * keys.salt_size
    replica = keys.replica(hostile.device, salt)
    core = hostile.database.core
    await part(a, c, [first_change(core, replica, salt, text) for text in ("one", "two")])
    await assert_it_is_removed_everywhere(a, c, d, hostile)


@pytest.mark.asyncio
async def test_a_replica_id_that_two_devices_share_does_not_either(
    place: NewPlace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sharing takes 2^32 attempts; here ids have 16 bits."""

    def short(self: LibraryKeys, device: str, salt: bytes) -> str:
        return hashlib.sha256(bytes.fromhex(device) + salt).hexdigest()[:4] * 4

    a, one, two, c, d = await library_of(place, 5)
    size = one.database.keys.salt_size
    monkeypatch.setattr(LibraryKeys, "replica", short)
    salts = [n.to_bytes(size, "big") for n in range(2000)]
    ids = {short(one.database.keys, one.device, salt): salt for salt in salts}
    replica, other = next(
        (found, salt)
        for salt in salts
        if (found := short(two.database.keys, two.device, salt)) in ids
    )
    forks = [
        first_change(one.database.core, replica, ids[replica], "one"),
        first_change(two.database.core, replica, other, "two"),
    ]
    # The one whose branch `a` has goes on with it, which `c` can neither log nor tell the author of.
    await part(a, c, forks)
    head = forks[0][0]
    writer = one.database.core.writer
    await one.database.receive(forks[0])
    writer._replica, writer._salt = replica, b""
    writer._last = writer._frontier[replica]
    await one.write("goes on")
    (after,) = [change for change in await one.changes() if change.header.prev == head.hash]
    assert [new.change for new in (await a.database.receive([after])).entered] == [after]
    outcome = await c.database.receive([after])
    assert (outcome.entered, outcome.aside, outcome.refused, outcome.passed) == ([], (), None, 1)
    await assert_it_is_removed_everywhere(a, c, d, one, two)


@pytest.mark.asyncio
async def test_what_stands_on_a_change_set_aside_is_set_aside_too(place: NewPlace) -> None:  # noqa: F811
    """Also after a restart, and for what came before it; nothing of it is dropped or sent in vain."""
    a, hostile, c = await library_of(place, 3)
    keys = hostile.database.keys
    salt = b"s" * keys.salt_size
    replica = keys.replica(hostile.device, salt)
    core = hostile.database.core
    await part(a, c, [first_change(core, replica, salt, text) for text in ("one", "two")])
    before = {change.hash for change in await c.changes()}
    await a.write("first")
    await a.write("second")
    new = [change for change in await a.changes() if change.hash not in before]
    rival, *mine = new
    late, *rest = reversed(mine)
    assert (await c.database.receive([late])).waiting == 1
    outcome = await c.database.receive([*reversed(rest)])
    assert outcome.waiting == 0
    assert set(outcome.aside) == set(mine)
    c.database.core._admission.__init__(c.database.core.store, c.database.keys, c.database.library)  # type: ignore[misc]
    assert (await c.database.receive([late])).aside == (late,)
    assert c.database.core.store.aside() == dict.fromkeys([x.hash for x in mine], a.device)
    assert (await c.database.receive([rival])).aside == (rival,)


@pytest.mark.asyncio
async def test_what_a_member_parted_is_issued_again_and_removals_are_not(
    place: NewPlace,  # noqa: F811
) -> None:
    """The notes that were set aside come back; what concerns members is heard, and said in another way."""
    a, hostile, c, d = await library_of(place, 4)
    keys = hostile.database.keys
    salt = b"s" * keys.salt_size
    replica = keys.replica(hostile.device, salt)
    core = hostile.database.core
    await part(a, c, [first_change(core, replica, salt, text) for text in ("one", "two")])
    await a.write("on top of one")
    await a.membership.remove(hostile.device)
    await carry(a, c)
    listed = await c.database.aside()
    assert [one.device for one in listed] == [hostile.device, a.device]
    assert await c.database.issue_again() == 2
    assert await c.database.aside() == []
    assert c.database.ledger.removed.keys() == {hostile.device}
    await carry(c, d)
    for one in (c, d):
        texts = [entry.summary["body"] for entry in await one.database.entries()]
        assert sorted(text for text in texts if "on" in text or text == "two") == sorted(
            ["one", "two", "on top of one"]
        )
    # What `a` says again to those on its side is no news to the others.
    await carry(d, a)
    await a.database.issue_again()
    await carry(a, c)
    await carry(a, d)
    for one in (a, c, d):
        assert await one.database.aside() == []
        texts = [entry.summary["body"] for entry in await one.database.entries()]
        assert [texts.count(text) for text in ("one", "two", "on top of one")] == [1, 1, 1]
