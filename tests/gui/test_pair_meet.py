"""Pairing, once the devices meet: comparing, accepting, the first sync; and all pages for everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.pairing import Phase
from tests.gui.pairing import NEAR, at, buttons, dialog, enter, service, to_enter
from tests.gui.syncing import DESK_WORDS, LAPTOP_WORDS, FakeService, device, press
from ui.pair_dialog import PairDialog

__all__ = ["dialog", "service"]


# ---- both accept


def test_names_and_words_are_compared(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.meet()
    dialog.refresh()
    page = dialog.confirm
    assert at(dialog) is page
    assert page.title.text() == "Pair with Laptop?"
    assert "must show these names and words" in page.text.text()
    assert page.ours.accessibleName() == f"This device: Desk: {DESK_WORDS}"
    assert page.theirs.accessibleName() == f"The other device: Laptop: {LAPTOP_WORDS}"
    assert (page.ours.words, page.theirs.words) == (DESK_WORDS, LAPTOP_WORDS)
    assert page.outcome.text().startswith("Laptop gets the notes of this device.")
    assert not page.question.isVisible()
    assert buttons(dialog) == ["Refuse", "Accept"]


def test_a_server_gets_no_keys_and_its_words_are_printed_there(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.meet(peer_name="Cellar", server=True)
    dialog.refresh()
    page = dialog.confirm
    assert page.title.text() == "Pair with Cellar?"
    assert "“limserver invite” prints its words there" in page.text.text()
    assert "It cannot read them" in page.outcome.text()
    assert not page.question.isVisible()
    assert buttons(dialog) == ["Refuse", "Accept"]
    service.pairing.meet(Phase.JOINING, peer_name="Cellar", server=True)
    dialog.refresh()
    assert "It gets no keys" in dialog.busy.text.text()


def test_nobody_accepts_by_chance(dialog: PairDialog, service: FakeService) -> None:
    to_enter(dialog)
    enter(dialog, "192.168.1.20:4242", "12345678")
    service.pairing.meet()
    dialog.refresh()
    assert dialog.focusWidget() is dialog.confirm.title
    press(dialog.confirm.title, Qt.Key.Key_Return)
    press(dialog.confirm.title, Qt.Key.Key_Space)
    assert service.asked[1:] == []
    dialog.accept_button.setFocus()
    press(dialog.accept_button, Qt.Key.Key_Return)
    assert service.asked[1:] == ["accept add-mine"]


def test_the_words_stay_while_the_other_one_compares(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.meet()
    dialog.refresh()
    dialog.accept_button.click()
    assert at(dialog) is dialog.confirm
    assert dialog.confirm.theirs.isVisible()
    assert dialog.confirm.wait_words.text() == "Accepted here. Now accept on Laptop as well."
    assert dialog.confirm.bar.isVisible()
    assert buttons(dialog) == ["Cancel"]


@pytest.mark.parametrize(("apart", "answer"), [(False, "add-mine"), (True, "keep-apart")])
def test_who_joins_with_notes_is_asked(
    apart: bool, answer: str, dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.meet(we_join=True, asks=True)
    dialog.refresh()
    page = dialog.confirm
    assert page.outcome.text().startswith("This device gets the notes of Laptop.")
    assert page.question.isVisible()
    assert page.add_mine.isChecked()
    assert "Laptop" in page.add_mine.accessibleDescription()
    assert "Open other library" in page.keep_apart.accessibleDescription()
    if apart:
        page.keep_apart.setFocus()
        press(page.keep_apart, Qt.Key.Key_Space)
    dialog.accept_button.click()
    assert service.asked == [f"accept {answer}"]
    assert not page.question.isEnabled()


def test_the_answer_is_kept_while_things_change(dialog: PairDialog, service: FakeService) -> None:
    service.pairing.meet(we_join=True, asks=True)
    dialog.refresh()
    dialog.confirm.keep_apart.click()
    dialog.refresh()
    assert dialog.confirm.keep_apart.isChecked()


@pytest.mark.parametrize("key", [True, False])
def test_refusing(key: bool, dialog: PairDialog, service: FakeService) -> None:
    service.pairing.meet()
    dialog.refresh()
    if key:
        press(dialog, Qt.Key.Key_Escape)
    else:
        dialog.reject_button.click()
    assert service.asked == ["refuse"]
    assert not dialog.isVisible()


def test_who_accepted_gives_up_instead_of_refusing(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.meet()
    dialog.refresh()
    dialog.accept_button.click()
    service.pairing.meet()  # the answer is on its way
    press(dialog, Qt.Key.Key_Escape)
    assert service.asked == ["accept add-mine", "cancel"]


def test_names_from_others_are_plain_text_and_do_not_burst_it(
    dialog: PairDialog, service: FakeService
) -> None:
    service.pairing.meet(peer_name="<b>W</b>\n" + "W" * 64)
    dialog.refresh()
    page = dialog.confirm
    assert page.title.text().startswith("Pair with <b>W</b> WWW")
    assert page.title.textFormat() == page.theirs.name.textFormat() == Qt.TextFormat.PlainText
    assert page.width() <= dialog.width()
    height = page.theirs.height()
    service.pairing.meet()
    dialog.refresh()
    assert page.theirs.height() == height


# ---- done


def test_the_first_sync_is_counted(dialog: PairDialog, service: FakeService) -> None:
    service.devices = (device(identical=False),)
    service.pairing.meet(Phase.JOINING, we_join=True)
    dialog.refresh()
    assert at(dialog) is dialog.busy
    assert dialog.busy.title.text() == "Pairing with Laptop…"
    service.pairing.meet(Phase.PAIRED, we_join=True)
    dialog.refresh()
    page = dialog.paired
    assert at(dialog) is page
    assert page.title.text() == "Paired with Laptop"
    assert page.progress.maximum() == 0  # how many is not known yet
    assert page.counted.text() == ""
    service.pairing.meet(Phase.PAIRED, we_join=True, done=1234, total=5678)
    dialog.refresh()
    assert page.counted.text() == "1,234 of 5,678 changes"
    assert page.answer.text == "The notes of Laptop are coming."
    assert "goes on" in page.answer.more
    assert buttons(dialog) == ["Done"]


def test_only_what_is_proven_is_called_the_same(dialog: PairDialog, service: FakeService) -> None:
    service.devices = (device(identical=False),)
    service.pairing.meet(Phase.PAIRED, we_join=True, done=5678, total=5678)
    dialog.refresh()
    assert dialog.paired.answer.text == "The two bring each other up to date now."
    service.facts["adding"] = "Adding your notes: 3 of 12"
    dialog.refresh()
    assert dialog.paired.answer.text == "Adding your notes: 3 of 12"
    service.devices, service.facts["adding"] = (device(),), ""
    dialog.refresh()
    assert dialog.paired.answer.text == "Both devices hold the same notes now."
    assert not dialog.paired.progress.isVisible()
    assert dialog.accept_button.isDefault()
    press(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert service.asked == ["cancel"]  # what was shown is forgotten, and nothing else


# ---- giving up


@pytest.mark.parametrize(
    "phase", [Phase.SHOWING, Phase.CONNECTING, Phase.CHECKING, Phase.WAITING, Phase.JOINING]
)
def test_esc_gives_up(phase: Phase, dialog: PairDialog, service: FakeService) -> None:
    service.pairing.turn(phase)
    dialog.refresh()
    press(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert service.asked == ["cancel"]


def test_nothing_is_given_up_where_nothing_goes_on(
    dialog: PairDialog, service: FakeService
) -> None:
    press(dialog, Qt.Key.Key_Escape)
    assert service.asked == []


@pytest.mark.parametrize("phase", [Phase.PAIRED, Phase.FAILED])
def test_what_came_of_the_last_time_is_not_told_again(
    phase: Phase, qtbot: QtBot, service: FakeService
) -> None:
    service.pairing.meet(phase, error="It failed.")
    dialog = PairDialog(service.real)
    qtbot.addWidget(dialog)
    dialog.open()
    assert at(dialog) is dialog.choice


def test_what_goes_on_already_is_shown(qtbot: QtBot, service: FakeService) -> None:
    service.pairing.show_code()  # by the command line
    dialog = PairDialog(service.real)
    qtbot.addWidget(dialog)
    dialog.open()
    assert at(dialog) is dialog.code


# ---- for everybody


def reach_of(dialog: PairDialog) -> list[QWidget]:
    """What the Tab key stops at, once around."""
    start = dialog.focusWidget()
    seen = [start]
    while True:
        press(seen[-1], Qt.Key.Key_Tab)
        now = dialog.focusWidget()
        if now in seen:
            return seen
        seen.append(now)


def test_everything_is_reached_by_keyboard(dialog: PairDialog, service: FakeService) -> None:
    assert {dialog.choice.show_choice, dialog.choice.enter_choice, dialog.reject_button} <= set(
        reach_of(dialog)
    )
    service.pairing.nearby = NEAR
    to_enter(dialog)
    page = dialog.enter
    wanted = {page.nearby, page.address_field, page.code_field, dialog.accept_button}
    assert wanted <= set(reach_of(dialog))
    service.pairing.show_code()
    dialog.refresh()
    assert {*dialog.code.addresses.stops, dialog.back_button} <= set(reach_of(dialog))
    service.pairing.meet(we_join=True, asks=True)
    dialog.refresh()
    found = set(reach_of(dialog))
    assert {dialog.confirm.add_mine, dialog.accept_button, dialog.reject_button} <= found


PAGES: list[Callable[[FakeService], None]] = [
    lambda service: service.pairing.turn(Phase.IDLE),
    lambda service: service.pairing.show_code(),
    lambda service: service.pairing.turn(Phase.CONNECTING),
    lambda service: service.pairing.meet(we_join=True, asks=True),
    lambda service: service.pairing.meet(Phase.WAITING),
    lambda service: service.pairing.meet(Phase.PAIRED, we_join=True, done=1, total=2),
    lambda service: service.pairing.turn(Phase.FAILED, error="No."),
]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_reads_itself_out(
    page: Callable[[FakeService], None], dialog: PairDialog, service: FakeService
) -> None:
    page(service)
    dialog.refresh()
    for widget in dialog.findChildren(QWidget):
        if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            interface = QAccessible.queryAccessibleInterface(widget)
            assert interface.text(QAccessible.Text.Name), widget
    assert QApplication.focusWidget() is not None
