"""The sync status panel: facts in words, cards that change in place, what people can do there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.status import DeviceStatus, State
from liblim.errors import LimError
from tests.gui.syncing import (
    ADDRESSES,
    DESK_WORDS,
    DIGEST,
    LAPTOP,
    LAPTOP_WORDS,
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
from ui.parts import CopyButton
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
    assert card.words.text() == LAPTOP_WORDS
    assert card.chip.text() == "identical, 3f9a1c0b"
    assert DIGEST in card.chip.more
    assert card.path.text() == "directly, 127.0.0.1:4243, it connects to us"
    assert card.version.text() == "limnotes/0.1.0"
    assert (card.they_lack.text(), card.we_lack.text()) == ("0 changes", "0 changes")
    assert card.received.text() == "1,204 changes, 318.0 kB"
    assert card.sent.text() == "1 change, 204 B"
    assert card.round_trip.text() == "0.6 ms"
    assert card.last_seen.text() == "right now"
    assert not card.trouble.isVisible()
    assert not card.mend_button.isVisible()


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
    assert card.mend_button.isVisible()


def test_a_device_that_is_refused(panel: SyncPanel, service: FakeService) -> None:
    refused = replace(waiting(), state=State.REFUSED, error="Another library.", name="")
    show(panel, service, refused)
    card = panel.card(OFFICE)
    assert card.trouble.property("role") == "bad"
    assert card.name.field.text() == "Device bbbbbbbb"


def test_what_ends_the_worst_trouble_is_the_first_stop(
    panel: SyncPanel, service: FakeService
) -> None:
    panel.show_status(replace(service.status(), removed_by="Laptop"))
    (again,) = panel.banner.buttons
    assert again.nextInFocusChain() is panel.aside.button
    assert panel.aside.button.nextInFocusChain() is panel.this_device.stops[0]


def test_a_device_that_removed_this_one_is_not_said_to_be_tried_again(
    panel: SyncPanel, service: FakeService
) -> None:
    facts = {"error": "It removed this device.", "error_since": time.time() - 65, "next_try": None}
    show(panel, service, device(state=State.REFUSED, identical=None, removed_us=True, **facts))
    assert panel.card(LAPTOP).trouble.more == "For 1 min, not tried again by itself"


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


def test_a_server_is_told_from_devices(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device(name="Cellar", server=True))
    card = panel.card(LAPTOP)
    assert "a server that reads nothing" in words(card)
    card.remove_button.click()
    assert "Remove Cellar? None of your devices gives it anything any more." in words(card)


def test_names_from_others_are_plain_text(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device(name="<h1>Big</h1>\nname" + "x" * 200))
    card = panel.card(LAPTOP)
    assert card.name.field.text().startswith("<h1>Big</h1> name")
    card.remove_button.click()
    assert "Remove <h1>Big</h1> name" in words(card)
    labels = card.findChildren(QLabel)
    assert {label.textFormat() for label in labels} == {Qt.TextFormat.PlainText}
    assert card.width() <= panel.width()


def test_this_device(panel: SyncPanel) -> None:
    this = panel.this_device
    assert this.name.field.text() == "Desk"
    assert this.words.text() == DESK_WORDS
    assert this.addresses.texts == [(own.label, own.address) for own in ADDRESSES]
    assert this.keeping.text() == "in the keyring of this system"
    assert this.holds.text() == "1,241 changes, all on disk"
    assert (this.digest.text(), this.digest.more) == ("3f9a1c0b", DIGEST)
    assert this.library.text() == "5be2c1d0"
    assert not this.unshown.isVisible()


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


def test_what_a_locked_key_means_is_told_once(panel: SyncPanel, service: FakeService) -> None:
    service.facts["locked"] = service.problem = "The keyring is locked."
    panel.refresh()
    assert not panel.problem.isVisible()
    assert panel.banner.text == "The keyring is locked."


def test_as_long_as_it_is_not_known_no_device_is_called_missing(
    panel: SyncPanel, service: FakeService
) -> None:
    service.devices = ()
    panel.show_status(service.status(), starting=True)
    assert "Connecting…" in words(panel.empty)
    assert "No device is paired yet" not in words(panel.empty)
    panel.refresh()
    assert "Connecting…" in words(panel.empty)
    panel.show_status(service.status(), starting=False)
    assert "No device is paired yet" in words(panel.empty)


def test_hidden_it_costs_nothing(panel: SyncPanel, service: FakeService) -> None:
    panel.close()
    show(panel, service, device(name="Renamed"))
    assert panel.card(LAPTOP).name.field.text() == "Laptop"
    panel.show()
    assert panel.card(LAPTOP).name.field.text() == "Renamed"


# ---- changing in place


def test_cards_stay_while_they_change(panel: SyncPanel, service: FakeService) -> None:
    office, laptop = panel.card(OFFICE), panel.card(LAPTOP)
    office.mend_button.setFocus()
    show(panel, service, device(name="Aaa"), waiting(3), syncing())
    assert panel.card(OFFICE) is office
    assert panel.card(LAPTOP) is laptop
    assert panel.focusWidget() is office.mend_button
    assert "next try in 3 s" in office.trouble.more
    QApplication.processEvents()
    tops = [panel.card(device).y() for device in (LAPTOP, OFFICE, TABLET)]
    assert tops == sorted(tops)


def test_focus_stays_in_a_card_whose_button_goes(panel: SyncPanel, service: FakeService) -> None:
    card = panel.card(OFFICE)
    card.mend_button.setFocus()
    show(panel, service, device(device=OFFICE))
    assert panel.focusWidget() is card.remove_button


def test_a_card_goes_with_its_device(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device())
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert panel.findChildren(DeviceCard) == [panel.card(LAPTOP)]


def test_tab_goes_from_top_to_bottom(panel: SyncPanel, service: FakeService) -> None:
    show(panel, service, device(name="Aaa"), waiting(), syncing())
    panel.card(LAPTOP).remove_button.click()
    panel.this_device.name.field.setFocus()
    seen = [panel.focusWidget()]
    while seen[-1] is not panel.log.view:
        press(seen[-1], Qt.Key.Key_Tab)
        seen.append(panel.focusWidget())
    office, laptop, tablet = panel.card(OFFICE), panel.card(LAPTOP), panel.card(TABLET)
    assert seen == [
        *panel.this_device.name.stops,
        *panel.this_device.addresses.stops,
        panel.this_device.discovery,
        panel.sync_button,
        panel.pair_button,
        *laptop.name.stops,
        laptop.confirm_button,
        laptop.keep_button,
        *office.name.stops,
        office.mend_button,
        office.remove_button,
        *tablet.name.stops,
        tablet.remove_button,
        panel.log.level_box,
        panel.log.filter_field,
        panel.log.view,
    ]


# ---- what people do


def test_trying_now(panel: SyncPanel, service: FakeService) -> None:
    panel.card(OFFICE).mend_button.click()
    panel.sync_button.click()
    press(panel, Qt.Key.Key_F5)
    assert service.asked == ["sync"] * 3


def test_removing_asks_in_the_card(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    card = panel.card(LAPTOP)
    card.remove_button.click()
    assert card.question.isVisible()
    assert "Remove Laptop? It keeps the notes that it has, and gets no more." in words(card)
    assert panel.focusWidget() is card.keep_button
    press(card.keep_button, Qt.Key.Key_Return)
    assert not card.question.isVisible()
    assert panel.focusWidget() is card.remove_button
    assert service.asked == []

    async def remove() -> None:
        card.remove_button.click()
        card.confirm_button.click()
        await turn()

    on_qt(remove)
    assert service.asked == [f"remove {LAPTOP}"]
    assert card not in panel.findChildren(DeviceCard) or not card.isVisible()


def test_removing_that_fails_is_told_in_the_card(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    service.refusal = LimError("The key is locked.")
    card = panel.card(LAPTOP)

    async def remove() -> None:
        card.remove_button.click()
        card.confirm_button.click()
        assert not card.confirm_button.isEnabled()
        await turn()

    on_qt(remove)
    assert "The key is locked." in words(card)
    assert card.confirm_button.isEnabled()
    card.keep_button.click()
    assert "The key is locked." not in words(card)


def test_renaming_another_device(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    name = panel.card(LAPTOP).name

    async def rename() -> None:
        name.pencil.click()
        assert panel.focusWidget() is name.field
        QTest.keyClicks(name.field, "Mother")
        panel.refresh()
        assert name.field.text() == "Mother"
        press(name.field, Qt.Key.Key_Return)
        await turn()

    on_qt(rename)
    assert service.asked == [f"rename {LAPTOP} Mother"]
    assert panel.card(LAPTOP).accessibleName() == "Mother: Up to date"


def test_the_name_of_another_device_that_is_refused(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    service.refusal = LimError("This device is not in the library any more.")
    name = panel.card(LAPTOP).name

    async def rename() -> None:
        name.field.setFocus()
        QTest.keyClicks(name.field, "x")
        press(name.field, Qt.Key.Key_Return)
        await turn()

    on_qt(rename)
    assert name.error.text() == "This device is not in the library any more."
    assert name.field.text() == "Laptop"


def test_discovery_is_a_switch(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    switch = panel.this_device.discovery

    async def turn_off() -> None:
        assert switch.isChecked()
        switch.setFocus()
        press(switch, Qt.Key.Key_Space)
        await turn()
        service.facts["discovery_problem"] = "The network allows no discovery."
        panel.refresh()

    on_qt(turn_off)
    assert service.asked == ["discovery False"]
    assert not switch.isChecked()
    assert "The network allows no discovery." in words(panel.this_device)
    service.facts["discovery"] = True  # by the command line
    panel.refresh()
    assert switch.isChecked()
    assert len(service.asked) == 1


def test_renaming(panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]) -> None:
    field = panel.this_device.name.field

    async def rename() -> None:
        panel.this_device.name.pencil.click()
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
        this.name.field.selectAll()
        QTest.keyClicks(this.name.field, " ")
        press(this.name.field, Qt.Key.Key_Return)
        await turn()

    on_qt(rename)
    assert this.name.error.text() == "A device needs a name."
    assert this.name.error.isVisible()
    assert this.name.field.text() == "Desk"
    QTest.keyClicks(this.name.field, "!")
    assert not this.name.error.isVisible()


def test_esc_leaves_the_name_as_it_was_and_then_closes(panel: SyncPanel) -> None:
    field = panel.this_device.name.field
    field.setFocus()
    QTest.keyClicks(field, "xyz")
    press(field, Qt.Key.Key_Escape)
    assert field.text() == "Desk"
    assert panel.isVisible()
    press(field, Qt.Key.Key_Escape)
    assert not panel.isVisible()


def test_copying_an_address(panel: SyncPanel, service: FakeService) -> None:
    addresses = panel.this_device.addresses
    button = addresses.stops[0]
    assert isinstance(button, CopyButton)
    button.click()
    assert QGuiApplication.clipboard().text() == "192.168.1.20:4242"
    assert button.text() == "Copied"
    button._timer.timeout.emit()
    assert button.text() == "Copy"
    service.listening = ""
    panel.refresh()
    assert addresses.stops == []
    assert "Other devices cannot reach it" in words(panel.this_device)


def test_keys_are_not_wanted_by_chance(panel: SyncPanel) -> None:
    assert panel.focusWidget() is panel
