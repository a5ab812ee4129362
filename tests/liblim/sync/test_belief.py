"""What a peer is believed to hold: what is kept up is what adding up would give."""

from __future__ import annotations

from random import Random

from liblim.change import Head
from liblim.sync.belief import Belief
from liblim.sync.messages import Entry
from tests.liblim.sync.fakes import MemoryLog


def replica(number: int) -> str:
    return f"{number:016x}"


def some_heads(rng: Random) -> list[Entry]:
    return [
        Entry(replica(rng.randrange(8)), rng.randrange(1, 9), rng.randbytes(32))
        for _ in range(rng.randrange(5))
    ]


def step(rng: Random, log: MemoryLog, belief: Belief) -> None:
    """One thing that may happen."""
    match rng.randrange(7):
        case 0:
            belief.list_page(1, rng.random() < 0.5, some_heads(rng))
        case 1:
            for entry in some_heads(rng):
                belief.hold(*entry)
        case 2:
            belief.assume_equal()
        case 3:
            lacks = ((r, rng.randrange(1, head.seq + 1)) for r, head in log.heads.items())
            belief.recall({r: first for r, first in lacks if rng.random() < 0.3})
        case 4:
            belief.forget()
        case 5:
            moved = {entry.replica: Head(entry.seq, entry.hash) for entry in some_heads(rng)}
            log.heads.update(moved)
            belief.look_again(moved)
        case _:
            belief.amend(some_heads(rng))


def test_what_we_lack_is_kept_up(seed: int) -> None:
    for number in range(200):
        rng, log = Random(f"{seed} {number}"), MemoryLog("a")
        belief = Belief(log)
        for _ in range(40):
            step(rng, log, belief)
            nothing = Head(0, b"")
            lacked = {
                r: head.seq - log.heads.get(r, nothing).seq
                for r, head in belief.heads.items()
                if head.seq > log.heads.get(r, nothing).seq
            }
            assert belief.we_lack == sum(lacked.values())
            assert belief.replicas_ahead == len(lacked)
            assert {range.replica for range in belief.lacking(lambda _: 0, 100)} == lacked.keys()
            assert len(belief.lacking(lambda _: 0, 2)) == min(2, len(lacked))
