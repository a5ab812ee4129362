"""The sync line: true words, an icon, and the way to the panel."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.syncing import FakeService, device, press, syncing, waiting
from ui.sync_line import SyncLine


def line(qtbot: QtBot, service: FakeService) -> SyncLine:
    made = SyncLine()
    qtbot.addWidget(made)
    made.show_status(service.status())
    made.resize(made.sizeHint())
    made.show()
    return made


def test_it_says_how_things_stand(qtbot: QtBot) -> None:
    shown = line(qtbot, FakeService(device(), syncing(), waiting()))
    assert shown.text().strip() == "Syncing with Tablet: 39 changes to go"
    assert shown.accessibleName() == "Sync: Syncing with Tablet: 39 changes to go"
    assert shown.accessibleDescription()
    assert not shown.icon().isNull()


def test_a_problem_is_told_in_words_and_looks_like_one(qtbot: QtBot) -> None:
    service = FakeService(device())
    shown = line(qtbot, service)
    calm = shown.icon().cacheKey()
    service.problem = "The disk is full."
    shown.show_status(service.status())
    assert shown.sentence == "The disk is full."
    assert shown.property("role") == "bad"
    assert shown.icon().cacheKey() != calm
    service.problem = ""
    shown.show_status(service.status())
    assert shown.property("role") == ""


def test_until_it_is_online_it_says_that_it_connects(qtbot: QtBot) -> None:
    service = FakeService()
    shown = line(qtbot, service)
    assert shown.sentence == "On this device only"
    shown.show_status(service.status(), starting=True)
    assert shown.sentence == "Connecting…"
    service.devices = (waiting(),)  # more is known by now
    shown.show_status(service.status(), starting=True)
    assert shown.sentence.startswith("Office is not connected")
    service.devices, service.facts["locked"] = (), "The keyring is locked."
    shown.show_status(service.status(), starting=True)
    assert shown.sentence == "The keyring is locked."
    assert shown.property("role") == "bad"


def test_a_long_sentence_is_cut_and_does_not_widen_the_window(qtbot: QtBot) -> None:
    shown = line(qtbot, FakeService(device(name="x" * 64)))
    assert shown.minimumSizeHint().width() >= 0
    shown.resize(200, shown.height())
    assert shown.minimumWidth() <= 200
    assert shown.text().endswith("…")
    assert shown.sentence in shown.toolTip()
    assert shown.sentence in shown.accessibleName()


def test_names_are_no_markup_and_no_shortcut_keys(qtbot: QtBot) -> None:
    shown = line(qtbot, FakeService(device(name="<b>R&D</b>")))
    assert "<b>R&&D</b>" in shown.text()
    assert shown.shortcut().isEmpty()
    assert "&lt;b&gt;R&amp;D" in shown.toolTip()


def test_it_works_by_mouse_and_by_keyboard(qtbot: QtBot) -> None:
    shown = line(qtbot, FakeService())
    clicks: list[str] = []
    shown.clicked.connect(lambda: clicks.append("click"))
    assert shown.focusPolicy() & Qt.FocusPolicy.TabFocus
    QTest.mouseClick(shown, Qt.MouseButton.LeftButton)
    press(shown, Qt.Key.Key_Return)
    press(shown, Qt.Key.Key_Space)
    assert len(clicks) == 3
