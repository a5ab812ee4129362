"""A box that says what is wrong, or went well, beside an icon."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from ui import theme
from ui.parts import Picture, Words, set_role

_ICONS = {"wait": "alert", "bad": "alert", "good": "check"}


class Trouble(QFrame):
    """A sentence, and a second one under it where there is more to say; hidden without."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("trouble")
        self.icon = Picture(20)
        self.first = Words(wrap=True)
        """The sentence, as a label."""
        self._more = Words(wrap=True)
        self.texts = QVBoxLayout()
        """The column of what it says; a subclass may add to it."""
        self.texts.setSpacing(2)
        self.texts.addWidget(self.first)
        self.texts.addWidget(self._more)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, theme.GAP, 10, theme.GAP)
        row.setSpacing(10)
        row.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(self.texts, 1)
        self.say("")

    @property
    def text(self) -> str:
        """The sentence."""
        return self.first.text()

    @property
    def more(self) -> str:
        """What stands under it."""
        return self._more.text()

    def say(self, text: str, more: str = "", role: str = "bad") -> None:
        """Show a sentence as ``bad``, ``wait`` (it may mend itself) or ``good``; hide without one."""
        set_role(self, role)
        self.icon.show_icon(_ICONS[role], getattr(theme.colours, role))
        self.first.setText(text)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self.setVisible(bool(text))
        self.setAccessibleName(f"{text} {more}".strip())
