"""Pairing, until the devices meet: the choice, showing a code, entering one, giving up."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.pairing import Phase
from app.status import OwnAddress
from liblim.errors import LimError
from tests.gui.pairing import NEAR, at, buttons, dialog, enter, service, to_enter
from tests.gui.syncing import ADDRESSES, FakeService, press
from ui.pair_dialog import PairDialog

__all__ = ["dialog", "service"]


# ---- the choice


def test_it_begins_with_two_large_choices(dialog: PairDialog) -> None:
    assert at(dialog) is dialog.choice
    assert dialog.focusWidget() is dialog.choice.show_choice
    assert dialog.choice.show_choice.accessibleName() == "Show a code on this device"
    assert dialog.choice.enter_choice.accessibleName() == "Enter the code of the other device"
    assert dialog.choice.enter_choice.accessibleDescription() == "Let the other one show it first."
    assert buttons(dialog) == ["Cancel"]


def test_a_device_nearby_that_shows_a_code_is_named(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.nearby = NEAR
    dialog.refresh()
    assert dialog.choice.enter_choice.explanation == "Laptop is near, and shows one now."


def test_where_nobody_can_come_in_there_is_one_way(
    qtbot: QtBot, dialog: PairDialog, service: FakeService
) -> None:
    service.listening = ""
    other = PairDialog(service.real)
    qtbot.addWidget(other)
    other.open()
    assert not other.choice.show_choice.isEnabled()
    assert "cannot reach this one" in other.choice.show_choice.explanation
    assert other.focusWidget() is other.choice.enter_choice


# ---- showing a code


def test_the_code_its_time_and_the_addresses_are_shown(
    dialog: PairDialog, service: FakeService
) -> None:
    press(dialog.choice.show_choice, Qt.Key.Key_Return)
    assert service.asked == ["show"]
    page = dialog.code
    assert at(dialog) is page
    assert page.code.text() == "4071 8826"
    assert page.code.accessibleName() == "Code: 4 0 7 1, 8 8 2 6"
    assert page.time_left.words.text() in ("3:00 left", "2:59 left")
    assert page.time_left.bar.value() > 980
    assert page.addresses.texts == [(own.label, own.address) for own in ADDRESSES]
    assert not page.wrong.isVisible()
    assert "“Desk”" in page.near.text()
    assert buttons(dialog) == ["Back", "Cancel"]


def test_the_time_runs_out_to_be_seen(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.show_code(left=18)
    dialog.refresh()
    assert dialog.code.time_left.words.text() == "0:18 left"
    assert 90 < dialog.code.time_left.bar.value() <= 100
    assert dialog.code.time_left.bar.property("role") == "wait"


def test_each_address_can_be_copied(qtbot: QtBot, dialog: PairDialog, service: FakeService) -> None:
    service.pairing.show_code()
    dialog.refresh()
    copy = [button for button in dialog.code.addresses.stops if isinstance(button, QPushButton)]
    copy[1].click()
    assert QGuiApplication.clipboard().text() == "100.64.0.3:4242"
    assert copy[1].text() == "Copied"
    assert copy[1].accessibleName() == "Copy the address 100.64.0.3:4242"
    height = dialog.height()
    service.pairing.show_code(addresses=(OwnAddress("10.0.0.7:4242", "LAN"),))
    dialog.refresh()
    assert dialog.code.addresses.texts == [("LAN", "10.0.0.7:4242")]
    qtbot.waitUntil(lambda: dialog.height() < height)


def test_a_wrong_code_is_told_where_the_code_is_shown(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.show_code(tries=2)
    dialog.refresh()
    assert dialog.code.wrong.text.startswith("A wrong code was entered.")
    assert dialog.code.wrong.more == "After 2 more wrong ones this code ends."
    service.pairing.show_code(tries=1)
    dialog.refresh()
    assert dialog.code.wrong.more == "After another wrong one this code ends."


def test_the_code_stays_in_sight_while_one_is_checked(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.turn(Phase.CHECKING, code="4071 8826", until=1e12, tries=3)
    dialog.refresh()
    assert at(dialog) is dialog.code


def test_back_to_the_choice(dialog: PairDialog, service: FakeService) -> None:
    press(dialog.choice.show_choice, Qt.Key.Key_Space)
    dialog.back_button.click()
    assert service.asked == ["show", "cancel"]
    assert at(dialog) is dialog.choice
    to_enter(dialog)
    dialog.back_button.click()
    assert at(dialog) is dialog.choice


def test_a_code_that_ran_out_is_replaced_by_a_new_one(
    dialog: PairDialog, service: FakeService
) -> None:
    press(dialog.choice.show_choice, Qt.Key.Key_Return)
    service.pairing.turn(Phase.FAILED, error="The code ran out.", mend="Show a new one.")
    dialog.refresh()
    assert at(dialog) is dialog.failed
    assert (dialog.failed.answer.text, dialog.failed.answer.more) == (
        "The code ran out.",
        "Show a new one.",
    )
    assert buttons(dialog) == ["Close", "Show a new code"]
    press(dialog, Qt.Key.Key_Return)
    assert service.asked == ["show", "show"]
    assert at(dialog) is dialog.code


def test_a_code_that_cannot_be_shown(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.refusal = LimError("This device is not on the network.")
    press(dialog.choice.show_choice, Qt.Key.Key_Return)
    assert at(dialog) is dialog.failed
    assert dialog.failed.answer.text == "This device is not on the network."
    service.pairing.refusal = None
    dialog.accept_button.click()
    assert at(dialog) is dialog.code


# ---- entering one


def test_address_and_code_are_typed(dialog: PairDialog, service: FakeService) -> None:
    to_enter(dialog)
    assert at(dialog) is dialog.enter
    assert dialog.focusWidget() is dialog.enter.address_field
    assert not dialog.enter.nearby.isVisible()
    assert buttons(dialog) == ["Back", "Cancel", "Connect"]
    enter(dialog, "192.168.1.20:4242", "40718826")
    assert service.asked == ["dial 192.168.1.20:4242 4071 8826"]
    assert at(dialog) is dialog.busy
    assert dialog.busy.title.text() == "Connecting to the other device…"
    assert buttons(dialog) == ["Cancel"]


def test_a_device_nearby_brings_its_address(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.nearby = NEAR
    to_enter(dialog)
    page = dialog.enter
    assert page.nearby.isVisible()
    assert page.address_field.text() == "192.168.1.31:4242"  # the only one that shows a code
    assert dialog.focusWidget() is page.code_field
    page.nearby.setFocus()
    press(page.nearby, Qt.Key.Key_Down)
    assert page.address_field.text() == "192.168.1.40:4242"
    assert dialog.focusWidget() is page.nearby
    press(page.nearby, Qt.Key.Key_Return)
    assert dialog.focusWidget() is page.code_field
    assert service.asked == []
    QTest.keyClicks(page.code_field, "12345678")
    press(page.code_field, Qt.Key.Key_Return)
    assert service.asked == ["dial 192.168.1.40:4242 1234 5678"]


def test_a_click_on_a_device_leads_to_the_code(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.nearby = NEAR[1:]
    to_enter(dialog)
    page = dialog.enter
    assert dialog.focusWidget() is page.nearby
    assert page.address_field.text() == ""  # focus alone chooses nothing
    where = page.nearby.visualItemRect(page.nearby.item(0)).center()
    QTest.mouseClick(page.nearby.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert page.address_field.text() == "192.168.1.40:4242"
    assert dialog.focusWidget() is page.code_field


def test_another_address_leaves_the_device_behind(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.nearby = NEAR
    to_enter(dialog)
    QTest.keyClicks(dialog.enter.address_field, "0")
    assert dialog.enter.nearby.currentRow() == -1
    dialog.enter.nearby.setFocus()
    assert dialog.enter.address_field.text() == "192.168.1.31:42420"


def test_devices_come_and_go_while_one_is_chosen(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.nearby = NEAR[1:]
    to_enter(dialog)
    page = dialog.enter
    press(page.nearby, Qt.Key.Key_Down)
    service.pairing.nearby = NEAR
    dialog.refresh()
    assert page.nearby.currentRow() == 1
    assert page.address_field.text() == "192.168.1.40:4242"
    assert page.nearby.item(0).data(Qt.ItemDataRole.AccessibleTextRole) == (
        "Laptop, shows a code now"
    )
    service.pairing.nearby = []
    dialog.refresh()
    assert not page.nearby.isVisible()
    assert page.address_field.text() == "192.168.1.40:4242"


@pytest.mark.parametrize(
    ("address", "code", "sentence", "field"),
    [
        ("", "12345678", "such as 192.168.1.20:4242", "address_field"),
        ("192.168.1.20:4242", "1234", "The code has 8 digits.", "code_field"),
    ],
)
def test_what_is_missing_is_told_beside_it(
    address: str, code: str, sentence: str, field: str, dialog: PairDialog, service: FakeService
) -> None:
    to_enter(dialog)
    enter(dialog, address, code)
    page = dialog.enter
    assert service.asked == []
    assert sentence in page.answer.text
    bad = getattr(page, field)
    assert dialog.focusWidget() is bad
    assert bad.property("role") == "bad"
    height = dialog.height()
    QTest.keyClicks(page.code_field, "1")
    assert not page.answer.isVisible()
    assert dialog.height() <= height


def test_an_address_that_is_none(dialog: PairDialog, service: FakeService) -> None:
    to_enter(dialog)
    service.pairing.refusal = LimError("“nowhere” is no address.")
    enter(dialog, "nowhere", "12345678")
    assert at(dialog) is dialog.enter
    assert dialog.enter.answer.text == "“nowhere” is no address."
    assert dialog.focusWidget() is dialog.enter.address_field


def test_a_failure_is_told_and_can_be_tried_again(dialog: PairDialog, service: FakeService) -> None:
    to_enter(dialog)
    enter(dialog, "192.168.1.20:4242", "11112222")
    service.pairing.turn(Phase.FAILED, error="The code was wrong.", mend="Compare the digits.")
    dialog.refresh()
    assert at(dialog) is dialog.failed
    assert dialog.failed.title.accessibleDescription() == "The code was wrong. Compare the digits."
    assert buttons(dialog) == ["Close", "Try again"]
    dialog.accept_button.click()
    assert at(dialog) is dialog.enter
    assert dialog.enter.address_field.text() == "192.168.1.20:4242"
    assert dialog.enter.code_field.text() == ""
    assert dialog.focusWidget() is dialog.enter.code_field
