"""Takes the README's pictures: real devices, paired over loopback, two of them writing in one note.

    python3 packaging/bootstrap.py screenshots

Needs no screen.  The pictures go to ``resources/screenshots``, twice as large as they are shown.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# Before Qt is imported: no screen, and two pixels for each one.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_SCALE_FACTOR"] = "2"

import qasync

# ruff: noqa: E402
from PySide6.QtCore import QBuffer, QIODevice, QLocale, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QImage, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.service import Service
from ui.application import make_application
from ui.mainwindow import MainWindow

PICTURES = ROOT / "resources" / "screenshots"
MOST = 300_000
"""Bytes that a picture may have."""
PATIENCE = 20.0
"""Seconds until something that should happen counts as not happening."""
HOUR = 3600

# Each with its age in hours, the oldest first.
NOTES = (
    (400, "Wi-Fi for guests\nNetwork: Lime Tree. The password is on the fridge."),
    (220, "旅行の準備\nパスポート、充電器、雨具。宿に電話する。"),
    (145, "رحلة إلى البحر\nالمناشف والمظلة والماء البارد"),  # noqa: RUF001
    (100, "Books to read\nThe Left Hand of Darkness, Invisible Cities, A Wizard of Earthsea."),
    (75, "Ideas 💡\nA window box with herbs. A swing for the old pear tree."),
    (50, "Bread\n500 g flour, 350 g water, 10 g salt, a spoonful of starter. Fold four times."),
    (26, "Repairs\nThe bicycle: rear brake, chain. The tap in the kitchen drips again."),
    (3, "Standup\nThe importer is ready for review. Next: large files, and a progress bar."),
)
TRASHED = "Old shopping list\nMilk, stamps."
GARDEN = """\
Garden plan

Two raised beds along the south wall, 2.4 × 1.2 m each.
The soil comes on Friday: two cubic metres.

Bed one
- peas and broad beans, from the middle of March
- carrots between rows of spring onions 🥕
- lettuce, a new row every two weeks

Bed two
- tomatoes 🍅, after the last frost
- basil in front, where it gets the most sun

Still to buy
"""  # noqa: RUF001
HERE = "- string, bamboo canes, a good watering can"
THERE = "- a lime tree in a pot, carried inside before the first frost 🍋\n"


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to happen."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is looked at has no event of its own
            await asyncio.sleep(0.01)


async def write(service: Service, text: str, hours_ago: float = 0.0) -> str:
    """Write a note, as if some time ago; returns its oid."""
    then = time.time() - hours_ago * HOUR
    note = await service.notes.create()
    with patch("time.time", lambda: then):
        note.body.insert(0, text)
        await service.notes.close(note)
    return note.oid


async def take(desk: Service, laptop: Service, phone: Service) -> None:
    """Let things happen on the devices, and take the pictures."""
    for service, name in ((desk, "Desk"), (laptop, "Laptop"), (phone, "Phone")):
        await service.start()
        await service.rename(name)
    for hours_ago, text in NOTES:
        await write(desk, text, hours_ago)
    await desk.notes.trash(await write(desk, TRASHED, 500))
    await write(desk, GARDEN)
    for service in (laptop, phone):
        await service.pair(desk.status().listening)
    await until(lambda: all(device.identical for device in desk.status().devices))
    window = MainWindow(desk)
    try:
        await work(window, laptop, phone)
    finally:
        window.shut()
        await window.tasks.settle()


async def work(window: MainWindow, laptop: Service, phone: Service) -> None:
    """Write here and on the laptop, let the phone leave, and take the pictures."""
    desk, editor = window.service, window.pane.editor
    window.resize(1100, 690)
    window.show()
    window.begin()
    await until(lambda: editor.toPlainText().startswith("Garden"))
    window.pane.focus_editor()
    editor.moveCursor(QTextCursor.MoveOperation.End)
    QTest.keyClicks(editor, HERE)
    note = await laptop.notes.open(window.open_note.oid)
    await until(lambda: HERE in str(note.body))
    note.body.insert(str(note.body).index("\nStill"), THERE)
    await laptop.notes.close(note)
    await until(lambda: THERE in editor.toPlainText())
    await phone.stop()
    await until(lambda: settled(desk) and window.pane.saved_text == "Saved")
    window.show_status()
    save(window, "main-window.png")
    window.toggle_panel()
    cards = [window.panel.card(device.device) for device in desk.status().devices]
    await until(lambda: all(card.isVisible() for card in cards))
    await until(lambda: failing_for(desk) > 3)  # so that the panel has something to tell
    window.panel.refresh()
    save(window.panel, "sync-panel.png")


def settled(desk: Service) -> bool:
    """Whether one device is identical, the other being tried again, and everything saved."""
    status = desk.status()
    states = sorted(device.state.value for device in status.devices)
    return states == ["up to date", "waiting to try again"] and not status.unsaved


def failing_for(desk: Service) -> float:
    """For how many seconds a device has not been reached."""
    since = [device.error_since for device in desk.status().devices if device.error_since]
    return time.time() - min(since, default=time.time())


def save(window: QWidget, name: str) -> None:
    """Save a picture of a window, with fewer colours if it would be too large."""
    image = window.grab().toImage()
    data = b""
    for form in (QImage.Format.Format_RGB888, QImage.Format.Format_Indexed8):
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        # Qt's quality 0 is the strongest compression of a PNG.
        image.convertToFormat(form).save(buffer, "PNG", 0)  # type: ignore[call-overload]
        data = bytes(buffer.data().data())
        if len(data) <= MOST:
            break
    path = PICTURES / name
    path.write_bytes(data)
    print(f"{path.relative_to(ROOT)}: {image.width()} x {image.height()}, {len(data) // 1000} kB")


async def main(folder: Path) -> None:
    """Make three devices in a folder, and end them in good order."""
    devices = [
        Service(folder / name, listen="127.0.0.1:4242") for name in ("desk", "laptop", "phone")
    ]
    try:
        await take(*devices)
    finally:
        for service in devices[:2]:
            await service.stop()


def complain(kind: QtMsgType, context: object, words: str) -> None:
    """Pass on what Qt says, but for what a platform without a screen cannot do."""
    if not words.startswith("This plugin does not support"):
        print(words, file=sys.stderr)


if __name__ == "__main__":
    qInstallMessageHandler(complain)
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedKingdom))
    PICTURES.mkdir(exist_ok=True)
    loop = qasync.QEventLoop(make_application())
    asyncio.set_event_loop(loop)
    with loop, tempfile.TemporaryDirectory(prefix="limnotes-") as place:
        loop.run_until_complete(main(Path(place)))
