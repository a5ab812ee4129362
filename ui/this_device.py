"""The card of the sync status that tells of this device."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from app import status as words
from app.status import Status
from ui import icons, theme
from ui.parts import CopyButton, ElidedWords, Facts, Picture, Words, tell

NAME_LENGTH = 64


class ThisDevice(QFrame):
    """This device's name, to be changed in place, its address, and what it holds."""

    rename_wanted = Signal(str)
    """Call this device so from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._name = ""
        self.error = Words(role="bad", wrap=True)
        self.error.hide()
        picture = Picture(36)
        picture.show_icon("device", theme.colours.accent)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addLayout(self._make_name())
        texts.addLayout(self._make_address())
        texts.addWidget(self.error)
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(texts, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.GAP, 10, 2 * theme.GAP, 14)
        layout.setSpacing(theme.GAP)
        layout.addLayout(head)
        layout.addLayout(self._make_facts())

    def _make_name(self) -> QHBoxLayout:
        self.name_field = QLineEdit()
        self.name_field.setObjectName("deviceName")
        self.name_field.setFont(theme.font(self.name_field, scale=1.15, bold=True))
        self.name_field.setMaxLength(NAME_LENGTH)
        self.name_field.setAccessibleName(self.tr("Name of this device"))
        self.name_field.installEventFilter(self)
        self.name_field.textEdited.connect(lambda: self.show_error(""))
        self.name_field.editingFinished.connect(self._finish)
        self.pencil = QToolButton()
        self.pencil.setIcon(icons.icon("pencil"))
        self.pencil.setToolTip(self.tr("Change the name"))
        self.pencil.setAccessibleName(self.tr("Change the name"))
        self.pencil.clicked.connect(self._edit)
        row = QHBoxLayout()
        row.addWidget(self.name_field, 1)
        row.addWidget(self.pencil)
        return row

    def _make_address(self) -> QHBoxLayout:
        self._reached = Words(role="soft")
        self.address = ElidedWords()
        self.address.setFont(theme.fixed_font(self.address))
        self.copy_button = CopyButton(self.tr("Copy the address of this device"))
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 0, 0)  # as far in as the name
        row.setSpacing(theme.GAP)
        row.addWidget(self._reached)
        row.addWidget(self.address)
        row.addWidget(self.copy_button)
        row.addStretch(1)
        return row

    def _make_facts(self) -> Facts:
        facts = Facts(3, 2, 2)
        self.holds = facts.add(self.tr("Holds"))
        self.digest = facts.add(self.tr("Digest"))
        self.library = facts.add(self.tr("Library"))
        return facts

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        return [self.name_field, self.pencil, self.copy_button]

    def show_status(self, status: Status) -> None:
        """Show what holds now; a name that is being edited stays."""
        if status.name != self._name:
            self._name = status.name
            if not self.name_field.isModified():
                self.name_field.setText(status.name)
        reached = self.tr("Other devices reach it at")
        self._reached.setText(reached if status.listening else self.tr("It cannot be reached"))
        self.address.show_text(status.listening)
        self.copy_button.set_content(status.listening)
        self.copy_button.setVisible(bool(status.listening))
        saved = self.tr("{held}, saving…") if status.unsaved else self.tr("{held}, all on disk")
        tell(self.holds, saved.format(held=words.changes_in_words(status.changes)))
        tell(self.digest, status.short_digest)
        self.digest.more = status.digest
        tell(self.library, status.library[: words.SHORT])
        self.library.more = status.library

    def show_error(self, sentence: str) -> None:
        """Say why a name was not taken; the next edit takes it away."""
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))

    def forget_edit(self) -> None:
        """Show the name that holds instead of what was typed."""
        self.name_field.setText(self._name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take Esc in the name for leaving it as it was, not for closing the window."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if watched is self.name_field and escape and self.name_field.isModified():
            if event.type() == QEvent.Type.KeyPress:
                self.forget_edit()
            return True
        return super().eventFilter(watched, event)

    def _edit(self) -> None:
        self.name_field.setFocus()
        self.name_field.selectAll()

    def _finish(self) -> None:
        """Ask for the name that was typed, when Enter is pressed or the field is left."""
        wanted = self.name_field.text().strip()
        changed = self.name_field.isModified() and wanted != self._name
        self.name_field.setModified(False)
        if changed:
            self.rename_wanted.emit(wanted)
        else:
            self.forget_edit()
