"""The log in the sync status panel: newest first, filtered, copied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.syncing import (
    FakeService,
    device,
    on_qt,
    press,
    syncing,
    waiting,
)
from ui.sync_panel import SyncPanel
from ui.tasks import Tasks

__all__ = ["on_qt"]


def _fail(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def service() -> FakeService:
    return FakeService(syncing(), device(), waiting())


@pytest.fixture
def panel(qtbot: QtBot, service: FakeService) -> Iterator[SyncPanel]:
    made = SyncPanel(service.real, Tasks(_fail))
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def words(widget: QWidget) -> str:
    """All that a person can read in a widget."""
    labels = widget.findChildren(QLabel)
    return " | ".join(label.text() for label in labels if label.isVisibleTo(widget))


def test_the_log_shows_the_newest_first(panel: SyncPanel, service: FakeService) -> None:
    model = panel.log.model
    service.log("Listening.")
    service.log("It failed.", "warning")
    panel.refresh()
    assert [model.index(row, 1).data() for row in range(model.rowCount())] == [
        "It failed.",
        "Listening.",
    ]
    role = Qt.ItemDataRole.AccessibleTextRole
    assert model.index(0, 1).data(role) == "warning: It failed."
    assert not model.index(0, 0).data(Qt.ItemDataRole.DecorationRole).isNull()


def test_the_log_keeps_what_stays(qtbot: QtBot, panel: SyncPanel, service: FakeService) -> None:
    log = panel.log
    for number in range(4):
        service.log(f"event {number}")
    panel.refresh()
    chosen = log.filtered.index(0, 0)
    rows = QItemSelectionModel.SelectionFlag.Rows | QItemSelectionModel.SelectionFlag.Select
    log.view.selectionModel().select(chosen, rows)
    for number in range(4, 7):  # two more than are kept
        service.log(f"event {number}")
    panel.refresh()
    shown = [log.model.index(row, 1).data() for row in range(log.model.rowCount())]
    assert shown == [f"event {number}" for number in (6, 5, 4, 3, 2)]
    assert [i.data() for i in log.view.selectionModel().selectedRows(1)] == ["event 3"]


def test_the_log_is_filtered_and_copied(panel: SyncPanel, service: FakeService) -> None:
    log = panel.log
    service.log("Connected with Laptop.")
    service.log("Paired.")
    service.log("LAPTOP left.", "error")
    panel.refresh()
    QTest.keyClicks(log.filter_field, "laptop")
    log.copy_button.click()
    copied = QGuiApplication.clipboard().text().splitlines()
    assert [line.split(maxsplit=1)[1] for line in copied] == [
        "info     Connected with Laptop.",
        "error    LAPTOP left.",
    ]
    press(log.filter_field, Qt.Key.Key_Escape)
    assert panel.isVisible()
    assert log.filtered.rowCount() == 3
    QTest.keyClicks(log.filter_field, "nothing like this")
    assert "No such event" in words(log)
    assert not log.copy_button.isEnabled()


def test_the_log_is_shown_from_a_level_on(panel: SyncPanel, service: FakeService) -> None:
    log = panel.log
    for level in ("info", "warning", "error"):
        service.log(f"of level {level}", level)
    panel.refresh()
    shown = []
    for at in range(log.level_box.count()):
        log.level_box.setCurrentIndex(at)
        shown.append(log.shown_text().count("of level"))
    assert shown == [3, 2, 1]
    QTest.keyClicks(log.filter_field, "warning")
    assert log.filtered.rowCount() == 0
    service.log("An error beside a warning", "error")
    panel.refresh()
    assert log.filtered.rowCount() == 1, "what comes passes the filter, or not, like what was there"


def test_a_log_that_cannot_be_written_says_so(panel: SyncPanel, service: FakeService) -> None:
    service.facts["log_problem"] = "No space left on device"
    panel.refresh()
    assert "cannot be written to disk: No space left on device" in words(panel.log)
    service.facts["log_problem"] = ""
    panel.refresh()
    assert "disk" not in words(panel.log)


def test_rows_that_are_seen_are_as_high_as_their_text(
    qtbot: QtBot, panel: SyncPanel, service: FakeService
) -> None:
    view = panel.log.view
    service.log("short")
    service.log("long " * 40)
    panel.refresh()
    qtbot.waitUntil(lambda: view.rowHeight(0) > view.rowHeight(1))
    panel.resize(2000, panel.height())
    qtbot.waitUntil(lambda: view.rowHeight(0) == view.rowHeight(1))
    QTest.keyClicks(panel.log.filter_field, "long")
    panel.resize(660, panel.height())
    qtbot.waitUntil(lambda: view.rowHeight(0) > 1.9 * view.fontMetrics().height())


def test_chosen_rows_are_copied(panel: SyncPanel, service: FakeService) -> None:
    service.log("one")
    service.log("two")
    panel.refresh()
    view = panel.log.view
    view.selectRow(1)
    QTest.keySequence(view, QKeySequence(QKeySequence.StandardKey.Copy))
    assert QGuiApplication.clipboard().text().endswith("one\n")
    assert "two" not in QGuiApplication.clipboard().text()


def test_events_without_any_known_before(panel: SyncPanel, service: FakeService) -> None:
    service.log("old")
    panel.refresh()
    service.events.clear()
    service.log("new")
    panel.refresh()
    model = panel.log.model
    assert model.rowCount(QModelIndex()) == 1
    assert model.index(0, 1).data() == "new"
