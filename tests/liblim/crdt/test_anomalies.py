"""What this RGA does where texts that merge by themselves are known to surprise people."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Text


def peers(content: str, names: str = "ab") -> list[Text]:
    """Texts with the same content."""
    texts = [Text.new(name) for name in names]
    texts[0].insert(0, content)
    ops = texts[0].take_ops()
    for text in texts[1:]:
        text.apply(ops)
    return texts


def merged(texts: list[Text]) -> str:
    """What all show after an exchange, whatever the order in which it came."""
    sent = [text.take_ops() for text in texts]
    state = texts[0].encode()
    results = set()
    for order in permutations(range(1, len(texts))):
        text = Text.decode(state, "observer")
        for k in order:
            text.apply(sent[k])
        results.add(str(text))
    for k, text in enumerate(texts):
        for j, ops in enumerate(sent):
            if j != k:
                text.apply(ops)
        text.check_invariants()
        results.add(str(text))
    assert len(results) == 1
    return results.pop()


def test_runs_typed_forward_at_one_place_do_not_interleave() -> None:
    texts = peers("[]", "abc")
    for text, word in zip(texts, ("one", "two", "three"), strict=True):
        for k, char in enumerate(word):
            text.insert(1 + k, char)
    assert merged(texts) == "[threetwoone]"  # the greater replica id first


def test_runs_typed_backward_at_one_place_do_interleave() -> None:
    texts = peers("[]")
    for text, word in zip(texts, ("abc", "xyz"), strict=True):
        for char in word:
            text.insert(1, char)
    assert merged(texts) == "[zcybxa]"  # each is a sibling of the others: the later first


def test_a_run_goes_on_forward_through_what_arrives_meanwhile() -> None:
    a, b = peers("[]")
    a.insert(1, "on")
    b.insert(1, "XY")
    b.apply(a.take_ops())
    b.insert(str(b).index("n") + 1, "!")
    a.insert(3, "e")
    assert merged([a, b]) == "[XYon!e]"


def test_both_delete_the_same() -> None:
    a, b = peers("abc")
    a.delete(1, 1)
    b.delete(0, 2)
    assert merged([a, b]) == "c"


def test_both_undo_the_deletion_of_the_same_and_it_comes_back_twice() -> None:
    a, b = peers("keep this word")
    a.delete(5, 5)
    b.delete(5, 5)
    assert merged([a, b]) == "keep word"
    a.undo()
    b.undo()
    # Nobody's undo knows of the other's: each brings back what it had taken away.
    assert merged([a, b]) == "keep this this word"
    a.redo()
    assert merged([a, b]) == "keep this word"


def test_an_insert_inside_text_that_another_deletes_stays() -> None:
    a, b = peers("one two three")
    a.delete(4, 4)
    b.insert(6, "XX")
    assert merged([a, b]) == "one XXthree"
    a.undo()
    assert merged([a, b]) == "one twXXo three"


def test_what_replaces_a_text_stands_before_what_is_written_behind_it() -> None:
    a, b = peers("Hello.")
    a.replace(5, 1, "!")
    b.insert(6, " World")
    assert merged([a, b]) == "Hello! World"


def test_both_replace_the_same() -> None:
    a, b = peers("a cat sat")
    a.replace(2, 3, "dog")
    b.replace(2, 3, "hen")
    assert merged([a, b]) == "a hendog sat"


@pytest.mark.parametrize("moves", [("a", "b"), ("b", "a")])
def test_moving_a_line_on_two_sides_makes_two_of_it(moves: tuple[str, str]) -> None:
    texts = dict(zip("ab", peers("1\n2\n3\n"), strict=True))
    for name in moves:
        texts[name].delete(0, 2)
        texts[name].insert(4, "1\n")
    assert merged(list(texts.values())) == "2\n3\n1\n1\n"


@settings(deadline=None, max_examples=40)
@given(rng=st.randoms(use_true_random=False))
def test_words_typed_forward_at_one_place_stay_whole_whatever_arrives_meanwhile(
    rng: Random,
) -> None:
    """However many type there, and whoever hears of whom in the middle of a word."""
    texts = peers("[]", "abcd")
    words = ["", "", "", ""]
    for k, text in enumerate(texts):
        text.insert(1, "0123"[k])
        words[k] = "0123"[k]
    log: list[list[list[Any]]] = [text.take_ops() for text in texts]
    heard = [[0] * 4 for _ in texts]
    for _ in range(30):
        k, j = rng.randrange(4), rng.randrange(4)
        text = texts[k]
        if rng.random() < 0.5:
            text.insert(str(text).index(words[k]) + len(words[k]), "wxyz"[k])
            words[k] += "wxyz"[k]
            log[k] += text.take_ops()
        elif j != k:
            text.apply(log[j][heard[k][j] :])
            heard[k][j] = len(log[j])
    for k, text in enumerate(texts):
        for j in range(4):
            if j != k:
                text.apply(log[j])
    assert len({str(text) for text in texts}) == 1
    assert all(word in str(texts[0]) for word in words)


def test_runs_typed_backward_interleave_but_each_keeps_its_order() -> None:
    texts = peers("[]")
    for text, word in zip(texts, ("abc", "xyz"), strict=True):
        for char in reversed(word):
            text.insert(1, char)
    together = merged(texts)
    assert together == "[xaybzc]"
    assert [char for char in together if char in "abc"] == list("abc")
    assert [char for char in together if char in "xyz"] == list("xyz")


def test_a_run_typed_backward_by_one_and_forward_by_another() -> None:
    a, b = peers("[]")
    for char in "cba":
        a.insert(1, char)
    for k, char in enumerate("xyz"):
        b.insert(1 + k, char)
    assert merged([a, b]) == "[abxyzc]"  # the run goes between two that were typed backward


def test_undoing_an_insert_that_another_wrote_into_leaves_what_that_wrote() -> None:
    a, b = peers("[]")
    a.insert(1, "mine")
    b.apply(a.take_ops())
    b.insert(3, "<theirs>")
    a.undo()
    assert merged([a, b]) == "[<theirs>]"


def test_undoing_an_insert_that_another_deleted_does_nothing() -> None:
    a, b = peers("[]")
    a.insert(1, "mine")
    b.apply(a.take_ops())
    b.delete(1, 4)
    a.undo()
    assert merged([a, b]) == "[]"
    a.redo()
    b.undo()
    # Each brings back what it had taken away, as with a deletion that both undo.
    assert merged([a, b]) == "[minemine]"


def test_one_undoes_a_deletion_that_the_other_made_too() -> None:
    a, b = peers("keep this word")
    a.delete(5, 5)
    b.delete(5, 5)
    a.undo()
    # Its undo brings the word back as new elements, of which the other's deletion knew nothing.
    assert merged([a, b]) == "keep this word"
