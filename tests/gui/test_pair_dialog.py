"""Pairing by address: at rest, busy, failed, done, given up; and for real, with two services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.service import Service
from liblim.errors import LimError
from tests.gui.syncing import FakeService, Test, on_qt, press, turn
from ui.pair_dialog import PairDialog
from ui.sync_panel import SyncPanel
from ui.tasks import Tasks

__all__ = ["on_qt"]


def _fail(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def dialog(qtbot: QtBot, service: FakeService) -> Iterator[PairDialog]:
    made = PairDialog(service.real, Tasks(_fail))
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    made.open()
    qtbot.waitExposed(made)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def enter(dialog: PairDialog, address: str) -> None:
    """Type an address and press Enter."""
    dialog.address_field.selectAll()
    QTest.keyClicks(dialog.address_field, address)
    press(dialog.address_field, Qt.Key.Key_Return)


def test_it_begins_with_the_field_and_shows_the_other_way(dialog: PairDialog) -> None:
    assert dialog.focusWidget() is dialog.address_field
    assert not dialog.progress.isVisible()
    assert not dialog.answer.isVisible()
    dialog.copy_button.click()
    assert QGuiApplication.clipboard().text() == "127.0.0.1:4242"


def test_where_nobody_listens_no_other_way_is_shown(
    dialog: PairDialog, service: FakeService
) -> None:
    service.listening = ""
    dialog.show_status(service.status())
    assert not dialog.copy_button.isVisible()


def test_pairing(dialog: PairDialog, service: FakeService, on_qt: Callable[[Test], None]) -> None:
    async def pair() -> None:
        enter(dialog, "127.0.0.1:4243")
        await turn()
        assert dialog.progress.isVisible()
        assert not dialog.address_field.isEnabled()
        assert not dialog.pair_button.isEnabled()
        assert dialog.focusWidget() is dialog.close_button
        assert service.answer is not None
        service.answer.set_result("Paired with Laptop.")
        await turn()

    on_qt(pair)
    assert service.asked == ["pair 127.0.0.1:4243"]
    assert dialog.answer.text == "Paired with Laptop."
    assert "sync status" in dialog.answer.more
    assert dialog.answer.icon.name == "check"
    assert dialog.answer.property("role") == "good"
    assert not dialog.progress.isVisible()
    assert not dialog.address_field.isVisible()
    assert dialog.close_button.text() == "Close"
    press(dialog.close_button, Qt.Key.Key_Return)
    assert not dialog.isVisible()


def test_a_failure_is_told_and_the_address_stays(
    dialog: PairDialog, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    async def pair() -> None:
        enter(dialog, "127.0.0.1:9")
        await turn()
        assert service.answer is not None
        service.answer.set_exception(LimError("Nothing listens at 127.0.0.1:9."))
        await turn()

    on_qt(pair)
    height = dialog.height()
    assert dialog.answer.text == "Nothing listens at 127.0.0.1:9."
    assert dialog.answer.icon.name == "alert"
    assert dialog.answer.property("role") == dialog.address_field.property("role") == "bad"
    assert dialog.address_field.text() == "127.0.0.1:9"
    assert dialog.focusWidget() is dialog.address_field
    assert dialog.copy_button.height() >= dialog.copy_button.sizeHint().height()
    QTest.keyClicks(dialog.address_field, "1")
    assert not dialog.answer.isVisible()
    assert dialog.height() < height


def test_a_bug_is_told_too(
    qtbot: QtBot, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    heard: list[str] = []
    dialog = PairDialog(service.real, Tasks(heard.append))
    bugs: list[object] = []

    async def pair() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: bugs.append(context["exception"])
        )
        dialog.open()
        enter(dialog, "127.0.0.1:9")
        await turn()
        assert service.answer is not None
        service.answer.set_exception(ZeroDivisionError())
        await turn()

    on_qt(pair)
    assert "went wrong" in dialog.answer.text
    assert len(heard) == len(bugs) == 1
    dialog.close()


@pytest.mark.parametrize("by_key", [False, True])
def test_giving_up(
    by_key: bool, dialog: PairDialog, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    async def pair() -> None:
        enter(dialog, "127.0.0.1:4243")
        await turn()
        if by_key:
            press(dialog, Qt.Key.Key_Escape)
        else:
            dialog.close_button.click()
        await turn()
        assert service.answer is not None
        assert service.answer.cancelled()

    on_qt(pair)
    assert not dialog.isVisible()


# ---- for real


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Service]:
    """A service on some free port, until the end of the block."""
    service = Service(folder, listen="127.0.0.1:4242")
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def until(holds: Callable[[], object], *services: Service) -> None:
    """Wait until something holds; it is looked at whenever a service tells of anything."""
    told = asyncio.Event()
    ends = [service.subscribe(told.set) for service in services]
    while not holds():
        await told.wait()
        told.clear()
    for end in ends:
        end()


def test_two_services_pair_and_the_panels_say_so(
    qapp: object, tmp_path: Path, on_qt: Callable[[Test], None]
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            desk = await stack.enter_async_context(running(tmp_path / "desk"))
            laptop = await stack.enter_async_context(running(tmp_path / "laptop"))
            await desk.rename("Desk")
            await laptop.rename("Laptop")
            await pair_and_part(desk, laptop)

    on_qt(run)


async def pair_and_part(desk: Service, laptop: Service) -> None:
    tasks = Tasks(_fail)
    panel = SyncPanel(desk, tasks)
    dialog = PairDialog(desk, tasks)
    end = desk.subscribe(panel.refresh)
    panel.show()
    dialog.open()
    assert panel.empty.isVisible()
    note = await desk.notes.create()
    note.body.insert(0, "Milk")
    await desk.notes.close(note)
    enter(dialog, laptop.status().listening)
    await until(lambda: dialog.answer.text, desk, laptop)
    assert dialog.answer.text == "Paired with Laptop."
    await until(lambda: desk.status().devices[0].identical and laptop.status().changes, desk)
    card = panel.card(laptop.status().device)
    assert card.accessibleName() == "Laptop: Up to date"
    assert card.chip.text() == f"identical, {laptop.status().digest[:8]}"
    assert card.received.text().startswith("0 changes, ")
    shown = panel.log.shown_text()
    assert "Paired with Laptop." in shown
    card.forget_button.click()
    await until(lambda: not desk.status().devices, desk)
    assert panel.empty.isVisible()
    end()
    dialog.close()
    panel.close()
    panel.deleteLater()
