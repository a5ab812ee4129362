"""A change with a wrong signature that a later one proves: no way to part two honest devices."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from liblim.admission import MAX_UNSIGNED
from liblim.change import Change
from liblim.sync.messages import Entry, Ihaz, Kthx, Nm, Sup, Ucanhaz
from tests.liblim.net.devices import Member, both_loops, device, member
from tests.liblim.net.test_strangers import history, refused, undisturbed


def planted(change: Change) -> Change:
    return msgspec.structs.replace(change, signature=bytes(64))


async def give(peer: Member, *changes: Change) -> None:
    """Send changes of one replica, each alone, from one who lists them all."""
    await peer.greet()
    last = changes[-1]
    heads = (Entry(last.replica, last.seq, last.hash),)
    await peer.say(Ihaz(last.seq, "0" * 64, page=1, heads=heads))
    *first, _ = changes
    for number, change in enumerate(first):
        await peer.say(Ucanhaz(change), Sup(number))
        await peer.hear_of(Nm)
    await peer.say(Ucanhaz(last))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("run", "taken"),
    [
        ("-" * (MAX_UNSIGNED - 1) + "+", MAX_UNSIGNED),
        ("-" * MAX_UNSIGNED + "+", 0),
        ("+" + "-" * MAX_UNSIGNED + "+", 1),
        (("-" * (MAX_UNSIGNED - 1) + "+") * 3, 3 * MAX_UNSIGNED),
        ("+++" + "-" * 5, 3),
        ("--+-", 3),
    ],
)
async def test_wrong_signatures_come_only_so_many_in_a_row(run: str, taken: int) -> None:
    """Else who is handed them in parts would have to keep too many until the good one comes."""
    async with device("Desk") as desk, member(desk) as peer:
        changes = history(desk, peer, *(str(n) for n in range(len(run))))
        sent = [
            change if good == "+" else planted(change)
            for change, good in zip(changes, run, strict=True)
        ]
        outcome = await desk.database.receive(sent)
        assert [new.change for new in outcome.entered] == sent[:taken]
        assert (outcome.refused is None) is (taken == len(run))
        assert list(outcome.rest) == sent[taken:]


@both_loops
async def test_one_that_comes_alone_waits_for_its_proof() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        one, two, three, four = history(desk, peer, "a", "b", "c", "d")
        count = desk.database.count
        # Each is the last of what is read at once.
        await give(peer, planted(one), planted(two), planted(three), four)
        async with asyncio.timeout(10):
            while desk.database.count < count + 4:
                await peer.hear_of(Kthx)
        assert {line.level for line in desk.lines} <= {"info"}
        await undisturbed(desk)


@both_loops
async def test_one_that_the_next_does_not_prove_is_refused() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        one, two = history(desk, peer, "a", "b")
        await give(peer, planted(one), planted(two))
        await refused(desk, peer, "bad-change", "not signed by the device")
        await undisturbed(desk)


@both_loops
async def test_one_after_which_nothing_is_listed_is_refused() -> None:
    async with device("Desk") as desk, member(desk) as peer:
        one, two = history(desk, peer, "a", "b")
        await peer.greet()
        count = desk.database.count
        await peer.say(Ucanhaz(one), Ucanhaz(planted(two)))
        await refused(desk, peer, "bad-change", "not signed by the device")
        assert desk.database.count == count + 1
        await undisturbed(desk)
