"""Undo of own edits, and what happens where document and text differ all the same."""

from __future__ import annotations

import logging

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPlainTextEdit
from pytestqt.qtbot import QtBot

from liblim.crdt import Splice, Text
from tests.gui.editing import Desk, paragraphs
from ui.binding import CHECK, Binding, Mismatch


@pytest.fixture(autouse=True)
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECK, "raise")


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot, "a")


# ---- undo


def test_undo_takes_back_own_edits_only(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "mine")
    desk.remote(0, 0, "theirs ")
    desk.editor.undo()
    assert str(desk) == str(desk.text) == "theirs "
    desk.editor.redo()
    assert str(desk) == str(desk.text) == "theirs mine"
    assert not desk.editor.document().isUndoAvailable()


def test_undo_puts_the_caret_at_the_edit_and_shows_it(desk: Desk) -> None:
    desk.paste(paragraphs(80))
    desk.select(40, 44)
    QTest.keyClick(desk.editor, Qt.Key.Key_Delete)
    desk.editor.moveCursor(QTextCursor.MoveOperation.End)
    desk.editor.undo()
    assert desk.selection == (44, 44)
    assert desk.editor.viewport().rect().contains(desk.editor.cursorRect())


def steps_of_undo(desk: Desk) -> list[str]:
    """Undo everything; return the texts on the way."""
    found = []
    while desk.text.can_undo:
        desk.editor.undo()
        found.append(str(desk))
    return found


def test_a_caret_jump_ends_a_step(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "one")
    QTest.keyClick(desk.editor, Qt.Key.Key_Left)
    QTest.keyClick(desk.editor, Qt.Key.Key_Right)
    QTest.keyClicks(desk.editor, "two")
    assert steps_of_undo(desk) == ["one", ""]


def test_a_paste_is_a_step(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "a")
    desk.paste("b")
    QTest.keyClicks(desk.editor, "c")
    assert steps_of_undo(desk) == ["ab", "a", ""]


def test_leaving_the_editor_ends_a_step(desk: Desk, qtbot: QtBot) -> None:
    QTest.keyClicks(desk.editor, "a")
    other = QPlainTextEdit()
    qtbot.addWidget(other)
    other.show()
    desk.editor.activateWindow()
    desk.editor.setFocus()
    qtbot.waitUntil(desk.editor.hasFocus)
    other.activateWindow()
    other.setFocus()
    qtbot.waitUntil(lambda: not desk.editor.hasFocus())
    QTest.keyClicks(desk.editor, "b")
    assert steps_of_undo(desk) == ["a", ""]


def test_a_pause_ends_a_step(desk: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.binding.TYPING_PAUSE", 10)
    desk.editor.bind(desk.text)
    assert desk.editor.binding is not None
    pause = next(t for t in desk.editor.binding.findChildren(QTimer) if t.interval() == 10)
    with qtbot.waitSignal(pause.timeout):
        QTest.keyClicks(desk.editor, "a")
    QTest.keyClicks(desk.editor, "b")
    assert steps_of_undo(desk) == ["a", ""]


def test_remote_edits_do_not_end_a_step(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "ab")
    desk.remote(0, 0, "> ")
    QTest.keyClicks(desk.editor, "cd")
    assert steps_of_undo(desk) == ["> "]


def test_availability_is_announced_when_it_changes(desk: Desk, qtbot: QtBot) -> None:
    said: list[tuple[str, bool]] = []
    desk.editor.undo_available.connect(lambda on: said.append(("undo", on)))
    desk.editor.redo_available.connect(lambda on: said.append(("redo", on)))
    QTest.keyClicks(desk.editor, "abc")
    desk.editor.undo()
    desk.editor.redo()
    assert said == [
        ("undo", True),
        ("undo", False),
        ("redo", True),
        ("undo", True),
        ("redo", False),
    ]


# ---- when something is wrong all the same


def test_a_difference_is_noticed(desk: Desk) -> None:
    desk.paste("abc")
    desk.text.insert(3, "unseen")
    with pytest.raises(Mismatch, match="the editor 3"):
        desk.editor.apply_remote([])
    assert desk.editor.binding
    with pytest.raises(Mismatch, match="at 3"):
        desk.editor.binding.check()


def test_a_difference_is_logged_and_mended(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CHECK, "1")
    desk = Desk(qtbot, "a", "0123456789")
    desk.select(8, 5)
    desk.text.delete(2, 1)
    desk.text.insert(2, "X")  # Of the same length: only the full comparison sees it.
    with caplog.at_level(logging.ERROR):
        desk.editor.apply_remote([Splice(0, 0, "")])
    assert str(desk) == str(desk.text) == "01X3456789"
    assert desk.selection == (8, 5)
    assert "instead of 'X3456789'" in caplog.text


def test_a_wrong_length_is_mended_without_any_check(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(CHECK)
    desk = Desk(qtbot, "a", "0123456789")
    desk.select(5)
    desk.text.insert(2, "unseen")
    QTest.keyClicks(desk.editor, "x")
    assert str(desk) == str(desk.text)
    assert len(desk.text) == 17
    assert "mended" in caplog.text


def test_a_released_document_has_nothing_to_do_with_the_text(qtbot: QtBot) -> None:
    editor = QPlainTextEdit()
    qtbot.addWidget(editor)
    text = Text.new(replica="a")
    binding = Binding(editor, text)
    QTest.keyClicks(editor, "abc")
    binding.release()
    editor.clear()
    assert str(text) == "abc"
