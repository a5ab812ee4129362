"""The pages of the pairing dialog once the devices meet: busy, both accept, done, failed."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QRadioButton, QVBoxLayout, QWidget

from app.pairing import Joining, PairingView, Phase
from app.status import Status
from ui import theme
from ui.pair_parts import Face, Page, busy_bar
from ui.parts import Words, heading, shortened
from ui.trouble import Trouble


class BusyPage(Page):
    """Says what goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = busy_bar(self.tr("Pairing"))
        self.body.addWidget(self.bar)

    def show_view(self, view: PairingView, status: Status) -> None:
        """Say what goes on."""
        if view.phase is Phase.JOINING:
            title = self.tr("Pairing with {name}…").format(name=shortened(view.peer_name))
            if view.server:
                text = self.tr("The server learns which devices may use it. It gets no keys.")
            elif view.we_join:
                text = self.tr("The keys of the shared notes come to this device.")
            else:
                text = self.tr("The other device gets the keys of the shared notes.")
        elif view.phase is Phase.CHECKING:
            title, text = self.tr("Checking the code…"), ""
        else:
            title, text = self.tr("Connecting to the other device…"), ""
        if title != self.title.text():
            self.head(title, text)


class ConfirmPage(Page):
    """Shows both devices, asks what becomes of own notes, and takes a yes or a no."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False
        self.ours = Face(self.tr("This device"))
        self.theirs = Face(self.tr("The other device"))
        row = QHBoxLayout()
        row.setSpacing(theme.GAP + 4)
        row.addWidget(self.ours, 1)
        row.addWidget(self.theirs, 1)
        self.outcome = Words(wrap=True)
        self.wait_words = Words(wrap=True)
        self.bar = busy_bar(self.tr("Waiting for the other device"))
        self.body.addLayout(row)
        self.body.addWidget(self.outcome)
        self.body.addWidget(self._make_question())
        self.body.addWidget(self.wait_words)
        self.body.addWidget(self.bar)

    def _make_question(self) -> QWidget:
        self.question = QWidget()
        self._asked = heading(scale=1.0)
        self.add_mine = QRadioButton(self.tr("Add my notes"))
        self.keep_apart = QRadioButton(self.tr("Keep mine apart"))
        self.add_mine.setChecked(True)
        self._add_words, self._apart_words = (Words(role="soft", wrap=True) for _ in range(2))
        column = QVBoxLayout(self.question)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._asked)
        column.addSpacing(4)
        for choice, words in (
            (self.add_mine, self._add_words),
            (self.keep_apart, self._apart_words),
        ):
            words.setContentsMargins(24, 0, 0, 6)  # below the words of the choice
            column.addWidget(choice)
            column.addWidget(words)
        return self.question

    @property
    def joining(self) -> Joining:
        """What is to become of the notes here."""
        return Joining.KEEP_APART if self.keep_apart.isChecked() else Joining.ADD_MINE

    @property
    def reject_words(self) -> str:
        """What the button says that gives up."""
        return self.tr("Cancel") if self._waiting else self.tr("Refuse")

    @property
    def accept_words(self) -> str:
        """What the button says that goes on."""
        return "" if self._waiting else self.tr("Accept")

    def show_view(self, view: PairingView, status: Status) -> None:
        """Show both devices, and what will come of it."""
        self._waiting = view.phase is Phase.WAITING
        name = shortened(view.peer_name)
        compare = self.tr(
            "Look at both screens. The other device must show these names and words as well. If it does "
            "not, refuse."
        )
        if view.server:
            compare = self.tr(
                "This is a server. “limserver invite” prints its words there; they must be these. If they "
                "are not, refuse."
            )
        self.head(self.tr("Pair with {name}?").format(name=name), compare)
        self.ours.show_device(status.name, view.own_words)
        self.theirs.show_device(view.peer_name, view.peer_words)
        gives = self.tr(
            "{name} gets the notes of this device. From then on both hold the same notes."
        )
        joins = self.tr(
            "This device gets the notes of {name}. From then on both hold the same notes."
        )
        keeps = self.tr(
            "{name} keeps the notes of this library sealed, for your devices to get them when they are not "
            "on at the same time. It cannot read them. Your other devices use it by themselves."
        )
        found = joins if view.we_join else keeps if view.server else gives
        self.outcome.setText(found.format(name=name))
        self._show_question(view, name)
        accepted = self.tr("Accepted here. Now accept on {name} as well.")
        self.wait_words.setText(accepted.format(name=name))
        self.wait_words.setVisible(self._waiting)
        self.bar.setVisible(self._waiting)

    def _show_question(self, view: PairingView, name: str) -> None:
        asks = view.we_join and view.asks
        self.question.setVisible(asks)
        self.question.setEnabled(not self._waiting)
        if not asks:
            return
        asked = self.tr("What becomes of the notes on this device ({count})?")
        self._asked.setText(asked.format(count=f"{view.notes:,}"))
        added = self.tr("They join those of {name}, and come to all devices that share them.")
        self._add_words.setText(added.format(name=name))
        self._apart_words.setText(
            self.tr(
                "They stay on this device alone, as they are. File > Open other library shows them."
            )
        )
        for choice, words in (
            (self.add_mine, self._add_words),
            (self.keep_apart, self._apart_words),
        ):
            choice.setAccessibleDescription(words.text())

    def begin(self) -> None:
        """Stand on the title: nobody accepts by an Enter that was meant for the page before."""
        self.title.setFocus()


class PairedPage(Page):
    """Says that it went well, and how far the first sync is."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Trouble()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("First sync"))
        self.counted = Words()
        for part in (self.answer, self.progress, self.counted):
            self.body.addWidget(part)

    @property
    def reject_words(self) -> str:
        """What the button says that closes the dialog."""
        return ""

    @property
    def accept_words(self) -> str:
        """What the button says that closes the dialog, too."""
        return self.tr("Done")

    def show_view(self, view: PairingView, status: Status) -> None:
        """Say how far it is; what holds the same is proven by the digests."""
        name = shortened(view.peer_name)
        self.head(self.tr("Paired with {name}").format(name=name))
        there = next((device for device in status.devices if device.device == view.peer), None)
        same = there is not None and there.identical is True and not status.adding
        coming = view.we_join and not same and (view.done < view.total or not view.total)
        if coming:
            text = self.tr("The notes of {name} are coming.").format(name=name)
        elif same:
            text = self.tr("Both devices hold the same notes now.")
        else:
            text = status.adding or self.tr("The two bring each other up to date now.")
        more = self.tr(
            "From now on each gets what is written on the other, whenever they are connected."
        )
        waits = self.tr("You can close this window; it goes on.")
        self.answer.say(text, more if same else waits, "good")
        self.progress.setVisible(coming)
        self.counted.setVisible(coming)
        if coming:
            self.progress.setRange(
                0, view.total
            )  # without a total it only says that something goes on
            self.progress.setValue(view.done)
            counted = self.tr("{done} of {total} changes") if view.total else ""
            self.counted.setText(counted.format(done=f"{view.done:,}", total=f"{view.total:,}"))


class FailedPage(Page):
    """Says what failed, and what would mend it."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Trouble()
        self.body.addWidget(self.answer)
        self.again = ""
        """What the button says that tries again."""

    @property
    def reject_words(self) -> str:
        """What the button says that gives up."""
        return self.tr("Close")

    @property
    def accept_words(self) -> str:
        """What the button says that tries again."""
        return self.again or self.tr("Try again")

    def show_view(self, view: PairingView, status: Status) -> None:
        """Say it; what failed before anything began was said already."""
        if view.phase is Phase.FAILED:
            self.fail(view.error, view.mend)

    def fail(self, error: str, mend: str = "") -> None:
        """Say what failed, and what would mend it."""
        self.head(self.tr("The devices are not paired"))
        self.answer.say(error, mend)
        self.title.setAccessibleDescription(f"{error} {mend}".strip())
