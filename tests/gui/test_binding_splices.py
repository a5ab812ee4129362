"""Positions and edits after other edits: shifting, trimming and crossing."""

from __future__ import annotations

import random

import pytest

from liblim.crdt import Bias, Splice
from ui.place import Place
from ui.splices import cross, growth, shift, trim

ALPHABET = "aab\n😀"


@pytest.mark.parametrize(
    ("position", "left", "right"),
    [(0, 0, 0), (2, 2, 5), (3, 2, 5), (4, 2, 5), (5, 6, 6), (9, 10, 10)],
)
def test_a_position_shifts_through_a_replacement(position: int, left: int, right: int) -> None:
    assert shift(position, 2, 2, 3, Bias.LEFT) == left
    assert shift(position, 2, 2, 3, Bias.RIGHT) == right


def test_an_insert_at_a_position_goes_to_the_side_it_does_not_stick_to() -> None:
    assert shift(4, 4, 0, 2, Bias.LEFT) == 4
    assert shift(4, 4, 0, 2, Bias.RIGHT) == 6


@pytest.mark.parametrize("caret_first", [False, True])
def test_a_selection_is_not_extended_by_inserts_at_its_edges(caret_first: bool) -> None:
    place = Place(3, 7, 0) if caret_first else Place(7, 3, 0)
    after = place.after(3, 0, 2).after(9, 0, 4)
    assert sorted((after.caret, after.anchor)) == [5, 9]
    assert (after.caret < after.anchor) is caret_first


def test_a_selection_whose_text_is_replaced_becomes_a_caret_before_the_new_text() -> None:
    after = Place(7, 3, 0).after(2, 8, 5)
    assert (after.caret, after.anchor) == (2, 2)


def test_a_caret_sticks_to_its_left_neighbour() -> None:
    after = Place(3, 3, 0).after(3, 0, 4)
    assert (after.caret, after.anchor) == (3, 3)


def test_the_first_visible_line_is_pushed_along_unless_the_caret_stands_there() -> None:
    assert Place(90, 90, 40).after(40, 0, 5).top == 45
    assert Place(0, 0, 0).after(0, 0, 5).top == 0


@pytest.mark.parametrize(
    ("old", "new", "caret", "splice"),
    [
        ("aaa", "aaaa", 2, Splice(1, 0, "a")),
        ("aaa", "aaaa", 4, Splice(3, 0, "a")),
        ("aaa", "aaaa", 1, Splice(0, 0, "a")),
        ("aaa", "aaaa", 0, Splice(0, 0, "a")),
        ("aaaa", "aaa", 1, Splice(1, 1, "")),
        ("aaaa", "aaa", 9, Splice(3, 1, "")),
        ("abcabc", "abcabcabc", 6, Splice(3, 0, "abc")),
        ("abcabc", "abcabcabc", 5, Splice(2, 0, "cab")),
        ("one two", "one three", 9, Splice(5, 2, "hree")),
        ("", "x", 0, Splice(0, 0, "x")),
        ("same", "same", 2, Splice(2, 0, "")),
        ("😀", "😁", 1, Splice(0, 1, "😁")),
        ("ab", "ba", 0, Splice(0, 2, "ba")),
    ],
)
def test_trim(old: str, new: str, caret: int, splice: Splice) -> None:
    assert trim(old, new, caret) == splice


def test_trim_is_quick_where_almost_all_is_the_same() -> None:
    old = "line after line\n" * 100_000
    assert trim(old, old[:800_000] + "X" + old[800_000:], 0) == Splice(800_000, 0, "X")


@pytest.mark.parametrize("trial", range(30))
def test_trimming_is_right_and_minimal_at_any_caret(seed: int, trial: int) -> None:
    dice = random.Random(seed + trial)
    for _ in range(50):
        old, new = ("".join(dice.choices(ALPHABET, k=dice.randrange(9))) for _ in range(2))
        splice = trim(old, new, dice.randrange(12))
        assert play(old, [splice]) == new
        if splice.removed and splice.inserted:
            gone = old[splice.pos : splice.pos + splice.removed]
            assert gone[0] != splice.inserted[0]
            assert gone[-1] != splice.inserted[-1]


@pytest.mark.parametrize("trial", range(60))
def test_crossing_leads_to_one_text_and_keeps_what_either_inserted(seed: int, trial: int) -> None:
    dice = random.Random(seed + trial)
    text = "".join(dice.choices(ALPHABET, k=12))
    ours, theirs = edits(dice, text, "XYZ"), edits(dice, text, "uvw")
    mine, others = cross(ours, theirs)
    merged = play(play(text, ours), others)
    assert merged == play(play(text, theirs), mine)
    assert [c for c in merged if c in "XYZ"] == [c for c in play(text, ours) if c in "XYZ"]
    assert [c for c in merged if c in "uvw"] == [c for c in play(text, theirs) if c in "uvw"]
    assert growth(ours) + growth(others) == len(merged) - len(text)


def test_where_both_insert_at_one_place_ours_comes_first() -> None:
    mine, others = cross([Splice(1, 0, "X")], [Splice(1, 0, "u")])
    assert (mine, others) == ([Splice(1, 0, "X")], [Splice(2, 0, "u")])


def edits(dice: random.Random, text: str, letters: str) -> list[Splice]:
    made = []
    for _ in range(dice.randrange(1, 7)):
        start = dice.randint(0, len(text))
        removed = dice.choice((0, 0, 1, min(4, len(text) - start)))
        removed = min(removed, len(text) - start)
        splice = Splice(start, removed, "".join(dice.choices(letters, k=dice.randrange(3))))
        made.append(splice)
        text = play(text, [splice])
    return made


def play(text: str, splices: list[Splice]) -> str:
    for pos, removed, inserted in splices:
        text = text[:pos] + inserted + text[pos + removed :]
    return text
