"""Parts of the pairing dialog: a page, a large choice, the code, the picture of the time left, a face."""

from __future__ import annotations

import math

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QProgressBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.pairing import PairingView
from app.status import Status
from ui import theme
from ui.parts import Button, ElidedWords, Picture, Words, heading, set_role

CODE_DIGITS = 8
_GROUP = CODE_DIGITS // 2
_SOON = 30
"""Seconds before its end when the time left looks urgent."""
_USUAL = 180.0
"""Seconds that a code counts."""


class Page(QWidget):
    """One page of the dialog: a title, a text below it, and what the page adds."""

    back = False
    """Whether there is a way back to the first page."""

    def __init__(self) -> None:
        super().__init__()
        self.title = heading(scale=1.3)
        self.text = Words(role="soft", wrap=True)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(theme.GAP + 4)
        self.body.addWidget(self.title)
        self.body.addWidget(self.text)

    def head(self, title: str, text: str = "") -> None:
        """Say what this page is about; it is what a screen reader reads when the page comes."""
        self.title.setText(title)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.title.setAccessibleName(title)
        self.title.setAccessibleDescription(text)

    @property
    def reject_words(self) -> str:
        """What the button says that gives up."""
        return self.tr("Cancel")

    @property
    def accept_words(self) -> str:
        """What the button says that goes on; empty where there is none."""
        return ""

    def show_view(self, view: PairingView, status: Status) -> None:
        """Show where pairing stands."""

    def begin(self) -> None:
        """Put the focus where it helps."""
        self.title.setFocus()


class Choice(Button):
    """A large button: a picture, what it does, and a sentence about that."""

    def __init__(self, icon: str, title: str) -> None:
        super().__init__()
        self.setObjectName("choice")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._icon = icon
        self._picture = picture = Picture(44)
        self._title = heading(title, scale=1.15)
        self._text = Words(role="soft", wrap=True)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(18, 18, 18, 18)
        self._layout.setSpacing(theme.GAP)
        self._layout.addWidget(picture, 0, Qt.AlignmentFlag.AlignHCenter)
        for label in (self._title, self._text):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
            self._layout.addWidget(label)
        self._layout.addStretch(1)
        for part in (picture, self._title, self._text):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(title)
        self.open_up(True)

    def open_up(self, enabled: bool) -> None:
        """Let it be chosen, or not; a style sheet does not see that in the words on it."""
        self.setEnabled(enabled)
        colours = theme.colours
        self._picture.show_icon(self._icon, colours.accent if enabled else colours.off)
        set_role(self._title, "title" if enabled else "off")

    @property
    def explanation(self) -> str:
        """The sentence under the title."""
        return self._text.text()

    def explain(self, text: str) -> None:
        """Say what it does, or why it cannot."""
        self._text.setText(text)
        self.setAccessibleDescription(text)

    def hasHeightForWidth(self) -> bool:
        """Its words wrap."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Room for all its words."""
        return self._layout.totalHeightForWidth(width)

    def sizeHint(self) -> QSize:
        """As large as what is in it, not as the empty text of a button."""
        return self._layout.totalSizeHint()


class CodeLabel(QLabel):
    """The code, large, in two groups; a screen reader says digit by digit."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        font = theme.fixed_font(self)
        font.setPointSizeF(font.pointSizeF() * 3.2)
        font.setBold(True)
        self.setFont(font)

    def show_code(self, code: str) -> None:
        """Show ``1234 5678``."""
        self.setText(code)
        groups = [" ".join(group) for group in code.split()]
        self.setAccessibleName(self.tr("Code: {digits}").format(digits=", ".join(groups)))


class CodeField(QLineEdit):
    """Takes a code: digits only, shown in two groups, however they are typed or pasted."""

    def __init__(self) -> None:
        super().__init__()
        font = theme.fixed_font(self)
        font.setPointSizeF(font.pointSizeF() * 1.9)
        self.setFont(font)
        self.setPlaceholderText("1234 5678")
        self.setAccessibleName(self.tr("Code that the other device shows, 8 digits"))
        self.setInputMethodHints(Qt.InputMethodHint.ImhDigitsOnly)
        self.textEdited.connect(self._group)

    @property
    def complete(self) -> bool:
        """Whether all digits are there."""
        return len(_digits(self.text())) == CODE_DIGITS

    def _group(self, text: str) -> None:
        before = len(_digits(text[: self.cursorPosition()]))
        digits = _digits(text)[:CODE_DIGITS]
        rest = digits[_GROUP:]
        self.setText(f"{digits[:_GROUP]} {rest}" if rest else digits)
        self.setCursorPosition(before + (before > _GROUP))


def _digits(text: str) -> str:
    """The decimal digits in a text, of whatever script."""
    return "".join(str(int(character)) for character in text if character.isdecimal())


class TimeLeft(QWidget):
    """How long the code counts, as a bar that grows shorter and as words."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setObjectName("timeLeft")
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(self.tr("Time left"))
        self.words = Words(role="soft")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.bar)
        layout.addWidget(self.words, 0, Qt.AlignmentFlag.AlignHCenter)

    def show_time(self, until: float, now: float) -> None:
        """Show what is left until then; Unix seconds."""
        left = max(until - now, 0.0)
        self.bar.setValue(round(1000 * min(left / _USUAL, 1.0)))
        seconds = math.ceil(left)
        counted = f"{seconds // 60}:{seconds % 60:02}"
        self.words.setText(self.tr("{left} left").format(left=counted))
        set_role(self.bar, "wait" if left < _SOON else "")


class Face(QFrame):
    """A device as both screens show it: which of the two it is, its name, and its four words."""

    def __init__(self, which: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self._which = which
        self.name = ElidedWords()
        self.name.setFont(theme.font(self.name, scale=1.15, bold=True))
        self._words = [Words() for _ in range(4)]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 14)
        layout.setSpacing(3)
        layout.addWidget(Words(which, role="soft"))
        layout.addWidget(self.name)
        layout.addSpacing(6)
        for word in self._words:
            word.setFont(theme.font(word, scale=1.25))
            layout.addWidget(word)

    @property
    def words(self) -> str:
        """The four words that are shown."""
        return " ".join(word.text() for word in self._words)

    def show_device(self, name: str, words: str) -> None:
        """Show a name, and four words with spaces between."""
        self.name.show_text(name)
        found = [*words.split(), "", "", "", ""]
        for label, word in zip(self._words, found, strict=False):
            label.setText(word)
        told = f"{self._which}: {name}: {words}"
        self.setAccessibleName(told)


def busy_bar(name: str) -> QProgressBar:
    """A bar that only says that something goes on."""
    bar = QProgressBar()
    bar.setRange(0, 0)
    bar.setTextVisible(False)
    bar.setAccessibleName(name)
    return bar
