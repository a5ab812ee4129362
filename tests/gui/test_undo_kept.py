"""What was typed can be taken back after another note was open, and after the program ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtTest import QTest

from tests.gui.syncing import Test
from tests.gui.windows import a_window, keys, opened, until, write
from ui.mainwindow import MainWindow

Run = Callable[[Test], None]


def typed(window: MainWindow, *words: str) -> None:
    """Type at the end of the open note, each word a step."""
    binding = window.pane.editor.binding
    assert binding is not None
    keys(window.pane.editor, "Ctrl+End")
    for word in words:
        QTest.keyClicks(window.pane.editor, word)
        binding.end_group()


def way_back(window: MainWindow) -> list[str]:
    """The texts that undoing leads through."""
    texts = []
    while window.actions_.undo.isEnabled():
        window.undo()
        texts.append(window.pane.editor.toPlainText())
    return texts


def test_after_another_note_was_open(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two = await write(window, "one", "two")
            await opened(window, one)
            typed(window, " more", " yet")
            window.undo()
            await opened(window, two)
            typed(window, "!")
            await opened(window, one)
            await window.tasks.settle()
            assert window.actions_.redo.isEnabled()
            window.redo()
            assert way_back(window) == ["one more", "one"]

    on_qt(test)


def test_after_the_program_ended(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            typed(window, " more", " yet")
        async with a_window(tmp_path) as window:
            await opened(window, oid)
            assert way_back(window) == ["one more", "one"]
            await until(lambda: window.service.notes.rows[oid].title != "one more yet")

    on_qt(test)
