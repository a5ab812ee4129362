"""What the tests of the sync views share: devices in all states, and a service that has them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
import qasync
import shiboken6
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.service import Service
from app.status import DeviceStatus, Event, State, Status

LAPTOP, TABLET, OFFICE = "d" * 32, "a" * 32, "b" * 32
DIGEST = "3f9a1c0b" * 8


def device(**facts: Any) -> DeviceStatus:
    """A laptop that is up to date, but for these facts."""
    plain = DeviceStatus(
        device=LAPTOP,
        name="Laptop",
        state=State.UP_TO_DATE,
        address="127.0.0.1:4243",
        incoming=True,
        last_seen=time.time(),
        they_lack=0,
        we_lack=0,
        changes_in=1204,
        changes_out=1,
        bytes_in=318_000,
        bytes_out=204,
        round_trip=0.0006,
        digest=DIGEST,
        identical=True,
        error="",
        error_since=None,
        next_try=None,
        agent="limnotes/0.1.0",
    )
    return dataclasses.replace(plain, **facts)


def syncing() -> DeviceStatus:
    """A tablet that lacks something, as we do."""
    return device(
        device=TABLET,
        name="Tablet",
        state=State.SYNCING,
        incoming=False,
        they_lack=37,
        we_lack=2,
        identical=False,
        round_trip=0.0124,
    )


def waiting(left: float = 14) -> DeviceStatus:
    """A device that does not answer, and will be tried again in so many seconds."""
    now = time.time()
    return device(
        device=OFFICE,
        name="Office",
        state=State.WAITING,
        last_seen=now - 300,
        they_lack=None,
        we_lack=None,
        round_trip=None,
        digest="",
        identical=None,
        error="Nothing listens at 127.0.0.1:4243.",
        error_since=now - 250,
        next_try=now + left,
        agent="",
    )


class FakeService:
    """As much of ``Service`` as the sync views use."""

    def __init__(self, *devices: DeviceStatus) -> None:
        self.devices = devices
        self.name = "Desk"
        self.listening = "127.0.0.1:4242"
        self.problem = ""
        self.events: deque[Event] = deque(maxlen=5)
        self.asked: list[str] = []
        self.answer: asyncio.Future[str] | None = None
        self.refusal: Exception | None = None

    @property
    def real(self) -> Service:
        """Itself, as what it stands for."""
        return cast(Service, self)

    def status(self) -> Status:
        return Status(
            library="5be2c1d0" * 4,
            device="e" * 32,
            name=self.name,
            listening=self.listening,
            changes=1241,
            digest=DIGEST,
            unsaved=False,
            problem=self.problem,
            devices=self.devices,
        )

    def log(self, text: str, level: str = "info") -> None:
        self.events.append(Event(time.time(), level, "", text))

    def sync_now(self) -> None:
        self.asked.append("sync")

    async def rename(self, name: str) -> None:
        self.asked.append(f"rename {name}")
        if self.refusal is not None:
            raise self.refusal
        self.name = name

    async def unpair(self, device: str) -> None:
        self.asked.append(f"unpair {device}")

    async def pair(self, address: str) -> str:
        self.asked.append(f"pair {address}")
        self.answer = asyncio.get_running_loop().create_future()
        return await self.answer


Test = Callable[[], Coroutine[Any, Any, None]]


@contextmanager
def qt_loop(application: QApplication) -> Iterator[Callable[[Test], None]]:
    """Gives what runs a test on Qt's loop."""
    application.setQuitOnLastWindowClosed(False)  # the loop would end with the window
    with qasync.QEventLoop(application) as loop:
        yield lambda test: loop.run_until_complete(asyncio.wait_for(test(), 20))
    application.setQuitOnLastWindowClosed(True)
    # Timers that were cancelled live on; see tests/liblim/net/devices.py.
    shiboken6.delete(loop._timer)


@pytest.fixture
def on_qt(qapp: QApplication) -> Iterator[Callable[[Test], None]]:
    """Runs a test on Qt's loop."""
    with qt_loop(qapp) as run:
        yield run


async def turn() -> None:
    """Let everything that is due happen."""
    for _ in range(3):
        await asyncio.sleep(0)


def press(widget: QWidget, key: Qt.Key) -> None:
    """Press a key in a widget, as a person does who has put the focus there."""
    nothing = Qt.KeyboardModifier.NoModifier
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(widget, QKeyEvent(kind, key, nothing))
