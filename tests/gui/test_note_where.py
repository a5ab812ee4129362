"""The line that says on which other devices the open note is: never more than what was confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.notes import Notes
from app.service import Service
from app.whereabouts import Whereabouts
from liblim.errors import StoreError
from tests.gui.syncing import Test, device, on_qt
from tests.gui.test_note_pane import FakeNotes, note
from tests.gui.windows import row, until
from ui import note_where
from ui.note_where import NoteWhere
from ui.notepane import NotePane
from ui.opennote import OpenNote
from ui.tasks import Tasks

__all__ = ["on_qt"]

DESK, LAP = device(device="a" * 32, name="Desk"), device(device="b" * 32, name="Lap")


class Opened(QObject):
    """As much of ``OpenNote`` as is looked at."""

    opened = Signal(str)
    oid = "a"


class Stage:
    """A pane with an open note, and a service that says where it is when the test lets it."""

    def __init__(self, qtbot: QtBot) -> None:
        self.notes = FakeNotes()
        self.pane = NotePane(cast(Notes, self.notes))
        qtbot.addWidget(self.pane)
        self.pane.show()
        self.found = Whereabouts((), ())
        self.error: Exception | None = None
        self.asked = 0
        self.may_answer = True
        self.open = Opened()
        service = cast(Service, SimpleNamespace(whereabouts=self._whereabouts))
        opened, tasks = cast(OpenNote, self.open), Tasks(lambda sentence: None)
        self.where = NoteWhere(service, opened, self.pane, tasks)

    async def _whereabouts(self, oid: str) -> Whereabouts:
        self.asked += 1
        found = self.found
        while not self.may_answer:  # noqa: ASYNC110 - the test says when
            await asyncio.sleep(0.001)
        if self.error is not None:
            raise self.error
        return found

    def show(self) -> None:
        self.pane.show_note(note("one"), row("a", 1))
        self.open.opened.emit("a")

    @property
    def shown(self) -> str:
        label = self.pane.where
        return label.text() if label.isVisibleTo(self.pane) else ""


@pytest.fixture
def stage(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(note_where, "_REST", 1)
    return Stage(qtbot)


def test_it_says_who_has_confirmed_the_note(stage: Stage, on_qt: Callable[[Test], None]) -> None:
    stage.found = Whereabouts((DESK, LAP), ())

    async def test() -> None:
        stage.show()
        await until(lambda: stage.shown == "· on Desk and Lap")
        assert "Desk has it: confirmed" in stage.pane.where.more
        stage.found = Whereabouts((DESK,), (LAP,))
        stage.where.look()
        await until(lambda: stage.shown == "· on Desk")

    on_qt(test)
    assert "on Desk" in stage.pane.where.accessibleDescription()


def test_while_something_is_not_saved_nothing_is_claimed(
    stage: Stage, on_qt: Callable[[Test], None]
) -> None:
    stage.found = Whereabouts((DESK,), ())

    async def test() -> None:
        stage.show()
        await until(lambda: stage.shown)
        stage.notes.is_saved = False
        QTest.keyClicks(stage.pane.editor, "x")
        assert stage.shown == ""
        stage.where.look()
        stage.found = Whereabouts((DESK, LAP), ())
        stage.notes.is_saved = True
        await until(lambda: stage.shown == "· on Desk and Lap")

    on_qt(test)


def test_an_answer_from_before_the_last_letter_is_not_shown(
    stage: Stage, on_qt: Callable[[Test], None]
) -> None:
    stage.may_answer, stage.found = False, Whereabouts((DESK,), ())
    shown: list[str] = []

    async def test() -> None:
        stage.show()
        await until(lambda: stage.asked == 1)
        stage.notes.is_saved = False
        QTest.keyClicks(stage.pane.editor, "x")
        stage.notes.is_saved = True
        stage.pane.show_saved()
        stage.found, stage.may_answer = Whereabouts((LAP,), (DESK,)), True
        while not stage.shown:  # noqa: ASYNC110 - nothing tells when it is shown
            await asyncio.sleep(0)
        shown.append(stage.shown)

    on_qt(test)
    assert shown == ["· on Lap"]


def test_that_it_is_nowhere_else_is_said_when_that_lasts(
    stage: Stage, on_qt: Callable[[Test], None]
) -> None:
    stage.found = Whereabouts((), (replace(DESK, they_lack=1),))
    stage.where._late.setInterval(300)

    async def test() -> None:
        stage.show()
        await until(stage.where._late.isActive)
        assert stage.shown == ""
        await until(lambda: stage.shown == "· on no other device yet")

    on_qt(test)


def test_what_cannot_be_told_is_not_told(stage: Stage, on_qt: Callable[[Test], None]) -> None:
    stage.error = StoreError("The disk fails.")

    async def test() -> None:
        stage.show()
        await until(lambda: stage.asked)
        stage.error = None
        stage.found = Whereabouts((DESK,), ())
        stage.where.look()
        await until(lambda: stage.shown == "· on Desk")

    on_qt(test)


def test_it_goes_with_the_note(stage: Stage, on_qt: Callable[[Test], None]) -> None:
    stage.found = Whereabouts((DESK,), ())

    async def test() -> None:
        stage.show()
        await until(lambda: stage.shown)
        stage.open.oid = ""
        stage.open.opened.emit("")
        assert stage.shown == ""

    on_qt(test)
