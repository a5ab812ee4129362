"""The parts of the pairing dialog: the code as it is typed, the time left, the list of devices nearby."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.pairing import Nearby
from tests.gui.syncing import LAPTOP, press
from ui.nearby import NearbyList
from ui.pair_parts import CodeField, TimeLeft
from ui.parts import Switch, from_the_left, shortened


@pytest.fixture
def field(qtbot: QtBot) -> CodeField:
    made = CodeField()
    qtbot.addWidget(made)
    made.show()
    made.setFocus()
    return made


def shown(widget: QWidget) -> QImage:
    return widget.grab().toImage()


# ---- the code


@pytest.mark.parametrize(
    ("typed", "text", "complete"),
    [
        ("1234", "1234", False),
        ("12345", "1234 5", False),
        ("12345678", "1234 5678", True),
        ("1234 5678", "1234 5678", True),
        ("1234567899", "1234 5678", True),
        ("a1-2.3 4x5678", "1234 5678", True),
    ],
)
def test_a_code_is_grouped_while_it_is_typed(
    typed: str, text: str, complete: bool, field: CodeField
) -> None:
    QTest.keyClicks(field, typed)
    assert field.text() == text
    assert field.complete is complete


@pytest.mark.parametrize("pasted", ["12345678", " 1234-5678\n", "code: 1234 5678", "١٢٣٤٥٦٧٨"])
def test_a_code_is_pasted(pasted: str, field: CodeField) -> None:
    QGuiApplication.clipboard().setText(pasted)
    QTest.keySequence(field, QKeySequence(QKeySequence.StandardKey.Paste))
    assert field.text() == "1234 5678"
    assert field.complete


def test_a_digit_is_mended_in_place(field: CodeField) -> None:
    QTest.keyClicks(field, "12945678")
    field.setCursorPosition(3)
    press(field, Qt.Key.Key_Backspace)
    assert (field.text(), field.cursorPosition()) == ("1245 678", 2)
    QTest.keyClicks(field, "3")
    assert (field.text(), field.cursorPosition()) == ("1234 5678", 3)


def test_erasing_goes_over_the_gap(field: CodeField) -> None:
    QTest.keyClicks(field, "12345")
    for text in ("1234", "123", "12"):
        press(field, Qt.Key.Key_Backspace)
        assert field.text() == text


# ---- the time left


def test_the_bar_grows_shorter(qtbot: QtBot) -> None:
    left = TimeLeft()
    qtbot.addWidget(left)
    values = []
    for now in (0.0, 90.0, 151.0, 180.0, 200.0):
        left.show_time(180.0, now)
        values.append((left.bar.value(), left.words.text(), left.bar.property("role")))
    assert values == [
        (1000, "3:00 left", ""),
        (500, "1:30 left", ""),
        (161, "0:29 left", "wait"),
        (0, "0:00 left", "wait"),
        (0, "0:00 left", "wait"),
    ]


# ---- devices nearby


def test_many_devices_nearby_are_scrolled_and_painted(qtbot: QtBot) -> None:
    devices = [
        Nearby(f"<b>{at}</b>\n" + "W" * at, f"{at:032x}", f"[fe80::{at}%eth0]:4242", at == 0)
        for at in range(200)
    ]
    nearby = NearbyList()
    qtbot.addWidget(nearby)
    nearby.resize(300, nearby.sizeHint().height())
    nearby.show_devices(devices)
    nearby.show()
    few = nearby.sizeHint().height()
    assert nearby.item(3).text().startswith("<b>3</b> WWW")
    assert nearby.shown == devices
    before = shown(nearby)
    nearby.setCurrentRow(0)
    assert shown(nearby) != before
    nearby.show_devices(devices[:3])
    assert nearby.sizeHint().height() == few
    nearby.show_devices(devices[:1])
    assert nearby.sizeHint().height() < few
    assert nearby.currentRow() == 0


def test_what_is_told_again_changes_nothing(qtbot: QtBot) -> None:
    nearby = NearbyList()
    qtbot.addWidget(nearby)
    told: list[Nearby] = []
    nearby.chosen.connect(told.append)
    laptop = Nearby("Laptop", LAPTOP, "192.168.1.31:4242", False)
    nearby.show_devices([laptop])
    item = nearby.item(0)
    nearby.show_devices([laptop])
    assert nearby.item(0) is item
    nearby.setCurrentRow(0)
    assert told == [laptop]
    nearby.show_devices([replace(laptop, pairing=True)])
    assert told == [laptop]


# ---- the switch, and names in sentences


def test_a_switch_shows_where_it_stands(qtbot: QtBot) -> None:
    switch = Switch("Find devices")
    qtbot.addWidget(switch)
    switch.show()
    off = shown(switch)
    QTest.mouseClick(switch, Qt.MouseButton.LeftButton)
    assert switch.isChecked()
    assert shown(switch) != off
    press(switch, Qt.Key.Key_Space)
    assert not switch.isChecked()
    assert switch.minimumSizeHint().width() > switch.fontMetrics().horizontalAdvance("Find devices")


@pytest.mark.parametrize(
    ("name", "text"),
    [("Laptop", "Laptop"), ("two\nlines", "two lines"), ("x" * 40, "x" * 23 + "…"), ("", "")],
)
def test_names_are_shortened_in_sentences(name: str, text: str) -> None:
    assert shortened(name) == text


def test_names_from_right_to_left_do_not_turn_the_sentence_round() -> None:
    assert shortened("مكتب") == "\u2068مكتب\u2069"
    assert from_the_left("مكتب is near.") == "\u200eمكتب is near."
    assert from_the_left("Laptop is near.") == "Laptop is near."
