"""Two editors, two texts, and everything that a person and a network do, in seeded random order.

After each event of Qt each document is compared with its text; at the end the two are equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.editing import Desk
from ui.binding import CHECK

PIECES = (
    "a", "aa", "ab ", "word ", "\n", "\r\n", "\r", "\t", "\u00a0", "\u2028", "\x00", "\ufeff",
    "é", "e\u0301", "漢字", "שלום", "😀", "😁", "👨\u200d👩\u200d👧", "𠀀", "one\ntwo\r\nthree\n",
)  # fmt: skip
KEYS = (
    Qt.Key.Key_Backspace,
    Qt.Key.Key_Backspace,
    Qt.Key.Key_Delete,
    Qt.Key.Key_Left,
    Qt.Key.Key_Up,
    Qt.Key.Key_End,
    Qt.Key.Key_Return,
    Qt.Key.Key_Tab,
)


class Person:
    """Someone at an editor who does things at random, and the line to the other one."""

    def __init__(self, desk: Desk, dice: random.Random) -> None:
        self.desk = desk
        self.dice = dice
        self.outbox: list[list[Any]] = []
        self.deeds: list[tuple[Callable[[], object], int]] = [
            (self.type_letters, 8),
            (self.type_anything, 4),
            (self.press, 8),
            (self.move, 6),
            (self.paste, 3),
            (desk.editor.cut, 1),
            (self.drag, 1),
            (desk.editor.undo, 4),
            (desk.editor.redo, 3),
            (self.compose, 5),
            (self.end_composition, 2),
            (self.replace_block, 1),
        ]

    def act(self) -> None:
        """Do one thing."""
        deeds, weights = zip(*self.deeds, strict=True)
        self.dice.choices(deeds, weights)[0]()
        self.outbox += self.desk.text.take_ops()

    def receive_from(self, other: Person, n: int) -> None:
        """Get the next ``n`` operations of the other one."""
        ops, other.outbox = other.outbox[:n], other.outbox[n:]
        self.desk.receive(ops)

    def piece(self) -> str:
        """Any text."""
        return self.dice.choice(PIECES)

    def position(self) -> int:
        """Any position between two characters."""
        text = str(self.desk)
        start = text[: self.dice.randint(0, len(text))]
        return len(start.encode("utf-16-le")) // 2

    def type_letters(self) -> None:
        QTest.keyClicks(self.desk.editor, self.dice.choice(("a", "b", "ab", "xyz")))

    def type_anything(self) -> None:
        self.desk.key(self.piece())

    def press(self) -> None:
        modifier = self.dice.choice(
            (Qt.KeyboardModifier.NoModifier,) * 3 + (Qt.KeyboardModifier.ShiftModifier,)
        )
        QTest.keyClick(self.desk.editor, self.dice.choice(KEYS), modifier)

    def move(self) -> None:
        self.desk.settle()
        caret = self.position()
        near = self.desk.caret if self.dice.random() < 0.5 else self.position()
        self.desk.select(caret if self.dice.random() < 0.5 else near, caret)

    def paste(self) -> None:
        self.desk.paste("".join(self.piece() for _ in range(self.dice.randrange(5))))

    def drag(self) -> None:
        self.desk.settle()
        if self.desk.editor.textCursor().hasSelection():
            self.desk.drag(self.position())

    def compose(self) -> None:
        text, caret = self.desk.editor.document(), min(self.desk.selection)
        back = self.dice.choice((0, 0, 0, min(2, caret)))
        if any("\ud800" <= text.characterAt(caret - 1 - i) <= "\udfff" for i in range(back)):
            back = 0
        commit = self.dice.choice(("", "", "", "한", "글", "𠀀", "a"))
        self.desk.compose(self.dice.choice(("n", "ni", "하")), commit, -back, back)

    def end_composition(self) -> None:
        self.desk.compose("", self.dice.choice(("", "你", "𠀀𠀁")))

    def replace_block(self) -> None:
        """Edit in many places in one block, as a program does."""
        cursor = QTextCursor(self.desk.editor.document())
        cursor.beginEditBlock()
        for _ in range(3):
            cursor.setPosition(self.position())
            cursor.insertText(self.piece())
        cursor.endEditBlock()


@pytest.mark.parametrize("trial", range(60))
def test_two_editors_converge(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, seed: int, trial: int
) -> None:
    monkeypatch.setenv(CHECK, "raise")
    dice = random.Random(seed + trial)
    one, two = (Person(Desk(qtbot, replica), dice) for replica in "ab")
    for _ in range(60):
        dice.choice((one, two)).act()
        if dice.random() < 0.3:
            reader, writer = dice.choice(((one, two), (two, one)))
            reader.receive_from(writer, dice.choice((1, 9)))
    for person in (one, two):
        person.end_composition()
        person.outbox += person.desk.text.take_ops()
    one.receive_from(two, len(two.outbox))
    two.receive_from(one, len(one.outbox))
    assert str(one.desk.text) == str(two.desk.text)
    assert str(one.desk) == str(two.desk)
