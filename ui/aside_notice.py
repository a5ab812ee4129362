"""What was set aside because it contradicts other changes, and the button that issues it again."""

from __future__ import annotations

import time

from PySide6.QtWidgets import QHBoxLayout

from app.service import Service
from app.status import Status
from liblim.errors import LimError
from ui import theme
from ui.parts import button
from ui.tasks import Tasks
from ui.trouble import Trouble


class AsideNotice(Trouble):
    """Names the changes that are kept aside: whose, how many, in which notes; hidden without any."""

    def __init__(self, service: Service, tasks: Tasks) -> None:
        super().__init__()
        self._service, self._tasks = service, tasks
        self.failure = ""
        """Why the last try failed."""
        self.button = button(self.tr("Issue again"))
        self.button.setAccessibleName(self.tr("Issue the changes again that were set aside"))
        self.button.clicked.connect(self._issue)
        row = QHBoxLayout()
        row.setContentsMargins(0, theme.GAP - 2, 0, 2)
        row.addWidget(self.button)
        row.addStretch(1)
        self.texts.addLayout(row)

    def show_status(self, status: Status) -> None:
        """Show what is set aside now; a try that failed stays to be read."""
        if not status.aside:
            self.failure = ""
            self.say("")
            return
        now = time.time()
        more = self.tr(
            "This happens where a backup was restored, or a data folder copied, and both went on. "
            "Nothing is lost: issued again, their text comes into the notes as new changes. "
            "Read those notes through then."
        )
        texts = [one.in_words(now) for one in status.aside]
        self.say("\n".join(texts), f"{more}\n{self.failure}".strip(), "wait")

    def _issue(self) -> None:
        self.button.setEnabled(False)
        self._tasks.start(self._issued())

    async def _issued(self) -> None:
        try:
            await self._service.issue_again()
            self.failure = ""
        except LimError as error:
            self.failure = str(error)
        finally:
            self.button.setEnabled(True)
        self.show_status(self._service.status())
