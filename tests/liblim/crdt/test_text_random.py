"""Texts against the naive RGA: any edits, in any causal order, with repeats, reloads and undoing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.liblim.crdt.network import Network


@pytest.mark.parametrize("case", range(40))
def test_random_histories_converge_with_the_oracle(case: int) -> None:
    rng = Random(case)
    Network(rng.choice([1, 2, 3, 4]), rng).run(80)


@settings(deadline=None, max_examples=40)
@given(peers=st.integers(1, 3), rng=st.randoms(use_true_random=False))
def test_histories_that_hypothesis_draws_converge_with_the_oracle(peers: int, rng: Random) -> None:
    Network(peers, rng).run(30)


def test_histories_of_this_run(seed: int) -> None:
    for round_ in range(5):
        Network(3, Random(f"{seed}/{round_}")).run(100)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_long_campaign(seed: int) -> None:
    for round_ in range(1000):
        Network(4, Random(f"{seed}/{round_}")).run(250)
