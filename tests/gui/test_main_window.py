from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QMessageBox

from liblim.errors import StoreError
from tests.gui.syncing import Test, turn
from tests.gui.windows import a_window, keys, opened, titles, until, write
from ui.mainwindow import MainWindow
from ui.shelves import ALL, TRASH

Run = Callable[[Test], None]


def text(window: MainWindow) -> str:
    return window.pane.editor.toPlainText()


def trashed(window: MainWindow, oid: str) -> bool:
    return window.service.notes.rows[oid].trashed


# ---- writing


def test_a_new_note(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            keys(window, "Ctrl+N")
            QTest.keyClicks(window.pane.editor, "Milk")  # before the note is there
            assert window.pane.editor.hasFocus()
            await until(lambda: text(window) == "Milk")
            assert window.pane.saved_text == "Saving…"
            await until(lambda: titles(window) == ["Milk"])
            await until(lambda: window.pane.saved_text == "Saved here")
            assert window.list.view.currentIndex().row() == 0
            assert window.windowTitle() == "Milk — Lim Notes"
            assert window.sidebar.count_of(ALL) == 1

    on_qt(test)


def test_a_new_note_that_stays_empty_leaves_nothing(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "One")
            keys(window, "Ctrl+N")
            await until(lambda: window.open_note.oid not in ("", oid))
            assert window.pane.saved_text == ""
            assert window.pane.changed.text() == "New note"
            await opened(window, oid)
            await window.tasks.settle()
            assert list(window.service.notes.rows) == [oid]
            assert window.service.status().changes == 1

    on_qt(test)


def test_typing_never_reaches_the_note_before(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two = await write(window, "one", "two")
            await opened(window, one)
            window.pane.focus_editor()
            window.list.view.choose(two)
            QTest.keyClicks(window.pane.editor, "x")
            await until(lambda: text(window) == "xtwo")
            await until(lambda: window.service.notes.rows[two].title == "xtwo")
            assert window.service.notes.rows[one].title == "one"

    on_qt(test)


def test_the_last_wish_wins(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            oids = await write(window, *"abcdef")
            for oid in [*oids, oids[2], oids[0], oids[2]]:
                window.list.view.choose(oid)
            await until(lambda: window.open_note.oid == oids[2])
            await window.tasks.settle()
            assert text(window) == "c"
            assert window.open_note.oid == oids[2]

    on_qt(test)


def test_the_caret_is_where_it_was(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two = await write(window, "one\n" * 20, "two")
            await opened(window, one)
            cursor = window.pane.editor.textCursor()
            cursor.setPosition(17)
            window.pane.editor.setTextCursor(cursor)
            await opened(window, two)
            await opened(window, one)
            assert window.pane.editor.textCursor().position() == 17

    on_qt(test)


def test_the_list_is_stable_while_typing(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two, three = await write(window, "one", "two", "three")
            assert titles(window) == ["three", "two", "one"]
            await opened(window, one)
            QTest.keyClicks(window.pane.editor, "The ")
            await until(lambda: titles(window) == ["three", "two", "The one"])
            await opened(window, three)
            await until(lambda: titles(window) == ["The one", "three", "two"])
            assert not window.list.settle_clock.isActive()
            assert window.list.view.currentIndex().data() == "three"
            assert two in window.service.notes.rows

    on_qt(test)


def test_a_change_from_elsewhere_moves_nothing(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two = await write(window, "one", "two")
            await opened(window, one)
            window.pane.focus_editor()
            await window.service.notes.append(two, "and more")
            await until(lambda: titles(window) == ["two", "one"])
            assert window.list.view.currentIndex().data() == "one"
            assert window.pane.editor.hasFocus()

    on_qt(test)


# ---- trash


def test_trash_and_undo(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two, three = await write(window, "one", "two", "three")
            await opened(window, two)
            window.list.view.setFocus()
            keys(window.list.view, "Del")
            await until(lambda: titles(window) == ["three", "one"])
            await until(lambda: window.open_note.oid == one)
            assert window.notice.text == "Moved “two” to the trash"
            assert (window.sidebar.count_of(ALL), window.sidebar.count_of(TRASH)) == (2, 1)
            keys(window.list.view, "Ctrl+Z")
            await until(lambda: window.open_note.oid == two)
            assert not trashed(window, two)
            assert window.notice.text == ""
            assert three in window.service.notes.rows

    on_qt(test)


def test_restore(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            keys(window, "Ctrl+Shift+D")
            await until(window.list.empty.isVisible)
            assert window.pane.empty.isVisible()
            window.notice.dismiss()
            keys(window, "Ctrl+1")
            keys(window.sidebar.list, "Down")
            await until(lambda: window.open_note.oid == oid)
            assert window.pane.banner.text == "This note is in the trash."
            assert window.pane.editor.isReadOnly()
            assert not window.actions_.trash.isEnabled()
            QTest.keyClicks(window.pane.editor, "x")
            keys(window.list.view, "Del")
            assert window.notice.text == "It is in the trash already"
            window.pane.banner.button.click()
            await until(lambda: window.list.shelf is ALL)
            await until(lambda: not window.pane.editor.isReadOnly())
            assert window.pane.banner.text == ""
            assert text(window) == "one"
            assert titles(window) == ["one"]

    on_qt(test)


def test_trashed_elsewhere_while_it_is_open(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, _two = await write(window, "one", "two")
            await opened(window, one)
            await window.service.notes.trash(one)
            await until(lambda: titles(window) == ["two"])
            assert window.open_note.oid == one
            assert window.pane.banner.text == "This note is in the trash."
            assert not window.list.view.currentIndex().isValid()

    on_qt(test)


def test_a_note_that_stays_says_why(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            await window.service.notes.trash(oid)
            await window.service.notes.append(oid, "more")  # as if without knowing of the trash
            await until(lambda: window.pane.banner.text.startswith("This note stays"))
            assert str(window.pane.editor.toPlainText()) == "one\nmore"
            window.pane.banner.button.click()
            await until(lambda: window.pane.banner.text == "")
            assert not window.service.notes.rows[oid].kept

    on_qt(test)


# ---- keys


def test_panes_by_keyboard(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            editor, view, shelves = window.pane.editor, window.list.view, window.sidebar.list
            for key, pane in (
                ("Ctrl+1", shelves),
                ("Ctrl+2", view),
                ("Return", editor),
                ("F6", shelves),
                ("F6", view),
                ("F6", editor),
                ("Shift+F6", view),
                ("Ctrl+3", editor),
            ):
                keys(QApplication.focusWidget() or window, key)
                assert pane.hasFocus(), key

    on_qt(test)


def test_panes_without_notes(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            keys(window, "Ctrl+2")
            assert window.list.new_button.hasFocus()
            keys(window, "Ctrl+3")
            assert window.list.new_button.hasFocus()
            keys(window, "F6")
            assert window.sidebar.list.hasFocus()

    on_qt(test)


def test_undo_in_the_text(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            window.pane.focus_editor()
            assert not window.actions_.undo.isEnabled()
            QTest.keyClicks(window.pane.editor, "x")
            assert window.actions_.undo.isEnabled()
            window.actions_.undo.trigger()
            assert text(window) == "one"
            window.actions_.redo.trigger()
            assert text(window) == "xone"

    on_qt(test)


def test_other_windows(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            keys(window, "F9")
            assert window.panel.isVisible()
            window.panel.close()
            window.sync_line.click()
            assert window.panel.isVisible()
            keys(window.panel, "Esc")
            assert not window.panel.isVisible()
            window.raise_up()
            keys(window, "Ctrl+P")
            assert window.pair_dialog is not None
            keys(window.pair_dialog, "Esc")
            await until(lambda: window.pair_dialog is None)
            window.raise_up()
            await until(window.isActiveWindow)
            keys(window, "F1")
            (box,) = window.findChildren(QMessageBox)
            assert "Ctrl+N" in box.text()
            box.close()
            window.show_about()
            window.findChildren(QMessageBox)[-1].close()
            await turn()

    on_qt(test)


def test_every_menu_entry_has_a_letter_and_no_two_share_a_key(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            shortcuts = []
            for entry in window.menuBar().actions():
                assert "&" in entry.text()
                letters = []
                menu = entry.menu()
                assert isinstance(menu, QMenu)
                for action in menu.actions():
                    if not action.isSeparator():
                        at = action.text().index("&")
                        letters.append(action.text()[at + 1].lower())
                        shortcuts += [key.toString() for key in action.shortcuts()]
                assert len(letters) == len(set(letters)), entry.text()
            assert len(shortcuts) == len(set(shortcuts))

    on_qt(test)


def test_widgets_have_names_to_be_read_out(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            for widget in (
                window.sidebar.list,
                window.list.view,
                window.pane.editor,
                window.pane.trash_button,
                window.sync_line,
            ):
                assert widget.accessibleName(), widget

    on_qt(test)


# ---- trouble


def test_what_goes_wrong_is_said(
    on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, two = await write(window, "one", "two")
            await opened(window, one)

            async def fail(oid: str) -> None:
                raise StoreError("The disk is gone.")

            with monkeypatch.context() as patch:
                patch.setattr(window.service.notes, "open", fail)
                window.list.view.choose(two)
                await until(lambda: window.notice.text == "The disk is gone.")
            assert window.pane.empty.isVisible()
            assert not window.notice.offers
            await opened(window, one)
            assert text(window) == "one"

    on_qt(test)


def test_a_window_stays_where_the_last_edits_cannot_be_saved(
    on_qt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            (oid,) = await write(window, "one")
            await opened(window, oid)
            QTest.keyClicks(window.pane.editor, "x")

            async def fail(note: object) -> None:
                raise StoreError("The disk is full.")

            with monkeypatch.context() as patch:
                patch.setattr(window.service.notes, "close", fail)
                with pytest.raises(StoreError):
                    await window.finish()
            assert window.isVisible()
            assert text(window) == "xone"

    on_qt(test)


# ---- beginning and end


def test_closing_asks_first(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            asked: list[bool] = []
            window.closing.connect(lambda: asked.append(True))
            keys(window, "Ctrl+Q")
            assert asked == [True]
            assert window.isVisible()

    on_qt(test)


def test_the_window_is_as_it_was(on_qt: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with a_window(tmp_path) as window:
            one, _two = await write(window, "one", "two")
            await opened(window, one)
            window.resize(760, 500)
            window.splitter.setSizes([170, 250, 340])
            window.pane.editor.set_zoom(3)
            await turn()
            sizes = window.splitter.sizes()
        async with a_window(tmp_path) as window:
            await until(lambda: text(window) == "one")
            assert (window.width(), window.height()) == (760, 500)
            assert window.splitter.sizes() == sizes
            assert window.pane.editor.zoom == 3
            assert window.list.view.hasFocus()

    on_qt(test)


def test_a_damaged_memory_is_no_trouble(on_qt: Run, tmp_path: Path) -> None:
    (tmp_path / "window.ini").write_bytes(
        b"[General]\ngeometry=7\nzoom=x\nnote=@Variant(\xff)\n\x00"
    )

    async def test() -> None:
        async with a_window(tmp_path) as window:
            assert window.width() == 1080
            assert window.windowState() == Qt.WindowState.WindowNoState

    on_qt(test)
