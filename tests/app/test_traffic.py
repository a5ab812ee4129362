"""What goes in and out over time, and how far a backlog is."""

from __future__ import annotations

from typing import Any

import pytest

from app.status import Progress
from app.traffic import POINTS, STEP, Traffic
from tests.app.peers import peer


def follow(*looks: tuple[float, dict[str, Any]]) -> Traffic:
    traffic = Traffic()
    for now, facts in looks:
        traffic.look([peer(**facts)], now)
    return traffic


LAP = peer().device


def test_what_was_counted_before_did_not_happen_now() -> None:
    flow = follow((0.0, {"bytes_in": 5000}), (1.0, {"bytes_in": 5040})).flow(LAP)
    assert flow.bytes_in == (40,)
    assert flow.seconds == STEP


def test_each_point_stands_for_its_own_time() -> None:
    flow = follow(
        (0.0, {}),
        (1.0, {"changes_in": 3, "bytes_out": 7}),
        (STEP + 1, {"changes_in": 4}),
        (3 * STEP + 1, {"changes_in": 9, "changes_out": 1, "bytes_out": 7}),
    ).flow(LAP)
    assert flow.changes_in == (3, 1, 0, 5)
    assert flow.changes_out == (0, 0, 0, 1)
    assert flow.bytes_out == (7, 0, 0, 7)


def test_no_more_is_kept_than_is_shown() -> None:
    flow = follow(*((at * STEP, {"bytes_in": at}) for at in range(3 * POINTS))).flow(LAP)
    assert flow.bytes_in == (1,) * POINTS


@pytest.mark.parametrize("asleep", [POINTS * STEP, 1e9])
def test_after_a_long_sleep_only_now_is_shown(asleep: float) -> None:
    flow = follow((0.0, {}), (1.0, {"bytes_in": 50}), (asleep + 1, {"bytes_in": 51})).flow(LAP)
    assert sum(flow.bytes_in) == flow.bytes_in[-1] == 1


def test_counts_that_go_down_are_a_new_beginning() -> None:
    flow = follow((0.0, {"bytes_in": 90}), (1.0, {"bytes_in": 5}), (2.0, {"bytes_in": 8})).flow(LAP)
    assert flow.bytes_in[-1] == 3


def test_a_device_that_went_is_forgotten() -> None:
    traffic = follow((0.0, {}))
    traffic.look([], 1.0)
    with pytest.raises(KeyError):
        traffic.flow(LAP)


def test_a_backlog_is_counted_from_its_height_to_its_end() -> None:
    traffic = Traffic()
    seen = []
    for lacking in (None, 10_000, 10_020, 6_588, None, 6_000, 0, 3):
        traffic.look([peer(we_lack=lacking, they_lack=2)], 0.0)
        progress = traffic.progress(LAP)
        seen.append((progress.received, progress.to_receive))
        assert (progress.sent, progress.to_send) == (0, 2)
    assert seen == [
        (0, 0),
        (0, 10_000),
        (0, 10_020),
        (3_432, 10_020),
        (3_432, 10_020),
        (4_020, 10_020),
        (0, 0),
        (0, 3),
    ]


def test_without_a_backlog_there_is_no_progress() -> None:
    assert follow((0.0, {"we_lack": 0, "they_lack": 0})).progress(LAP) == Progress()
