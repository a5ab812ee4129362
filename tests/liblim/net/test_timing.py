from __future__ import annotations

from random import Random

from liblim.net.timing import BackOff, Timing


def test_the_time_between_tries_doubles_up_to_a_minute_give_or_take_a_quarter(seed: int) -> None:
    back_off = BackOff(Timing(), Random(seed))
    expected = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    delays = [back_off.next() for _ in expected]
    for delay, base in zip(delays, expected, strict=True):
        assert 0.75 * base <= delay <= 1.25 * base
    assert len({delay / base for delay, base in zip(delays, expected, strict=True)}) > 1
    back_off.reset()
    assert back_off.next() <= 1.25
