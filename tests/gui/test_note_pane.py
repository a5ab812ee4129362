from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.notes import Note, NoteRow, Notes
from liblim.crdt import Text
from tests.gui.windows import row
from ui.notepane import NotePane


class FakeNotes:
    """Says that a note is saved when it is told to."""

    def __init__(self) -> None:
        self.is_saved = True
        self.rows: dict[str, NoteRow] = {}

    def saved(self, note: Note) -> bool:
        return self.is_saved


@pytest.fixture
def notes() -> FakeNotes:
    return FakeNotes()


@pytest.fixture
def pane(qtbot: QtBot, notes: FakeNotes) -> NotePane:
    made = NotePane(cast(Notes, notes))
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def note(text: str = "") -> Note:
    body = Text.new(replica="a")
    body.insert(0, text)
    return cast(Note, SimpleNamespace(oid="a", body=body))


def test_no_note(pane: NotePane) -> None:
    assert pane.empty.isVisible()
    assert pane.focus_target is None


def test_saved_is_said_only_of_what_is(pane: NotePane, notes: FakeNotes, qtbot: QtBot) -> None:
    pane.show_note(note("one"), row("a", 1))
    assert pane.saved_text == "Saved here"
    notes.is_saved = False
    QTest.keyClicks(pane.editor, "x")
    assert pane.saved_text == "Saving…"
    notes.is_saved = True
    qtbot.waitUntil(lambda: pane.saved_text == "Saved here")


def test_an_untouched_new_note_claims_nothing(pane: NotePane, notes: FakeNotes) -> None:
    pane.show_note(note(), None)
    assert pane.changed.text() == "New note"
    assert pane.saved_text == ""
    assert not pane.trash_button.isVisible()
    notes.is_saved = False
    QTest.keyClicks(pane.editor, "x")
    assert pane.saved_text == "Saving…"


def test_what_is_typed_waits_for_the_note(pane: NotePane) -> None:
    pane.show_note(note("one"), row("a", 1))
    pane.expect()
    pane.focus_editor()
    QTest.keyClicks(pane.editor, "ab")
    event = QInputMethodEvent()
    event.setCommitString("旅🥕")
    QApplication.sendEvent(pane.editor, event)
    QTest.keyClicks(pane.editor, "c")
    coming = note("!")
    pane.show_note(coming, row("b", 2))
    assert str(coming.body) == "ab旅🥕c!"
    QTest.keyClicks(pane.editor, "d")
    assert str(coming.body) == "ab旅🥕cd!"


def test_what_is_typed_for_no_note_is_for_none(pane: NotePane) -> None:
    pane.show_note(note("one"), row("a", 1))
    pane.expect()
    QTest.keyClicks(pane.editor, "ab")
    pane.show_nothing()
    later = note("two")
    pane.show_note(later, row("b", 2))
    assert str(later.body) == "two"


def test_a_trashed_note_is_read_only(pane: NotePane) -> None:
    shown = note("one")
    pane.show_note(shown, row("a", 1, trashed=True))
    QTest.keyClicks(pane.editor, "x")
    assert str(shown.body) == "one"
    pane.show_row(row("a", 1))
    QTest.keyClicks(pane.editor, "x")
    assert str(shown.body) == "xone"
