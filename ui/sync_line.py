"""The sync line of the status bar: how sync stands, always true, and the way to the panel."""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from app.status import State, Status
from ui import icons, theme
from ui.parts import from_the_left, set_role

_ICON = 16
_MARGINS = 2 * 14 + _ICON
"""Pixels of the line that are not for words, as in the style sheet."""


class SyncLine(QToolButton):
    """An icon and a sentence, shortened to its room; a click opens the sync status."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("syncLine")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QSize(_ICON, _ICON))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.setAccessibleDescription(self.tr("Opens the sync status."))
        self.sentence = ""
        """The whole of what it says."""

    def show_status(self, status: Status, *, starting: bool = False) -> None:
        """Show how things stand; ``starting`` as long as this device is not on the network yet."""
        connecting = starting and not status.devices and not _hindered(status)
        line = self.tr("Connecting…") if connecting else status.line()
        self.sentence = " ".join(line.split())
        look = theme.state_look(State.CONNECTING) if connecting else _look(status)
        self.setIcon(icons.icon(*look))
        tip = self.tr("{line}\nClick for the sync status (F9)").format(line=self.sentence)
        self.setToolTip(html.escape(tip).replace("\n", "<br>"))
        self.setAccessibleName(self.tr("Sync: {line}").format(line=self.sentence))
        set_role(self, "bad" if _hindered(status) else "")
        self._fit()
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Room for the whole sentence, if there is any."""
        words = self.fontMetrics().horizontalAdvance(f"  {self.sentence}")
        return QSize(words + _MARGINS, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten the sentence to the room there is."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        words, room = f" {from_the_left(self.sentence)}", max(self.width() - _MARGINS, 0)
        words = self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, room)
        self.setText(words.replace("&", "&&"))  # or it would mark a shortcut key

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter clicks, as Space does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


def _hindered(status: Status) -> bool:
    """Whether this device cannot sync at all before a person does something."""
    return bool(
        status.problem or status.locked or status.elsewhere or status.removed_by or status.outside
    )


def _look(status: Status) -> tuple[str, str]:
    """The icon and the colour for the sentence of ``Status.line``."""
    if _hindered(status):
        return "state-problem", theme.colours.bad
    mood = status.mood()
    return theme.state_look(mood) if mood else ("device", theme.colours.soft)
