"""Sessions fed with damaged recordings: a refusal comes out, nothing else."""

from __future__ import annotations

from random import Random

import pytest

from liblim.sync import State
from liblim.sync.messages import MAX_LINE
from liblim.sync.refusals import REFUSALS
from tests.liblim.sync.fakes import End, MemoryLog, paired, run
from tests.liblim.sync.test_codec import mutated


def recording() -> tuple[bytes, MemoryLog]:
    log = MemoryLog("a")
    for letter in "acacac":
        log.write(letter)
    other = MemoryLog("b")
    other.write("b")
    a, b = paired(log, other)
    run((a, b))
    a.write("a")
    b.write("b")
    run((a, b))
    a.session.leave("enough")
    a.take(0)
    return bytes(a.sent), log


def test_damaged_recordings(seed: int) -> None:
    feed_damaged(seed, 2000)


@pytest.mark.long
def test_a_hundred_thousand_damaged_recordings(seed: int) -> None:
    feed_damaged(seed, 100_000)


def feed_damaged(seed: int, times: int) -> None:
    data, log = recording()
    codes = set()
    rng = Random(seed)
    for _ in range(times):
        end = End(MemoryLog("b"), log.device)
        bad = mutated(rng, data)
        while bad and end.session.state is not State.CLOSED:
            size = rng.randrange(1, 4000)
            end.give(bad[:size])
            bad = bad[size:]
            end.take(0)
            assert end.session.buffered <= MAX_LINE + 4000
        end.session.eof(0)
        end.work(0)
        end.take(0)
        codes.add(end.closed.code)
        assert end.closed.code in {*REFUSALS, "left", "lost"}
        assert end.sent.count(b"NOWAI") <= 1
    assert {"garbage", "bad-message", "left"} <= codes


def test_noise(seed: int) -> None:
    rng = Random(seed)
    for _ in range(1000):
        end = End(MemoryLog("b"), "a")
        end.take(0)
        noise = rng.randbytes(rng.randrange(1, 6000))
        end.give(noise)
        end.session.eof(0)
        end.work(0)
        assert end.closed.error
        assert end.take(0).startswith(b"NOWAI ")
