"""A card of the sync status: what is known of one paired device."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.status import DeviceStatus, Mend, State
from ui import theme
from ui.flow_graph import FlowGraph
from ui.namefield import NameField
from ui.parts import ElidedWords, Facts, Picture, Words, button, set_role, shortened, tell
from ui.trouble import Trouble

COLUMNS = (3, 3, 2)


class DeviceCard(QFrame):
    """Shows one device, and changes in place, so that focus and scroll position stay."""

    try_wanted = Signal()
    """Try to reach it now."""
    pair_wanted = Signal()
    """Pair with it once more."""
    rename_wanted = Signal(str)
    """Call it so from now on, on all devices."""
    remove_wanted = Signal()
    """It is to get nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._mend = Mend.NOTHING
        self._make_buttons()
        self.trouble = Trouble()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.GAP, 12, 2 * theme.GAP, 14)
        layout.setSpacing(12)
        layout.addLayout(self._make_head())
        layout.addWidget(self.trouble)
        layout.addLayout(self._make_facts())
        layout.addWidget(self._make_question())
        self._ask(False)

    def _make_buttons(self) -> None:
        self.mend_button = button(Mend.TRY.value)
        self.remove_button = button(self.tr("Remove…"), "quiet")
        self.confirm_button = button(self.tr("Remove"), "danger")
        self.keep_button = button(self.tr("Keep"))
        self.mend_button.clicked.connect(self._do_mend)
        self.remove_button.clicked.connect(lambda: self._ask(True))
        self.keep_button.clicked.connect(lambda: self._ask(False))
        self.confirm_button.clicked.connect(self.remove_wanted)

    def _make_head(self) -> QHBoxLayout:
        self.icon = Picture(28)
        self.name = NameField()
        self.name.rename_wanted.connect(self.rename_wanted)
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(self.icon)
        head.addLayout(self._make_lines(), 1)
        head.addWidget(self.mend_button)
        head.addWidget(self.remove_button)
        return head

    def _make_lines(self) -> QVBoxLayout:
        self.state = Words()
        self.state.setFont(theme.font(self.state, bold=True))
        self.chip = ElidedWords()
        self.chip.setObjectName("chip")
        self.chip.setIndent(0)
        self.path = ElidedWords(role="soft")
        second = QHBoxLayout()
        second.setContentsMargins(8, 0, 0, 0)  # as far in as the name
        second.setSpacing(theme.GAP)
        second.addWidget(self.state)
        second.addWidget(self.chip)
        second.addWidget(self.path, 1)
        lines = QVBoxLayout()
        lines.setSpacing(2)
        lines.addWidget(self.name)
        lines.addLayout(second)
        return lines

    def _make_facts(self) -> Facts:
        facts = Facts(*COLUMNS)
        self.they_lack = facts.add_wide(self.tr("They lack"), 2)
        self.we_lack = facts.add_wide(self.tr("We lack"), 2)
        self.last_seen = facts.add_wide(self.tr("Last seen"), 2)
        self.graph = FlowGraph()
        facts.addWidget(self.graph, 0, 4, 3, 2)
        self.received = facts.add_wide(self.tr("Received"), 1)
        self.sent = facts.add(self.tr("Sent"))
        self.round_trip = facts.add(self.tr("Round trip"))
        self.words = facts.add_wide(self.tr("Words"), 2)
        self.version = facts.add(self.tr("Version"))
        self.words.more = self.tr("Its own sync status shows the same four words.")
        return facts

    def _make_question(self) -> QWidget:
        self.question = QWidget()
        self._asked = Words(wrap=True)
        row = QHBoxLayout(self.question)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        row.addWidget(self._asked, 1)
        row.addWidget(self.confirm_button)
        row.addWidget(self.keep_button)
        return self.question

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        asked = [self.confirm_button, self.keep_button]
        return [*self.name.stops, self.mend_button, self.remove_button, *asked]

    # What is shown

    def show_device(self, device: DeviceStatus, now: float) -> None:
        """Show what is known; ``now`` in Unix seconds."""
        self._show_names(device.label, _sentence(device.state.value), server=device.server)
        self._show_state(device)
        self._show_facts(device, now)
        self._show_trouble(device, now)
        self._show_mend(device)

    def _show_names(self, name: str, state: str, *, server: bool) -> None:
        self.name.show_name(name)
        self.state.setText(state)
        self.setAccessibleName(self.tr("{name}: {state}").format(name=name, state=state))
        question = self.tr(
            "Remove {name}? It keeps the notes that it has, and gets no more. This cannot be undone; to come "
            "back, it has to be paired again."
        )
        if server:
            question = self.tr(
                "Remove {name}? None of your devices gives it anything any more. This cannot be undone; to "
                "be used again, the server needs a new key."
            )
        self._asked.setText(question.format(name=shortened(name, 32)))
        self.name.set_accessible_names(
            self.tr("Name of {name}").format(name=name),
            self.tr("Change the name of {name}").format(name=name),
        )
        self.remove_button.setAccessibleName(self.tr("Remove {name}").format(name=name))
        self.confirm_button.setAccessibleName(self.tr("Yes, remove {name}").format(name=name))
        self.keep_button.setAccessibleName(self.tr("Keep {name}").format(name=name))

    def _show_mend(self, device: DeviceStatus) -> None:
        """Offer what a person can do about a device that is not connected."""
        self._mend = device.mend
        if device.mend is Mend.NOTHING:
            if self.mend_button.hasFocus():
                self.remove_button.setFocus()
        else:
            self.mend_button.setText(device.mend.value)
            pairing = device.mend is Mend.PAIR
            named = (
                self.tr("Pair with {name} again") if pairing else self.tr("Try to reach {name} now")
            )
            self.mend_button.setAccessibleName(named.format(name=device.label))
        self.mend_button.setVisible(device.mend is not Mend.NOTHING)

    def _do_mend(self) -> None:
        (self.pair_wanted if self._mend is Mend.PAIR else self.try_wanted).emit()

    def _show_state(self, device: DeviceStatus) -> None:
        icon, colour = theme.state_look(device.state)
        self.icon.show_icon(icon, colour)
        sheet = f"color: {colour};"
        if self.state.styleSheet() != sheet:
            self.state.setStyleSheet(sheet)
        known = device.identical is not None or bool(device.differing)
        self.chip.setVisible(device.connected)
        self.chip.show_text(device.contents if known else self.tr("contents not known now"))
        digest = self.tr("Digest there: {digest}").format(digest=device.digest)
        self.chip.more = "\n".join(filter(None, [device.digest and digest, *_whose(device)]))
        set_role(self.chip, ("good" if device.identical else "wait") if known else "")
        self.path.show_text(device.route)

    def _show_facts(self, device: DeviceStatus, now: float) -> None:
        tell(self.last_seen, device.heard_in_words(now))
        tell(self.they_lack, device.they_lack_in_words(now))
        tell(self.we_lack, device.we_lack_in_words(now))
        tell(self.received, _traffic(device.changes_in, device.bytes_in))
        tell(self.sent, _traffic(device.changes_out, device.bytes_out))
        tell(self.round_trip, words.trip_in_words(device.round_trip))
        tell(self.words, device.words or words.UNKNOWN)
        tell(self.version, device.agent or words.UNKNOWN)
        self.graph.show_flow(device.flow)

    def _show_trouble(self, device: DeviceStatus, now: float) -> None:
        """Say what fails, since when, and when the next try is."""
        refused = device.state is State.REFUSED
        more = _sentence(device.trouble_in_words(now))
        self.trouble.say(device.error, more, "bad" if refused else "wait")

    def _ask(self, asked: bool) -> None:
        """Ask in the card whether to remove the device, or stop asking."""
        self.name.show_error("")
        self.question.setVisible(asked)
        self.remove_button.setEnabled(not asked)
        if asked:
            self.keep_button.setFocus()
        elif self.isVisible():
            self.remove_button.setFocus()

    def show_removing(self, removing: bool) -> None:
        """Let nobody ask twice while it is being removed."""
        self.confirm_button.setEnabled(not removing)
        self.keep_button.setEnabled(not removing)


def _sentence(text: str) -> str:
    """Text as a sentence begins."""
    return text[:1].upper() + text[1:]


def _whose(device: DeviceStatus) -> list[str]:
    """Whose changes differ, a line for each author."""
    return [one.in_words for one in device.differing]


def _traffic(changes: int, octets: int) -> str:
    return f"{words.changes_in_words(changes)}, {words.size_in_words(octets)}"
