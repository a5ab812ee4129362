"""Sessions fed with damaged recordings: a refusal comes out, nothing else."""

from __future__ import annotations

from random import Random

from liblim.sync import State
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


def test_damaged_recordings() -> None:
    data, log = recording()
    codes = set()
    for seed in range(2000):
        rng = Random(seed)
        end = End(MemoryLog("b"), known={log.device})
        bad = mutated(rng, data)
        try:
            while bad and end.session.state is not State.CLOSED:
                size = rng.randrange(1, 4000)
                end.give(bad[:size])
                bad = bad[size:]
                end.take(0)
            end.session.eof(0)
            end.work(0)
            end.take(0)
        except Exception:
            print("seed", seed)
            raise
        codes.add(end.closed.code)
        assert end.closed.code in {*REFUSALS, "left", "lost"}, seed
        assert end.sent.count(b"NOWAI") <= 1
    assert {"garbage", "bad-message", "bad-change", "left"} <= codes


def test_noise() -> None:
    for seed in range(1000):
        rng = Random(seed)
        end = End(MemoryLog("b"))
        end.take(0)
        noise = rng.randbytes(rng.randrange(1, 6000))
        end.give(noise)
        end.session.eof(0)
        end.work(0)
        assert end.closed.error, f"seed {seed}"
        assert end.take(0).startswith(b"NOWAI "), f"seed {seed}"
