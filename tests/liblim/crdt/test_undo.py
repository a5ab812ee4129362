"""Undo and redo of own edits only."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liblim.crdt import Author, Text, stroke, undo
from liblim.errors import OperationError
from tests.liblim.crdt.histories import edit_text
from tests.liblim.crdt.network import spliced


def peers(content: str) -> tuple[Text, Text]:
    """A text that was typed by the other one."""
    a, b = Text.new("a"), Text.new("b")
    b.insert(0, content)
    a.apply(b.take_ops())
    b.end_group()
    return a, b


def swap(a: Text, b: Text) -> None:
    """Exchange what both did."""
    ops = a.take_ops()
    a.apply(b.take_ops())
    b.apply(ops)
    assert list(a.elements()) == list(b.elements())


def test_nothing_to_undo() -> None:
    a, _ = peers("not mine")
    assert not a.can_undo
    assert not a.can_redo
    assert a.undo() == []
    assert a.redo() == []
    assert a.take_ops() == []


def test_undoing_nothing_begins_nothing() -> None:
    calls: list[int] = []
    text = Text().bind("body", Author("a", begin=lambda: calls.append(1)))
    text.undo()
    text.redo()
    assert calls == []


def test_undo_and_redo_typing() -> None:
    a, b = peers("[]")
    for k, char in enumerate("abc"):
        a.insert(1 + k, char)
    assert a.undo() == [(1, 3, "")]
    assert (a.can_undo, a.can_redo) == (False, True)
    assert a.redo() == [(1, 0, "abc")]
    assert (a.can_undo, a.can_redo) == (True, False)
    swap(a, b)
    assert str(b) == "[abc]"


@pytest.mark.parametrize("where", [0, 2, 4])
def test_undo_leaves_what_others_wrote_before_inside_and_after(where: int) -> None:
    a, b = peers("")
    a.insert(0, "mine")
    swap(a, b)
    b.insert(where, "<theirs>")
    swap(a, b)
    a.undo()
    assert str(a) == "<theirs>"
    a.redo()
    swap(a, b)
    assert str(b).replace("<theirs>", "") == "mine"


def test_undo_of_a_deletion_brings_it_back_around_what_came_inside() -> None:
    a, b = peers("one two three")
    a.delete(4, 4)
    b.insert(6, "XX")
    swap(a, b)
    assert str(a) == "one XXthree"
    assert a.undo() == [(4, 0, "tw"), (8, 0, "o ")]
    swap(a, b)
    assert str(b) == "one twXXo three"
    assert a.redo() == [(8, 2, ""), (4, 2, "")]


def test_undo_passes_over_what_others_deleted() -> None:
    a, b = peers("")
    a.insert(0, "first")
    a.end_group()
    a.insert(5, " second")
    swap(a, b)
    b.delete(5, 7)
    swap(a, b)
    assert a.undo() == [(0, 5, "")]
    assert not a.can_undo


def test_a_jump_ends_a_group() -> None:
    a, _ = peers("0123456789")
    a.insert(5, "x")
    a.insert(6, "y")
    a.insert(1, "z")
    a.undo()
    assert str(a) == "01234xy56789"
    a.undo()
    assert str(a) == "0123456789"


def test_a_change_from_typing_to_deleting_ends_a_group() -> None:
    a, _ = peers("")
    a.insert(0, "abc")
    a.delete(2, 1)
    a.delete(1, 1)
    a.insert(1, "d")
    texts = [str(a)]
    while a.can_undo:
        a.undo()
        texts.append(str(a))
    assert texts == ["ad", "a", "abc", ""]


def test_deleting_backward_and_forward_at_one_place_is_one_group() -> None:
    a, _ = peers("0123456789")
    a.delete(5, 1)
    a.delete(5, 1)
    a.delete(4, 1)
    a.delete(3, 1)
    assert a.undo() == [(3, 0, "3456")]


def test_end_group() -> None:
    a, _ = peers("")
    a.insert(0, "abc")
    a.end_group()
    a.insert(3, "def")
    a.undo()
    assert str(a) == "abc"


def test_replacing_is_one_group_with_what_is_typed_on() -> None:
    a, _ = peers("red green blue")
    a.replace(4, 5, "w")
    a.insert(5, "hite")
    assert str(a) == "red white blue"
    a.undo()
    assert str(a) == "red green blue"
    a.redo()
    assert str(a) == "red white blue"


def test_others_edits_do_not_break_a_group_but_move_it() -> None:
    a, b = peers("start end")
    a.insert(6, "ab")
    b.insert(0, "very long: ")
    swap(a, b)
    a.insert(str(a).index("end"), "cd")
    a.undo()
    assert str(a) == "very long: start end"


def test_a_group_goes_on_where_others_deleted_around_it() -> None:
    a, b = peers("0123456789")
    a.delete(5, 1)
    b.delete(2, 6)
    swap(a, b)
    a.delete(2, 1)
    assert str(a) == "019"
    a.undo()
    assert str(a) == "01589"
    assert not a.can_undo


def test_a_new_edit_ends_redoing() -> None:
    a, _ = peers("")
    a.insert(0, "abc")
    a.undo()
    a.insert(0, "x")
    assert not a.can_redo
    assert a.redo() == []
    assert str(a) == "x"


def test_older_steps_follow_what_was_brought_back() -> None:
    a, b = peers("")
    a.insert(0, "abcdef")
    a.delete(2, 2)
    a.undo()  # c and d come back as other elements
    assert str(a) == "abcdef"
    assert a.undo() == [(0, 6, "")]
    a.redo()
    assert str(a) == "abcdef"
    a.redo()
    swap(a, b)
    assert str(b) == "abef"


def test_undoing_and_redoing_a_thousand_times() -> None:
    a, b = peers("[]")
    a.insert(1, "abc")
    a.delete(2, 1)
    for _ in range(1000):
        a.undo()
        assert str(a) == "[abc]"
        a.redo()
        assert str(a) == "[ac]"
    a.undo()
    a.undo()
    swap(a, b)
    assert str(b) == "[]"


def test_undo_makes_ordinary_operations() -> None:
    a, b = peers("abc")
    a.delete(1, 1)
    a.undo()
    assert a.take_ops() == [[4, "a", "-", [2, "b"], 1], [4, "a", "+", [2, "b"], "b"]]
    a.undo()
    assert a.take_ops() == []
    assert b.version == {"b": 3}


def test_undo_knows_own_edits_under_each_replica_id_that_they_had() -> None:
    author = Author("r1")
    text = Text().bind("body", author)
    text.insert(0, "one ")
    author.take()
    author.replica, author.counter = "r2", 9
    text.insert(4, "two")
    text.undo()
    assert str(text) == ""
    assert author.take() == [
        (9, "body", ["+", [4, "r1"], "two"]),
        (12, "body", ["-", 9, 3]),
        (12, "body", ["-", [1, "r1"], 4]),
    ]


def test_the_oldest_groups_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "MOST_GROUPS", 3)
    a, _ = peers("")
    for k in range(5):
        a.insert(len(a), str(k))
        a.end_group()
    while a.can_undo:
        a.undo()
    assert str(a) == "01"


def test_deleted_text_is_kept_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "MOST_TEXT", 10)
    a, _ = peers("0123456789" * 4)
    for _ in range(3):
        a.delete(0, 6)
        a.end_group()
        a.undo()
        a.redo()
    a.undo()
    assert not a.can_undo
    assert len(a) == 40 - 12


@pytest.mark.parametrize("forward", [False, True])
def test_what_is_erased_key_by_key_is_kept_within_bounds(
    monkeypatch: pytest.MonkeyPatch, forward: bool
) -> None:
    for module in (undo, stroke):
        monkeypatch.setattr(module, "MOST_TEXT", 10)
        monkeypatch.setattr(module, "LONGEST_STEP", 4)
    a, _ = peers("0123456789" * 3)
    a.insert(15, "mine")
    for k in range(9):
        a.delete(4 if forward else 13 - k, 1)
    steps = msgspec.json.decode(a.encode_history())[1][1]
    assert [len(step[2]) for step in steps] == [5, 4]
    assert len(a._history.undos) == 2
    for module in (undo, stroke):
        monkeypatch.setattr(module, "LONGEST_STEP", 100)
    for k in range(3):
        a.delete(4 if forward else 4 - k, 1)
    assert len(a._history.undos) == 1  # that with the deleted characters, which are too many
    a.undo()
    assert str(a)[:15] == "012345678901234"


def test_text_that_can_no_more_be_brought_back_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(undo, "MOST_TEXT", 10)
    a, _ = peers("0123456789")
    for _ in range(5):
        a.insert(0, "x")
        a.delete(1, 6)
        a.undo()
        a.insert(1, "y" * 6)
        a.undo()
    for _ in range(5):
        assert a.can_undo
        a.undo()
    assert str(a) == "0123456789"


def test_a_loaded_state_has_nothing_to_undo() -> None:
    a, _ = peers("")
    a.insert(0, "abc")
    assert not Text.decode(a.encode(), "a").can_undo


@pytest.mark.parametrize("case", range(60))
def test_alone_undo_goes_back_and_redo_forward_through_all_texts(case: int) -> None:
    rng = Random(case)
    a, b = peers("some text to begin with")
    shadow = str(a)
    past, future = [shadow], list[str]()
    for _ in range(60):
        kind = rng.random()
        if kind < 0.5:
            pos = rng.randrange(len(shadow) + 1)
            removed = rng.randrange(min(4, len(shadow) - pos) + 1)
            inserted = "abcdefgh"[: rng.randrange(4)]
            if not removed and not inserted:
                continue
            a.replace(pos, removed, inserted)
            a.end_group()
            shadow = shadow[:pos] + inserted + shadow[pos + removed :]
            past.append(shadow)
            future.clear()
        elif kind < 0.8 and len(past) > 1:
            future.append(past.pop())
            shadow = spliced(shadow, a.undo())
        elif future:
            past.append(future.pop())
            shadow = spliced(shadow, a.redo())
        assert str(a) == shadow == past[-1]
        assert (a.can_undo, a.can_redo) == (len(past) > 1, bool(future))
    swap(a, b)
    b.check_invariants()


@pytest.mark.parametrize("case", range(30))
def test_undoing_all_leaves_what_the_others_wrote(case: int) -> None:
    rng = Random(case)
    a, b = peers("")
    for _ in range(40):
        text, alphabet = rng.choice([(a, "abc"), (b, "xyz")])
        pos = rng.randrange(len(text) + 1)
        mine = [k for k, char in enumerate(str(text)) if char in alphabet]
        if mine and rng.random() < 0.3:
            text.delete(rng.choice(mine), 1)
        else:
            text.insert(pos, rng.choice(alphabet) * rng.randrange(1, 4))
        if rng.random() < 0.3:
            swap(a, b)
        if rng.random() < 0.2:
            rng.choice([text.undo, text.redo])()
    theirs = "".join(char for char in str(b) if char in "xyz")
    swap(a, b)
    while a.can_undo:
        a.undo()
    assert str(a) == theirs
    swap(a, b)


@settings(deadline=None, max_examples=60)
@given(rng=st.randoms(use_true_random=False))
def test_a_history_that_was_kept_undoes_and_redoes_what_it_would_have(rng: Random) -> None:
    a, b = peers("some text to begin with")
    for _ in range(15):
        edit_text(rng.choice([a, a, b]), rng)
        if rng.random() < 0.3:
            swap(a, b)
    swap(a, b)
    a.end_group()
    again = Text.decode(a.encode(), "a")
    again._author.counter = a._author.counter
    again.load_history(a.encode_history())
    assert (again.can_undo, again.can_redo) == (a.can_undo, a.can_redo)
    for _ in range(30):
        kind = rng.randrange(5)
        if kind < 2:
            assert again.undo() == a.undo()
        elif kind < 3:
            assert again.redo() == a.redo()
        elif kind < 4:
            edit_text(b, rng)
            ops = b.take_ops()
            assert again.apply(ops) == a.apply(ops)
        ops = a.take_ops()
        assert again.take_ops() == ops
        b.apply(ops)
        assert (again.can_undo, again.can_redo) == (a.can_undo, a.can_redo)
    again.check_invariants()
    assert again.encode() == a.encode() == b.encode()


def test_the_last_hundred_steps_are_kept() -> None:
    a, _ = peers("")
    for _ in range(150):
        a.insert(0, "x")
        a.end_group()
    again = Text.decode(a.encode(), "a")
    again.load_history(a.encode_history())
    while again.can_undo:
        again.undo()
    assert len(again) == 50
    kept = again.encode_history()
    again = Text.decode(again.encode(), "a")
    again.load_history(kept)
    while again.can_redo:
        again.redo()
    assert str(again) == "x" * 150


def test_what_is_kept_is_bounded_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "KEPT_SIZE", 1000)
    a, _ = peers("0123456789" * 200)
    for n in (10, 600, 300):
        a.delete(0, n)
        a.end_group()
    assert len(a.encode_history()) < 1100
    again = Text.decode(a.encode(), "a")
    again.load_history(a.encode_history())
    again.undo()
    assert len(again) == 2000 - 610
    again.undo()
    assert not again.can_undo
    assert len(again) == 2000 - 10


def test_typing_goes_on_after_a_history_was_loaded() -> None:
    a, b = peers("")
    a.insert(0, "ab")
    a.load_history(b"")
    a.insert(2, "c")
    a.insert(3, "d")
    assert a.undo() == [(2, 2, "")]
    assert not a.can_undo
    swap(a, b)
    assert str(b) == "ab"


def test_nothing_to_keep() -> None:
    a, _ = peers("not mine")
    assert a.encode_history() == b""
    a.insert(0, "x")
    a.load_history(b"")
    assert not a.can_undo


@pytest.mark.parametrize(
    "blob",
    [
        b"\0",
        b"{}",
        b"[]",
        b"[0,[],[],[]]",
        b"[1,[],[]]",
        b"[0,[1],[]]",
        b'[0,[[[1,"b"]]],[]]',
        b'[0,[[[1,"b",0]]],[]]',
        b'[0,[[[1,"b",-1]]],[]]',
        b'[0,[[[1,"b",""]]],[]]',
        b'[0,[[[0,"b",1]]],[]]',
        b'[0,[[[1,"",1]]],[]]',
        b'[0,[[[1,"b",9007199254740991]]],[]]',
        b'[0,[[[1,"b",true]]],[]]',
        b'[0,[[[1,"b",1.5]]],[]]',
        # not of this text
        b'[0,[[[1,"z",1]]],[]]',
        b'[0,[[[3,"b",2]]],[]]',
        b'[0,[],[[[9,"b",1]]]]',
        # said to be deleted, and is not
        b'[0,[[[1,"b","a"]]],[]]',
        b'[0,[],[[[2,"b","bc"]]]]',
    ],
)
def test_a_history_that_is_none_or_does_not_fit_is_refused(blob: bytes) -> None:
    a, b = peers("abc")
    b.delete(2, 1)
    a.apply(b.take_ops())
    a.insert(0, "x")
    before = a.encode(), a.encode_history()
    with pytest.raises(OperationError):
        a.load_history(blob)
    assert (a.encode(), a.encode_history()) == before


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 1000), octets=st.binary(max_size=3), cut=st.integers(0, 3))
def test_a_damaged_history_is_refused_or_does_what_it_says(
    place: int, octets: bytes, cut: int
) -> None:
    a, b = peers("one two three")
    a.delete(4, 4)
    a.insert(0, "abc")
    a.undo()
    kept = a.encode_history()
    place %= len(kept)
    try:
        a.load_history(kept[:place] + octets + kept[place + cut :])
    except OperationError:
        assert a.encode_history() == kept
    while a.can_redo:
        a.redo()
    while a.can_undo:
        a.undo()
    a.check_invariants()
    b.apply(a.take_ops())
    assert list(a.elements()) == list(b.elements())
