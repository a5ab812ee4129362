"""Local edits in an editor: each trap that Qt sets, by name."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QTextCharFormat, QTextCursor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.editing import Desk, exchange
from ui import qtext
from ui.binding import CHECK

FAMILY = "👨\u200d👩\u200d👧"
SCRIPTS = f"a\u00a0b\tc e\u0301 {FAMILY} 漢字𠀀 שלום \u202eمرحبا\u202c NUL\x00 \ufffc \ufeff."


@pytest.fixture(autouse=True)
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECK, "raise")


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot, "a")


# ---- local edits


def test_keys_reach_the_text(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "Hello")
    QTest.keyClick(desk.editor, Qt.Key.Key_Return)
    QTest.keyClicks(desk.editor, "all")
    QTest.keyClick(desk.editor, Qt.Key.Key_Backspace)
    QTest.keyClick(desk.editor, Qt.Key.Key_Tab)
    assert str(desk.text) == "Hello\nal\t"


def test_shift_enter_is_a_line_break_like_any_other(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "ab")
    desk.select(1)
    QTest.keyClick(desk.editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert str(desk.text) == "a\nb"
    assert desk.editor.document().blockCount() == 2
    assert desk.caret == 2


@pytest.mark.parametrize("text", [*SCRIPTS, FAMILY, "e\u0301"])
def test_a_key_may_give_any_character(desk: Desk, text: str) -> None:
    before = str(desk.text)
    desk.paste("x")
    desk.compose("", text)
    assert str(desk.text) == before + ("x" + text if text != "\ufeff" else "x")


def test_backspace_takes_one_code_point_and_never_half_of_one(desk: Desk) -> None:
    desk.paste("a😀b")
    desk.select(3)
    QTest.keyClick(desk.editor, Qt.Key.Key_Backspace)
    assert str(desk.text) == "ab"


def test_a_cursor_inside_a_pair_leaves_no_halves(desk: Desk) -> None:
    """Nobody can put the caret there with the keyboard; a program can."""
    desk.paste("a😀b")
    cursor = QTextCursor(desk.editor.document())
    cursor.setPosition(2)
    cursor.insertText("x")
    assert str(desk) == str(desk.text) == "a\ufffdx\ufffdb"
    desk.remote(1, 0, "😀")
    cursor.setPosition(2)
    cursor.deleteChar()
    assert str(desk) == str(desk.text) == "a\ufffd\ufffdx\ufffdb"


def test_an_edit_block_over_the_whole_text_keeps_the_ids_between(qtbot: QtBot) -> None:
    one, two = Desk(qtbot, "a", "first middle last"), Desk(qtbot, "b")
    exchange(one, two)
    two.select(9)
    QTest.keyClicks(two.editor, "XYZ")
    cursor = QTextCursor(one.editor.document())
    cursor.beginEditBlock()
    cursor.select(QTextCursor.SelectionType.Document)
    cursor.insertText("First middle last")
    cursor.endEditBlock()
    exchange(one, two)
    assert str(one) == str(two) == "First midXYZdle last"


def test_one_of_several_equal_letters_is_the_one_at_the_caret(qtbot: QtBot) -> None:
    one, two = Desk(qtbot, "a", "aaaa"), Desk(qtbot, "b")
    exchange(one, two)
    one.select(2)
    one.compose("a")
    one.compose("", "a")  # Qt reports the whole block.
    two.select(2)
    QTest.keyClicks(two.editor, "-")
    two.select(1)
    QTest.keyClicks(two.editor, "1")
    exchange(one, two)
    assert str(one) in ("a1aa-aa", "a1a-aaa")


def test_formatting_and_fonts_are_no_edits(desk: Desk) -> None:
    desk.paste("some text")
    desk.text.take_ops()
    cursor = QTextCursor(desk.editor.document())
    cursor.select(QTextCursor.SelectionType.Document)
    italic = QTextCharFormat()
    italic.setFontItalic(True)
    cursor.mergeCharFormat(italic)
    desk.editor.setFont(QFont("monospace", 20))
    assert desk.text.take_ops() == []


@pytest.mark.parametrize("report", [(0, 11, 11), (3, 9, 9), (4, 0, 0), (10, 1, 1), (99, 5, 7)])
def test_a_report_of_more_than_was_changed_is_no_edit(
    desk: Desk, report: tuple[int, int, int]
) -> None:
    desk.paste("some 😀 text")
    desk.text.take_ops()
    desk.editor.document().contentsChange.emit(*report)
    assert desk.text.take_ops() == []


def test_a_preedit_is_no_edit(desk: Desk) -> None:
    desk.paste("ab")
    desk.text.take_ops()
    desk.select(1)
    desk.compose("ni")
    desk.compose("nih")
    assert desk.text.take_ops() == []
    desk.compose("", "你")
    assert str(desk.text) == "a你b"


def test_set_plain_text_on_a_bound_document_is_an_edit(desk: Desk) -> None:
    desk.paste("old text 😀")
    for text in ("", "new text", "", "\n", ""):
        desk.editor.setPlainText(text)
        assert str(desk.text) == text


def test_select_all_and_type(desk: Desk) -> None:
    desk.paste("one\ntwo 😀")
    desk.editor.selectAll()
    QTest.keyClicks(desk.editor, "z")
    assert str(desk.text) == "z"


def test_a_drag_within_the_text_moves_only_what_is_dragged(qtbot: QtBot) -> None:
    one, two = Desk(qtbot, "a", "hello WORLD middle end"), Desk(qtbot, "b")
    exchange(one, two)
    one.select(6, 12)
    one.drag(19)
    assert str(one.text) == "hello middle WORLD end"
    assert one.selection == (19, 19)
    two.select(15)
    QTest.keyClicks(two.editor, "X")
    exchange(one, two)
    assert str(one) == str(two) == "hello midXdle WORLD end"
    one.select(0, 5)
    one.drag(3)
    assert str(one.text) == str(two.text)


# ---- characters that Qt changes


def test_every_script_is_shown_and_pasted_byte_for_byte(qtbot: QtBot) -> None:
    one, two = Desk(qtbot, "a"), Desk(qtbot, "b", SCRIPTS)
    one.paste(SCRIPTS)
    assert str(one) == str(one.text) == str(two) == SCRIPTS


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\u2028b\u2029c\ufdd0d\ufdd1e", "a\nb\nc\nd\ne"),
        ("\n\r\n\r", "\n\n\n"),
        ("nul\x00l", "nul\x00l"),
    ],
)
def test_line_breaks_are_normalised_on_the_way_in(desk: Desk, pasted: str, kept: str) -> None:
    desk.paste(pasted)
    assert str(desk) == str(desk.text) == kept
    cursor = desk.editor.textCursor()
    cursor.insertText(pasted)  # As a program would, without the editor's own paste.
    assert str(desk.text) == kept * 2


def test_lone_surrogates_become_replacement_characters(desk: Desk) -> None:
    assert qtext.normalise("a\ud800b\ud83d\ude00\udc00") == "a\ufffdb😀\ufffd"
    desk.editor.textCursor().insertText("a\ud800b\ud83d\ude00\udc00c")
    assert str(desk) == str(desk.text) == "a\ufffdb😀\ufffdc"
    QTest.keyClicks(desk.editor, "d")
    assert str(desk.text) == "a\ufffdb😀\ufffdcd"


@pytest.mark.parametrize("mark", ["\ufeff", "\ufffe"])
def test_a_byte_order_mark_at_the_front_is_a_character(qtbot: QtBot, mark: str) -> None:
    desk = Desk(qtbot, "a", mark + "abc")
    assert str(desk) == mark + "abc"
    desk.remote(2, 1, mark + "XY")
    assert str(desk) == f"{mark}a{mark}XYc"
    desk.select(1, 2)
    QTest.keyClicks(desk.editor, "z")
    assert str(desk.text) == f"{mark}z{mark}XYc"


def test_what_a_document_cannot_show_is_shown_one_for_one(qtbot: QtBot) -> None:
    """Another program may have written it; nothing that stays untouched is changed."""
    text = "a\r\nb\rc\u2028d\u2029e\ufdd0f"
    desk = Desk(qtbot, "a", text)
    assert str(desk) == "a␍\nb␍c\nd\ne\ufffdf"
    desk.select(4)
    QTest.keyClicks(desk.editor, "x")
    assert str(desk.text) == text[:4] + "x" + text[4:]
    desk.remote(0, 2, "\ufdd1\r")
    assert str(desk) == "\ufffd␍␍\nbx␍c\nd\ne\ufffdf"[0:2] + "\nbx␍c\nd\ne\ufffdf"


def test_copying_keeps_non_breaking_spaces(desk: Desk) -> None:
    desk.paste("a\u00a0b\nc")
    desk.editor.selectAll()
    assert desk.editor.createMimeDataFromSelection().text() == "a\u00a0b\nc"
