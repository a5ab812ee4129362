"""The sync status panel: this device, each paired device, and what happened lately."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from functools import partial
from itertools import pairwise
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.service import Service
from app.status import DeviceStatus, Status
from liblim.errors import LimError
from ui import icons, theme
from ui.aside_notice import AsideNotice
from ui.device_card import DeviceCard
from ui.identity_banner import IdentityBanner
from ui.namefield import NameField
from ui.parts import Picture, Words, heading
from ui.sync_log import SyncLog
from ui.tasks import Tasks
from ui.this_device import ThisDevice
from ui.trouble import Trouble

SECOND = 1000
"""Milliseconds between two looks while it is shown: countdowns and ages change by themselves."""
EDGE = 20
"""Pixels between the panel's edge and what it holds."""
SCROLL_BAR = 12


class SyncPanel(QWidget):
    """A window of its own that shows how sync stands, from the facts of the service."""

    pair_wanted = Signal()

    def __init__(self, service: Service, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self._service, self._tasks = service, tasks
        self._cards: dict[str, DeviceCard] = {}
        self._starting = False
        self._timer = QTimer(self, interval=SECOND)
        self._timer.timeout.connect(self.refresh)
        self.setObjectName("syncPanel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a click beside the name ends its editing
        self.setWindowTitle(self.tr("Sync status — Lim Notes"))
        self.setMinimumSize(640, 420)
        room = self.screen().availableGeometry().height() - 60
        letters = 100 * self.fontMetrics().averageCharWidth()
        self.resize(max(740, letters), min(880, max(room, 420)))
        self._make_parts()
        self._lay_out()

    def _make_parts(self) -> None:
        self.problem = Trouble()
        self.banner = IdentityBanner(self._service, self._tasks)
        self.banner.pair_wanted.connect(self.pair_wanted)
        self.banner.offered.connect(self._order_stops)
        self.aside = AsideNotice(self._service, self._tasks)
        self.this_device = ThisDevice()
        self.this_device.rename_wanted.connect(self._rename)
        self.this_device.discovery_wanted.connect(self._discover)
        self.this_device.grown.connect(self._order_stops)
        self.sync_button = QPushButton(icons.icon("sync"), self.tr("Sync now"))
        self.sync_button.clicked.connect(self._service.sync_now)
        pair = icons.icon("pair", theme.colours.on_accent)
        self.pair_button = QPushButton(pair, self.tr("Pair with a device…"))
        self.pair_button.setProperty("role", "primary")
        self.pair_button.clicked.connect(self.pair_wanted)
        self.empty = _Empty()
        self.log = SyncLog()

    def _lay_out(self) -> None:
        bottom = QWidget()
        inside = QVBoxLayout(bottom)
        inside.setContentsMargins(EDGE, 12, EDGE, EDGE)
        inside.addWidget(self.log)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setHandleWidth(1)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self._make_top())
        splitter.addWidget(bottom)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([660, 220])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)

    def _make_top(self) -> QScrollArea:
        body = QWidget()
        body.setObjectName("panelBody")
        layout = QVBoxLayout(body)
        layout.setContentsMargins(EDGE, EDGE, EDGE, EDGE)
        layout.setSpacing(theme.GAP + 2)
        layout.addWidget(self.problem)
        layout.addWidget(self.banner)
        layout.addWidget(self.aside)
        layout.addWidget(heading(self.tr("This device")))
        layout.addWidget(self.this_device)
        layout.addSpacing(theme.GAP)
        layout.addLayout(self._make_devices())
        layout.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)

        def make_room(_least: int, most: int) -> None:
            """Let the scroll bar stand in the margin, so that the cards stay as they are."""
            layout.setContentsMargins(EDGE, EDGE, EDGE - (SCROLL_BAR if most else 0), EDGE)

        area.verticalScrollBar().rangeChanged.connect(make_room)
        return area

    def _make_devices(self) -> QVBoxLayout:
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(heading(self.tr("Paired devices")), 1)
        head.addWidget(self.sync_button)
        head.addWidget(self.pair_button)
        self._devices = QVBoxLayout()
        self._devices.setSpacing(theme.GAP + 2)
        self._devices.addLayout(head)
        self._devices.addWidget(self.empty)
        return self._devices

    # What is shown

    def card(self, device: str) -> DeviceCard:
        """The card of the device with this id."""
        return self._cards[device]

    def refresh(self) -> None:
        """Show how things stand now."""
        self.show_status(self._service.status())

    def show_status(self, status: Status, *, starting: bool | None = None) -> None:
        """Show how things stand, while anybody can see it.

        ``starting`` as long as this device is not on the network yet; ``None`` for "as before".
        """
        if starting is not None:
            self._starting = starting
        if not self.isVisible():
            return
        now = time.time()
        self.problem.say("" if status.problem == status.locked else status.problem)
        self.banner.show_status(status)
        self.aside.show_status(status)
        self.this_device.show_status(status)
        self._show_cards(status.devices)
        for device in status.devices:
            self._cards[device.device].show_device(device, now)
        self.empty.setVisible(not status.devices)
        self.empty.show_starting(self._starting)
        self.sync_button.setVisible(bool(status.devices))
        self.log.show_events(self._service.events, status.log_problem)

    def _show_cards(self, devices: tuple[DeviceStatus, ...]) -> None:
        """Have one card for each device, in their order; those that stay are only moved."""
        wanted = [device.device for device in devices]
        if wanted == list(self._cards):
            return
        for gone in self._cards.keys() - set(wanted):
            card = self._cards.pop(gone)
            card.hide()
            card.deleteLater()
        self._cards = {
            device: self._cards.get(device) or self._new_card(device) for device in wanted
        }
        for place, card in enumerate(self._cards.values()):
            self._devices.insertWidget(place + 1, card)
        self._order_stops()

    def _new_card(self, device: str) -> DeviceCard:
        card = DeviceCard()
        card.try_wanted.connect(self._service.sync_now)
        card.pair_wanted.connect(self.pair_wanted)
        card.rename_wanted.connect(partial(self._rename_device, device))
        card.remove_wanted.connect(partial(self._remove, device))
        return card

    def _order_stops(self) -> None:
        """Let the Tab key go from top to bottom."""
        stops = [*self.banner.buttons, self.aside.button, *self.this_device.stops]
        stops += [self.sync_button, self.pair_button]
        for card in self._cards.values():
            stops += card.stops
        for first, second in pairwise([*stops, *self.log.stops]):
            QWidget.setTabOrder(first, second)

    # What people ask for

    def _rename(self, name: str) -> None:
        self._tasks.start(self._named(self._service.rename(name), self.this_device.name))

    def _rename_device(self, device: str, name: str) -> None:
        renaming = self._service.rename_device(device, name)
        self._tasks.start(self._named(renaming, self.card(device).name))

    async def _named(self, renaming: Coroutine[Any, Any, None], field: NameField) -> None:
        try:
            await renaming
        except LimError as error:
            field.show_error(str(error))
        self.refresh()
        field.forget_edit()

    def _remove(self, device: str) -> None:
        self.card(device).show_removing(True)
        self._tasks.start(self._removed(device, self.card(device)))

    async def _removed(self, device: str, card: DeviceCard) -> None:
        try:
            await self._service.remove(device)
        except LimError as error:
            card.name.show_error(str(error))
        finally:
            card.show_removing(False)
        self.refresh()

    def _discover(self, on: bool) -> None:
        self._tasks.start(self._service.set_discovery(on))

    # The window itself

    def showEvent(self, event: QShowEvent) -> None:
        """Be live while it is seen."""
        super().showEvent(event)
        self._timer.start()
        self.refresh()
        if not event.spontaneous():
            self.setFocus()  # not on the name, which nobody wants to change by chance

    def hideEvent(self, event: QHideEvent) -> None:
        """Cost nothing while it is not seen."""
        super().hideEvent(event)
        self._timer.stop()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close by Esc and by the key that opened it."""
        if event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_F9):
            self.close()
        elif event.key() == Qt.Key.Key_F5:
            self._service.sync_now()
        else:
            super().keyPressEvent(event)


class _Empty(QFrame):
    """What is shown while no device is paired."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        picture = Picture(48)
        picture.show_icon("pair", theme.colours.accent)
        self._title = heading(scale=1.15)
        self._text = Words(role="soft", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(72, 28, 72, 28)
        layout.setSpacing(theme.GAP)
        layout.addWidget(picture, 0, Qt.AlignmentFlag.AlignHCenter)
        for words in (self._title, self._text):
            words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(words)
        self.show_starting(False)

    def show_starting(self, starting: bool) -> None:
        """Say that none is paired, or as long as that is not known, what goes on."""
        if starting:
            self._title.setText(self.tr("Connecting…"))
            self._text.setText(self.tr("The paired devices are shown in a moment."))
            return
        self._title.setText(self.tr("No device is paired yet"))
        self._text.setText(
            self.tr(
                "Start Lim Notes on another device and pair the two: one shows a code, the other takes it. "
                "From then on both hold the same notes, and merge what you write on either."
            )
        )
