"""Two services, paired by two dialogs; windows that go along; one device removes the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.service import Service
from tests.gui.syncing import Test, press
from tests.gui.windows import opened, titles, until, write
from ui.mainwindow import MainWindow
from ui.pair_dialog import PairDialog

Run = Callable[[Test], None]


@asynccontextmanager
async def running(folder: Path, name: str) -> AsyncIterator[Service]:
    """A service on some free port of this computer, until the end of the block."""
    service = Service(folder / name, listen="127.0.0.1:4242", discovery=False)
    await service.start()
    try:
        await service.online()
        await service.rename(name)
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def window_on(service: Service) -> AsyncIterator[MainWindow]:
    """A window on a running service."""
    window = MainWindow(service)
    window.show()
    window.begin()
    try:
        yield window
        await window.finish()
    finally:
        window.shut()
        await window.tasks.settle()
        drop(window)


@asynccontextmanager
async def dialog_on(service: Service) -> AsyncIterator[PairDialog]:
    """A pairing dialog that hears of what happens as in a window."""
    dialog = PairDialog(service)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    end = service.subscribe(dialog.refresh)
    dialog.open()
    try:
        yield dialog
    finally:
        end()
        dialog.reject()
        drop(dialog)


def drop(widget: QWidget) -> None:
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(widget, QEvent.Type.DeferredDelete)


def show_code(dialog: PairDialog) -> str:
    """Let a dialog show a code; gives it."""
    press(dialog.choice.show_choice, Qt.Key.Key_Return)
    assert dialog.page is dialog.code
    return dialog.code.code.text()


def enter(dialog: PairDialog, address: str, code: str) -> None:
    """Enter address and code in a dialog."""
    press(dialog.choice.enter_choice, Qt.Key.Key_Return)
    QTest.keyClicks(dialog.enter.address_field, address)
    QTest.keyClicks(dialog.enter.code_field, code)
    press(dialog.enter.code_field, Qt.Key.Key_Return)


async def meet(shows: PairDialog, enters: PairDialog, address: str) -> None:
    """Bring both to the page where people compare names and words."""
    enter(enters, address, show_code(shows))
    await until(lambda: shows.page is shows.confirm and enters.page is enters.confirm)
    assert shows.confirm.ours.words == enters.confirm.theirs.words
    assert shows.confirm.theirs.words == enters.confirm.ours.words
    assert len(shows.confirm.ours.words.split()) == 4


def same(*dialogs: PairDialog) -> bool:
    """Whether each says that both hold the same."""
    return all("same notes" in dialog.paired.answer.text for dialog in dialogs)


async def pair(shows: Service, enters: Service) -> None:
    """Pair two services to the end."""
    async with dialog_on(shows) as one, dialog_on(enters) as other:
        await meet(one, other, str(shows.status().listening))
        one.accept_button.click()
        other.accept_button.click()
        await until(lambda: same(one, other))


def test_two_devices_pair_and_one_removes_the_other(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            desk = await stack.enter_async_context(running(tmp_path, "Desk"))
            laptop = await stack.enter_async_context(running(tmp_path, "Laptop"))
            note = await desk.notes.create()
            note.body.insert(0, "Milk")
            await desk.notes.close(note)
            await pair(desk, laptop)
            window = await stack.enter_async_context(window_on(desk))
            other = await stack.enter_async_context(window_on(laptop))
            assert titles(other) == ["Milk"]
            panel = window.panel
            window.toggle_panel()
            card = panel.card(laptop.status().device)
            await until(lambda: card.accessibleName() == "Laptop: Up to date")
            assert card.words.text() == laptop.status().words
            assert panel.this_device.words.text() == desk.status().words
            card.name.field.setText("Mother")
            card.name.field.setModified(True)
            press(card.name.field, Qt.Key.Key_Return)
            await until(lambda: laptop.name == "Mother")
            card.confirm_button.click()
            await until(lambda: not desk.status().devices)
            await until(other.banner.isVisible)
            assert other.banner.text == "Desk removed this device from the shared notes."
            assert titles(other) == ["Milk"]
            await pair_again(other, desk)
            await until(other.banner.isHidden)

    on_qt(test)


async def pair_again(window: MainWindow, desk: Service) -> None:
    """Pair a removed device by the button of its banner; it comes back with a new key."""
    before = window.service.status().words
    window.banner.buttons[0].click()
    enters = window.pair_dialog
    assert enters is not None
    window.toggle_panel()
    async with dialog_on(desk) as shows:
        await meet(shows, enters, desk.status().listening)
        assert enters.confirm.ours.words != before
        shows.accept_button.click()
        enters.accept_button.click()
        await until(lambda: same(shows, enters))
    enters.accept_button.click()
    assert titles(window) == ["Milk"]


@pytest.mark.parametrize("apart", [False, True])
def test_a_window_with_notes_joins(apart: bool, on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            desk = await stack.enter_async_context(running(tmp_path, "Desk"))
            laptop = await stack.enter_async_context(running(tmp_path, "Laptop"))
            tablet = await stack.enter_async_context(running(tmp_path, "Tablet"))
            note = await desk.notes.create()
            note.body.insert(0, "Theirs")
            await desk.notes.close(note)
            await pair(desk, tablet)
            window = await stack.enter_async_context(window_on(laptop))
            (mine,) = await write(window, "Mine")
            await opened(window, mine)
            window.pane.focus_editor()
            QTest.keyClicks(window.pane.editor, "All ")
            await join(window, desk, apart=apart)
            there = {row.title for row in laptop.notes.rows.values()}
            assert there == ({"Theirs"} if apart else {"Theirs", "All Mine"})
            await until(lambda: sorted(titles(window)) == sorted(there))
            menu = window.actions_.other_libraries
            menu.fill()
            assert menu.menuAction().isVisible()

    on_qt(test)


async def join(window: MainWindow, desk: Service, *, apart: bool) -> None:
    """Let a window's service join, and say what becomes of its notes."""
    laptop = window.service
    window.pair()
    enters = window.pair_dialog
    assert enters is not None
    async with dialog_on(desk) as shows:
        await meet(shows, enters, desk.status().listening)
        assert enters.confirm.question.isVisible()
        assert not shows.confirm.question.isVisible()
        if apart:
            enters.confirm.keep_apart.click()
        enters.accept_button.click()
        shows.accept_button.click()
        await until(lambda: enters.page is enters.paired)
        wanted = 1 if apart else 2
        await until(lambda: len(laptop.notes.rows) == wanted and same(shows, enters))
    enters.accept_button.click()
    await until(lambda: window.pair_dialog is None)


def test_a_wrong_code_and_another_try(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            desk = await stack.enter_async_context(running(tmp_path, "Desk"))
            laptop = await stack.enter_async_context(running(tmp_path, "Laptop"))
            shows = await stack.enter_async_context(dialog_on(desk))
            enters = await stack.enter_async_context(dialog_on(laptop))
            code = show_code(shows)
            wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
            enter(enters, desk.status().listening, wrong)
            await until(lambda: enters.page is enters.failed)
            assert enters.failed.answer.text
            assert enters.failed.answer.more
            await until(shows.code.wrong.isVisible)
            enters.accept_button.click()
            QTest.keyClicks(enters.enter.code_field, code)
            press(enters.enter.code_field, Qt.Key.Key_Return)
            await until(lambda: enters.page is enters.confirm and shows.page is shows.confirm)
            shows.reject_button.click()
            await until(lambda: enters.page is enters.failed)
            assert "refus" in enters.failed.answer.text.lower()
            assert not desk.status().devices
            assert not laptop.status().devices

    on_qt(test)
