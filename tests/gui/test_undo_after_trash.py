"""Ctrl+Z takes back what was done last: a trashing, or an edit, whatever has the focus."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow

from liblim.crdt import Text
from ui.editor import NoteEditor


def test_the_editor_claims_undo_only_while_it_is_meant(qtbot: object) -> None:
    editor = NoteEditor()
    text = Text.new(replica="a")
    editor.bind(text)
    window = QMainWindow()
    window.setCentralWidget(editor)
    undone: list[str] = []
    action = QAction("Undo", window)
    action.setShortcut("Ctrl+Z")
    action.triggered.connect(lambda: undone.append("window"))
    window.addAction(action)
    window.show()
    QTest.qWaitForWindowExposed(window)
    editor.setFocus()
    QTest.keyClicks(editor, "abc")
    editor.claims_undo = False
    QTest.keyClick(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert str(text) == "abc"
    assert undone == ["window"]
    editor.claims_undo = True
    QTest.keyClick(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert str(text) == ""
    assert undone == ["window"]
    editor.unbind()
    window.close()
    window.deleteLater()
