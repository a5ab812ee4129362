"""A device's name, to be changed in place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ui import icons, theme
from ui.parts import Words

NAME_LENGTH = 64
_AROUND = 22
"""Pixels of a field that are not for its text."""


class _Field(QLineEdit):
    """As wide as what is in it, so that the pencil stands beside that."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.textChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        """Room for the text and what is around it."""
        text = self.fontMetrics().horizontalAdvance(self.text())
        return QSize(max(text, 60) + _AROUND, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters is enough."""
        return QSize(60 + _AROUND, super().minimumSizeHint().height())


class NameField(QWidget):
    """A name that looks like a heading until somebody edits it: Enter takes it, Esc leaves it as it was."""

    rename_wanted = Signal(str)
    """Call the device so from now on."""

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.field = _Field()
        self.field.setObjectName("deviceName")
        self.field.setFont(theme.font(self.field, scale=1.15, bold=True))
        self.field.setMaxLength(NAME_LENGTH)
        self.field.installEventFilter(self)
        self.field.textEdited.connect(lambda: self.show_error(""))
        self.field.editingFinished.connect(self._finish)
        self.pencil = QToolButton()
        self.pencil.setIcon(icons.icon("pencil"))
        self.pencil.setToolTip(self.tr("Change the name"))
        self.pencil.clicked.connect(self._edit)
        self.error = Words(role="bad", wrap=True)
        self.error.hide()
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.field)
        row.addWidget(self.pencil)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row)
        layout.addWidget(self.error)

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        return [self.field, self.pencil]

    def set_accessible_names(self, field: str, pencil: str) -> None:
        """What a screen reader calls the name, and the button that begins to change it."""
        self.field.setAccessibleName(field)
        self.pencil.setAccessibleName(pencil)

    def show_name(self, name: str) -> None:
        """Show the name that holds; one that is being edited stays."""
        name = " ".join(name.split())
        if name != self._name:
            self._name = name
            if not self.field.isModified():
                self.forget_edit()

    def show_error(self, sentence: str) -> None:
        """Say why a name was not taken; the next edit takes it away."""
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))

    def forget_edit(self) -> None:
        """Show the name that holds instead of what was typed."""
        self.field.setText(self._name)
        self.field.setCursorPosition(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take Esc in the name for leaving it as it was, not for closing the window."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if watched is self.field and escape and self.field.isModified():
            if event.type() == QEvent.Type.KeyPress:
                self.forget_edit()
            return True
        return super().eventFilter(watched, event)

    def _edit(self) -> None:
        self.field.setFocus()
        self.field.selectAll()

    def _finish(self) -> None:
        """Ask for the name that was typed, when Enter is pressed or the field is left."""
        wanted = self.field.text().strip()
        changed = self.field.isModified() and wanted != self._name
        self.field.setModified(False)
        if changed:
            self.rename_wanted.emit(wanted)
        else:
            self.forget_edit()
