"""File > Open other library, and the window going along when all notes become those of another library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest

from app.kept import KEPT, Kept
from app.service import Service
from liblim.errors import StoreError
from tests.gui.syncing import Test, turn
from tests.gui.windows import a_window, keys, opened, titles, until, write
from ui import other_library
from ui.mainwindow import MainWindow
from ui.other_library import product_name
from ui.shelves import ALL, TRASH

Run = Callable[[Test], None]


def file_menu(window: MainWindow) -> QAction:
    return window.menuBar().actions()[0]


# ---- the menu


def test_without_other_libraries_the_menu_says_nothing_of_them(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            assert not window.actions_.other_libraries.menuAction().isVisible()

    on_qt(test)


def test_each_kept_library_is_opened_by_a_process_of_its_own(
    on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def start(program: str, arguments: list[str]) -> tuple[bool, int]:
        started.append([program, *arguments])
        return len(started) == 1, 0

    monkeypatch.setattr(QProcess, "startDetached", start)
    path = tmp_path / KEPT / "2026-11-23-3f9a1c0b"

    async def test() -> None:
        async with a_window(tmp_path) as window:
            kept = [Kept(path, "Notes & more")]
            monkeypatch.setattr(window.service, "kept_libraries", lambda: kept)
            menu = window.actions_.other_libraries
            menu.fill()  # as when the File menu opens
            assert menu.menuAction().isVisible()
            (action,) = menu.actions()
            assert action.text() == "Notes && more"
            action.trigger()
            assert started == [other_library.command(path)]
            assert started[0][-2:] == ["--data-dir", str(path)]
            assert window.notice.text == ""
            action.trigger()
            assert str(path) in window.notice.text

    on_qt(test)


def test_a_packaged_program_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    monkeypatch.setattr("sys.executable", "/opt/limnotes/limnotes")
    command = other_library.command(Path("/data"))
    assert command == ["/opt/limnotes/limnotes", "--data-dir", str(Path("/data"))]


def test_a_window_on_kept_notes_says_so(on_qt: Run, tmp_path: Path) -> None:
    folder = tmp_path / KEPT / "2026-11-23-3f9a1c0b"

    async def test() -> None:
        async with a_window(folder) as window:
            assert window.windowTitle() == "Lim Notes, kept on 2026-11-23"
            (oid,) = await write(window, "Milk")
            await opened(window, oid)
            assert window.windowTitle() == "Milk — Lim Notes, kept on 2026-11-23"

    on_qt(test)
    assert product_name(tmp_path) == "Lim Notes"


# ---- the change


async def replace_notes(service: Service) -> None:
    """Let all notes become others, as joining another library does."""
    for oid in list(service.notes.rows):
        del service.notes.rows[oid]
    note = await service.notes.create()
    note.body.insert(0, "Theirs")
    await service.notes.close(note)


def test_the_window_goes_along(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            service = window.service
            one, two = await write(window, "one", "two")
            await opened(window, one)
            window.pane.focus_editor()
            QTest.keyClicks(window.pane.editor, "The ")
            window.list.view.choose(two)
            window.sidebar.choose(TRASH)
            await service.before_library_change()
            assert service.notes.rows[one].title == "The one"  # all that was typed is durable
            assert window.open_note.oid == ""
            assert not window.splitter.isEnabled()
            keys(window, "Ctrl+N")
            await turn()
            assert window.open_note.oid == ""
            await replace_notes(service)
            await service.after_library_change()
            assert window.splitter.isEnabled()
            assert window.list.shelf is ALL
            assert titles(window) == ["Theirs"]
            assert window.sidebar.count_of(ALL) == 1
            await until(lambda: window.pane.editor.toPlainText() == "Theirs")

    on_qt(test)


def test_a_change_that_does_not_come_to_pass_leaves_the_note_open(
    on_qt: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, _two = await write(window, "one", "two")
            await opened(window, one)
            await window.service.before_library_change()
            await window.service.after_library_change()
            await until(lambda: window.open_note.oid == one)

    on_qt(test)


def test_nothing_changes_while_the_open_note_cannot_be_saved(
    on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (one,) = await write(window, "one")
            await opened(window, one)

            async def fail(note: Any) -> None:
                raise StoreError("The disk is full.")

            with monkeypatch.context() as patch:
                patch.setattr(window.service.notes, "close", fail)
                with pytest.raises(StoreError):
                    await window.service.before_library_change()
            await window.service.after_library_change()
            assert window.open_note.oid == one
            assert window.splitter.isEnabled()

    on_qt(test)


def test_a_closed_window_is_left_out(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            service = window.service
            during = service.before_library_change
        assert service.before_library_change is not during
        await service.before_library_change()
        await service.after_library_change()

    on_qt(test)


@pytest.mark.parametrize("copy", [False, True])
def test_notes_from_another_computer_are_asked_about(
    copy: bool, on_qt: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "Milk")
            await opened(window, oid)
            device = window.service.status().device
        facts = json.loads((tmp_path / "identity.json").read_bytes())
        (tmp_path / "identity.json").write_text(json.dumps(facts | {"machine": "another"}))
        async with a_window(tmp_path) as window:
            await until(lambda: window.pane.editor.toPlainText() == "Milk")
            assert window.banner.isVisible()
            QTest.keyClicks(window.pane.editor, "Oat ")
            window.banner.buttons[copy].click()
            await until(lambda: "another computer" not in window.banner.text)
            assert window.banner.isVisible() is copy  # a copy has a new key, unknown to the others
            assert (window.service.status().device != device) is copy
            await until(lambda: titles(window) == ["Oat Milk"])
            await until(lambda: window.pane.editor.toPlainText() == "Oat Milk")

    on_qt(test)
