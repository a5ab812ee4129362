"""The editor of a note: a plain text edit that is bound to the note's text.

What is edited goes through ``ui.binding``; here is what a person meets: keys, menu, clipboard, drag
and drop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDropEvent,
    QFocusEvent,
    QGuiApplication,
    QInputMethodEvent,
    QKeyEvent,
    QKeySequence,
    QTextCursor,
    QTextDocumentFragment,
)
from PySide6.QtWidgets import QMenu, QPlainTextEdit, QWidget

from liblim.crdt import Anchor, Bias, Splice, Text
from ui import qtext
from ui.binding import Binding
from ui.page import Page
from ui.place import Place

_Key = QKeySequence.StandardKey
_CTRL = Qt.KeyboardModifier.ControlModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_KEYPAD = Qt.KeyboardModifier.KeypadModifier
_MODIFIERS = (
    Qt.Key.Key_Shift,
    Qt.Key.Key_Control,
    Qt.Key.Key_Alt,
    Qt.Key.Key_AltGr,
    Qt.Key.Key_Meta,
    Qt.Key.Key_CapsLock,
    Qt.Key.Key_NumLock,
)


class ViewState(NamedTuple):
    """Where a person was in a note: it survives edits by anyone, and the closing of the note."""

    caret: Anchor
    anchor: Anchor
    top: Anchor
    left: int


class NoteEditor(Page):
    """Edits the text of one note at a time; without one it is empty and read-only.

    ``edited`` follows each local edit.  ``undo_available`` and ``redo_available`` are for the
    actions of a menu.
    """

    edited = Signal()
    undo_available = Signal(bool)
    redo_available = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.claims_undo = True
        """Whether the keys of undo are for the text; else they are for the window."""
        self._binding: Binding | None = None
        self.setUndoRedoEnabled(False)  # Qt's own would undo remote edits.
        self.setAccessibleName(self.tr("Text of the note"))
        self.unbind()

    # ---- the note

    @property
    def binding(self) -> Binding | None:
        """The binding to the text that is shown, if one is."""
        return self._binding

    def bind(self, text: Text) -> None:
        """Show a text and record in it what is edited, in place of the one before."""
        self.unbind()
        binding = self._binding = Binding(self, text)
        binding.edited.connect(self.edited)
        binding.undo_available.connect(self.undo_available)
        binding.redo_available.connect(self.redo_available)
        self.setReadOnly(False)
        self.setPlaceholderText(self.tr("Write here. The first line becomes the title."))
        self._announce()

    def unbind(self) -> None:
        """Let go of the text: nothing that happens here reaches it any more."""
        self._end_composition()
        if self._binding:
            self._binding.release()
            self._binding = None
            self.clear()
        self.setReadOnly(True)
        self.setPlaceholderText(self.tr("No note is open."))
        self._announce()

    def apply_remote(self, splices: Sequence[Splice]) -> None:
        """Show splices that the text has already applied, without disturbing the one who writes."""
        if self._binding:
            self._binding.apply_remote(splices)

    def view_state(self) -> ViewState | None:
        """Return where the reader is, for ``restore_view_state``; ``None`` without a note."""
        if not self._binding:
            return None
        place, anchor = Place.of(self), self._binding.anchor
        return ViewState(
            anchor(place.caret, Bias.LEFT),
            anchor(place.anchor, Bias.LEFT),
            anchor(place.top, Bias.RIGHT if place.top else Bias.LEFT),
            place.left,
        )

    def restore_view_state(self, state: ViewState) -> None:
        """Bring the reader back to where ``state`` was taken, in the same note."""
        if self._binding:
            caret, anchor, top = map(self._binding.unit, state[:3])
            Place(caret, anchor, top, state.left).restore(self)

    def _announce(self) -> None:
        self.undo_available.emit(self.can_undo)
        self.redo_available.emit(self.can_redo)

    # ---- undo, clipboard, menu

    @property
    def can_undo(self) -> bool:
        """Whether there is a step of this device's to take back."""
        return self._binding is not None and self._binding.text.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone step to do again."""
        return self._binding is not None and self._binding.text.can_redo

    def undo(self) -> None:
        """Take back this device's last step, and no other's."""
        if self._binding and not self.isReadOnly():
            self._binding.undo()

    def redo(self) -> None:
        """Do again what was last undone."""
        if self._binding and not self.isReadOnly():
            self._binding.redo()

    def cut(self) -> None:
        """Cut the selection to the clipboard, as a step of its own."""
        self._as_step(super().cut)

    def delete(self) -> None:
        """Delete the selection, as a step of its own."""
        self._as_step(self.textCursor().removeSelectedText)

    def _as_step(self, action: Callable[[], None]) -> None:
        if not self._binding or self.isReadOnly():
            return
        self._binding.end_group()
        action()
        self._binding.end_group()

    def createMimeDataFromSelection(self) -> QMimeData:
        """Copy plain text as it is: Qt's own way turns non-breaking spaces into spaces."""
        cursor = self.textCursor()
        # The clipboard may keep it until after Python is gone, which one made here would not survive.
        mime = QPlainTextEdit().createMimeDataFromSelection()
        mime.setText(qtext.read(self.document(), cursor.selectionStart(), cursor.selectionEnd()))
        return mime

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Take text only."""
        return source.hasText() or source.hasHtml()

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Paste as plain text, as a step of its own."""
        if source.hasText():
            text = source.text()
        else:
            text = QTextDocumentFragment.fromHtml(source.html()).toPlainText()
        self._as_step(lambda: qtext.insert(self.textCursor(), qtext.normalise(text)))
        self.ensureCursorVisible()

    def dropEvent(self, event: QDropEvent) -> None:
        """Move text within the editor in two steps of its own, and leave the rest to Qt.

        Qt would report a move as one edit of all that lies between, and that would get new ids.
        """
        within = event.source() in (self, self.viewport())
        if not (within and event.dropAction() == Qt.DropAction.MoveAction and self._binding):
            super().dropEvent(event)
            if self._binding:
                self._binding.end_group()
            return
        self._end_composition()
        target = self.cursorForPosition(event.position().toPoint())
        empty = QMimeData()  # Nothing for Qt to insert: it only ends what it shows of the drag.
        super().dropEvent(
            QDropEvent(
                event.position(),
                event.possibleActions(),
                empty,
                event.buttons(),
                event.modifiers(),
            )
        )
        self._as_step(lambda: self._move_selection(target))
        event.accept()

    def _move_selection(self, target: QTextCursor) -> None:
        cursor = self.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        if start <= target.position() <= end:
            return
        text = qtext.read(self.document(), start, end)
        cursor.removeSelectedText()
        qtext.insert(target, text)
        self.setTextCursor(target)

    def context_menu(self) -> QMenu:
        """Return the menu of the right mouse button, with what is possible now enabled."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        selected = self.textCursor().hasSelection()
        entries: list[tuple[str, _Key, Callable[[], None], bool]] = [
            (self.tr("&Undo"), _Key.Undo, self.undo, self.can_undo),
            (self.tr("&Redo"), _Key.Redo, self.redo, self.can_redo),
            (self.tr("Cu&t"), _Key.Cut, self.cut, selected),
            (self.tr("&Copy"), _Key.Copy, self.copy, selected),
            (self.tr("&Paste"), _Key.Paste, self.paste, self.canPaste()),
            (self.tr("Delete"), _Key.Delete, self.delete, selected),
            (self.tr("Select All"), _Key.SelectAll, self.selectAll, not self.document().isEmpty()),
        ]
        for label, key, slot, enabled in entries:
            if key in (_Key.Cut, _Key.SelectAll):
                menu.addSeparator()
            action = menu.addAction(label)
            action.setShortcut(QKeySequence(key))
            # It is there to be read: the keys themselves come to the editor.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.setShortcutVisibleInContextMenu(True)
            action.setEnabled(enabled)
            action.triggered.connect(slot)
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the editor's own menu: Qt's would offer Qt's undo."""
        self.context_menu().popup(event.globalPos())

    # ---- keys, focus

    def event(self, event: QEvent) -> bool:
        """Claim the keys of undo, which the window's menu may have too."""
        if not (isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride):
            return super().event(event)
        if self._binding and (event.matches(_Key.Undo) or event.matches(_Key.Redo)):
            event.setAccepted(self.claims_undo)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take what Qt would do otherwise: undo, cut, zoom, and leaving by Ctrl+Tab."""
        if event.key() not in _MODIFIERS:
            self._end_composition()
        action = self._action(event)
        if action:
            action()
            event.accept()
        else:
            super().keyPressEvent(event)

    def _action(self, event: QKeyEvent) -> Callable[[], object] | None:
        standard = {
            _Key.Undo: self.undo,
            _Key.Redo: self.redo,
            _Key.Cut: self.cut,
            _Key.ZoomIn: self.zoom_in,
            _Key.ZoomOut: self.zoom_out,
        }
        for key, action in standard.items():
            if event.matches(key):
                return action
        control = {
            Qt.Key.Key_Equal: self.zoom_in,  # the plus key where plus needs Shift
            Qt.Key.Key_0: self.zoom_reset,
            Qt.Key.Key_Tab: lambda: self._leave(forward=True),
            Qt.Key.Key_Backtab: lambda: self._leave(forward=False),
        }
        if event.modifiers() & ~(_SHIFT | _KEYPAD) == _CTRL:
            return control.get(Qt.Key(event.key()))
        return None

    def _end_composition(self) -> None:
        """Let an input method commit before something else happens, as Qt does at a mouse press.

        The End key, for one, would count the preedit as text and take Qt out of the document.
        """
        if self._binding and self._binding.composing:
            QGuiApplication.inputMethod().commit()
            if self._binding.composing:
                QCoreApplication.sendEvent(self, QInputMethodEvent())

    def _leave(self, *, forward: bool) -> None:
        """Give the focus to a neighbour, which Tab does not do in a text that takes tabs."""
        self.setTabChangesFocus(True)
        self.focusNextChild() if forward else self.focusPreviousChild()
        self.setTabChangesFocus(False)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """End the step of undo when the editor is left."""
        if self._binding:
            self._binding.end_group()
        super().focusOutEvent(event)
