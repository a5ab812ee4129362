"""From the command to the window and back: what stops it, how it ends, and what it says."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from app.service import Service
from liblim.errors import LimError, StoreError
from tests.gui.syncing import Test
from tests.gui.windows import titles, until
from ui import application
from ui.mainwindow import MainWindow

Run = Callable[[Test], None]


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A window that ends leaves signals ignored, as the program would; the tests go on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give back the handlers of signals that a window takes over."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_without_qt_there_is_everything_but_the_window(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['PySide6'] = sys.modules['qasync'] = None\n"
        "from ui import launch\n"
        f"folder = ['--data-dir', {str(tmp_path / 'data')!r}]\n"
        "assert launch.main([*folder, 'new', 'Milk']) == 0\n"
        "sys.exit(launch.main(folder))\n"
    )
    done = start("-c", program)
    assert done.returncode == 1
    assert "PySide6 and qasync" in done.stderr
    assert "--headless" in done.stderr


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = start("-m", "ui.launch", "--data-dir", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "is not a folder" in done.stderr
    assert "--data-dir" in done.stderr
    assert "Traceback" not in done.stderr


def the_window() -> MainWindow | None:
    found = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    return next((widget for widget in found if isinstance(widget, MainWindow)), None)


async def begun(service: Service) -> tuple[asyncio.Task[int], MainWindow]:
    """The life of a window on this service, and the window once it takes keys."""
    life = asyncio.get_running_loop().create_task(application.live(service))
    await until(lambda: the_window() is not None or life.done())
    window = the_window()
    assert window is not None
    await until(window.isActiveWindow)
    return life, window


def test_what_is_typed_last_is_saved(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        life, window = await begun(Service(tmp_path, offline=True))
        window.new_note()
        QTest.keyClicks(window.pane.editor, "The last words")
        await until(window.pane.editor.toPlainText)
        window.close()
        assert await life == 0
        assert the_window() is None
        again = Service(tmp_path, offline=True)
        await again.start()
        assert [row.title for row in again.notes.rows.values()] == ["The last words"]
        await again.stop()

    on_qt(test)


def test_a_second_launch_raises_the_window(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        service = Service(tmp_path, offline=True)
        life, window = await begun(service)
        window.showMinimized()
        assert service.raise_window()
        assert not window.isMinimized()
        window.close()
        await life
        assert not service.raise_window()

    on_qt(test)


def test_the_window_shows_before_the_network(on_qt: Run, tmp_path: Path) -> None:
    class Slow(Service):
        """A service whose keyring takes its time."""

        async def online(self) -> None:
            await gate.wait()
            raise LimError("Port 4242 is taken.")

    async def test() -> None:
        life, window = await begun(Slow(tmp_path, offline=True))
        assert window.sync_line.sentence == "Connecting…"
        window.new_note()
        QTest.keyClicks(window.pane.editor, "Milk")
        await until(lambda: window.pane.editor.toPlainText() == "Milk")
        gate.set()
        await until(lambda: window.notice.text == "Port 4242 is taken.")
        assert window.sync_line.sentence == "On this device only"
        window.close()
        assert await life == 0

    gate = asyncio.Event()
    on_qt(test)


HEAVY = """
import sys
from ui import application, launch

class Window(application.MainWindow):
    def tell(self, moment):
        heavy = {"cryptography", "ifaddr", "keyring", "mnemonic", "spake2", "zeroconf"}
        print(moment, *sorted(heavy & sys.modules.keys()), flush=True)

    def showEvent(self, event):
        self.tell("shown")
        super().showEvent(event)

    async def _go_online(self):
        await super()._go_online()
        self.tell("online")
        self.close()

application.MainWindow = Window
sys.exit(launch.main(sys.argv[1:]))
"""
"""The program, with a window that tells what has been imported, and closes once it is online."""


def test_keys_and_the_network_are_imported_after_the_window_shows(
    on_qt: Run, tmp_path: Path
) -> None:
    async def first_start() -> None:  # which makes the key
        service = Service(tmp_path, offline=True)
        await service.start()
        await service.stop()

    on_qt(first_start)
    where = ["--data-dir", str(tmp_path), "--listen", "127.0.0.1:4330", "--no-discovery"]
    done = start("-c", HEAVY, *where)
    assert done.returncode == 0, done.stderr
    shown, online = done.stdout.splitlines()
    assert shown == "shown"
    assert online.startswith("online cryptography ")


def test_a_window_can_be_closed_while_it_goes_online(on_qt: Run, tmp_path: Path) -> None:
    class Stuck(Service):
        """A service whose keyring asks for a password that nobody types."""

        async def online(self) -> None:
            await asyncio.Event().wait()

    async def test() -> None:
        life, window = await begun(Stuck(tmp_path, offline=True))
        window.close()
        assert await life == 0

    on_qt(test)


@pytest.mark.parametrize(("answer", "code"), [("Make a new key", 0), ("Quit", 1)])
def test_a_lost_key_is_replaced_only_if_a_person_says_so(
    answer: str, code: int, on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_unseen", lambda: False)

    async def test() -> None:
        await write_one(tmp_path)
        before = (tmp_path / "identity.pem").read_bytes()
        (tmp_path / "identity.pem").write_bytes(b"damaged")
        life = asyncio.get_running_loop().create_task(
            application.live(Service(tmp_path, offline=True))
        )
        box = await the_box()
        assert "identity.pem" in box.informativeText()
        next(button for button in box.buttons() if button.text() == answer).click()
        if code == 0:
            await until(lambda: the_window() is not None)
            window = the_window()
            assert window is not None
            await until(lambda: titles(window) == ["Milk"])
            window.close()
        assert await life == code
        now = (tmp_path / "identity.pem").read_bytes()
        assert (now == b"damaged") == (code == 1)
        assert now != before

    on_qt(test)


async def write_one(folder: Path) -> None:
    """Leave a note in a folder."""
    service = Service(folder, offline=True)
    await service.start()
    note = await service.notes.create()
    note.body.insert(0, "Milk")
    await service.notes.close(note)
    await service.stop()


async def the_box() -> QMessageBox:
    """The message box that is shown, once it is."""

    def found() -> list[QMessageBox]:
        widgets = QApplication.topLevelWidgets()
        return [each for each in widgets if isinstance(each, QMessageBox) and each.isVisible()]

    await until(found)
    return found()[0]


async def asked(window: MainWindow, answer: str) -> None:
    """Close the window, wait for the question, and press a button."""
    window.close()
    await until(lambda: window.findChildren(QMessageBox))
    (box,) = window.findChildren(QMessageBox)
    assert "The disk is full." in box.informativeText()
    next(button for button in box.buttons() if button.text() == answer).click()
    box.setParent(None)


def test_unsaved_edits_are_not_thrown_away_unasked(
    on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        service = Service(tmp_path, offline=True)
        life, window = await begun(service)
        window.new_note()
        QTest.keyClicks(window.pane.editor, "x")
        await until(window.pane.editor.toPlainText)

        async def fail(note: object) -> None:
            raise StoreError("The disk is full.")

        monkeypatch.setattr(service.notes, "close", fail)
        await asked(window, "Keep the window open")
        await asyncio.sleep(0)
        assert window.isVisible()
        assert window.pane.editor.toPlainText() == "x"
        await asked(window, "Close and lose them")
        assert await life == 1

    on_qt(test)
