"""Remote edits in an editor: nobody who writes, selects, reads or composes is disturbed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPlainTextEdit
from pytestqt.qtbot import QtBot

from liblim.crdt import Text
from tests.gui.editing import Desk, paragraphs
from ui.binding import CHECK


@pytest.fixture(autouse=True)
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECK, "raise")


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot, "a")


# ---- remote edits


def test_remote_edits_are_shown_and_not_echoed(desk: Desk) -> None:
    desk.remote(0, 0, "one 😀\ntwo")
    desk.remote(4, 1, "😁😁")
    assert str(desk) == str(desk.text) == "one 😁😁\ntwo"
    assert desk.text.take_ops() == []


@pytest.mark.parametrize(
    ("pos", "removed", "inserted", "selection"),
    [
        (0, 0, "XX", (5, 9)),  # before
        (3, 0, "XX", (5, 9)),  # at its start: not extended
        (5, 0, "XX", (3, 9)),  # inside
        (7, 0, "XX", (3, 7)),  # at its end: not extended
        (9, 0, "XX", (3, 7)),  # after
        (2, 2, "", (2, 5)),  # over its start
        (6, 2, "", (3, 6)),  # over its end
        (2, 6, "", (2, 2)),  # over all of it
        (0, 2, "😀", (3, 7)),  # two units for two
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_selection_keeps_what_it_selects(
    desk: Desk, pos: int, removed: int, inserted: str, selection: tuple[int, int], backwards: bool
) -> None:
    desk.paste("0123456789")
    desk.select(*((7, 3) if backwards else (3, 7)))
    desk.remote(pos, removed, inserted)
    assert desk.selection == (selection[::-1] if backwards else selection)


def test_the_caret_sticks_to_its_left_neighbour(desk: Desk) -> None:
    desk.paste("0123456789")
    desk.select(5)
    desk.remote(5, 0, "XX")
    assert desk.caret == 5
    desk.remote(4, 0, "XX")
    assert desk.caret == 7
    desk.remote(0, 0, "😀")
    assert desk.caret == 9
    QTest.keyClicks(desk.editor, "|")
    assert str(desk.text) == "😀0123XX4|XX56789"


def test_up_and_down_keep_their_column(desk: Desk) -> None:
    desk.paste("long line one\nx\nlong line two")
    desk.select(8)
    QTest.keyClick(desk.editor, Qt.Key.Key_Down)
    desk.remote(0, 0, "new\n")
    QTest.keyClick(desk.editor, Qt.Key.Key_Down)
    assert desk.caret == len("new\nlong line one\nx\nlong lin")


@pytest.mark.parametrize("line", [1, 2, 3, 57, 58, 59, 60, 61])
def test_what_is_visible_stays_where_it_is(desk: Desk, qapp: QApplication, line: int) -> None:
    """Edits outside the visible lines, wrapped ones too, leave every pixel as it was."""
    desk.paste(paragraphs(200))
    desk.select(3000, 3010)
    bar = desk.editor.verticalScrollBar()
    bar.setValue(line)
    qapp.processEvents()
    before = desk.editor.viewport().grab().toImage()
    other = Text.decode(desk.text.encode(), replica="remote")
    other.insert(0, "x" if line < 3 else "A new paragraph.\n\n" + "long " * 100)
    other.delete(len(other) - 300, 200)
    other.insert(len(other) - 9, "\nmore\n" * 9)
    desk.receive(other.take_ops())
    qapp.processEvents()
    if line < 3:
        assert bar.value() == line
    else:
        assert desk.editor.viewport().grab().toImage() == before


def test_the_horizontal_scroll_position_stays(desk: Desk) -> None:
    desk.editor.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    desk.paste("word " * 200 + "\nshort\n" * 40)
    desk.select(0)
    desk.editor.horizontalScrollBar().setValue(333)
    desk.editor.verticalScrollBar().setValue(7)
    desk.remote(3, 0, "X")
    assert desk.editor.horizontalScrollBar().value() == 333
    assert desk.editor.verticalScrollBar().value() == 7


def test_a_line_put_above_the_first_goes_out_of_sight(desk: Desk) -> None:
    desk.paste(paragraphs(50))
    desk.select(20)
    desk.editor.verticalScrollBar().setValue(0)
    desk.remote(0, 0, "New title\n")
    assert desk.editor.verticalScrollBar().value() == 1


def test_an_empty_editor_shows_what_comes_from_its_beginning(desk: Desk) -> None:
    desk.remote(0, 0, paragraphs(50))
    assert desk.caret == 0
    assert desk.editor.verticalScrollBar().value() == 0


# ---- input methods


def test_remote_edits_wait_while_an_input_method_composes(desk: Desk) -> None:
    desk.paste("one two")
    desk.select(3)
    desk.compose("ni")
    desk.remote(0, 0, "😀")
    desk.remote(8, 0, "!")
    assert str(desk) == "one two"
    desk.compose("nihao")
    assert desk.editor.textCursor().block().layout().preeditAreaText() == "nihao"
    desk.compose("", "你好")
    assert str(desk) == str(desk.text) == "😀one你好 two!"
    assert desk.caret == 7


def test_a_cancelled_composition_shows_what_waited(desk: Desk) -> None:
    desk.paste("one two")
    desk.select(3)
    desk.compose("ni")
    desk.remote(1, 5, "")
    desk.compose("")
    assert str(desk) == str(desk.text) == "oo"
    assert desk.caret == 1


def test_a_program_may_take_the_caret_out_of_a_composition(desk: Desk, qtbot: QtBot) -> None:
    desk.paste("one\ntwo")
    desk.compose("ni")
    desk.remote(0, 0, "new ")
    assert str(desk) == "one\ntwo"
    desk.editor.moveCursor(QTextCursor.MoveOperation.Start)
    qtbot.waitUntil(lambda: str(desk) == "new one\ntwo")


@pytest.mark.parametrize("key", [Qt.Key.Key_End, Qt.Key.Key_Left, Qt.Key.Key_A])
def test_a_key_ends_a_composition(desk: Desk, key: Qt.Key) -> None:
    """Qt would count the preedit as text, put the caret behind the end, and crash."""
    desk.paste("one")
    desk.compose("ni")
    QTest.keyClick(desk.editor, Qt.Key.Key_Shift)
    assert desk.editor.binding is not None
    assert desk.editor.binding.composing
    QTest.keyClick(desk.editor, key)
    assert desk.caret <= len(desk.text)
    desk.compose("x")
    desk.compose("", "你")
    assert "你" in str(desk.text)


def test_a_commit_lands_between_what_waits(desk: Desk) -> None:
    """Korean commits a syllable and goes on composing; the commit has to find its place."""
    desk.paste("abcdef")
    desk.select(3)
    desk.compose("하")
    desk.remote(2, 2, "RR")
    desk.compose("나", "한")
    assert str(desk) == "abc한def"
    desk.remote(0, 0, ">")
    desk.compose("", "글")
    assert str(desk) == str(desk.text)
    assert sorted(str(desk.text)) == sorted(">abRRef한글")
    assert "한글" in str(desk.text)
    assert str(desk.text)[: desk.caret].endswith("한글")


def test_what_a_commit_replaces_spares_what_came_into_it(desk: Desk) -> None:
    desk.paste("say word now")
    desk.select(8)
    desk.compose("w")
    desk.remote(6, 0, "X")
    desk.compose("", "WORT", -4, 4)
    assert str(desk) == str(desk.text) == "say WORTX now"


def test_undo_waits_for_the_end_of_a_composition(desk: Desk) -> None:
    desk.paste("one")
    desk.paste(" two")
    desk.compose("ni")
    desk.editor.undo()
    assert str(desk) == "one two"
    desk.compose("", "你")
    assert str(desk) == str(desk.text)
    assert str(desk) in ("one你", "你one")
