from __future__ import annotations

import dataclasses
import time
from datetime import datetime
from typing import Any

import pytest

from app.status import DeviceStatus, Difference, Progress, State, Status
from app.words import (
    changes_in_words,
    clock_in_words,
    since_in_words,
    size_in_words,
    time_in_words,
    trip_in_words,
    wait_in_words,
)

NOW = datetime(2026, 3, 14, 15, 9, 26).timestamp()
HERE = State.UP_TO_DATE


def device(name: str = "Laptop", state: State = HERE, **facts: object) -> DeviceStatus:
    plain = DeviceStatus(
        device="d" * 32,
        name=name,
        state=state,
        address="127.0.0.1:4243",
        incoming=False,
        last_seen=NOW,
        they_lack=0,
        we_lack=0,
        changes_in=0,
        changes_out=0,
        bytes_in=0,
        bytes_out=0,
        round_trip=0.001,
        digest="e" * 64,
        identical=state is HERE,
        error="",
        error_since=None,
        next_try=None,
    )
    return dataclasses.replace(plain, **facts)  # type: ignore[arg-type]


def status(*devices: DeviceStatus, unsaved: bool = False, problem: str = "") -> Status:
    return Status(
        library="a" * 32,
        device="b" * 32,
        name="Desk",
        listening="127.0.0.1:4242",
        changes=7,
        digest="0123456789abcdef",
        unsaved=unsaved,
        problem=problem,
        devices=devices,
    )


@pytest.mark.parametrize(
    ("devices", "line"),
    [
        ([], "On this device only"),
        ([device()], "Identical with Laptop"),
        ([device(), device("Phone")], "Identical with Laptop and Phone"),
        ([device("A"), device("B"), device("C")], "Identical with 3 devices"),
        ([device(), device("Phone", State.AWAY)], "Identical with Laptop; Phone is not connected"),
        (
            [device("Phone", State.WAITING)],
            "Phone is not connected; edits are kept here and sync later",
        ),
        (
            [device("A", State.AWAY), device("B", State.REFUSED)],
            "A and B are not connected; edits are kept here. The sync status says why",
        ),
        ([device(state=State.SYNCING, identical=None)], "Syncing with Laptop"),
        (
            [device(state=State.SYNCING, they_lack=1200, we_lack=34)],
            "Syncing with Laptop: 1,234 changes to go",
        ),
        ([device(""), device("B", State.SYNCING)], "Syncing with B"),
        ([device("")], "Identical with Device dddddddd"),
    ],
)
def test_line(devices: list[DeviceStatus], line: str) -> None:
    assert status(*devices).line() == line


def test_nothing_is_called_identical_while_something_is_not_saved() -> None:
    unsaved = status(device(), unsaved=True)
    assert unsaved.line() == "Syncing with Laptop"
    assert unsaved.mood() is State.SYNCING


def test_a_problem_comes_first() -> None:
    assert status(device(), problem="The disk is full.").line() == "The disk is full."


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"locked": "This device's key is locked."}, "This device's key is locked."),
        ({"elsewhere": True, "locked": "Locked."}, "came from another computer"),
        ({"removed_by": "Desk"}, "Desk removed this device"),
        ({"outside": True}, "pair it again"),
        ({"adding": "Adding your notes: 3 of 4"}, "Adding your notes: 3 of 4"),
        ({"elsewhere": True, "problem": "The disk is full."}, "The disk is full."),
    ],
)
def test_what_keeps_from_syncing_comes_before_devices(facts: dict[str, Any], says: str) -> None:
    assert says in dataclasses.replace(status(device()), **facts).line()


@pytest.mark.parametrize(
    ("listening", "place"),
    [("", ""), (":4242", "port 4242"), ("127.0.0.1:4242", "127.0.0.1:4242")],
)
def test_place(listening: str, place: str) -> None:
    assert dataclasses.replace(status(), listening=listening).place == place


@pytest.mark.parametrize(
    ("states", "mood"),
    [
        ([], None),
        ([HERE], HERE),
        ([HERE, State.REFUSED], HERE),
        ([HERE, State.SYNCING], State.SYNCING),
        ([State.AWAY, State.WAITING], State.WAITING),
        ([State.AWAY, State.REFUSED], State.REFUSED),
        ([State.CONNECTING, State.REFUSED], State.CONNECTING),
        ([State.AWAY], State.AWAY),
    ],
)
def test_mood(states: list[State], mood: State | None) -> None:
    assert status(*(device(state=state) for state in states)).mood() is mood


@pytest.mark.parametrize(
    ("known", "route"),
    [
        (device(), "directly, 127.0.0.1:4243, we connect to it"),
        (device(incoming=True), "directly, 127.0.0.1:4243, it connects to us"),
        (device(incoming=True, address=""), "directly, it connects to us"),
        (device(state=State.WAITING), "127.0.0.1:4243"),
        (device(state=State.AWAY, address=""), "address not known now"),
    ],
)
def test_route(known: DeviceStatus, route: str) -> None:
    assert known.route == route


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "not known now"), (0, "0 changes"), (1, "1 change"), (12345, "12,345 changes")],
)
def test_changes_in_words(changes: int | None, words: str) -> None:
    assert changes_in_words(changes) == words


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_size_in_words(octets: int, words: str) -> None:
    assert size_in_words(octets) == words


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (0.0, "just now"),
        (9.9, "just now"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3 * 3600, "at 12:09"),
        (24 * 3600, "on 2026-03-13 at 15:09"),
        (-5, "at 15:09"),
    ],
)
def test_time_in_words(gone: float, words: str) -> None:
    assert time_in_words(NOW - gone, NOW) == words


def test_a_time_that_never_was() -> None:
    assert time_in_words(None, time.time()) == "never"


@pytest.mark.parametrize(
    ("left", "words"),
    [(-1.0, "now"), (0.0, "now"), (0.2, "in 1 s"), (119, "in 119 s"), (180, "in 3 min")],
)
def test_wait_in_words(left: float, words: str) -> None:
    assert wait_in_words(NOW + left, NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "not known now"),
        (0.00042, "0.4 ms"),
        (0.0099, "9.9 ms"),
        (0.00996, "10 ms"),
        (0.0234, "23 ms"),
        (1.25, "1.2 s"),
    ],
)
def test_trip_in_words(seconds: float | None, words: str) -> None:
    assert trip_in_words(seconds) == words


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (0.0, "for 0 s"),
        (59.9, "for 59 s"),
        (60, "for 1 min"),
        (3 * 3600, "since 12:09"),
        (24 * 3600, "since 2026-03-13 at 15:09"),
        (-5, "since 15:09"),
    ],
)
def test_since_in_words(gone: float, words: str) -> None:
    assert since_in_words(NOW - gone, NOW) == words


def test_clock_in_words() -> None:
    assert clock_in_words(NOW - 60, NOW) == "15:08:26"
    assert clock_in_words(NOW - 24 * 3600, NOW) == "2026-03-13 15:09:26"


def test_contents() -> None:
    assert device().contents == "identical, eeeeeeee"
    assert device(identical=False).contents == "not identical yet"
    assert device(identical=None).contents == "not known now"
    away = device(state=State.AWAY, identical=None, they_lack=0, confirmed=NOW)
    assert away.contents == "held all that is here when it was last heard of"


@pytest.mark.parametrize("at", [2.0**53, -(2.0**53), 1e300, -1e300])
def test_a_clock_beyond_the_calendar_is_shown_all_the_same(at: float) -> None:
    assert time_in_words(at / 1000, 0.0)
    assert since_in_words(-abs(at), 0.0)
    assert clock_in_words(at, 0.0)


@pytest.mark.parametrize(
    ("known", "lacking"),
    [
        (device(they_lack=None), "not known now"),
        (device(they_lack=3, confirmed=NOW), "3 changes"),
        (device(they_lack=40, progress=Progress(sent=10, to_send=50)), "40 of 50 changes"),
        (device(they_lack=0, progress=Progress(sent=50, to_send=50)), "0 changes"),
        (
            device(state=State.AWAY, they_lack=3, confirmed=NOW - 240),
            "3 changes, heard 4 min ago",
        ),
        (device(state=State.AWAY, they_lack=3), "3 changes"),
        (device(state=State.AWAY, they_lack=None, confirmed=NOW), "not known now"),
    ],
)
def test_what_they_lack(known: DeviceStatus, lacking: str) -> None:
    assert known.they_lack_in_words(NOW) == lacking


def test_what_we_lack_of_a_first_sync() -> None:
    first = device(state=State.SYNCING, we_lack=6588, progress=Progress(3412, 10_000))
    assert first.we_lack_in_words(NOW) == "6,588 of 10,000 changes"
    assert first.fetching == "3,412 of 10,000 changes"
    assert status(first).line() == "Syncing with Laptop: 3,412 of 10,000 changes"
    both = dataclasses.replace(first, they_lack=2)
    assert status(both).line() == "Syncing with Laptop: 6,590 changes to go"
    giving = device(state=State.SYNCING, they_lack=60, progress=Progress(sent=40, to_send=100))
    assert status(giving).line() == "Syncing with Laptop: 40 of 100 changes"


def test_what_is_lacking_of_several_devices_is_not_counted_twice() -> None:
    desk = device("Desk", State.SYNCING, we_lack=30)
    line = status(desk, device("Lap", State.SYNCING, we_lack=40, they_lack=1)).line()
    assert line == "Syncing with Desk and Lap: 41 changes to go"


def test_what_a_device_that_is_away_has_not_confirmed() -> None:
    away = device("Phone", State.AWAY, they_lack=3, confirmed=NOW)
    assert status(device(), away).line() == (
        "Identical with Laptop; Phone is not connected and has not confirmed 3 changes"
    )
    assert status(away).line() == (
        "Phone is not connected and has not confirmed 3 changes; edits are kept here and sync later"
    )


def test_when_it_was_heard_of() -> None:
    assert device().heard_in_words(NOW) == "right now"
    away = device(state=State.AWAY, last_seen=NOW - 240)
    assert away.heard_in_words(NOW) == "4 min ago"
    later = dataclasses.replace(away, confirmed=NOW - 60)
    assert later.heard_in_words(NOW) == "4 min ago; heard of through others 1 min ago"
    assert dataclasses.replace(away, last_seen=None).heard_in_words(NOW) == "not known now"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (device(), ""),
        (device(state=State.CONNECTING, error_since=NOW - 60), "for 1 min, trying now"),
        (device(state=State.WAITING, next_try=NOW + 5), "next try in 5 s"),
        (device(state=State.REFUSED, removed_us=True), "not tried again by itself"),
    ],
)
def test_trouble_in_words(known: DeviceStatus, words: str) -> None:
    assert known.trouble_in_words(NOW) == words


def test_what_differs_is_said_by_who_wrote_it() -> None:
    desk, lap = Difference("d1", "Desk", 2, 0), Difference("d2", "this device", 1, 1)
    known = device(identical=False, differing=(desk, lap))
    assert known.contents == "differs in changes by Desk and this device"
    assert dataclasses.replace(known, identical=None).contents.startswith("differs")
    counted = dataclasses.replace(known, they_lack=3, we_lack=1)
    assert counted.they_lack_in_words(NOW) == "3 changes (2 by Desk, 1 by this device)"
    assert counted.we_lack_in_words(NOW) == "1 change by this device"
    assert [one.in_words for one in counted.differing] == [
        "Of Desk: they lack 2 changes",
        "Of this device: they lack 1 change, we lack 1 change",
    ]
    forked = Difference("d1", "Desk", 0, 0)
    assert forked.in_words == "Of Desk: other changes under the same numbers"
