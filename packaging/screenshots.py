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
from collections import Counter
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
from PySide6.QtCore import QBuffer, QIODevice, QLocale, Qt, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QImage, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.pairing import Phase
from app.service import Service
from liblim.net import parse_address
from liblim.net.interfaces import OwnAddress
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
ADDRESSES = [
    OwnAddress(parse_address("192.168.1.20:4242"), "LAN"),
    OwnAddress(parse_address("100.64.0.3:4242"), "VPN"),
    OwnAddress(parse_address("[2001:db8:17::a0:5]:4242"), "IPv6"),
]
"""Examples: those of the computer that this runs on are nobody's business."""
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
        await service.online()
        await service.rename(name)
    for hours_ago, text in NOTES:
        await write(desk, text, hours_ago)
    await desk.notes.trash(await write(desk, TRASHED, 500))
    await write(desk, GARDEN)
    await pair(desk, phone)
    window = MainWindow(desk)
    try:
        window.resize(1100, 690)
        window.show()
        await show_pairing(window, laptop)
        await until(lambda: all(device.identical for device in desk.status().devices))
        await work(window, laptop, phone)
    finally:
        window.shut()
        await window.tasks.settle()


async def pair(shows: Service, enters: Service) -> None:
    """Let one device show a code and the other enter it, and accept on both."""
    shows.pairing.show()
    enters.pairing.dial(shows.status().listening, shows.pairing.view.code)
    await accept(shows, enters)
    shows.pairing.cancel()
    enters.pairing.cancel()


async def accept(*services: Service) -> None:
    """Accept on both devices, once both ask; returns when they are paired."""
    await until(lambda: all(one.pairing.view.phase is Phase.CONFIRM for one in services))
    for service in services:
        service.pairing.accept()
    await until(lambda: all(one.pairing.view.phase is Phase.PAIRED for one in services))


async def show_pairing(window: MainWindow, laptop: Service) -> None:
    """Pair with the laptop in the dialog, and take pictures of that."""
    desk = window.service
    window.pair()
    dialog = window.pair_dialog
    assert dialog is not None
    dialog.choice.show_choice.click()
    save(dialog, "pair-code.png")
    laptop.pairing.dial(desk.status().listening, desk.pairing.view.code)
    await until(lambda: dialog.page is dialog.confirm)
    save(dialog, "pair-confirm.png")
    await accept(desk, laptop)
    laptop.pairing.cancel()
    dialog.reject()


async def work(window: MainWindow, laptop: Service, phone: Service) -> None:
    """Let the phone leave, write here and on the laptop, and take the pictures."""
    desk, editor = window.service, window.pane.editor
    window.begin()
    await until(lambda: editor.toPlainText().startswith("Garden"))
    await phone.stop()
    window.pane.focus_editor()
    editor.moveCursor(QTextCursor.MoveOperation.End)
    QTest.keyClicks(editor, HERE)
    note = await laptop.notes.open(window.open_note.oid)
    await until(lambda: HERE in str(note.body))
    note.body.insert(str(note.body).index("\nStill"), THERE)
    await laptop.notes.close(note)
    await until(lambda: THERE in editor.toPlainText())
    await until(lambda: settled(desk) and window.pane.saved_text == "Saved here")
    await until(lambda: window.pane.where.text().endswith("on Laptop"))
    window.show_status()
    save(window, "main-window.png")
    window.panel.resize(740, 1010)
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
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    data = _png(image.convertToFormat(QImage.Format.Format_RGB888))
    if len(data) > MOST:
        data = _png(_in_few_colours(image))
    path = PICTURES / name
    path.write_bytes(data)
    print(f"{path.relative_to(ROOT)}: {image.width()} x {image.height()}, {len(data) // 1000} kB")


def _png(image: QImage) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    # Qt's quality 0 is the strongest compression of a PNG.
    image.save(buffer, "PNG", 0)  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def _in_few_colours(image: QImage) -> QImage:
    """The picture in its 256 most common colours: plain areas stay plain, unlike by Qt's own choice."""
    common = Counter(memoryview(image.constBits()).cast("I")).most_common(256)
    flags = Qt.ImageConversionFlag.AvoidDither | Qt.ImageConversionFlag.ThresholdDither
    colours = [colour for colour, _ in common]
    return image.convertToFormat(QImage.Format.Format_Indexed8, colours, flags)


async def main(folder: Path) -> None:
    """Make three devices in a folder, and end them in good order."""
    devices = [
        Service(folder / name, listen="127.0.0.1:4242") for name in ("desk", "laptop", "phone")
    ]
    try:
        with patch("app.network.own_addresses", lambda port, host: ADDRESSES):
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
