"""What a person meets in the editor: keys, menu, clipboard, zoom, notes that come and go."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QAction,
    QContextMenuEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPalette,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from liblim.crdt import Text
from tests.gui.editing import Desk
from ui.binding import CHECK
from ui.editor import NoteEditor
from ui.page import PADDING, ZOOM_RANGE

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
PROSE = "\n".join(f"Line {i} of a text that is long enough to scroll." for i in range(100))


@pytest.fixture(autouse=True)
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECK, "raise")


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot, "a")


# ---- notes


def test_without_a_note_it_is_read_only_and_says_so(qtbot: QtBot) -> None:
    editor = NoteEditor()
    qtbot.addWidget(editor)
    editor.show()
    QTest.keyClicks(editor, "lost")
    editor.insertFromMimeData(QMimeData())
    editor.cut()
    editor.undo()
    editor.redo()
    editor.apply_remote([])
    assert editor.toPlainText() == ""
    assert editor.isReadOnly()
    assert editor.placeholderText()
    assert editor.view_state() is None


def test_switching_notes_leaves_each_text_its_own(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "first")
    other = Text.new(replica="b")
    other.insert(0, "second")
    desk.editor.bind(other)
    assert str(desk) == "second"
    QTest.keyClicks(desk.editor, "the ")
    desk.editor.unbind()
    assert (str(desk.text), str(other), str(desk)) == ("first", "the second", "")


def test_undo_belongs_to_the_note(desk: Desk) -> None:
    available: list[bool] = []
    desk.editor.undo_available.connect(available.append)
    QTest.keyClicks(desk.editor, "first")
    assert available.pop()
    desk.editor.bind(Text.new(replica="b"))
    assert not available.pop()
    desk.editor.undo()
    desk.editor.bind(desk.text)
    assert available.pop()
    desk.editor.undo()
    assert str(desk.text) == ""


def test_caret_and_scroll_position_come_back_although_the_note_was_edited(desk: Desk) -> None:
    desk.paste(PROSE)
    desk.select(1000, 1010)
    selected = desk.editor.textCursor().selectedText()
    desk.editor.verticalScrollBar().setValue(13)
    top = desk.editor.firstVisibleBlock().text()
    state = desk.editor.view_state()
    assert state is not None
    desk.editor.unbind()
    desk.text.insert(0, "😀 Something new\n" * 5)
    desk.editor.bind(desk.text)
    desk.editor.restore_view_state(state)
    assert desk.editor.textCursor().selectedText() == selected
    assert desk.editor.firstVisibleBlock().text() == top


def test_edited_tells_of_local_edits_only(desk: Desk) -> None:
    told: list[None] = []
    desk.editor.edited.connect(lambda: told.append(None))
    other = Text.new(replica="b")
    other.insert(0, "remote")
    desk.receive(other.take_ops())
    desk.select(2)
    assert not told
    QTest.keyClicks(desk.editor, "x")
    assert len(told) == 1
    desk.editor.undo()
    assert len(told) == 2


def test_a_note_may_be_left_in_the_middle_of_a_composition(desk: Desk) -> None:
    other = Text.new(replica="b")
    QTest.keyClicks(desk.editor, "first")
    desk.compose("ni")
    desk.remote(0, 0, "the ")
    desk.editor.moveCursor(QTextCursor.MoveOperation.Start)
    desk.editor.bind(other)
    QApplication.processEvents()
    QTest.keyClicks(desk.editor, "second")
    assert (str(desk.text), str(other), str(desk)) == ("the first", "second", "second")


# ---- clipboard


def test_a_large_paste_arrives_whole(desk: Desk) -> None:
    text = "Zeile für Zeile 😀 und\u00a0so weiter.\r\n" * 140_000
    desk.paste(text)
    assert str(desk.text) == text.replace("\r\n", "\n")


def test_rich_text_is_pasted_as_plain_text(desk: Desk) -> None:
    mime = QMimeData()
    mime.setHtml("<p><b>bold</b> and <i>italic</i></p><p>next</p>")
    desk.editor.insertFromMimeData(mime)
    assert str(desk.text) == "bold and italic\nnext"
    assert not desk.editor.textCursor().charFormat().font().bold()


def test_a_drop_from_elsewhere_is_a_step_of_its_own(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "one")
    mime = QMimeData()
    mime.setText("\u00a0two\r\n")
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    point = QPointF(desk.editor.viewport().rect().center())
    drop = QDropEvent(point, action, mime, button, Qt.KeyboardModifier.NoModifier)
    desk.editor.dropEvent(drop)
    QTest.keyClicks(desk.editor, "three")
    assert str(desk.text) == "one\u00a0two\nthree"
    desk.editor.undo()
    assert str(desk.text) == "one\u00a0two\n"
    desk.editor.undo()
    assert str(desk.text) == "one"


def test_cut_and_paste_by_keys(desk: Desk) -> None:
    QTest.keyClicks(desk.editor, "one two")
    desk.select(3, 7)
    QTest.keyClick(desk.editor, Qt.Key.Key_X, CTRL)
    assert QGuiApplication.clipboard().text() == " two"
    desk.select(0)
    QTest.keyClick(desk.editor, Qt.Key.Key_V, CTRL)
    assert str(desk.text) == " twoone"
    QTest.keyClick(desk.editor, Qt.Key.Key_Z, CTRL)
    assert str(desk.text) == "one"


def test_a_read_only_editor_takes_no_paste(desk: Desk) -> None:
    desk.editor.setReadOnly(True)
    desk.paste("x")
    desk.editor.cut()
    assert str(desk.text) == ""


# ---- keys


def test_undo_and_redo_by_keys_even_where_the_window_has_them_too(qtbot: QtBot) -> None:
    desk = Desk(qtbot, "a")
    pressed: list[str] = []
    action = QAction("Undo", desk.editor)
    action.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
    action.triggered.connect(lambda: pressed.append("action"))
    desk.editor.addAction(action)
    QTest.keyClicks(desk.editor, "abc")
    override = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Z, CTRL, "z")
    override.ignore()
    QApplication.sendEvent(desk.editor, override)
    assert override.isAccepted()
    QTest.keyClick(desk.editor, Qt.Key.Key_Z, CTRL)
    assert (str(desk.text), pressed) == ("", [])
    QTest.keyClick(desk.editor, Qt.Key.Key_Z, CTRL | SHIFT)
    assert str(desk.text) == "abc"


def test_tab_is_typed_and_control_tab_leaves(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    before, editor, after = QLineEdit(), NoteEditor(), QLineEdit()
    layout = QVBoxLayout(window)
    for widget in (before, editor, after):
        layout.addWidget(widget)
    text = Text.new(replica="a")
    editor.bind(text)
    window.show()
    window.activateWindow()
    editor.setFocus()
    qtbot.waitUntil(editor.hasFocus)
    QTest.keyClick(editor, Qt.Key.Key_Tab)
    assert (str(text), editor.hasFocus()) == ("\t", True)
    QTest.keyClick(editor, Qt.Key.Key_Tab, CTRL)
    assert after.hasFocus()
    editor.setFocus()
    QTest.keyClick(editor, Qt.Key.Key_Backtab, CTRL | SHIFT)
    assert before.hasFocus()
    assert str(text) == "\t"


def test_zoom_by_keys_and_wheel(desk: Desk) -> None:
    said: list[int] = []
    desk.editor.zoom_changed.connect(said.append)
    size = desk.editor.font().pointSizeF()
    QTest.keyClick(desk.editor, Qt.Key.Key_Plus, CTRL)
    QTest.keyClick(desk.editor, Qt.Key.Key_Equal, CTRL)
    assert desk.editor.font().pointSizeF() == size + 2
    QTest.keyClick(desk.editor, Qt.Key.Key_Minus, CTRL)
    QTest.keyClick(desk.editor, Qt.Key.Key_0, CTRL)
    for delta in (60, 60, -240):
        wheel(desk.editor, delta)
    desk.editor.set_zoom(100)
    assert said == [1, 2, 1, 0, 1, -1, ZOOM_RANGE[1]]
    desk.editor.zoom_reset()
    assert desk.editor.font().pointSizeF() == size
    assert str(desk.text) == ""


def wheel(editor: NoteEditor, delta: int) -> None:
    event = QWheelEvent(
        QPointF(20, 20),
        QPointF(20, 20),
        QPoint(),
        QPoint(0, delta),
        Qt.MouseButton.NoButton,
        CTRL,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(editor.viewport(), event)


# ---- menu


def entries(editor: NoteEditor) -> dict[str, QAction]:
    menu = editor.context_menu()
    return {action.text().replace("&", ""): action for action in menu.actions() if action.text()}


def enabled(editor: NoteEditor) -> list[str]:
    return [name for name, action in entries(editor).items() if action.isEnabled()]


def test_the_context_menu_offers_what_is_possible(desk: Desk) -> None:
    QGuiApplication.clipboard().clear()
    assert enabled(desk.editor) == []
    QTest.keyClicks(desk.editor, "abc")
    QGuiApplication.clipboard().setText("x")
    assert enabled(desk.editor) == ["Undo", "Paste", "Select All"]
    desk.editor.selectAll()
    found = entries(desk.editor)
    assert enabled(desk.editor) == ["Undo", "Cut", "Copy", "Paste", "Delete", "Select All"]
    assert found["Undo"].shortcut() == QKeySequence(QKeySequence.StandardKey.Undo)
    found["Delete"].trigger()
    assert str(desk.text) == ""
    assert enabled(desk.editor) == ["Undo", "Paste"]
    entries(desk.editor)["Undo"].trigger()
    assert str(desk.text) == "abc"
    assert enabled(desk.editor) == ["Undo", "Redo", "Paste", "Select All"]
    desk.editor.unbind()
    assert enabled(desk.editor) == []


def test_the_context_menu_opens_and_goes(desk: Desk, qtbot: QtBot) -> None:
    QTest.mouseClick(desk.editor.viewport(), Qt.MouseButton.LeftButton)
    point = QPoint(30, 30)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, point, point)
    QApplication.sendEvent(desk.editor.viewport(), event)
    menu = QApplication.activePopupWidget()
    assert menu is not None
    with qtbot.waitSignal(menu.destroyed):
        menu.close()


# ---- looks


def test_lines_have_a_length_that_reads_well(desk: Desk) -> None:
    desk.editor.resize(1600, 400)
    wide = desk.editor.viewport().width()
    assert wide < 900
    assert abs(desk.editor.viewport().x() * 2 + wide - 1600) < 30
    desk.editor.set_zoom(6)
    assert desk.editor.viewport().width() > wide
    desk.editor.resize(300, 400)
    assert desk.editor.viewport().x() == 0
    assert desk.editor.backgroundRole() == QPalette.ColorRole.Base


@pytest.mark.parametrize("width", [500, 618, 900])
def test_lines_fit_the_first_time_they_are_shown(qtbot: QtBot, width: int) -> None:
    editor = NoteEditor()
    qtbot.addWidget(editor)
    editor.resize(width, 500)
    editor.show()
    qtbot.waitExposed(editor)
    body = Text.new(replica="a")
    body.insert(0, "words and more words " * 40)
    editor.bind(body)
    layout = editor.document().firstBlock().layout()
    assert layout.lineCount() > 5
    assert layout.boundingRect().width() == editor.viewport().width() - 2 * PADDING
    assert editor.horizontalScrollBar().maximum() == 0


def test_a_click_beside_the_lines_reaches_them(desk: Desk) -> None:
    desk.paste("one\ntwo\nthree")
    desk.editor.resize(1600, 400)
    line = desk.editor.cursorRect().center().y()
    QTest.mouseClick(desk.editor, Qt.MouseButton.LeftButton, pos=QPoint(20, line))
    assert desk.caret == 8
    QTest.mouseClick(desk.editor, Qt.MouseButton.LeftButton, pos=QPoint(1500, line))
    assert desk.caret == 13


def test_a_drag_from_beside_the_lines_selects(desk: Desk) -> None:
    desk.paste("one\ntwo\nthree")
    desk.editor.resize(1600, 400)
    line = desk.editor.cursorRect().center().y()
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(desk.editor, left, pos=QPoint(20, line))
    QTest.mouseMove(desk.editor, QPoint(1500, line))
    QTest.mouseRelease(desk.editor, left, pos=QPoint(1500, line))
    assert desk.selection == (8, 13)


def test_a_screen_reader_has_a_name_for_it(desk: Desk) -> None:
    assert desk.editor.accessibleName()
