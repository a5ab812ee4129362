"""What the tests of the sync views share: devices in all states, and a service that has them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import qasync
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.pairing import Joining, Nearby, PairingView, Phase
from app.service import Service
from app.status import DeviceStatus, Event, Mend, OwnAddress, State, Status
from liblim.errors import LimError
from tests.liblim.net.devices import delete_timer

LAPTOP, TABLET, OFFICE = "d" * 32, "a" * 32, "b" * 32
DIGEST = "3f9a1c0b" * 8
DESK_WORDS, LAPTOP_WORDS = "maple orbit candy violin", "ocean pencil silver tiger"


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
        words=LAPTOP_WORDS,
    )
    return replace(plain, **facts)


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
        mend=Mend.TRY,
    )


ADDRESSES = (
    OwnAddress("192.168.1.20:4242", "LAN"),
    OwnAddress("100.64.0.3:4242", "VPN"),
    OwnAddress("[2001:db8:17::a0:5]:4242", "IPv6"),
)


class FakePairing:
    """As much of ``Pairing`` as the dialog uses; a test says what comes of what is asked."""

    def __init__(self, asked: list[str]) -> None:
        self.view = PairingView()
        self.nearby: list[Nearby] = []
        self.refusal: LimError | None = None
        self._asked = asked

    def turn(self, phase: Phase, **facts: Any) -> None:
        """Let pairing be there."""
        known: dict[str, Any] = {"own_words": DESK_WORDS, "addresses": ADDRESSES, "notes": 12}
        self.view = PairingView(phase=phase, **(known | facts))

    def show_code(self, left: float = 180.0, **facts: Any) -> None:
        """Let a code be shown, for so many seconds."""
        known = {"code": "4071 8826", "until": time.time() + left, "tries": 3}
        self.turn(Phase.SHOWING, **(known | facts))

    def meet(self, phase: Phase = Phase.CONFIRM, **facts: Any) -> None:
        """Let the laptop be at the other end."""
        known = {"peer": LAPTOP, "peer_name": "Laptop", "peer_words": LAPTOP_WORDS}
        self.turn(phase, **(known | facts))

    def show(self) -> None:
        self._ask("show")
        self.show_code()

    def dial(self, address: str, code: str) -> None:
        self._ask(f"dial {address} {code}")
        self.turn(Phase.CONNECTING)

    def accept(self, joining: Joining = Joining.ADD_MINE) -> None:
        self._ask(f"accept {joining.value}")
        self.view = replace(self.view, phase=Phase.WAITING)

    def refuse(self) -> None:
        self._ask("refuse")  # the other device is told first

    def cancel(self) -> None:
        self._ask("cancel")
        self.turn(Phase.IDLE)

    def _ask(self, what: str) -> None:
        self._asked.append(what)
        if self.refusal is not None:
            raise self.refusal


class FakeService:
    """As much of ``Service`` as the sync views use."""

    def __init__(self, *devices: DeviceStatus) -> None:
        self.devices = devices
        self.name = "Desk"
        self.listening = "127.0.0.1:4242"
        self.problem = ""
        self.events: deque[Event] = deque(maxlen=5)
        self.facts: dict[str, Any] = {}
        """What is different in the status."""
        self.asked: list[str] = []
        self.refusal: Exception | None = None
        self.pairing = FakePairing(self.asked)

    @property
    def real(self) -> Service:
        """Itself, as what it stands for."""
        return cast(Service, self)

    def status(self) -> Status:
        plain = Status(
            library="5be2c1d0" * 4,
            device="e" * 32,
            name=self.name,
            listening=self.listening,
            changes=1241,
            digest=DIGEST,
            unsaved=False,
            problem=self.problem,
            devices=self.devices,
            words=DESK_WORDS,
            addresses=ADDRESSES if self.listening else (),
            keeping="in the keyring of this system",
        )
        return replace(plain, **self.facts)

    def log(self, text: str, level: str = "info") -> None:
        self.events.append(Event(time.time(), level, "", text))

    def sync_now(self) -> None:
        self.asked.append("sync")

    async def _do(self, what: str) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal

    async def rename(self, name: str) -> None:
        await self._do(f"rename {name}")
        self.name = name

    async def rename_device(self, device: str, name: str) -> None:
        await self._do(f"rename {device} {name}")
        self.devices = tuple(
            replace(known, name=name) if known.device == device else known for known in self.devices
        )

    async def remove(self, device: str) -> None:
        await self._do(f"remove {device}")
        self.devices = tuple(known for known in self.devices if known.device != device)

    async def issue_again(self) -> int:
        await self._do("issue again")
        self.facts["aside"] = ()
        return 1

    async def set_discovery(self, on: bool) -> None:
        await self._do(f"discovery {on}")
        self.facts["discovery"] = on

    async def unlock(self) -> None:
        await self._do("unlock")
        self.facts["locked"] = ""

    async def renew(self) -> None:
        await self._do("renew")
        self.facts["locked"] = ""

    async def answer_moved(self, stay: bool) -> None:
        await self._do(f"moved {stay}")
        self.facts["elsewhere"] = False


Test = Callable[[], Coroutine[Any, Any, None]]


@contextmanager
def qt_loop(application: QApplication) -> Iterator[Callable[[Test], None]]:
    """Gives what runs a test on Qt's loop."""
    application.setQuitOnLastWindowClosed(False)  # the loop would end with the window
    with qasync.QEventLoop(application) as loop:
        yield lambda test: loop.run_until_complete(asyncio.wait_for(test(), 20))
    application.setQuitOnLastWindowClosed(True)
    delete_timer(loop)


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
