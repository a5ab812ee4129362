"""The banner over a note: what is special about it, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from app.notes import NoteRow
from ui import icons
from ui.parts import Words
from ui.theme import GAP, ICON, colours


class NoteBanner(QWidget):
    """One sentence, and a button where something can be done; hidden where a note is like any other."""

    restore_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._mark = QLabel(self)
        self._words = Words(wrap=True)
        self.button = QPushButton(self)
        self.button.clicked.connect(self.restore_wanted)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * GAP + 4, 7, GAP, 7)
        row.setSpacing(GAP)
        for widget in (self._mark, self._words, self.button):
            row.addWidget(widget)
        row.setStretch(1, 1)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence; empty while there is none."""
        return "" if self.isHidden() else self._words.text()

    def show_row(self, row: NoteRow | None) -> None:
        """Say what is special about a note, if anything is."""
        if row is None or not (row.trashed or row.kept or row.newer):
            self.hide()
        elif row.trashed:
            self._say("trash", self.tr("This note is in the trash."), self.tr("Restore"))
        elif row.kept:
            words = self.tr("This note stays: it was edited while it was being moved to the trash.")
            self._say("info", words, self.tr("Keep it"))
        else:
            words = self.tr(
                "A newer version of Lim Notes wrote something here that this one cannot show. "
                "It is kept."
            )
            self._say("alert", words)

    def _say(self, icon: str, words: str, offer: str = "") -> None:
        self._mark.setPixmap(icons.pixmap(icon, colours.wait, ICON, self.devicePixelRatioF()))
        self._words.setText(words)
        self.button.setText(offer)
        self.button.setVisible(bool(offer))
        self.show()
