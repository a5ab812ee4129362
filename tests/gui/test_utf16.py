"""UTF-16 units and code points: the mapping, and the chunked shadow against a plain string."""

from __future__ import annotations

import random

import pytest

from ui import utf16
from ui.utf16 import Utf16Text, chars, units

ALPHABET = "ab\n\x00é\u00a0\u4e00\ufeff😀\U0010ffff👨\u200d👩"


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 3), ("é", 1), ("😀", 2), ("a😀\u0301", 4), ("\ud800", 1)]
)
def test_units_counts_astral_characters_twice(text: str, length: int) -> None:
    assert units(text) == length


def test_a_unit_inside_a_pair_belongs_to_the_pair() -> None:
    assert [chars("a😀b", unit) for unit in range(6)] == [0, 1, 1, 2, 3, 3]
    assert [chars("abc", unit) for unit in range(5)] == [0, 1, 2, 3, 3]


def test_an_empty_shadow_has_one_position() -> None:
    shadow = Utf16Text()
    assert (len(shadow), shadow.units, str(shadow)) == (0, 0, "")
    assert (shadow.to_units(0), shadow.to_chars(0), shadow.slice(0, 9)) == (0, 0, "")
    shadow.replace(0, 0, "x")
    shadow.replace(0, 1, "")
    assert str(shadow) == ""


@pytest.mark.parametrize("trial", range(12))
def test_the_shadow_is_a_string(seed: int, trial: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utf16, "CHUNK", 1 + trial)
    dice = random.Random(seed + trial)
    plain = "".join(dice.choices(ALPHABET, k=dice.randrange(40)))
    shadow = Utf16Text(plain)
    for _ in range(150):
        start = dice.randint(0, len(plain))
        end = dice.randint(start, min(len(plain), start + 30))
        new = "".join(dice.choices(ALPHABET, k=dice.choice((0, 1, 1, 2, 40))))
        shadow.replace(start, end - start, new)
        plain = plain[:start] + new + plain[end:]
        assert str(shadow) == plain
        assert (len(shadow), shadow.units) == (len(plain), units(plain))
        assert shadow.slice(start, end) == plain[start:end]
        for position in (min(start, len(plain)), dice.randint(0, len(plain)), len(plain)):
            unit = units(plain[:position])
            assert shadow.to_units(position) == unit
            assert shadow.to_chars(unit) == position
            if plain[position : position + 1] > "\uffff":
                assert shadow.to_chars(unit + 1) == position
