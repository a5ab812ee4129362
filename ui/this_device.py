"""The card of the sync status that tells of this device."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.status import SHORT, Status
from ui import theme
from ui.addresses import Addresses
from ui.namefield import NameField
from ui.parts import Facts, Picture, Switch, Words, tell
from ui.trouble import Trouble


class ThisDevice(QFrame):
    """This device's name, to be changed in place, its words and addresses, and what it holds."""

    rename_wanted = Signal(str)
    """Call this device so from now on."""
    discovery_wanted = Signal(bool)
    """Look for devices nearby and be found by them, or do not."""
    grown = Signal()
    """There is another number of things that the Tab key stops at."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        picture = Picture(36)
        picture.show_icon("device", theme.colours.accent)
        self.name = NameField()
        self.name.set_accessible_names(
            self.tr("Name of this device"), self.tr("Change the name of this device")
        )
        self.name.rename_wanted.connect(self.rename_wanted)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self.name)
        texts.addLayout(self._make_reach())
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(texts, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.GAP, 10, 2 * theme.GAP, 14)
        layout.setSpacing(theme.GAP + 2)
        layout.addLayout(head)
        layout.addLayout(self._make_facts())
        self.unshown = Trouble()
        layout.addWidget(self.unshown)
        layout.addLayout(self._make_discovery())

    def _make_reach(self) -> QVBoxLayout:
        self._reached = Words(role="soft")
        self.addresses = Addresses()
        column = QVBoxLayout()
        column.setContentsMargins(8, 0, 0, 0)  # as far in as the name
        column.setSpacing(4)
        for part in (self._reached, self.addresses):
            column.addWidget(part)
        return column

    def _make_facts(self) -> Facts:
        facts = Facts(3, 2, 2)
        self.holds = facts.add(self.tr("Holds"))
        self.digest = facts.add(self.tr("Digest"))
        self.library = facts.add(self.tr("Library"))
        self.words = facts.add_wide(self.tr("Words"))
        self.words.more = self.tr("Other devices show these four words for this one.")
        self.keeping = facts.add_wide(self.tr("Key"))
        self.keeping.more = self.tr(
            "Where the password is kept that opens this device's key file, identity.pem."
        )
        return facts

    def _make_discovery(self) -> QVBoxLayout:
        self.discovery = Switch(self.tr("Find devices nearby, and let them find this one"))
        self.discovery.toggled.connect(self.discovery_wanted)
        self.discovery_problem = Words(role="soft", wrap=True)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.discovery)
        column.addWidget(self.discovery_problem)
        return column

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        return [*self.name.stops, *self.addresses.stops, self.discovery]

    def show_status(self, status: Status) -> None:
        """Show what holds now; a name that is being edited stays."""
        self.name.show_name(status.name)
        self._show_reach(status)
        saved = self.tr("{held}, saving…") if status.unsaved else self.tr("{held}, all on disk")
        tell(self.holds, saved.format(held=words.changes_in_words(status.changes)))
        self.unshown.say(status.unshown_in_words, role="wait")
        tell(self.digest, status.short_digest)
        self.digest.more = status.digest
        tell(self.library, status.library[:SHORT])
        self.library.more = status.library
        tell(self.words, status.words or words.UNKNOWN)
        tell(self.keeping, status.keeping or words.UNKNOWN)

    def _show_reach(self, status: Status) -> None:
        reached = self.tr("Other devices reach it at")
        unreached = self.tr("Other devices cannot reach it; it connects to them.")
        self._reached.setText(reached if status.addresses else unreached)
        if self.addresses.show_addresses(status.addresses):
            self.grown.emit()
        with QSignalBlocker(self.discovery):
            self.discovery.setChecked(status.discovery)
        self.discovery_problem.setText(status.discovery_problem)
        self.discovery_problem.setVisible(bool(status.discovery_problem))
