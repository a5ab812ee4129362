"""How counters are handed out and operations gathered."""

from __future__ import annotations

import pytest

from liblim.crdt import Author, Text, author, stroke
from liblim.errors import OperationError


def test_begin_is_called_once_before_the_first_operation_after_each_take() -> None:
    calls: list[int] = []

    def begin() -> None:
        calls.append(writer.counter)
        writer.counter = 100 * len(calls)

    writer = Author("a", begin=begin)
    text = Text().bind("body", writer)
    text.insert(0, "ab")
    text.delete(0, 1)
    assert calls == [1]
    assert writer.take() == [(100, "body", ["+", 0, "ab"]), (102, "body", ["-", 100, 1])]
    assert writer.take() == []
    text.insert(0, "c")
    assert calls == [1, 102]
    assert writer.take() == [(200, "body", ["+", 0, "c"])]


def test_edits_grow_with_each_edit_also_of_one_run() -> None:
    text = Text.new("a")
    seen = []
    for k in range(3):
        text.insert(k, "x")
        seen.append(text._author.edits)
    text.delete(0, 1)
    seen.append(text._author.edits)
    assert seen == [1, 2, 3, 4]
    assert len(text.take_ops()) == 2


def test_observe_raises_the_counter_and_never_lowers_it() -> None:
    writer = Author("a")
    writer.observe(7)
    assert writer.counter == 8
    writer.observe(3)
    assert writer.counter == 8


def test_runs_do_not_merge_across_a_gap_another_field_or_a_take() -> None:
    writer = Author("a")
    one, two = Text().bind("one", writer), Text().bind("two", writer)
    one.insert(0, "a")
    writer.observe(5)
    one.insert(1, "b")
    two.insert(0, "c")
    one.insert(2, "d")
    assert [op[1:] for op in writer.take()] == [
        ("one", ["+", 0, "a"]),
        ("one", ["+", 1, "b"]),
        ("two", ["+", 0, "c"]),
        ("one", ["+", 6, "d"]),
    ]
    one.insert(3, "e")
    assert [op[1:] for op in writer.take()] == [("one", ["+", 8, "e"])]


def test_deletes_do_not_merge_across_another_field_or_what_was_seen_between() -> None:
    writer = Author("a")
    one, two = Text().bind("one", writer), Text().bind("two", writer)
    for field in (one, two):
        field.apply_op(1, "b", ["+", 0, "abc"])
    writer.observe(3)
    one.delete(0, 1)
    two.delete(1, 1)
    two.delete(0, 1)
    writer.observe(9)
    two.delete(0, 1)
    assert writer.take() == [
        (4, "one", ["-", [1, "b"], 1]),
        (4, "two", ["-", [1, "b"], 2]),
        (10, "two", ["-", [3, "b"], 1]),
    ]


def test_a_long_run_becomes_several_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (author, stroke):
        monkeypatch.setattr(module, "LONGEST_RUN", 3)
    text = Text.new("a")
    for k in range(10):
        text.insert(k, str(k))
    assert [op[-1] for op in text.take_ops()] == ["0123", "4567", "89"]


def test_counters_end() -> None:
    writer = Author("a", 2**53 - 3)
    text = Text().bind("body", writer)
    with pytest.raises(OperationError):
        text.insert(0, "four")
    text.insert(0, "two")
    with pytest.raises(OperationError):
        text.insert(0, "x")
    with pytest.raises(OperationError):
        text.delete(0, 1)  # its id would be beyond the limit: nobody would take it
    assert str(text) == "two"


@pytest.mark.parametrize(("replica", "counter"), [("", 1), ("a", 0), ("\ud800", 1)])
def test_an_impossible_author(replica: str, counter: int) -> None:
    with pytest.raises(OperationError):
        Author(replica, counter)
