"""The digest over heads that advance is that over the heads."""

from __future__ import annotations

from random import Random

from liblim.change import Head, digest
from liblim.heads import HeadDigest


def test_it_is_the_digest_of_the_heads_at_all_times(seed: int) -> None:
    rng = Random(seed)

    def some() -> str:
        # Few, and alike at their beginnings, so that some come again and stand beside each other.
        return rng.choice(("00", "0f", "f0")) + f"{rng.randrange(40):014x}"

    heads = {some(): Head(1, rng.randbytes(32)) for _ in range(rng.randrange(20))}
    follower = HeadDigest(heads)
    for _ in range(200):
        advanced = {some() for _ in range(rng.randrange(1, 4))}
        for replica in advanced:
            before = heads.get(replica, Head(0, b""))
            heads[replica] = Head(before.seq + 1, rng.randbytes(32))
        follower.advanced(advanced)
        if rng.random() < 0.7:
            assert follower.value == digest(heads)
    assert follower.value == digest(heads)
    assert HeadDigest({}).value == digest({})
