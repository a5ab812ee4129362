"""What keeps this device from syncing at all, and the buttons that end it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton

from app.service import Service
from app.status import Status
from liblim.errors import LimError
from ui import theme
from ui.parts import button, shortened
from ui.tasks import Tasks
from ui.trouble import Trouble


class _Case(NamedTuple):
    """One thing that keeps it: what to say, and what can be done, the likeliest first."""

    text: str
    more: str
    offers: tuple[tuple[str, str], ...]
    """Words of a button, and the name of what it does."""


class IdentityBanner(Trouble):
    """Says that the key is locked, came from elsewhere, or is no longer a member's; else hidden."""

    pair_wanted = Signal()
    offered = Signal()
    """Other buttons are there."""

    def __init__(self, service: Service, tasks: Tasks) -> None:
        super().__init__()
        self._service, self._tasks = service, tasks
        self._case: _Case | None = None
        self._asking = False
        """Whether it asks whether to make a new key, in place of what is the matter."""
        self._deeds: dict[str, Callable[[], object]] = {
            "unlock": lambda: self._try(service.unlock()),
            "stay": lambda: self._try(service.answer_moved(True)),
            "new": lambda: self._try(service.answer_moved(False)),
            "pair": self.pair_wanted.emit,
            "ask": lambda: self._ask(True),
            "leave": lambda: self._ask(False),
            "renew": lambda: self._try(service.renew()),
        }
        self.buttons: list[QPushButton] = []
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, theme.GAP - 2, 0, 2)
        self._row.setSpacing(theme.GAP)
        self.texts.addLayout(self._row)

    def show_status(self, status: Status) -> None:
        """Show the worst that holds; a failed try stays to be read until things change."""
        self._asking = self._asking and bool(status.locked)
        case = _new_key() if self._asking else _case(status)
        if case == self._case:
            return
        self._case = case
        self._offer(case.offers if case else ())
        if case:
            self.say(case.text, case.more, "wait")
        else:
            self.say("")

    def say(self, text: str, more: str = "", role: str = "bad") -> None:
        """Let the sentence stand out from what follows it."""
        super().say(text, more, role)
        self.first.setFont(theme.font(self.first, bold=True))  # a change of role forgets fonts

    def _offer(self, offers: tuple[tuple[str, str], ...]) -> None:
        for old in self.buttons:
            old.hide()
            old.deleteLater()
        while self._row.count():
            self._row.takeAt(0)
        self.buttons = [button(words) for words, _ in offers]
        for made, (_, deed) in zip(self.buttons, offers, strict=True):
            made.clicked.connect(lambda _, do=self._deeds[deed]: do())
            self._row.addWidget(made)
        self._row.addStretch(1)
        self.offered.emit()

    def _ask(self, asking: bool) -> None:
        self._asking = asking
        self.show_status(self._service.status())
        self.buttons[-1].setFocus()

    def _try(self, work: Coroutine[Any, Any, object]) -> None:
        self._enable(False)
        self._tasks.start(self._tried(work))

    async def _tried(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except LimError as error:
            self.say(str(error), self._case.more if self._case else "", "wait")
        finally:
            self._enable(True)
        self.show_status(self._service.status())

    def _enable(self, enabled: bool) -> None:
        for made in self.buttons:
            made.setEnabled(enabled)


def _new_key() -> _Case:
    return _Case(
        _tr("Make a new key for this device?"),
        _tr(
            "All notes stay here. Your other devices do not know the new key, so this device has to be "
            "paired with one of them again. The old key does not come back."
        ),
        ((_tr("Make a new key"), "renew"), (_tr("Not now"), "leave")),
    )


def _case(status: Status) -> _Case | None:
    if status.elsewhere:
        return _Case(
            _tr("These notes came from another computer. Are they still used there?"),
            _tr(
                "If they moved here for good, this device goes on in place of the other. "
                "If they are a copy, this becomes a new device with the same notes, to be paired again."
            ),
            ((_tr("They moved here"), "stay"), (_tr("They are a copy"), "new")),
        )
    if status.locked:
        return _Case(
            status.locked,
            _tr("Until then nothing syncs, and what you write now is kept in memory only."),
            ((_tr("Unlock"), "unlock"), (_tr("Make a new key…"), "ask")),
        )
    if status.removed_by:
        text = _tr("{name} removed this device from the shared notes.")
        return _Case(
            text.format(name=shortened(status.removed_by, 32)),
            _tr(
                "All notes stay here, and you can go on writing. What the others write from now on does "
                "not come here, unless you pair this device again."
            ),
            ((_tr("Pair again…"), "pair"),),
        )
    if status.outside:
        return _Case(
            _tr("This device has a new key, which your other devices do not know."),
            _tr("Pair it with one of them, and it syncs with all again."),
            ((_tr("Pair…"), "pair"),),
        )
    return None


def _tr(text: str) -> str:
    return QCoreApplication.translate("IdentityBanner", text)
