"""The gate lets in who it must, and nobody else."""

from __future__ import annotations

import itertools

import pytest

from liblim.net.gate import Purpose, decide

MEMBER, REMOVED, GUEST, UNKNOWN = (letter * 32 for letter in "abcd")
BACK = "e" * 32
"""A removed device of which something in the log still claims that it is a member."""

ALLOWED = {
    ("lim/1", MEMBER): Purpose.SYNC,
    ("lim/1", REMOVED): Purpose.REMOVED,
    ("lim/1", BACK): Purpose.REMOVED,
    ("lim-pair/1", GUEST): Purpose.GRANT,
}

PROTOCOLS = ["lim/1", "lim-pair/1", "", "h2", "lim/2", "LIM/1", "lim/1\0"]
DEVICES = [None, MEMBER, REMOVED, GUEST, UNKNOWN, BACK, ""]


@pytest.mark.parametrize(
    ("alpn", "device", "window_open"), [*itertools.product(PROTOCOLS, DEVICES, [False, True])]
)
def test_all_that_is_not_allowed_is_denied(
    alpn: str, device: str | None, window_open: bool
) -> None:
    found = decide(
        alpn,
        device,
        members={MEMBER, BACK},
        removed={REMOVED, BACK},
        expected={GUEST},
        window_open=window_open,
    )
    if (alpn, device, window_open) == ("lim-pair/1", None, True):
        assert found is Purpose.PAIR
    else:
        assert found is ALLOWED.get((alpn, device or ""), Purpose.CLOSE)
