"""The banner over everything: what keeps this device from syncing, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from liblim.errors import IdentityLocked
from tests.gui.syncing import FakeService, Test, on_qt, press, turn
from ui.identity_banner import IdentityBanner
from ui.tasks import Tasks

__all__ = ["on_qt"]


def _fail(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def banner(qtbot: QtBot, service: FakeService) -> IdentityBanner:
    made = IdentityBanner(service.real, Tasks(_fail))
    qtbot.addWidget(made)
    return made


def show(banner: IdentityBanner, service: FakeService, **facts: Any) -> None:
    service.facts = facts
    banner.show_status(service.status())


LOCKED = "The keyring is locked."


@pytest.mark.parametrize(
    ("facts", "text", "offers"),
    [
        ({}, "", []),
        ({"locked": LOCKED}, LOCKED, ["Unlock", "Make a new key…"]),
        ({"elsewhere": True}, "came from another computer", ["They moved here", "They are a copy"]),
        ({"removed_by": "Laptop"}, "Laptop removed this device", ["Pair again…"]),
        ({"outside": True}, "This device has a new key", ["Pair…"]),
        ({"locked": LOCKED, "removed_by": "Laptop"}, LOCKED, ["Unlock", "Make a new key…"]),
        (
            {"locked": LOCKED, "elsewhere": True},
            "came from",
            ["They moved here", "They are a copy"],
        ),
    ],
)
def test_it_says_what_is_the_matter_and_what_can_be_done(
    facts: dict[str, Any],
    text: str,
    offers: list[str],
    banner: IdentityBanner,
    service: FakeService,
) -> None:
    show(banner, service, **facts)
    assert text in banner.text
    assert banner.isHidden() != bool(text)
    assert [button.text() for button in banner.buttons] == offers
    assert bool(banner.more) == bool(text)
    assert banner.accessibleName().startswith(banner.text)


def test_unlocking(
    banner: IdentityBanner, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    async def unlock() -> None:
        show(banner, service, locked=LOCKED)
        press(banner.buttons[0], Qt.Key.Key_Return)
        assert not banner.buttons[0].isEnabled()
        await turn()

    on_qt(unlock)
    assert service.asked == ["unlock"]
    assert banner.isHidden()


def test_unlocking_that_fails_is_told_in_place(
    banner: IdentityBanner, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    service.refusal = IdentityLocked("The keyring refused the password.")

    async def unlock() -> None:
        show(banner, service, locked=LOCKED)
        banner.buttons[0].click()
        await turn()
        banner.show_status(service.status())

    on_qt(unlock)
    assert banner.text == "The keyring refused the password."
    assert banner.buttons[0].isEnabled()
    show(banner, service, locked="Another sentence.")
    assert banner.text == "Another sentence."


def test_a_new_key_is_made_after_a_question(
    banner: IdentityBanner, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    async def renew() -> None:
        show(banner, service, locked=LOCKED)
        banner.buttons[1].click()
        assert banner.text == "Make a new key for this device?"
        banner.show_status(service.status())
        assert [button.text() for button in banner.buttons] == ["Make a new key", "Not now"]
        banner.buttons[1].click()
        assert banner.text == LOCKED
        assert service.asked == []
        banner.buttons[1].click()
        banner.buttons[0].click()
        await turn()

    on_qt(renew)
    assert service.asked == ["renew"]
    assert banner.isHidden()


def test_nothing_is_asked_any_more_once_it_is_unlocked(
    banner: IdentityBanner, service: FakeService
) -> None:
    show(banner, service, locked=LOCKED)
    banner.buttons[1].click()
    show(banner, service)
    assert banner.isHidden()
    show(banner, service, locked=LOCKED)
    assert banner.text == LOCKED


@pytest.mark.parametrize(("at", "asked"), [(0, "moved True"), (1, "moved False")])
def test_a_folder_from_elsewhere_is_asked_about(
    at: int,
    asked: str,
    banner: IdentityBanner,
    service: FakeService,
    on_qt: Callable[[Test], None],
) -> None:
    async def answer() -> None:
        show(banner, service, elsewhere=True)
        banner.buttons[at].click()
        await turn()

    on_qt(answer)
    assert service.asked == [asked]
    assert banner.isHidden()


def test_pairing_again(qtbot: QtBot, banner: IdentityBanner, service: FakeService) -> None:
    show(banner, service, removed_by="<b>Laptop</b>")
    assert banner.first.textFormat() == Qt.TextFormat.PlainText
    with qtbot.waitSignal(banner.pair_wanted):
        banner.buttons[0].click()
