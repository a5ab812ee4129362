"""Typing and erasing that go on take a short way; whatever comes between ends it, the outcome is the same."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import liblim.crdt
from liblim.crdt import Author, Bias, Flag, Splice, Text, author, stroke
from liblim.crdt.ops import COUNTER_LIMIT
from liblim.errors import OperationError
from tests.liblim.crdt.network import spliced
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


def erased(text: Text, pos: int, n: int, forward: bool) -> None:
    """Erase key by key: with Delete, the caret staying where it is, or with Backspace."""
    for k in range(n):
        text.delete(pos if forward else pos - 1 - k, 1)


@pytest.mark.parametrize("owner", ["a", "b"])
@pytest.mark.parametrize("forward", [False, True])
def test_erasing_on_is_one_operation_and_one_step(owner: str, forward: bool) -> None:
    text = Text.new(owner)
    text.insert(0, "keep [erase] keep")
    text.take_ops()
    text = Text.decode(text.encode(), "a")
    erased(text, 5 if forward else 12, 7, forward)
    ref = 6 if owner == "a" else [6, owner]
    assert text.take_ops() == [[18, "a", "-", ref, 7]]
    text.check_invariants()
    assert str(text) == "keep  keep"
    text.undo()
    assert str(text) == "keep [erase] keep"
    text.redo()
    assert str(text) == "keep  keep"


@pytest.mark.parametrize("forward", [False, True])
def test_erasing_goes_on_after_a_take_with_an_operation_of_its_own(forward: bool) -> None:
    text, mirror = Text.new("a"), Text.new("mirror")
    typed(text, 0, "abcdefgh")
    mirror.apply(text.take_ops())
    erased(text, 1 if forward else 7, 3, forward)
    first = text.take_ops()
    erased(text, 1 if forward else 4, 2, forward)
    second = text.take_ops()
    assert [first, second] == [
        [[9, "a", "-", 2 if forward else 5, 3]],
        [[9, "a", "-", 5 if forward else 3, 2]],
    ]
    mirror.apply(first + second)
    assert list(mirror.elements()) == list(text.elements())
    text.undo()
    assert str(text) == "abcdefgh"


def test_typing_and_erasing_go_on_under_another_replica_id() -> None:
    """As in a document, where each take may be followed by a new id, or by other counters."""
    names = iter("abcdefghijkl")

    def begin() -> None:
        author_.replica = next(names)
        author_.counter += 10

    author_ = Author("z", begin=begin)
    text, mirror = Text().bind("", author_), Text.new("mirror")
    for step in range(12):
        for k in range(6 if step % 3 == 0 else 2):
            if step % 3 == 0:
                text.insert(len(text), str(k))
            else:
                text.delete(len(text) - 1, 1)
        text.check_invariants()
        mirror.apply(text.take_ops())
        assert list(mirror.elements()) == list(text.elements())
        assert mirror.version == text.version


@pytest.mark.parametrize("around", [0, 1])
@pytest.mark.parametrize("forward", [False, True])
def test_erasing_up_to_what_was_deleted_before(around: int, forward: bool) -> None:
    """Tombstones that lie there already belong to another step and another operation."""
    text, mirror = Text.new("a"), Text.new("mirror")
    text.insert(0, "abcdefghij")
    text.delete(4, 2)
    mirror.apply(text.take_ops())
    text.end_group()
    erased(text, 4 - around if forward else 4 + around, 3, forward)
    before = str(text)
    mirror.apply(text.take_ops())
    assert list(mirror.elements()) == list(text.elements())
    text.undo()
    assert str(text) == "abcdghij"
    text.redo()
    assert str(text) == before
    text.check_invariants()


GOES_ON_WRONGLY: list[list[Any]] = [
    [3.0, "b", "+", 2, "x"],
    [3, "b", "+", 2.0, "x"],
    [3, "b", "+", 2, ""],
    [3, "b", "+", 2, "\udc00"],
    [3, "b", "+", 2, b"x"],
    [3, "b", "+", 2],
    [3, "b", "+", 2, "x", None],
    [3, "b", "-", 2, "x"],
    [3, "b", "++", 2, "x"],
    [3, b"b", "+", 2, "x"],
]


@pytest.mark.parametrize("op", GOES_ON_WRONGLY, ids=repr)
def test_what_only_seems_to_go_on_is_refused(op: list[Any]) -> None:
    text = Text.new("a")
    text.apply([[1, "b", "+", 0, "a"]])
    text.apply([[2, "b", "+", 1, "b"]])
    before = text.encode()
    with pytest.raises(OperationError):
        text.apply([op])
    assert text.encode() == before
    text.apply([[3, "b", "+", 2, "c"]])
    assert str(text) == "abc"
    text.check_invariants()


def test_what_others_type_on_where_nobody_looks() -> None:
    text = Text.new("z")
    text.apply([[1, "a", "+", 0, "ab"]])
    text.apply([[3, "b", "+", 0, "c"]])
    text.anchor(3, Bias.LEFT)
    assert text.apply([[4, "b", "+", 3, "d"]]) == [Splice(1, 0, "d")]
    assert str(text) == "cdab"
    text.check_invariants()


def test_what_others_type_on_over_ids_that_are_taken_is_refused() -> None:
    text = Text.new("z")
    text.apply([[5, "b", "+", 0, "e"]])
    text.apply([[3, "b", "+", 0, "c"]])
    before = text.encode()
    with pytest.raises(OperationError, match="Another element has this id"):
        text.apply([[4, "b", "+", 3, "dE"]])
    assert text.encode() == before
    text.check_invariants()


def test_what_others_type_on_does_not_pass_what_was_written_there_meanwhile() -> None:
    """Not either where somebody has looked at what they typed, as an anchor does."""
    text, mirror = Text.new("z"), Text.new("m")
    ops = [[1, "b", "+", 0, "ab"], [3, "b", "+", 2, "c"]]
    text.apply(ops[:1])
    mirror.apply(ops[:1])
    text.insert(2, "Z")
    mine = text.take_ops()
    text.anchor(1, Bias.RIGHT)
    assert text.apply(ops[1:]) == [Splice(3, 0, "c")]
    mirror.apply(ops[1:] + mine)
    assert list(text.elements()) == list(mirror.elements())
    assert str(text) == "abZc"


@pytest.mark.parametrize("other", ["A", "b"])
@pytest.mark.parametrize("counter", [3, 4])
def test_what_others_type_on_finds_its_place_among_what_was_put_there(
    other: str, counter: int
) -> None:
    ops = [[1, "a", "+", 0, "ab"], [counter, other, "+", [2, "a"], "X"], [3, "a", "+", 2, "c"]]
    text, naive = Text.new("reader"), NaiveRga()
    naive.apply(ops)
    for op in ops:
        text.apply([op])
        text.slice(0, 1)  # looked at where they type
        text.check_invariants()
    assert list(text.elements()) == naive.rows()


def test_what_goes_on_with_ids_that_others_have_is_refused() -> None:
    text = Text.new("reader")
    text.apply([[1, "a", "+", 0, "ab"], [3, "a", "+", 0, "c"]])
    text.slice(1, 1)
    before = text.encode()
    with pytest.raises(OperationError, match="has this id"):
        text.apply([[3, "a", "+", 2, "z"]])
    assert text.encode() == before


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


@pytest.mark.parametrize("between", BETWEEN, ids=lambda one: one.__name__)
@pytest.mark.parametrize("forward", [False, True])
def test_whatever_comes_between_erasing(between: Callable[[Text], object], forward: bool) -> None:
    text, mirror = Text.new("a"), Text.new("mirror")
    typed(text, 0, "abcdefgh")
    mirror.apply(text.take_ops())
    erased(text, 2 if forward else 6, 2, forward)
    mirror.apply(text.take_ops())
    before = text.encode()
    between(text)
    text.check_invariants()
    follower = Text.decode(text.encode(), "f") if text.encode() != before else mirror
    text.take_ops()
    pos, shadow = 2 if forward else 4, str(text)
    erased(text, pos, 2, forward)
    left = pos if forward else pos - 2
    assert str(text) == shadow[:left] + shadow[left + 2 :]
    text.check_invariants()
    follower.apply(text.take_ops())
    assert list(follower.elements()) == list(text.elements())
    text.undo()
    assert len(text) >= len(shadow)


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


class Writer:
    """One at a text, with a caret, and a plain string beside it."""

    def __init__(self, name: str, rng: Random) -> None:
        self.text = Text.new(name)
        self.rng = rng
        self.caret = 0
        self.shadow = ""

    def show(self, splices: list[Splice]) -> None:
        self.shadow = spliced(self.shadow, splices)
        self.caret = min(self.caret, len(self.shadow))
        self.text.check_invariants()
        assert str(self.text) == self.shadow

    def press(self, key: str) -> None:
        """Do it once: type, Backspace, Delete, undo, redo, or jump elsewhere."""
        text, caret, n = self.text, self.caret, self.rng.choice([1, 1, 2])
        if key == "type":
            text.insert(caret, "xyz"[:n])
            self.caret += n
            self.show([Splice(caret, 0, "xyz"[:n])])
        elif key == "backspace" and caret >= n:
            self.caret -= n
            text.delete(self.caret, n)
            self.show([Splice(self.caret, n, "")])
        elif key == "delete" and caret + n <= len(text):
            text.delete(caret, n)
            self.show([Splice(caret, n, "")])
        elif key in ("undo", "redo"):
            self.show(text.undo() if key == "undo" else text.redo())
        elif key == "jump":
            self.caret = self.rng.randrange(len(text) + 1)

    def hear(self, ops: list[list[Any]]) -> None:
        """One at a time, or all at once."""
        for batch in [[op] for op in ops] if self.rng.random() < 0.5 else [ops]:
            self.show(self.text.apply(batch))


KEYS = (
    "type",
    "type",
    "type",
    "backspace",
    "backspace",
    "delete",
    "delete",
    "undo",
    "redo",
    "jump",
)


@pytest.mark.parametrize("case", range(40))
def test_any_mix_of_typing_and_others(case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (author, stroke):
        monkeypatch.setattr(module, "LONGEST_RUN", 7)
    monkeypatch.setattr(stroke, "LONGEST_STEP", 5)
    rng, naive = Random(case), NaiveRga()
    writers = [Writer("a", rng), Writer("b", rng)]
    for _ in range(80):
        one, key = rng.choice(writers), rng.choice(KEYS)
        for _ in range(rng.randrange(1, 6)):
            one.press(key)
            if rng.random() < 0.3:
                ops = one.text.take_ops()
                naive.apply(ops)
                writers[one is writers[0]].hear(ops)
    waiting = [one.text.take_ops() for one in writers]
    for one, ops in zip(reversed(writers), waiting, strict=True):
        naive.apply(ops)
        one.hear(ops)
    first, second = [list(one.text.elements()) for one in writers]
    assert first == second == naive.rows()
