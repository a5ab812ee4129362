"""The sync status panel: facts in words, cards that change in place, what people can do there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.status import DeviceStatus, State
from liblim.errors import LimError
from tests.gui.syncing import (
    DIGEST,
    LAPTOP,
    OFFICE,
    TABLET,
    FakeService,
    Test,
    device,
    on_qt,
    press,
    syncing,
    turn,
    waiting,
)
from ui.device_card import DeviceCard
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


def show(panel: SyncPanel, service: FakeService, *devices: DeviceStatus) -> None:
    service.devices = devices
    panel.refresh()


# ---- what is shown


def test_a_device_that_is_identical(panel: SyncPanel) -> None:
    card = panel.card(LAPTOP)
    assert card.accessibleName() == "Laptop: Up to date"
    assert card.icon.name == "state-up-to-date"
    assert card.chip.text() == "identical, 3f9a1c0b"
    assert DIGEST in card.chip.more
    assert card.path.text() == "127.0.0.1:4243, it connects to us, limnotes/0.1.0"
    assert (card.they_lack.text(), card.we_lack.text()) == ("0 changes", "0 changes")
    assert card.received.text() == "1,204 changes, 318.0 kB"
    assert card.sent.text() == "1 change, 204 B"
    assert card.round_trip.text() == "0.6 ms"
    assert card.last_seen.text() == "right now"
    assert not card.trouble.isVisible()
    assert not card.try_button.isVisible()


def test_a_device_that_is_behind(panel: SyncPanel) -> None:
    card = panel.card(TABLET)
    assert card.state.text() == "Syncing"
    assert card.chip.text() == "not identical yet"
    assert (card.they_lack.text(), card.we_lack.text()) == ("37 changes", "2 changes")
    assert "identical," not in words(card)


def test_a_device_that_cannot_be_reached(panel: SyncPanel) -> None:
    card = panel.card(OFFICE)
    assert card.state.text() == "Waiting to try again"
    assert card.trouble.text == "Nothing listens at 127.0.0.1:4243."
    assert card.trouble.more.startswith("For 4 min, next try in 1")
    assert card.trouble.property("role") == "wait"
    assert card.they_lack.text() == card.we_lack.text() == card.round_trip.text() == "not known now"
    assert card.last_seen.text() == "5 min ago"
    assert not card.chip.isVisible()
    assert card.try_button.isVisible()


def test_a_device_that_is_refused(panel: SyncPanel, service: FakeService) -> None:
    refused = replace(waiting(), state=State.REFUSED, error="Another library.", name="")
    show(panel, service, refused)
    card = panel.card(OFFICE)
    assert card.trouble.property("role") == "bad"
    assert card.name.text() == "Device bbbbbbbb"


def test_while_it_is_tried_no_next_try_is_told(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, replace(waiting(), state=State.CONNECTING))
    assert panel.card(OFFICE).trouble.more == "For 4 min, trying now"


def test_what_is_just_connected_is_not_called_identical(
    panel: SyncPanel, service: FakeService
) -> None:
    show(panel, service, device(state=State.SYNCING, identical=None, digest=""))
    assert panel.card(LAPTOP).chip.text() == "contents not known now"


def test_nothing_is_ever_told_in_percent_or_called_synced(panel: SyncPanel) -> None:
    shown = words(panel)
    assert "%" not in shown
    assert "synced" not in shown.lower()


def test_names_from_others_are_plain_text(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device(name="<h1>Big</h1>\nname" + "x" * 200))
    card = panel.card(LAPTOP)
    assert card.name.text().startswith("<h1>Big</h1> name")
    assert card.name.textFormat() == Qt.TextFormat.PlainText
    assert card.width() <= panel.width()


def test_this_device(panel: SyncPanel) -> None:
    this = panel.this_device
    assert this.name_field.text() == "Desk"
    assert this.address.text() == "127.0.0.1:4242"
    assert this.holds.text() == "1,241 changes, all on disk"
    assert (this.digest.text(), this.digest.more) == ("3f9a1c0b", DIGEST)
    assert this.library.text() == "5be2c1d0"


def test_without_devices_it_says_what_to_do(
    qtbot: QtBot, panel: SyncPanel, service: FakeService
) -> None:
    show(panel, service)
    assert panel.empty.isVisible()
    assert "No device is paired yet" in words(panel.empty)
    with qtbot.waitSignal(panel.pair_wanted):
        panel.pair_button.click()


def test_a_problem_of_this_device_stands_on_top(panel: SyncPanel, service: FakeService) -> None:
    assert not panel.problem.isVisible()
    service.problem = "The disk is full."
    panel.refresh()
    assert panel.problem.text == "The disk is full."
    assert panel.problem.isVisible()


def test_hidden_it_costs_nothing(panel: SyncPanel, service: FakeService) -> None:
    panel.close()
    show(panel, service, device(name="Renamed"))
    assert panel.card(LAPTOP).name.text() == "Laptop"
    panel.show()
    assert panel.card(LAPTOP).name.text() == "Renamed"


# ---- changing in place


def test_cards_stay_while_they_change(panel: SyncPanel, service: FakeService) -> None:
    office, laptop = panel.card(OFFICE), panel.card(LAPTOP)
    office.try_button.setFocus()
    show(panel, service, device(name="Aaa"), waiting(3), syncing())
    assert panel.card(OFFICE) is office
    assert panel.card(LAPTOP) is laptop
    assert panel.focusWidget() is office.try_button
    assert "next try in 3 s" in office.trouble.more
    QApplication.processEvents()
    tops = [panel.card(device).y() for device in (LAPTOP, OFFICE, TABLET)]
    assert tops == sorted(tops)


def test_focus_stays_in_a_card_whose_button_goes(panel: SyncPanel, service: FakeService) -> None:
    card = panel.card(OFFICE)
    card.try_button.setFocus()
    show(panel, service, device(device=OFFICE))
    assert panel.focusWidget() is card.unpair_button


def test_a_card_goes_with_its_device(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device())
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert panel.findChildren(DeviceCard) == [panel.card(LAPTOP)]


def test_tab_goes_from_top_to_bottom(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device(name="Aaa"), waiting(), syncing())
    panel.card(LAPTOP).unpair_button.click()
    panel.this_device.name_field.setFocus()
    seen = [panel.focusWidget()]
    while seen[-1] is not panel.log.view:
        press(seen[-1], Qt.Key.Key_Tab)
        seen.append(panel.focusWidget())
    office, laptop, tablet = panel.card(OFFICE), panel.card(LAPTOP), panel.card(TABLET)
    assert seen == [
        panel.this_device.name_field,
        panel.this_device.pencil,
        panel.this_device.copy_button,
        panel.sync_button,
        panel.pair_button,
        laptop.forget_button,
        laptop.keep_button,
        office.try_button,
        office.unpair_button,
        tablet.unpair_button,
        panel.log.filter_field,
        panel.log.view,
    ]


# ---- what people do


def test_trying_now(panel: SyncPanel, service: FakeService) -> None:
    panel.card(OFFICE).try_button.click()
    panel.sync_button.click()
    press(panel, Qt.Key.Key_F5)
    assert service.asked == ["sync"] * 3


def test_unpairing_asks_in_the_card(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    card = panel.card(LAPTOP)
    card.unpair_button.click()
    assert card.question.isVisible()
    assert "Forget Laptop?" in words(card)
    assert panel.focusWidget() is card.keep_button
    card.keep_button.click()
    assert not card.question.isVisible()
    assert panel.focusWidget() is card.unpair_button

    async def forget() -> None:
        card.unpair_button.click()
        card.forget_button.click()
        await turn()

    on_qt(forget)
    assert service.asked == [f"unpair {LAPTOP}"]


def test_renaming(panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]) -> None:
    field = panel.this_device.name_field

    async def rename() -> None:
        panel.this_device.pencil.click()
        assert panel.focusWidget() is field
        QTest.keyClicks(field, "Study")
        panel.refresh()
        assert field.text() == "Study", "a look at the facts must not undo the typing"
        press(field, Qt.Key.Key_Return)
        await turn()

    on_qt(rename)
    assert service.asked == ["rename Study"]
    assert field.text() == "Study"
    assert panel.isVisible()


def test_a_name_that_is_refused(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    service.refusal = LimError("A device needs a name.")
    this = panel.this_device

    async def rename() -> None:
        this.name_field.selectAll()
        QTest.keyClicks(this.name_field, " ")
        press(this.name_field, Qt.Key.Key_Return)
        await turn()

    on_qt(rename)
    assert this.error.text() == "A device needs a name."
    assert this.error.isVisible()
    assert this.name_field.text() == "Desk"
    QTest.keyClicks(this.name_field, "!")
    assert not this.error.isVisible()


def test_esc_leaves_the_name_as_it_was_and_then_closes(panel: SyncPanel) -> None:
    field = panel.this_device.name_field
    field.setFocus()
    QTest.keyClicks(field, "xyz")
    press(field, Qt.Key.Key_Escape)
    assert field.text() == "Desk"
    assert panel.isVisible()
    press(field, Qt.Key.Key_Escape)
    assert not panel.isVisible()


def test_copying_the_address(panel: SyncPanel, service: FakeService) -> None:
    button = panel.this_device.copy_button
    button.click()
    assert QGuiApplication.clipboard().text() == "127.0.0.1:4242"
    assert button.text() == "Copied"
    button._timer.timeout.emit()
    assert button.text() == "Copy"
    service.listening = ""
    panel.refresh()
    assert not button.isVisible()


def test_keys_are_not_wanted_by_chance(panel: SyncPanel) -> None:
    assert panel.focusWidget() is panel


# ---- the log


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
