"""The dialog that pairs this device with another: one page after the other, as pairing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.pairing import PairingView, Phase
from app.service import Service
from liblim.errors import LimError
from ui import theme
from ui.pair_begin import ChoicePage, CodePage, EnterPage
from ui.pair_meet import BusyPage, ConfirmPage, FailedPage, PairedPage
from ui.pair_parts import Page
from ui.parts import button

if TYPE_CHECKING:
    from app.status import Status

WIDTH = 560
_LETTERS = 76
"""Letters of average width that there is room for, where they are large."""
_LEAST = 270
"""Pixels of its height, so that it does not jump more than it must."""
_LOOK_EVERY = 500
"""Milliseconds between two looks: the time left, and who is near."""
_OVER = (Phase.PAIRED, Phase.FAILED)


class PairDialog(QDialog):
    """Shows where pairing stands, and asks for what is needed.  Used once; ``open``, never ``exec``."""

    def __init__(self, service: Service, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._service, self._pairing = service, service.pairing
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Pair with a device"))
        self.setFixedWidth(max(WIDTH, _LETTERS * self.fontMetrics().averageCharWidth()))
        self._make_pages()
        self._make_buttons()
        self._lay_out()
        self._resting: Page = self.choice
        """The page that is shown while nothing goes on."""
        self.page: Page = self.choice
        """The page that is shown."""
        self._answer = ""
        """What was said to the device that is shown: ``accepted``, ``refused``, or nothing yet."""
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self.refresh)
        if self._pairing.view.phase in _OVER:
            self._pairing.cancel()  # what came of it was told in another dialog
        self.refresh()

    def _make_pages(self) -> None:
        self.choice = ChoicePage(self._pairing)
        self.code = CodePage()
        self.enter = EnterPage(self._pairing)
        self.busy = BusyPage()
        self.confirm = ConfirmPage()
        self.paired = PairedPage()
        self.failed = FailedPage()
        self.choice.show_choice.clicked.connect(self._show_code)
        self.choice.enter_choice.clicked.connect(lambda: self._rest(self.enter))
        self._pages: tuple[Page, ...] = (
            self.choice,
            self.code,
            self.enter,
            self.busy,
            self.confirm,
            self.paired,
            self.failed,
        )

    def _make_buttons(self) -> None:
        self.back_button = button(self.tr("Back"))
        self.reject_button = button("")
        self.accept_button = button("", "primary")
        self.back_button.clicked.connect(self.go_back)
        self.reject_button.clicked.connect(self.reject)
        self.accept_button.clicked.connect(self.go_on)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self.back_button)
        row.addStretch(1)
        row.addWidget(self.reject_button)
        row.addWidget(self.accept_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 20)
        layout.setSpacing(0)
        for page in self._pages:
            page.hide()
            layout.addWidget(page)
        layout.addStretch(1)
        layout.addSpacing(2 * theme.GAP + 4)
        layout.addLayout(row)

    # What is shown

    def show_status(self, status: Status) -> None:
        """Show where pairing stands."""
        view = self._pairing.view
        page = self._page_for(view)
        page.show_view(view, status)
        self._label_buttons(page)
        if page is not self.page or page.isHidden():
            self._turn_to(page)

    def refresh(self) -> None:
        """Show how things stand now."""
        self.show_status(self._service.status())

    def _page_for(self, view: PairingView) -> Page:
        """The page for a phase; whoever shows a code goes on showing it while one is checked."""
        if view.phase is Phase.SHOWING or (view.phase is Phase.CHECKING and view.code):
            return self.code
        pages = {
            Phase.IDLE: self._resting,
            Phase.CONFIRM: self.confirm,
            Phase.WAITING: self.confirm,
            Phase.PAIRED: self.paired,
            Phase.FAILED: self.failed,
        }
        return pages.get(view.phase, self.busy)

    def _label_buttons(self, page: Page) -> None:
        self.back_button.setVisible(page.back)
        for shown, words in (
            (self.reject_button, page.reject_words),
            (self.accept_button, page.accept_words),
        ):
            shown.setText(words)
            shown.setVisible(bool(words))

    def _turn_to(self, page: Page) -> None:
        self.page.hide()
        self.page = page
        self._answer = ""
        page.show()
        # On the confirming page Enter must be meant: the page comes by itself.
        self.accept_button.setDefault(page is not self.confirm)
        self._fit()
        if self.isVisible():
            page.begin()

    def _fit(self) -> None:
        """Be as high as the page needs."""
        layout = self.layout()
        assert layout is not None
        layout.activate()
        wraps = layout.hasHeightForWidth()
        height = (
            layout.totalHeightForWidth(self.width()) if wraps else layout.totalSizeHint().height()
        )
        self.setFixedHeight(max(height, _LEAST))

    # What people do

    def _rest(self, page: Page) -> None:
        """Show a page on which nothing goes on."""
        self._resting = page
        if self._pairing.view.phase is not Phase.IDLE:
            self._pairing.cancel()
        self.refresh()

    def _show_code(self) -> None:
        self._resting = self.choice
        try:
            self._pairing.show()
        except LimError as error:
            self._resting = self.failed
            self.failed.fail(str(error))
        self.failed.again = self.tr("Show a new code")
        self.refresh()

    def go_back(self) -> None:
        """Go back to the choice between the two ways."""
        self._rest(self.choice)

    def go_on(self) -> None:
        """Do what the primary button of the page says."""
        if self.page is self.enter:
            self.failed.again = ""
            self.enter.dial()
        elif self.page is self.confirm:
            self._answer = "accepted"
            self._pairing.accept(self.confirm.joining)
        elif self.page is self.failed:
            self._try_again()
            return
        elif self.page is self.paired:
            self.accept()
            return
        self.refresh()

    def _try_again(self) -> None:
        if self.failed.again:
            self._show_code()
        else:
            self.enter.forget_code()
            self._rest(self._resting)

    def reject(self) -> None:
        """Refuse, or give up, and close."""
        if self._pairing.view.phase is Phase.CONFIRM and not self._answer:
            self._answer = "refused"
            self._pairing.refuse()
        super().reject()

    # The window itself

    def event(self, event: QEvent) -> bool:
        """Fit again when a page needs more room, or less."""
        handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return handled

    def showEvent(self, event: QShowEvent) -> None:
        """Be live while it is seen."""
        super().showEvent(event)
        self._timer.start()
        self._fit()
        self.page.begin()

    def done(self, result: int) -> None:
        """Give up what still goes on; what is done stays done."""
        self._timer.stop()
        over = self._pairing.view.phase in (Phase.IDLE, Phase.FAILED)
        if not over and self._answer != "refused":  # the other device is just being told
            self._pairing.cancel()
        super().done(result)
