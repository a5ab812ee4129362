"""The dialog that pairs this device with another by its address."""

from __future__ import annotations

import asyncio
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.service import Service
from app.status import Status
from liblim.errors import LimError
from ui import theme
from ui.parts import CopyButton, ElidedWords, Words, set_role
from ui.tasks import Tasks
from ui.trouble import Trouble

WIDTH = 500


class PairDialog(QDialog):
    """Asks for an address, pairs, and says how it went.  Used once; ``open``, never ``exec``."""

    def __init__(self, service: Service, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._service, self._tasks = service, tasks
        self._pairing: asyncio.Task[Any] | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Pair with a device"))
        self.setFixedWidth(WIDTH)
        self._make_field()
        self.answer = Trouble()
        self._lay_out()
        self.show_status(service.status())
        self._show_busy(False)

    def _make_field(self) -> None:
        self.address_field = QLineEdit()
        self.address_field.setPlaceholderText("127.0.0.1:4242")
        self.address_field.setFont(theme.fixed_font(self))
        self.address_field.setAccessibleName(self.tr("Address of the other device"))
        self.address_field.textEdited.connect(lambda: self._answer(""))
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Pairing"))
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(policy)

    def _lay_out(self) -> None:
        title = Words(self.tr("Pair with a device"))
        title.setFont(theme.font(title, scale=1.25, bold=True))
        text = self.tr("Enter the address that the other device shows in its sync status (F9).")
        self._explanation = Words(text, role="soft", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 20)
        layout.setSpacing(theme.GAP)
        for part in (title, self._explanation, self.address_field, self.progress, self.answer):
            layout.addWidget(part)
        layout.addWidget(self._make_other_way())
        layout.addStretch(1)
        layout.addSpacing(theme.GAP)
        layout.addLayout(self._make_buttons())

    def _make_other_way(self) -> QWidget:
        """The way round: the other device pairs with this one."""
        self._own_address = ElidedWords()
        self._own_address.setFont(theme.fixed_font(self))
        self.copy_button = CopyButton(self.tr("Copy the address of this device"))
        row = QHBoxLayout()
        row.addWidget(self._own_address)
        row.addWidget(self.copy_button)
        row.addStretch(1)
        self._other_way = QFrame()
        self._other_way.setObjectName("card")
        layout = QVBoxLayout(self._other_way)
        layout.setContentsMargins(14, 10, 14, 6)
        layout.setSpacing(0)
        text = self.tr("Or pair from the other device; enter there the address of this one:")
        layout.addWidget(Words(text, role="soft", wrap=True))
        layout.addLayout(row)
        return self._other_way

    def _make_buttons(self) -> QHBoxLayout:
        self.close_button = QPushButton(self.tr("Cancel"))
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.reject)
        self.pair_button = QPushButton(self.tr("Pair"))
        self.pair_button.setProperty("role", "primary")
        self.pair_button.setDefault(True)
        self.pair_button.clicked.connect(self.pair)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addStretch(1)
        row.addWidget(self.close_button)
        row.addWidget(self.pair_button)
        return row

    # What is shown

    def show_status(self, status: Status) -> None:
        """Show this device's own address."""
        self._own_address.show_text(status.listening)
        self.copy_button.set_content(status.listening)
        if not status.listening:
            self._other_way.hide()

    def _show_busy(self, busy: bool) -> None:
        self.progress.setVisible(busy)
        self.address_field.setEnabled(not busy)
        self.pair_button.setEnabled(not busy)
        self.pair_button.setText(self.tr("Pairing…") if busy else self.tr("Pair"))

    def _answer(self, text: str, more: str = "", role: str = "bad") -> None:
        """Say how it went, and be as high as that needs."""
        self.answer.say(text, more, role)
        set_role(self.address_field, "bad" if text and role == "bad" else "")
        self._fit()

    def _fit(self) -> None:
        layout = self.layout()
        assert layout is not None
        layout.activate()
        self.setFixedHeight(layout.totalHeightForWidth(WIDTH))

    # How it goes

    def pair(self) -> None:
        """Try the address that was entered."""
        if self._pairing is None:
            self._answer("")
            self._show_busy(True)
            self.close_button.setFocus()
            self._pairing = self._tasks.start(self._pair(self.address_field.text()))

    async def _pair(self, address: str) -> None:
        try:
            sentence = await self._service.pair(address)
        except LimError as error:
            self._fail(str(error))
        except Exception:
            self._fail(self.tr("Something went wrong in Lim Notes. Nothing was lost; try again."))
            raise
        else:
            self._succeed(sentence)

    def _fail(self, sentence: str) -> None:
        self._pairing = None
        self._show_busy(False)
        self._answer(sentence)
        self.address_field.setFocus()
        self.address_field.selectAll()

    def _succeed(self, sentence: str) -> None:
        self._pairing = None
        self._show_busy(False)
        self.progress.hide()
        for part in (self._explanation, self.address_field, self._other_way, self.pair_button):
            part.hide()
        then = self.tr(
            "The two bring each other up to date now, and go on doing so whenever they can reach "
            "each other. The sync status shows how far they are."
        )
        self._answer(sentence, then, "good")
        self.close_button.setText(self.tr("Close"))
        self.close_button.setAutoDefault(True)
        self.close_button.setDefault(True)
        self.close_button.setFocus()

    # The window itself

    def showEvent(self, event: QShowEvent) -> None:
        """Begin with the address field."""
        super().showEvent(event)
        self._fit()
        self.address_field.setFocus()

    def done(self, result: int) -> None:
        """Give up what still goes on."""
        if self._pairing is not None:
            self._pairing.cancel()
        super().done(result)
