"""What the tests of the pairing dialog share: the dialog on a service that only plays pairing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.pairing import Nearby
from tests.gui.syncing import LAPTOP, TABLET, FakeService, press
from ui.pair_dialog import PairDialog
from ui.pair_parts import Page

NEAR = [
    Nearby("Laptop", LAPTOP, "192.168.1.31:4242", True),
    Nearby("Tablet", TABLET, "192.168.1.40:4242", False),
]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def dialog(qtbot: QtBot, service: FakeService) -> Iterator[PairDialog]:
    made = PairDialog(service.real)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    made.open()
    qtbot.waitExposed(made)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def at(dialog: PairDialog) -> Page:
    """The page that is shown."""
    return dialog.page


def to_enter(dialog: PairDialog) -> None:
    """Choose to enter the code of the other device."""
    press(dialog.choice.enter_choice, Qt.Key.Key_Return)


def enter(dialog: PairDialog, address: str, code: str) -> None:
    """Type an address and a code, and press Enter."""
    for field, text in ((dialog.enter.address_field, address), (dialog.enter.code_field, code)):
        field.selectAll()
        QTest.keyClicks(field, text)
    press(dialog.enter.code_field, Qt.Key.Key_Return)


def buttons(dialog: PairDialog) -> list[str]:
    """The words of the buttons below the page."""
    row = (dialog.back_button, dialog.reject_button, dialog.accept_button)
    return [button.text() for button in row if button.isVisible()]
