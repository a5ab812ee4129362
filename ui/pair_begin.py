"""The pages of the pairing dialog before the two devices have met: the choice, the code, entering it."""

from __future__ import annotations

import time

from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.pairing import Nearby, Pairing, PairingView, Phase
from app.status import Status
from liblim.errors import LimError
from ui import theme
from ui.addresses import Addresses
from ui.nearby import NearbyList
from ui.pair_parts import Choice, CodeField, CodeLabel, Page, TimeLeft
from ui.parts import Words, set_role, shortened
from ui.trouble import Trouble

_TRIES = 3
"""Wrong codes that end a code, before any came."""


class ChoicePage(Page):
    """Asks which of the two shows the code."""

    def __init__(self, pairing: Pairing) -> None:
        super().__init__()
        self._pairing = pairing
        self.head(
            self.tr("Pair with another device"),
            self.tr(
                "Start Lim Notes on the other device, too. One of the two shows a code, and you enter it on "
                "the other one. Which do you want to do here?"
            ),
        )
        self.show_choice = Choice("code", self.tr("Show a code on this device"))
        self.enter_choice = Choice("keys", self.tr("Enter the code of the other device"))
        row = QHBoxLayout()
        row.setSpacing(theme.GAP + 4)
        row.addWidget(self.show_choice)
        row.addWidget(self.enter_choice)
        self.body.addSpacing(theme.GAP)
        self.body.addLayout(row)

    def show_view(self, view: PairingView, status: Status) -> None:
        """Say which of the ways is open, and who shows a code already."""
        reachable = bool(view.addresses or status.listening)
        self.show_choice.open_up(reachable)
        self.show_choice.explain(
            self.tr("Then enter it on the other one.")
            if reachable
            else self.tr("Other devices cannot reach this one now, so it has to be the other way.")
        )
        names = [near.name for near in self._pairing.nearby if near.pairing]
        first = self.tr("Let the other one show it first.")
        shows = self.tr("{name} is near, and shows one now.")
        self.enter_choice.explain(shows.format(name=shortened(names[0])) if names else first)

    def begin(self) -> None:
        """Stand on the first way that is open."""
        first = self.show_choice if self.show_choice.isEnabled() else self.enter_choice
        first.setFocus()


class CodePage(Page):
    """Shows the code, how long it counts, and where this device can be reached."""

    back = True

    def __init__(self) -> None:
        super().__init__()
        self.head(
            self.tr("Enter this code on the other device"),
            self.tr(
                "There, choose Sync > Pair with a device, and then “Enter the code of the other device”."
            ),
        )
        self.code = CodeLabel()
        self.time_left = TimeLeft()
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(24, 14, 24, 12)
        inside.addWidget(self.code)
        inside.addWidget(self.time_left)
        self.wrong = Trouble()
        self.near = Words(wrap=True)
        self.addresses = Addresses()
        for part in (card, self.wrong, self.near, self.addresses):
            self.body.addWidget(part)

    def show_view(self, view: PairingView, status: Status) -> None:
        """Show the code, and count down."""
        self.code.show_code(view.code)
        self.time_left.show_time(view.until, time.time())
        self._say_wrong(view)
        self.near.setText(self._about_addresses(view, status))
        self.addresses.show_addresses(view.addresses)

    def _about_addresses(self, view: PairingView, status: Status) -> str:
        """When the addresses are needed, and which of them."""
        one = self.tr("Enter this address there.")
        several = self.tr("Enter one of these addresses there.")
        if status.discovery and not status.discovery_problem:
            one = self.tr("If the other device does not list “{name}”, enter this address there.")
            several = self.tr(
                "If the other device does not list “{name}”, enter one of these addresses there."
            )
        if len(view.addresses) > 1:
            local = any(own.label.startswith("LAN") for own in view.addresses)
            house = self.tr("“LAN” is for devices in the same house.")
            text = f"{several} {house}" if local else several
        else:
            text = one
        return text.format(name=shortened(status.name))

    def _say_wrong(self, view: PairingView) -> None:
        if view.phase is Phase.SHOWING and 0 < view.tries < _TRIES:
            text = self.tr("A wrong code was entered. Compare the digits, and try once more there.")
            more = (
                self.tr("After another wrong one this code ends.")
                if view.tries == 1
                else self.tr("After {count} more wrong ones this code ends.").format(
                    count=view.tries
                )
            )
            self.wrong.say(text, more, "wait")
        else:
            self.wrong.say("")


class EnterPage(Page):
    """Takes address and code of the other device; a device nearby brings its address along."""

    back = True

    def __init__(self, pairing: Pairing) -> None:
        super().__init__()
        self._pairing = pairing
        self.head(self.tr("Enter the code of the other device"))
        self._make_fields()
        self.nearby = NearbyList()
        self.address_field.textEdited.connect(self.nearby.forget_choice)
        self.nearby.chosen.connect(self._take)
        self.nearby.entered.connect(self.code_field.setFocus)
        self._near_words = Words(role="soft", wrap=True)
        self.answer = Trouble()
        for part in (self._near_words, self.nearby, self._form, self.answer):
            self.body.addWidget(part)

    def _make_fields(self) -> None:
        self.address_field = QLineEdit()
        self.address_field.setFont(theme.fixed_font(self))
        self.address_field.setPlaceholderText("192.168.1.20:4242")
        self.address_field.setAccessibleName(self.tr("Address of the other device"))
        self.code_field = CodeField()
        self._form = QWidget()
        form = QGridLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(theme.GAP + 4)
        form.setVerticalSpacing(theme.GAP + 2)
        labelled = (
            (self.tr("&Address"), self.address_field),
            (self.tr("C&ode"), self.code_field),
        )
        for row, (words, field) in enumerate(labelled):
            label = QLabel(words)
            label.setBuddy(field)
            form.addWidget(label, row, 0)
            form.addWidget(field, row, 1)
            field.textEdited.connect(lambda: self.say(""))

    @property
    def accept_words(self) -> str:
        """What the button says that goes on."""
        return self.tr("Connect")

    def show_view(self, view: PairingView, status: Status) -> None:
        """Show who is near."""
        devices = self._pairing.nearby
        self.nearby.show_devices(devices)
        self.nearby.setVisible(bool(devices))
        if devices:
            words = self.tr("Choose the device, and enter the code that it shows:")
        elif status.discovery and not status.discovery_problem:
            words = self.tr(
                "No device was found nearby yet. Enter an address that the other one shows:"
            )
        else:
            words = self.tr("Enter an address that the other one shows, and its code:")
        self._near_words.setText(words)

    def begin(self) -> None:
        """Stand on what is to be done first; the one device that shows a code is chosen already."""
        shown = self.nearby.shown
        ready = [at for at, device in enumerate(shown) if device.pairing]
        if not self.address_field.text() and len(ready) == 1:
            self.nearby.setCurrentRow(ready[0])
        if self.address_field.text():
            self.code_field.setFocus()
        elif shown:
            self.nearby.setFocus()
        else:
            self.address_field.setFocus()

    def _take(self, device: Nearby) -> None:
        self.address_field.setText(device.address)
        self.say("")

    def say(self, sentence: str, field: QLineEdit | None = None) -> None:
        """Say what is wrong with what was entered, and where."""
        self.answer.say(sentence)
        for each in (self.address_field, self.code_field):
            set_role(each, "bad" if each is field else "")
        if field is not None:
            field.setFocus()
            field.selectAll()

    def dial(self) -> None:
        """Pair with what was entered."""
        address = self.address_field.text().strip()
        if not address:
            self.say(
                self.tr("Enter an address that the other device shows, such as 192.168.1.20:4242."),
                self.address_field,
            )
        elif not self.code_field.complete:
            self.say(
                self.tr("The code has 8 digits. Enter all that the other device shows."),
                self.code_field,
            )
        else:
            try:
                self._pairing.dial(address, self.code_field.text())
            except LimError as error:
                self.say(str(error), self.address_field)

    def forget_code(self) -> None:
        """Another try needs another code, or the same one entered anew."""
        self.code_field.clear()
