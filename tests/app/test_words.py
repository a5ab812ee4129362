"""Facts in words."""

from __future__ import annotations

import pytest

from app.words import bars_in_words, names_in_words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["Desk"], "Desk"),
        (["Desk", "Lap"], "Desk and Lap"),
        (["A", "B", "C"], "A, B and C"),
        (["A", "B", "C", "D"], "A, B and 2 more"),
        (["A", "B", "C", "D", "E"], "A, B and 3 more"),
    ],
)
def test_names(names: list[str], words: str) -> None:
    assert names_in_words(names) == words


@pytest.mark.parametrize(
    ("numbers", "bars"),
    [
        ([], ""),
        ([0, 0, 0], "▁▁▁"),
        ([0, 1, 1_000_000], "▁▂█"),
        ([1, 1], "██"),
        ([1, 1, 2, 2, 0, 0], "▆█▁"),
    ],
)
def test_bars(numbers: list[int], bars: str) -> None:
    assert bars_in_words(numbers, 3) == bars


def test_bars_of_little_stay_low() -> None:
    assert bars_in_words([0, 100, 20_000], 3, least=20_000) == "▁▂█"
    assert bars_in_words([0, 100, 100], 3, least=20_000) == "▁▂▂"
