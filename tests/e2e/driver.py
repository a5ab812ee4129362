"""The real app in a process of its own, worked through Qt events that come over standard input.

Reads a JSON object a line, ``{"do": "type", ...}``, and answers each with one.  Nothing of the app is
replaced: the window, the loop, the database and the sockets are those that a person gets.  Only with
``LIMNOTES_BEHIND_ROUTER`` it does not tell its addresses, so that a test can cut the one way to it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QInputMethodEvent, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from liblim.net import upkeep
from ui import application, launch
from ui.editor import NoteEditor
from ui.mainwindow import MainWindow
from ui.pair_dialog import PairDialog

LOOK_AGAIN = 5
"""Milliseconds between two looks at what is waited for."""


class Driver(QObject):
    """Carries out commands on the loop's thread."""

    received = Signal(bytes)

    def __init__(self) -> None:
        super().__init__()
        self.received.connect(self._carry_out)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            self.received.emit(line)

    def _carry_out(self, line: bytes) -> None:
        command = msgspec.json.decode(line)
        name = command.pop("do")
        if name == "wait":
            self._wait(**command)
            return
        try:
            _answer(result=getattr(self, name)(**command))
        except Exception as error:  # the test shall see it, whatever it is
            _answer(error=repr(error))

    def _wait(self, what: str, value: Any, **arguments: Any) -> None:
        """Answer once ``what`` is ``value``."""
        look: Callable[..., Any] = getattr(self, what)
        if self.window is not None and look(**arguments) == value:
            _answer(result=value)
        else:
            QTimer.singleShot(LOOK_AGAIN, self, lambda: self._wait(what, value, **arguments))

    # What is there

    @property
    def window(self) -> MainWindow | None:
        found = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)]
        return found[0] if found else None

    @property
    def editor(self) -> NoteEditor:
        assert self.window is not None
        return self.window.pane.editor

    def text(self) -> str:
        """The text of the open note, as its CRDT has it; the editor is compared with that."""
        binding = self.editor.binding
        if binding is None:
            return ""
        binding.check()
        return str(binding.text)

    def size(self) -> int:
        """Characters of the open note; quicker than its text."""
        binding = self.editor.binding
        return len(binding.text) if binding is not None else 0

    def label(self) -> str:
        """What the window says about whether the open note is saved."""
        assert self.window is not None
        return self.window.pane.saved_text

    def problem(self) -> str:
        return str(self.status().problem)

    def titles(self) -> list[str]:
        assert self.window is not None
        notes = self.window.service.notes
        return sorted(row.title for row in notes.rows.values() if not row.trashed)

    def saved(self) -> bool:
        """Whether the window says that the open note is saved."""
        assert self.window is not None
        return self.window.pane.saved_text == "Saved here"

    def saved_text(self) -> str | None:
        """The text of the open note if the window says, now, that it is saved."""
        return self.text() if self.saved() else None

    def status(self, *facts: str) -> Any:
        assert self.window is not None
        return self.window.service.status()

    def opened(self) -> str:
        """The title of the open note."""
        assert self.window is not None
        row = self.window.service.notes.rows.get(self.window.open_note.oid)
        return row.title if row is not None and self.editor.binding is not None else ""

    def name(self) -> str:
        return str(self.status().name)

    def connected(self) -> int:
        """How many devices are connected."""
        return sum(device.connected for device in self.status().devices)

    def minimised(self) -> bool:
        assert self.window is not None
        return self.window.isMinimized()

    def listening(self) -> str:
        return str(self.status().listening)

    def states(self) -> list[str]:
        return [device.state.value for device in self.status().devices]

    def identical(self) -> list[bool | None]:
        return [device.identical for device in self.status().devices]

    def digest(self) -> str:
        return str(self.status().digest)

    def line(self) -> str:
        return str(self.status().line())

    def online(self) -> bool:
        """Whether it is on the network, behind the window that shows."""
        assert self.window is not None
        return self.window.service.network.online

    def library(self) -> str:
        return str(self.status().library)

    def device(self) -> str:
        return str(self.status().device)

    def remove(self, device: str) -> None:
        """Remove a device by its card in the sync status panel."""
        assert self.window is not None
        if not self.window.panel.isVisible():
            self.window.toggle_panel()
        self.window.panel.card(device).confirm_button.click()

    def removed_by(self) -> str:
        return str(self.status().removed_by)

    def ready(self) -> bool:
        return self.window is not None and self.window.isVisible()

    # What a person does

    def key(self, keys: str) -> None:
        target = QApplication.focusWidget() or self.window
        assert target is not None
        QTest.keySequence(target, keys)

    def type(self, text: str) -> None:
        """ASCII by keys, the rest as an input method commits it."""
        self.editor.setFocus()
        for character in text:
            if character == "\n":
                QTest.keyClick(self.editor, Qt.Key.Key_Return)
            elif character.isascii() and character.isprintable():
                QTest.keyClicks(self.editor, character)
            else:
                event = QInputMethodEvent()
                event.setCommitString(character)
                QCoreApplication.sendEvent(self.editor, event)

    def paste(self, text: str, times: int = 1) -> None:
        QApplication.clipboard().setText(text * times)
        self.editor.setFocus()
        QTest.keySequence(self.editor, "Ctrl+V")

    def caret(self, after: str = "", *, end: bool = False) -> None:
        cursor = QTextCursor(self.editor.document())
        if after:
            cursor = self.editor.document().find(after)
            assert not cursor.isNull(), f"there is no {after!r}"
            cursor.setPosition(cursor.selectionEnd())
        elif end:
            cursor.movePosition(QTextCursor.MoveOperation.End)
        self.editor.setTextCursor(cursor)

    def delete(self, text: str) -> None:
        cursor = self.editor.document().find(text)
        assert not cursor.isNull(), f"there is no {text!r}"
        self.editor.setTextCursor(cursor)
        QTest.keyClick(self.editor, Qt.Key.Key_Delete)

    def open(self, title: str) -> None:
        assert self.window is not None
        rows = self.window.service.notes.rows.values()
        oid = next(row.oid for row in rows if row.title == title and not row.trashed)
        self.window.show_note(oid)

    def show_code(self) -> str:
        """Show a code in the pairing dialog, as a person does; returns it."""
        dialog = self._pair_dialog()
        dialog.choice.show_choice.click()
        return dialog.code.code.text()

    def enter_code(self, address: str, code: str) -> None:
        """Enter what the other device shows in the pairing dialog."""
        dialog = self._pair_dialog()
        dialog.choice.enter_choice.click()
        QTest.keyClicks(dialog.enter.address_field, address)
        QTest.keyClicks(dialog.enter.code_field, code)
        QTest.keyClick(dialog.enter.code_field, Qt.Key.Key_Return)

    def accept(self, *, keep_apart: bool = False) -> None:
        """Accept the other device in the pairing dialog."""
        dialog = self._pair_dialog()
        if keep_apart:
            dialog.confirm.keep_apart.click()
        dialog.accept_button.click()

    def page(self) -> str:
        """What kind of page the pairing dialog shows."""
        assert self.window is not None
        dialog = self.window.pair_dialog
        return type(dialog.page).__name__ if dialog is not None else ""

    def _pair_dialog(self) -> PairDialog:
        assert self.window is not None
        if self.window.pair_dialog is None:
            self.window.pair()
        assert self.window.pair_dialog is not None
        return self.window.pair_dialog

    def close_dialog(self) -> None:
        assert self.window is not None
        assert self.window.pair_dialog is not None
        QTest.keyClick(self.window.pair_dialog, Qt.Key.Key_Escape)
        self.window.activateWindow()  # which a window manager does

    def active(self) -> bool:
        """Whether the window takes keys."""
        assert self.window is not None
        return self.window.isActiveWindow()

    def minimise(self) -> None:
        assert self.window is not None
        self.window.showMinimized()

    def shut(self) -> None:
        assert self.window is not None
        QTimer.singleShot(0, self.window.close)


def _answer(**facts: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(facts) + b"\n")
    sys.stdout.buffer.flush()


def hide_addresses() -> None:
    """Let no other device learn this one's addresses, as behind a router: there is one way to it, by hand."""
    vars(upkeep)["own_addresses"] = lambda port, host="": []


if __name__ == "__main__":
    if "LIMNOTES_BEHIND_ROUTER" in os.environ:
        hide_addresses()
    # The app's own application, made a moment early: the driver is an object of its thread.
    prepared = application.make_application()
    application.make_application = lambda: prepared
    driver = Driver()
    code = launch.main(sys.argv[1:])
    # The thread that reads holds a lock which the interpreter wants at its end.
    os._exit(code)
