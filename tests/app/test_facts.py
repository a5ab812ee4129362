"""From what the node and the database tell to what people read."""

from __future__ import annotations

from typing import Any

import pytest

from app.facts import REMOVED_US, device_status, set_aside
from app.notes import NoteRow
from app.status import Mend, SetAside, State
from liblim.reissue import Aside
from tests.app.peers import peer


@pytest.mark.parametrize(
    ("facts", "state", "mend"),
    [
        ({}, State.UP_TO_DATE, Mend.NOTHING),
        ({"identical": False}, State.SYNCING, Mend.NOTHING),
        ({"identical": None}, State.SYNCING, Mend.NOTHING),
        ({"connected": False, "connecting": True}, State.CONNECTING, Mend.TRY),
        ({"connected": False, "refused": True}, State.REFUSED, Mend.TRY),
        ({"connected": False, "refused": True, "pair_again": True}, State.REFUSED, Mend.PAIR),
        ({"connected": False, "removed_us": True}, State.AWAY, Mend.PAIR),
        ({"connected": False, "next_try": 5.0}, State.WAITING, Mend.TRY),
        ({"connected": False}, State.AWAY, Mend.TRY),
    ],
)
def test_states_and_what_mends_them(facts: dict[str, Any], state: State, mend: Mend) -> None:
    found = device_status(peer(**facts))
    assert (found.state, found.mend) == (state, mend)


def test_who_removed_us_says_what_that_means() -> None:
    facts = {"connected": False, "refused": True, "removed_us": True, "error": "Code 7."}
    assert device_status(peer(**facts)).error == REMOVED_US
    assert (
        device_status(peer(error="Nothing listens.", connected=False)).error == "Nothing listens."
    )


def aside(device: str, at: int, oid: str = "") -> Aside:
    return Aside(b"", device, "r", 1, at, oid, "another has its number")


NAMED = (("x", "Bread"), ("y", ""))


def test_what_was_set_aside_is_told_by_who_wrote_it() -> None:
    found = [aside("b", 5000, "x"), aside("a", 9000), aside("b", 2000, "y"), aside("b", 3000, "x")]
    rows = {oid: NoteRow(oid, title, "", 0, False, False, False) for oid, title in NAMED}
    told = set_aside(found, rows, {"a": "Desk", "b": "Lap"}.__getitem__)
    assert told == (
        SetAside("a", "Desk", 1, (), 9.0, "another has its number"),
        SetAside("b", "Lap", 3, ("Bread", ""), 5.0, "another has its number"),
    )
    now = 10.0
    assert told[0].in_words(now) == (
        "1 change by Desk, written just now, contradicts others and is kept aside."
    )
    assert told[1].in_words(now + 60) == (
        "3 changes by Lap in “Bread” and “New note”, the last written 1 min ago, contradict "
        "others and are kept aside."
    )


def test_nothing_is_told_of_nothing() -> None:
    assert set_aside([], {}, str) == ()
