"""What a text does for whoever edits it and whoever applies its operations."""

from __future__ import annotations

import msgspec
import pytest

from liblim.crdt import Author, Splice, Text
from liblim.errors import DefinitionError, OperationError

MANY_SCRIPTS = "naïve 🙂👩\u200d👧 e\u0301 漢字 שלום مرحبا \t\u00a0\r\n\0 end"


def pair(content: str = "") -> tuple[Text, Text]:
    """Two texts with the same content, typed by the first."""
    a, b = Text.new("a"), Text.new("b")
    a.insert(0, content)
    b.apply(a.take_ops())
    return a, b


def test_insert_and_delete() -> None:
    text = Text.new("a")
    text.insert(0, "helo")
    text.insert(3, "l")
    text.delete(0, 1)
    text.insert(0, "H")
    assert str(text) == "Hello"
    assert len(text) == 5


def test_positions_count_code_points_in_every_script() -> None:
    a, b = pair(MANY_SCRIPTS)
    assert len(a) == len(MANY_SCRIPTS)
    a.delete(6, 1)
    a.insert(6, "🚲")
    assert b.apply(a.take_ops()) == [Splice(6, 1, ""), Splice(6, 0, "🚲")]
    assert str(b) == str(a) == MANY_SCRIPTS[:6] + "🚲" + MANY_SCRIPTS[7:]


def test_slice() -> None:
    text = Text.new("a")
    for k in range(200):
        text.insert(len(text) // 2, f"<{k}>")
    whole = str(text)
    for start in range(0, len(whole), 7):
        for n in (0, 1, 5, 100):
            if start + n <= len(whole):
                assert text.slice(start, n) == whole[start : start + n]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("insert", (-1, "x")),
        ("insert", (4, "x")),
        ("delete", (-1, 1)),
        ("delete", (0, 4)),
        ("delete", (2, -1)),
        ("slice", (3, 1)),
        ("replace", (1, 3, "x")),
        ("anchor", (4, "left")),
    ],
)
def test_places_outside_the_text_are_refused(method: str, arguments: tuple[object, ...]) -> None:
    text, _ = pair("abc")
    with pytest.raises(IndexError):
        getattr(text, method)(*arguments)
    assert str(text) == "abc"
    assert text.take_ops() == []


@pytest.mark.parametrize("wrong", ["\ud800", "a\udfffb", b"bytes", None, 3])
def test_what_is_no_text_is_refused(wrong: object) -> None:
    text, _ = pair("abc")
    # Compiled functions refuse what is no string themselves.
    refused = OperationError if isinstance(wrong, str) else (OperationError, TypeError)
    with pytest.raises(refused):
        text.insert(1, wrong)  # type: ignore[arg-type]
    with pytest.raises(refused):
        text.replace(0, 1, wrong)  # type: ignore[arg-type]
    assert str(text) == "abc"
    assert text.take_ops() == []


def test_nothing_is_recorded_for_nothing() -> None:
    text = Text.new("a")
    text.insert(0, "")
    text.delete(0, 0)
    text.replace(0, 0, "")
    assert text.take_ops() == []
    assert not text.can_undo


def test_operations_name_neighbours_and_merge_runs() -> None:
    a, b = pair("abc")
    for pos, char in enumerate("xyz", start=1):
        b.insert(pos, char)
    b.delete(3, 1)
    b.delete(2, 1)
    b.delete(2, 2)
    assert b.take_ops() == [
        [4, "b", "+", [1, "a"], "xyz"],
        [7, "b", "-", 5, 2],
        [7, "b", "-", [2, "a"], 2],
    ]
    a.insert(0, ">")
    assert a.take_ops() == [[4, "a", "+", 0, ">"]]


def test_operations_survive_json() -> None:
    a, b = pair(MANY_SCRIPTS)
    a.insert(3, MANY_SCRIPTS)
    a.delete(1, 5)
    ops = a.take_ops()
    assert msgspec.json.decode(msgspec.json.encode(ops)) == ops
    b.apply(msgspec.json.decode(msgspec.json.encode(ops)))
    assert str(a) == str(b)


def test_applying_twice_does_nothing() -> None:
    a, b = pair("abc")
    a.insert(1, "xy")
    a.delete(0, 2)
    ops = a.take_ops()
    assert b.apply(ops) != []
    assert b.apply(ops) == []
    assert a.apply(ops) == []
    assert list(a.elements()) == list(b.elements())


def test_an_insert_that_overlaps_what_is_here_adds_its_rest() -> None:
    a, b = pair("abc")
    a.insert(3, "de")
    (rest,) = a.take_ops()
    whole = [1, "a", "+", 0, "abcde"]
    assert rest == [4, "a", "+", 3, "de"]
    assert b.apply([whole]) == [Splice(3, 0, "de")]
    assert b.apply([rest]) == []
    assert list(a.elements()) == list(b.elements())


def test_an_overlap_is_compared_as_far_as_its_characters_are_known() -> None:
    a, b = pair("abc")
    b.delete(1, 1)
    assert b.apply([[1, "a", "+", 0, "aXcd"]]) == [Splice(2, 0, "d")]
    with pytest.raises(OperationError):
        b.apply([[1, "a", "+", 0, "Xbcd"]])
    a.check_invariants()


def test_splices_merge_where_they_touch() -> None:
    a, b = pair("abcdef")
    a.delete(4, 1)
    a.delete(3, 1)
    a.delete(3, 1)
    assert b.apply(a.take_ops()) == [Splice(3, 3, "")]
    a.insert(1, "1")
    a.take_ops()
    a.insert(2, "2")
    ops = a.take_ops()
    with pytest.raises(OperationError):
        b.apply(ops)
    b.apply([[7, "a", "+", 1, "1"]])
    assert b.apply(ops) == [Splice(2, 0, "2")]


def test_a_refused_operation_leaves_those_before_it_applied_and_tells_their_effects() -> None:
    _, b = pair("abc")
    ops = [[4, "a", "+", 3, "d"], [5, "a", "-", 99, 1], [5, "a", "+", 4, "e"]]
    with pytest.raises(OperationError) as caught:
        b.apply(ops)
    assert caught.value.effects == [Splice(3, 0, "d")]
    assert str(b) == "abcd"


def test_new_elements_get_counters_above_all_that_were_seen() -> None:
    a, b = pair("abcdef")
    b.insert(0, "x")
    assert b.take_ops() == [[7, "b", "+", 0, "x"]]
    assert b.version == {"a": 6, "b": 7}
    b.delete(0, 1)
    assert b.version == {"a": 6, "b": 8}
    a.apply([[7, "b", "+", 0, "x"], [8, "b", "-", 7, 1]])
    assert a.version == b.version


def test_a_prototype_says_that_it_is_none_to_edit() -> None:
    prototype = Text()
    for use in (
        lambda: prototype.insert(0, "x"),
        lambda: str(prototype),
        lambda: len(prototype),
        prototype.undo,
        prototype.take_ops,
        lambda: prototype.version,
    ):
        with pytest.raises(DefinitionError, match=r"Text\.new"):
            use()
    with pytest.raises(AttributeError):
        prototype.no_such_thing  # noqa: B018


def test_fields_of_one_author_share_its_counters() -> None:
    author = Author("a", 10)
    prototype = Text()
    title, body = prototype.bind("title", author), prototype.bind("body", author)
    title.insert(0, "T")
    body.insert(0, "b")
    title.insert(1, "i")
    assert author.take() == [
        (10, "title", ["+", 0, "T"]),
        (11, "body", ["+", 0, "b"]),
        (12, "title", ["+", 10, "i"]),
    ]
    assert (str(title), str(body)) == ("Ti", "b")


def test_a_new_replica_id_between_takes() -> None:
    author = Author("r1")
    text = Text().bind("body", author)
    text.insert(0, "abc")
    author.take()

    def begin() -> None:
        author.replica, author.counter = "r2", 20

    author.begin = begin
    text.insert(3, "d")
    text.delete(0, 2)
    assert author.take() == [
        (20, "body", ["+", [3, "r1"], "d"]),
        (21, "body", ["-", [1, "r1"], 2]),
    ]
    assert text.version == {"r1": 3, "r2": 21}


def test_an_author_who_is_behind_is_refused() -> None:
    author = Author("a")
    text = Text().bind("body", author)
    text.apply_op(5, "b", ["+", 0, "xyz"])
    with pytest.raises(OperationError):
        text.insert(3, "!")
    assert str(text) == "xyz"
    author.observe(7)
    text.insert(3, "!")
    assert str(text) == "xyz!"
    author.counter = 2
    text.apply_op(9, "a", ["+", 0, "<"])
    with pytest.raises(OperationError):
        text.insert(0, "?")
    assert str(text) == "<xyz!"


def test_what_begin_raises_stops_the_edit() -> None:
    def begin() -> None:
        raise RuntimeError("read-only")

    author = Author("a", begin=begin)
    text = Text().bind("body", author)
    with pytest.raises(RuntimeError):
        text.insert(0, "x")
    assert str(text) == ""
    assert author.take() == []


def test_a_paste_of_five_megabytes() -> None:
    paste = "fünf 🙂 MB\n" * 500_000
    a, b = pair(paste)
    assert len(a) == len(paste)
    a.insert(2_500_000, "x")
    a.delete(1_000_000, 3_000_000)
    b.apply(a.take_ops())
    expected = paste[:2_500_000] + "x" + paste[2_500_000:]
    assert str(b) == str(a) == expected[:1_000_000] + expected[4_000_000:]
    assert len(a.undo()) == 1
    assert str(a) == expected
    b.check_invariants()
