"""The service: one data folder's library, running.

The window, the command line and the control channel all use it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import VERSION, commands
from app.control import ControlServer
from app.folder import Folder, default_folder
from app.notes import Note, Notes
from app.status import DeviceStatus, Event, State, Status
from liblim.aio import AsyncDatabase
from liblim.errors import LimError
from liblim.net import DEFAULT_PORT, Address, LogLine, Node, PeerStatus, parse_address

NAME_LENGTH = 64
"""Characters of a device's name."""
LOG_LENGTH = 500
"""Events of the sync log that are kept in memory."""
NOWHERE = "off"
"""In place of an address to listen at: connect to others only."""
AGENT = f"limnotes/{VERSION}"


class Service:
    """Notes and sync of one data folder.

    ``listen`` is ``host:port``, ``off``, or empty for the port of the last time.
    ``offline`` leaves the network and the control channel alone, for a command that only reads or
    writes notes.
    """

    def __init__(self, data_dir: Path, *, listen: str = "", offline: bool = False) -> None:
        """Name what is wanted; nothing is opened yet."""
        self.data_dir = data_dir
        self.name = ""
        """What other devices call this one."""
        self.events: deque[Event] = deque(maxlen=LOG_LENGTH)
        """The recent sync log, newest last."""
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_raise: Callable[[], None] | None = None
        """What raises the window, where there is one."""
        self._listen = listen
        self._offline = offline
        self._folder = Folder(data_dir)
        self._control = ControlServer(self._folder, self._command)
        self._callbacks: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Open the folder and go on the network.

        Raises AlreadyRunning, StoreTooNew, StoreReadOnly or another LimError, with a sentence for
        people; then nothing is left open.
        """
        if self._listen and self._listen != NOWHERE:
            parse_address(self._listen)  # a mistake is said before anything is opened
        self._folder.acquire()
        try:
            self._database = await AsyncDatabase.open(self._folder.database, [Note])
        except BaseException:
            self._folder.release()
            raise
        self._database.on_saved = self._changed
        try:
            await self._begin()
        except BaseException:
            await self.stop()
            raise

    async def _begin(self) -> None:
        self.name = await self._database.fact("name") or self._usual_name()
        self.notes = Notes(self._database)
        self._node = Node(self._database, name=self.name, agent=AGENT)
        self._node.on_change = self._changed
        self._node.on_event = self._log
        await self.notes.load()
        if self._offline:
            await self._node.load()
            return
        await self._go_online()
        await self._control.start()

    async def _go_online(self) -> None:
        """Listen where it was asked for, else where it was the last time, or next to that."""
        if self._listen == NOWHERE:
            await self._node.start_unheard()
            return
        if self._listen:
            wanted = parse_address(self._listen)
        else:
            remembered = await self._database.fact("port")
            wanted = Address("127.0.0.1", int(remembered or DEFAULT_PORT))
        found = await self._node.start(wanted.host, wanted.port)
        await self._database.set_fact("port", str(found.port))

    def _usual_name(self) -> str:
        """The computer's name; with the folder's, where it is not the usual one, to tell two apart."""
        name = socket.gethostname() or "This device"
        usual = self.data_dir.resolve() == default_folder().resolve()
        return name if usual else f"{name} ({self.data_dir.resolve().name})"[:NAME_LENGTH]

    async def stop(self) -> None:
        """Make everything durable, say goodbye, and let go of the folder.

        Raises StoreError where the last edits cannot be written; all is closed all the same.
        """
        try:
            await self._control.stop()
            if not self._offline and hasattr(self, "_node"):
                await self._node.stop()
            await self._database.close()
        finally:
            self._folder.release()

    # Facts

    def status(self) -> Status:
        """The facts that the panel and the command line show."""
        database = self._database
        listening = self._node.listening
        return Status(
            library=database.library,
            device=database.device,
            name=self.name,
            listening=str(listening) if listening else "",
            changes=database.count,
            digest=database.digest,
            unsaved=not database.core.idle,
            problem=database.problem,
            devices=tuple(_device(peer) for peer in self._node.status()),
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the status or the sync log changed; returns what ends it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def _changed(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def _log(self, line: LogLine) -> None:
        event = Event(line.at, line.level, line.device, line.text)
        self.events.append(event)
        self.on_event(event)
        self._changed()

    # What people ask for

    async def pair(self, address: str) -> str:
        """Pair with the device that listens at ``address``; returns a sentence.

        Raises LimError with the sentence to show.
        """
        host, port = parse_address(address)
        # What was typed a moment ago counts as a note of one's own, for both sides.
        await self._database.commit()
        paired = await self._node.pair(host, port)
        name = paired.peer.name or "the device"
        if paired.already:
            return f"This device and {name} were paired already."
        return f"Paired with {name}."

    async def unpair(self, device: str) -> None:
        """Forget a device; what both hold stays on both.

        Raises LimError.
        """
        await self._node.unpair(device)

    def sync_now(self) -> None:
        """Try all devices at once."""
        self._node.sync_now()

    async def rename(self, name: str) -> None:
        """Choose what other devices call this one; they learn it at the next connection.

        Raises LimError.
        """
        name = name.strip()[:NAME_LENGTH]
        if not name:
            raise LimError("A device needs a name.")
        await self._database.set_fact("name", name)
        self.name = self._node.name = name
        self._changed()

    def raise_window(self) -> bool:
        """Bring the window to the front; whether there is one."""
        if self.on_raise is None:
            return False
        self.on_raise()
        return True

    async def _command(self, command: str, arguments: dict[str, Any]) -> Any:
        return await commands.run(self, command, arguments)


def _device(peer: PeerStatus) -> DeviceStatus:
    return DeviceStatus(
        device=peer.device,
        name=peer.name,
        state=_state(peer),
        address=peer.address,
        incoming=peer.incoming,
        last_seen=peer.last_seen,
        they_lack=peer.they_lack,
        we_lack=peer.we_lack,
        changes_in=peer.changes_in,
        changes_out=peer.changes_out,
        bytes_in=peer.bytes_in,
        bytes_out=peer.bytes_out,
        round_trip=peer.round_trip,
        digest=peer.digest,
        identical=peer.identical,
        error=peer.error,
        error_since=peer.error_since,
        next_try=peer.next_try,
        agent=peer.agent,
    )


def _state(peer: PeerStatus) -> State:
    if peer.connected:
        return State.UP_TO_DATE if peer.identical else State.SYNCING
    if peer.connecting:
        return State.CONNECTING
    if peer.refused:
        return State.REFUSED
    return State.AWAY if peer.next_try is None else State.WAITING
