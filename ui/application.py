"""The life of the window: one loop for Qt and asyncio, from the start to the last edit on disk."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import qasync
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget

from app.cli import Options
from app.service import Service
from liblim.errors import IdentityLost, LimError
from ui import icons, signals, theme
from ui.garbage import GarbageCollector
from ui.mainwindow import MainWindow


def run(options: Options) -> int:
    """Open the window and stay until it is closed; returns the exit code.

    Raises LimError where there is no screen: Qt itself would end the process.
    """
    if not has_screen():
        raise LimError("There is no screen here. To sync without a window, start with --headless.")
    application = make_application()
    collector = GarbageCollector(application)
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    with loop:
        code = int(loop.run_until_complete(_finally_alone(live(options.make_service()))))
    collector.stop()
    return code


def has_screen() -> bool:
    """Whether there is something to show a window on."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, names))


def make_application() -> QApplication:
    """The Qt application, in the look of the theme."""
    QGuiApplication.setDesktopFileName("limnotes")
    application = QApplication(sys.argv[:1])
    application.setApplicationName("limnotes")
    application.setApplicationDisplayName("Lim Notes")
    application.setQuitOnLastWindowClosed(False)
    application.setWindowIcon(icons.app_icon())
    theme.apply(application)
    return application


async def _finally_alone(main: Coroutine[Any, Any, int]) -> int:
    """Run ``main``, then end what it may have left running."""
    try:
        return await main
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def live(service: Service) -> int:
    """Start a service and show its window until that is closed; returns the exit code.

    The service goes online behind the window: cryptography and keyrings take their time.
    """
    if not await _start(service):
        return 1
    try:
        code = await _show(service)
    finally:
        try:
            await service.stop()
        except LimError as error:
            code = 1
            print(f"limnotes: {error}", file=sys.stderr)
    return code


async def _start(service: Service) -> bool:
    """Start a service; where it cannot be, say why.  Whether it is started."""
    try:
        try:
            await service.start()
        except IdentityLost as error:
            if not await wants_new_key(error):
                return False
            await service.renew()
            await service.start()
    except LimError as error:
        await tell(str(error))
        return False
    return True


async def wants_new_key(error: IdentityLost) -> bool:
    """Say that the key of this device is lost, and ask whether to make another."""
    if _unseen():
        await tell(str(error))
        return False
    box = QMessageBox(QMessageBox.Icon.Warning, "Lim Notes", "The key of this device is lost.")
    box.setWindowIcon(icons.app_icon())
    box.setInformativeText(str(error))
    quit_ = box.addButton("Quit", QMessageBox.ButtonRole.RejectRole)
    new = box.addButton("Make a new key", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(quit_)
    box.setEscapeButton(quit_)
    await _answer(box)
    return box.clickedButton() is new


async def _show(service: Service) -> int:
    window = MainWindow(service)
    closing = asyncio.Event()
    window.closing.connect(closing.set)
    signals.on_end(asyncio.get_running_loop(), closing.set, window)
    service.on_raise = window.raise_up
    window.show()
    window.begin()
    window.go_online()
    try:
        return await _until_closed(window, closing)
    finally:
        signals.ignore()
        service.on_raise = None
        await window.tasks.cancel()
        window.deleteLater()


async def _until_closed(window: MainWindow, closing: asyncio.Event) -> int:
    while True:
        await closing.wait()
        closing.clear()
        try:
            await window.finish()
            return 0
        except LimError as error:
            if await _gives_up(window, error, closing):
                window.shut()
                return 1


async def _gives_up(window: MainWindow, error: LimError, closing: asyncio.Event) -> bool:
    """Ask whether to close although the last edits cannot be saved."""
    box = QMessageBox(
        QMessageBox.Icon.Warning, "Lim Notes", "Your last edits are not saved.", parent=window
    )
    box.setInformativeText(f"{error}\n\nIf you close now, they are lost.")
    stay = box.addButton("Keep the window open", QMessageBox.ButtonRole.RejectRole)
    box.addButton("Close and lose them", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    await _answer(box)
    closing.clear()
    return box.clickedButton() is not stay


async def tell(words: str, parent: QWidget | None = None) -> None:
    """Say why the window does not open: in a box, or on standard error where nobody sees one."""
    if _unseen():
        print(f"limnotes: {words}", file=sys.stderr)
        return
    box = QMessageBox(QMessageBox.Icon.Warning, "Lim Notes", words, parent=parent)
    box.setWindowIcon(icons.app_icon())
    await _answer(box)


def _unseen() -> bool:
    """Whether nobody sees what is shown, so nobody would answer."""
    return QGuiApplication.platformName() == "offscreen"


async def _answer(box: QMessageBox) -> None:
    """Open a box without a loop of its own, and wait until it is closed."""
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    box.finished.connect(_once(closed))
    box.open()
    await closed


def _once(closed: asyncio.Future[None]) -> Callable[[int], None]:
    return lambda _: None if closed.done() else closed.set_result(None)
