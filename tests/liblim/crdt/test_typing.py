"""Typing that goes on takes a short way; whatever comes between ends it, and the outcome is the same."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from random import Random

import pytest

import liblim.crdt
from liblim.crdt import Author, Bias, Flag, Text, author, stroke
from liblim.crdt.ops import COUNTER_LIMIT
from liblim.errors import OperationError
from tests.oracle import NaiveRga


def test_the_example_of_the_package_is_right() -> None:
    assert doctest.testmod(liblim.crdt).failed == 0


def typed(text: Text, pos: int, chars: str) -> None:
    """Type keystroke by keystroke."""
    for k, char in enumerate(chars):
        text.insert(pos + k, char)


def test_a_run_is_one_operation_and_one_step() -> None:
    text = Text.new("a")
    typed(text, 0, "a run 🙂")
    assert text.take_ops() == [[1, "a", "+", 0, "a run 🙂"]]
    text.undo()
    assert str(text) == ""


def remote_insert(text: Text) -> None:
    text.apply([[50, "b", "+", [1, "a"], "R"]])


def remote_delete_of_the_last(text: Text) -> None:
    text.apply([[50, "b", "-", [3, "a"], 1]])


def remote_delete_of_the_first(text: Text) -> None:
    text.apply([[50, "b", "-", [1, "a"], 1]])


def remote_append(text: Text) -> None:
    text.apply([[50, "b", "+", [3, "a"], "R"]])


def looking_elsewhere(text: Text) -> None:
    text.slice(0, 1)
    text.anchor(1, Bias.LEFT)


def nothing_at_all(text: Text) -> None:
    text.insert(len(text), "")
    text.delete(0, 0)


def deleting_and_undoing(text: Text) -> None:
    text.delete(1, 1)
    text.undo()


BETWEEN: list[Callable[[Text], object]] = [
    remote_insert,
    remote_delete_of_the_last,
    remote_delete_of_the_first,
    remote_append,
    looking_elsewhere,
    nothing_at_all,
    deleting_and_undoing,
    lambda text: text.delete(len(text) - 1, 1),
    lambda text: text.undo(),
    lambda text: text.load(text.encode()),
    lambda text: text.end_group(),
    lambda text: text.take_ops(),
]


@pytest.mark.parametrize("between", BETWEEN, ids=lambda one: one.__name__)
@pytest.mark.parametrize("back", [0, 1])
def test_whatever_comes_between(between: Callable[[Text], object], back: int) -> None:
    text, mirror = Text.new("a"), Text.new("mirror")
    typed(text, 0, "abc")
    mirror.apply(text.take_ops())
    typed(text, 3, "def")
    mirror.apply(text.take_ops())
    before = text.encode()
    between(text)
    text.check_invariants()
    follower = Text.decode(text.encode(), "f") if text.encode() != before else mirror
    text.take_ops()
    pos, shadow = max(0, len(text) - back), str(text)
    typed(text, pos, "xyz")
    assert str(text) == shadow[:pos] + "xyz" + shadow[pos:]
    text.check_invariants()
    follower.apply(text.take_ops())
    assert list(follower.elements()) == list(text.elements())


def test_another_field_of_the_author_between() -> None:
    shared = Author("a")
    text, flag = Text().bind("text", shared), Flag().bind("flag", shared)
    typed(text, 0, "ab")
    flag.enable()
    typed(text, 2, "cd")
    assert shared.take() == [
        (1, "text", ["+", 0, "ab"]),
        (3, "flag", ["on"]),
        (4, "text", ["+", 2, "cd"]),
    ]
    assert [row[0] for row in text.elements()] == [1, 2, 4, 5]


def test_a_group_that_was_ended_is_undone_alone() -> None:
    text = Text.new("a")
    typed(text, 0, "one")
    text.end_group()
    typed(text, 3, "two")
    text.undo()
    assert str(text) == "one"


def test_counters_run_out_while_typing() -> None:
    text = Text().bind("", Author("a", COUNTER_LIMIT - 3))
    typed(text, 0, "abc")
    with pytest.raises(OperationError, match="counters"):
        text.insert(3, "d")
    assert str(text) == "abc"


@pytest.mark.parametrize("case", range(30))
def test_any_mix_of_typing_and_others(case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (author, stroke):
        monkeypatch.setattr(module, "LONGEST_RUN", 7)
    rng = Random(case)
    texts, naive = [Text.new("a"), Text.new("b")], NaiveRga()
    caret = 0
    for _ in range(150):
        text = rng.choice(texts)
        caret = min(caret, len(text))
        match rng.randrange(9):
            case 0:
                caret = rng.randrange(len(text) + 1)
            case 1 if caret:
                caret -= 1
                text.delete(caret, 1)
            case 2:
                text.undo()
            case 3:
                ops = text.take_ops()
                naive.apply(ops)
                texts[1 - texts.index(text)].apply(ops)
            case _:
                text.insert(caret, rng.choice("xyz"))
                caret += 1
        text.check_invariants()
    waiting = [text.take_ops() for text in texts]
    for text, ops in zip(reversed(texts), waiting, strict=True):
        naive.apply(ops)
        text.apply(ops)
    assert list(texts[0].elements()) == list(texts[1].elements()) == naive.rows()
