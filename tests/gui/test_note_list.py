from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.notes import NoteRow
from tests.gui.windows import row
from ui.notedelegate import is_right_to_left
from ui.notelist import NoteListPane
from ui.notice import Notice
from ui.shelves import ALL, TRASH

Rows = dict[str, NoteRow]


@pytest.fixture
def rows() -> Rows:
    return {f"{n:02}": row(f"{n:02}", n) for n in range(40)}


@pytest.fixture
def pane(qtbot: QtBot, rows: Rows) -> NoteListPane:
    made = NoteListPane(rows)
    qtbot.addWidget(made)
    made.resize(280, 400)
    made.show()
    qtbot.waitExposed(made)
    return made


def current(pane: NoteListPane) -> str:
    return pane.model.oid_at(pane.view.currentIndex().row())


def top(pane: NoteListPane, oid: str) -> int:
    return pane.view.visualRect(pane.model.index_of(oid)).top()


def test_what_a_person_chooses_is_told(pane: NoteListPane, qtbot: QtBot) -> None:
    pane.view.select("39")
    with qtbot.waitSignal(pane.view.chosen) as told:
        QTest.keyClick(pane.view, Qt.Key.Key_Down)
    assert told.args == ["38"]


def test_what_the_program_selects_is_not(pane: NoteListPane, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(pane.view.chosen):
        pane.view.select("20")
        assert current(pane) == "20"
        pane.view.select("not there")
        assert not pane.view.selectedIndexes()


def test_a_row_that_goes_takes_nobody_elsewhere(
    pane: NoteListPane, rows: Rows, qtbot: QtBot
) -> None:
    pane.view.select("30")
    with qtbot.assertNotEmitted(pane.view.chosen):
        rows["30"] = row("30", 30, trashed=True)
        pane.refresh(["30"])
        assert not pane.view.currentIndex().isValid()
        assert not pane.view.selectedIndexes()


def test_changes_move_neither_selection_nor_scroll(pane: NoteListPane, rows: Rows) -> None:
    pane.view.select("20")
    pane.view.scrollTo(pane.model.index_of("20"))
    before = top(pane, "20")
    assert pane.view.verticalScrollBar().value() > 0
    rows["99"] = row("99", 99)
    rows["05"] = row("05", 98)
    rows["21"] = row("21", 21, trashed=True)
    pane.refresh(["99", "05", "21"])
    assert current(pane) == "20"
    assert top(pane, "20") == before


def test_a_list_that_shows_its_beginning_goes_on_to(pane: NoteListPane, rows: Rows) -> None:
    rows["99"] = row("99", 99)
    pane.refresh(["99"])
    assert top(pane, "99") == 0


def test_the_one_in_sight_stays_where_nothing_is_selected(pane: NoteListPane, rows: Rows) -> None:
    pane.view.verticalScrollBar().setValue(300)
    seen = pane.model.oid_at(pane.view.indexAt(pane.view.viewport().rect().topLeft()).row())
    before = top(pane, seen)
    rows["99"] = row("99", 99)
    pane.refresh(["99"])
    assert top(pane, seen) == before


def test_keys(pane: NoteListPane, qtbot: QtBot) -> None:
    for keys, signal in (
        ("Return", pane.view.entered),
        ("Enter", pane.view.entered),
        ("Del", pane.view.trash_wanted),
        ("Ctrl+Backspace", pane.view.trash_wanted),
    ):
        with qtbot.waitSignal(signal):
            QTest.keySequence(pane.view, keys)


def test_a_notice_does_not_hide_the_current_row(pane: NoteListPane) -> None:
    pane.view.select("00")
    pane.view.scrollToBottom()
    notice = Notice(pane)
    pane.add_below(notice)
    notice.say("Something was done", "Undo", lambda: None)
    QWidget.grab(pane)  # lays it out
    bottom = pane.view.visualRect(pane.model.index_of("00")).bottom()
    assert bottom <= pane.view.viewport().height()


def test_the_neighbour_takes_the_place(pane: NoteListPane) -> None:
    assert pane.neighbour("20") == "19"
    assert pane.neighbour("00") == "01"


def test_an_empty_list_says_what_to_do(pane: NoteListPane, rows: Rows, qtbot: QtBot) -> None:
    for oid in list(rows):
        rows[oid] = row(oid, trashed=True)
    pane.refresh(rows)
    assert pane.new_button.isVisible()
    assert pane.focus_target is pane.new_button
    for button, signal in (
        (pane.new_button, pane.new_wanted),
        (pane.pair_button, pane.pair_wanted),
    ):
        with qtbot.waitSignal(signal):
            button.click()
    pane.show_shelf(TRASH)
    assert pane.model.rowCount() == len(rows)
    rows.clear()
    pane.show_shelf(TRASH)
    assert not pane.new_button.isVisible()
    assert pane.focus_target is None


def test_rows_of_all_kinds_are_painted(pane: NoteListPane, rows: Rows) -> None:
    now = 1_790_000_000_000
    day = 86_400_000
    rows.clear()
    rows["a"] = NoteRow("a", "", "", now, False, False, False)
    rows["b"] = NoteRow("b", "رحلة " * 30, "旅行 🥕 " * 30, now - day, False, True, False)
    rows["c"] = NoteRow("c", "<b>not bold</b>", "x\x00y", now - 3 * day, False, False, True)
    rows["d"] = NoteRow("d", "Old", "&amp;", 0, False, True, True)
    pane.show_shelf(ALL)
    pane.view.select("b")
    pane.view.setFocus()
    assert not pane.grab().isNull()


def test_home_and_end_go_to_the_first_and_last_note(pane: NoteListPane) -> None:
    pane.view.select("20")
    QTest.keyClick(pane.view, Qt.Key.Key_End)
    assert current(pane) == "00"
    QTest.keyClick(pane.view, Qt.Key.Key_Home)
    assert current(pane) == "39"


def test_rows_follow_the_size_of_the_font(pane: NoteListPane) -> None:
    before = pane.view.visualRect(pane.model.index_of("39")).height()
    font = pane.view.font()
    font.setPointSizeF(font.pointSizeF() * 2)
    pane.view.setFont(font)
    assert pane.view.visualRect(pane.model.index_of("39")).height() > before * 1.4


def test_focus_alone_chooses_nothing(pane: NoteListPane, qtbot: QtBot) -> None:
    pane.view.clearFocus()
    with qtbot.assertNotEmitted(pane.view.chosen):
        pane.view.setFocus()
        assert not pane.view.currentIndex().isValid()
    with qtbot.waitSignal(pane.view.chosen):
        QTest.keyClick(pane.view, Qt.Key.Key_Down)


def test_a_second_click_hits_the_same_row(pane: NoteListPane, rows: Rows) -> None:
    pane.hold("20")
    pane.settle_clock.timeout.emit()
    rows["20"] = row("20", 100)
    pane.refresh(["20"])
    pane.view.select("35")
    before = top(pane, "35")
    pane.hold("35")
    assert top(pane, "35") == before
    assert pane.settle_clock.isActive()
    pane.settle_clock.timeout.emit()
    assert top(pane, "20") == 0
    assert current(pane) == "35"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("abc", False),
        ("", False),
        ("123", False),
        ("رحلة", True),
        ("1. רשימה", True),
        ("a ר", False),
    ],
)
def test_the_direction_of_a_text(text: str, right: bool) -> None:
    assert is_right_to_left(text) == right
