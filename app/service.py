"""The service: one data folder's library, running.

The window, the command line and the control channel all use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from app import commands, kept, opening
from app.control import ControlServer
from app.facts import Facts, usual_name
from app.folder import Folder
from app.joining import Joiner
from app.kept import Kept
from app.milestones import Milestones
from app.network import AGENT, NAME_LENGTH, NOWHERE, Network
from app.notes import Notes
from app.opening import Opened
from app.pairing import Joining, Pairing
from app.status import Event, Status
from app.synclog import SyncLog
from app.whereabouts import Whereabouts, whereabouts
from liblim.errors import IdentityLocked, LimError, StoreError
from liblim.net import LogLine, parse_address
from liblim.trust import Grant

__all__ = ["AGENT", "MOVED", "NAME_LENGTH", "NOWHERE", "Service"]

CONTROL_RETRY = 2.0
"""Seconds until the control channel is tried again, where it could not be opened."""
LOOK_INTO = 30.0
"""Seconds between two looks for what no note shows, while the log grows."""
MOVED = (
    "This data folder was made on another computer. If it was moved here, and is used there no more, run "
    "'limnotes identity keep'. If it is a copy, run 'limnotes identity new': it gets a key of its own."
)


async def _nothing() -> None:
    pass


class Service:
    """Notes and sync of one data folder.

    ``listen`` is ``host:port``, ``off``, or empty for all interfaces and the port of the last time.
    ``offline`` leaves the network and the control channel alone, for a command that only reads or
    writes notes.  ``discovery`` off leaves devices nearby alone, whatever was chosen before.

    ``start`` opens the notes, quickly; ``online`` goes on the network.
    """

    notes: Notes
    """The notes of the library; there once started."""

    def __init__(
        self, data_dir: Path, *, listen: str = "", offline: bool = False, discovery: bool = True
    ) -> None:
        """Name what is wanted; nothing is opened yet."""
        self.data_dir = data_dir
        self.pairing = Pairing(self)
        self._sync_log = SyncLog(data_dir)
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_raise: Callable[[], None] | None = None
        """What raises the window, where there is one."""
        self.before_library_change: Callable[[], Awaitable[None]] = _nothing
        """Awaited before all notes are replaced by another library's: close them, and open none."""
        self.after_library_change: Callable[[], Awaitable[None]] = _nothing
        """Awaited when the notes are there again, be they others or not."""
        self._listen = listen
        self._offline = offline
        self._discovery = discovery
        self._folder = Folder(data_dir)
        self._control = ControlServer(self._folder, self._command)
        self._callbacks: list[Callable[[], None]] = []
        self._opened: Opened | None = None
        self._last: Status | None = None
        self._name = ""
        self._wants_online = False
        self._tasks: set[asyncio.Task[None]] = set()

    # From start to stop

    async def start(self) -> None:
        """Open the folder's notes; quick, and without the network.

        Raises AlreadyRunning, IdentityLost, StoreTooNew, StoreReadOnly or another LimError, with a
        sentence for people; then nothing is left open.
        """
        if self._listen and self._listen != NOWHERE:
            parse_address(self._listen)  # a mistake is said before anything is opened
        self._folder.acquire()
        try:
            await self._sync_log.load()
            await self._open()
            if not self._offline:
                await self._open_control()
        except BaseException:
            await self.stop()
            raise

    async def _open_control(self) -> None:
        """Listen to the command line; where that cannot be, on a full disk say, it is tried again behind."""
        try:
            await self._control.start()
        except LimError as error:
            self._say("error", f"{error}. The command line cannot reach this program until it can.")
            self.do(self._open_control_later())

    async def _open_control_later(self) -> None:
        while True:
            await asyncio.sleep(CONTROL_RETRY)
            with suppress(LimError):
                await self._control.start()
                return

    async def _open(self) -> None:
        opened = await opening.open_library(self._folder)
        try:
            await self._take_up(opened)
        except BaseException:
            if hasattr(self, "notes"):
                await self.notes.stop()
            await opened.database.close()
            raise
        self._opened = opened

    async def _take_up(self, opened: Opened) -> None:
        """Set up all that works on an open library."""
        database = opened.database
        self._name = await database.fact("name") or usual_name(self._folder)
        self._remembered = await database.fact("discovery") != "off"
        if hasattr(self, "notes"):
            await self.notes.turn_to(database)
        else:
            self.notes = Notes(database)
            await self.notes.load()
        self._joiner = Joiner(self._folder, *opened, self.notes)
        await self._joiner.load()
        self._joiner.on_change, self._joiner.say = self.changed, self._say
        database.on_saved = self.changed
        self._set_up_network(opened)
        if self._offline and self._joiner.pending and not self._joiner.waits:
            with suppress(LimError):  # said by whatever wants to write
                await self._network.unlock()
                await self._joiner.add()

    def _set_up_network(self, opened: Opened) -> None:
        # One that was kept aside has the same key as the present one, and must not be taken for it.
        aside = kept.is_kept(self._folder)
        self._network = Network(
            opened,
            name=self._name,
            listen=self._listen or (NOWHERE if aside else ""),
            discovery=self._discovery and self._remembered and not aside,
        )
        self._looked = 0, time.monotonic()
        self._facts, self._milestones = Facts(opened, self._network, self.notes), Milestones()
        self._network.on_change = self.changed
        self._network.on_event = self._log
        node = self._network.node
        node.on_change = self.changed
        node.on_event = self._log
        node.pairing.about = lambda: (self.name, not self.notes.rows)
        node.pairing.join = self._join

    async def online(self) -> None:
        """Go on the network; where the key is locked, as soon as it can be used.

        Nothing happens where the folder came from another computer: ``status`` says so, and
        ``answer_moved`` goes on.  Raises LimError.
        """
        if self._offline:
            return
        self._wants_online = True
        await self._network.go()
        await self.look_into()

    async def stop(self) -> None:
        """Make everything durable, say goodbye, and let go of the folder.

        Raises StoreError where the last edits cannot be written; all is closed all the same.
        """
        self._wants_online = False
        try:
            await self._control.stop()
            if self._opened is not None:
                await self._joiner.halt()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._shut()
        finally:
            await self._sync_log.close()
            self._folder.release()

    async def _shut(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        try:
            await self.notes.stop()
            await self._network.stop()
        finally:
            await opened.database.close()

    async def look(self, *, to_write: bool = False) -> None:
        """Make ready what an ``offline`` service leaves alone: its devices; its key, ``to_write``.

        Raises LimError.
        """
        if not self._offline:
            return
        if to_write:
            await self._network.unlock()
        else:
            await self._network.look()

    # Facts

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._opened is not None

    @property
    def name(self) -> str:
        """What other devices call this one."""
        if self._opened is None:
            return self._name
        database = self._opened.database
        me = database.ledger.members.get(database.device)
        return me.name if me is not None and me.name else self._name

    @property
    def events(self) -> Sequence[Event]:
        """The sync log, the newest last: of this run and of those before."""
        return self._sync_log.events

    @property
    def network(self) -> Network:
        """This device on the network; only once started."""
        return self._network

    def status(self) -> Status:
        """The facts that the panel and the command line show; the last ones while a new key is made."""
        if self._opened is None and self._last is not None:
            return self._last
        self._last = self._facts.status(self.name, self._joiner.line, self._sync_log.problem)
        return self._last

    async def whereabouts(self, oid: str) -> Whereabouts:
        """Where a note is: here, and on which other devices.

        Raises LimError.
        """
        return await whereabouts(self._open_library.database, self.status(), oid)

    @property
    def _open_library(self) -> Opened:
        if self._opened is None:
            raise LimError("The notes are not open right now. Try again in a moment.")
        return self._opened

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the status, pairing or the sync log changed; returns what ends it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def changed(self) -> None:
        """Tell all who subscribed, and look whether something is due."""
        if self._opened is None:
            return
        self._remember_name()
        peers = self._facts.look()
        database, (count, when) = self._opened.database, self._looked
        if database.count != count and when + LOOK_INTO < time.monotonic() and self._wants_online:
            self._looked = database.count, time.monotonic()
            self.do(self.look_into())
        for line in self._milestones.look(database.problem, peers):
            self._log(LogLine(time.time(), *line))
        if self._joiner.pending:
            self._joiner.add_when_due(any(one.connected and one.we_lack == 0 for one in peers))
        for callback in list(self._callbacks):
            callback()

    def _remember_name(self) -> None:
        """Keep the name that the library has for this device, for another library or a new key."""
        name = self.name
        if name != self._name:
            self._name = name
            self.do(self._save_name(name))

    async def _save_name(self, name: str) -> None:
        with suppress(LimError):  # it is only for later
            await self._open_library.database.set_fact("name", name)

    def _log(self, line: LogLine) -> None:
        event = Event(line.at, line.level, line.device, line.text)
        self._sync_log.add(event)
        self.on_event(event)
        if line.level == "error":
            self.do(self._look_aside())  # it may be about changes that were set aside
        self.changed()

    def _say(self, level: str, text: str) -> None:
        self._log(LogLine(time.time(), level, "", text))

    def do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Carry out something behind, until the service stops."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What people ask for

    def sync_now(self) -> None:
        """Try all devices at once, and to go online where that failed."""
        self._network.node.sync_now()
        if self._wants_online and not self._network.online:
            self.do(self._try_online())

    def network_changed(self) -> None:
        """This computer has another network, or has it back: what failed before may work now."""
        if self._opened is not None and self._wants_online:
            self._say("info", "The network changed; all devices are tried at once.")
            self.sync_now()

    async def _try_online(self) -> None:
        with suppress(LimError):  # the status says why
            await self.online()

    async def issue_again(self) -> int:
        """Write what was set aside once more, as new changes; returns in how many notes that is.

        Raises LimError.
        """
        await self._network.ready_to_sign()
        issued = await self._open_library.database.issue_again()
        if issued:
            notes = "1 note" if issued == 1 else f"{issued:,} notes"
            self._say("info", f"What had been set aside came into {notes}. Read them through.")
        await self._look_aside()
        return issued

    async def look_into(self) -> None:
        """See what the log holds that no note shows; ``status`` tells of it."""
        database = self._open_library.database
        self._looked = database.count, time.monotonic()
        with suppress(StoreError):
            self._facts.unshown = await database.unshown()
        await self._look_aside()

    async def _look_aside(self) -> None:
        """See what was set aside."""
        with suppress(LimError):  # the status says so, and it is looked at again
            self._facts.aside = await self._open_library.database.aside()
        self.changed()

    async def rename(self, name: str) -> None:
        """Choose what other devices call this one.  Raises LimError."""
        await self.rename_device(self._open_library.database.device, name)

    async def rename_device(self, device: str, name: str) -> None:
        """Choose what all devices of the library call one of them.  Raises LimError."""
        name = await self._network.rename(device, name)
        if device == self._open_library.database.device:
            self._name = name
        self.changed()

    async def remove(self, device: str) -> None:
        """Remove a device from the library: it keeps its notes, and gets no more.

        Raises LimError.
        """
        await self._network.remove(device)
        self.changed()

    async def set_discovery(self, on: bool) -> None:
        """Look for devices nearby, and let them find this one, or not; it is remembered.

        Raises StoreError.
        """
        await self._open_library.database.set_fact("discovery", "on" if on else "off")
        await self._network.set_discovery(on)
        self.changed()

    def raise_window(self) -> bool:
        """Bring the window to the front; whether there is one."""
        if self.on_raise is None:
            return False
        self.on_raise()
        return True

    async def _command(self, command: str, arguments: dict[str, Any]) -> Any:
        return await commands.run(self, command, arguments)

    # This device's key

    async def unlock(self) -> None:
        """Try again to use this device's key, and go on as if it had worked at once.

        Raises IdentityLocked with the sentence that the status shows, or another LimError.
        """
        await self._network.unlock()
        if self._wants_online:
            await self._network.go()
        self.changed()

    async def answer_moved(self, stay: bool) -> None:
        """Say what a folder from another computer is.

        ``stay`` where it was moved here: this is the same device.  Else it is a copy, and becomes a device of
        its own.  Raises LimError.
        """
        vault = self._open_library.vault
        if not vault.elsewhere:
            return
        if not stay:
            await self.renew()
            return
        await asyncio.to_thread(vault.stay)
        if self._wants_online:
            await self.online()
        self.changed()

    async def renew(self) -> None:
        """Give this device a new key, because a person said so; also where ``start`` raised IdentityLost.

        Raises LimError.
        """
        if self._opened is None:
            self._folder.acquire()
            try:
                await opening.renew(self._folder)
            finally:
                self._folder.release()
            return
        if not await self._key_is_wanting():
            raise LimError("The key of this device is in order; it needs no new one.")
        await self._save_all()
        async with self._library_change():
            await self._shut()
            try:
                await opening.renew(self._folder)
            finally:
                await self._open()
        if self._wants_online:
            await self.online()

    async def _save_all(self) -> None:
        try:
            await self._open_library.database.commit()
        except StoreError as error:
            raise LimError(
                f"{error} What you typed last would be lost with the old key: copy it elsewhere, close "
                "Lim Notes, and run 'limnotes identity new'."
            ) from error

    async def _key_is_wanting(self) -> bool:
        """Whether there is a reason for a new key."""
        opened = self._open_library
        if opened.vault.elsewhere:
            return True
        try:
            await self._network.ready_to_sign()
        except IdentityLocked:
            return True
        status = self.status()
        return bool(status.removed_by) or status.outside

    # Other libraries

    def kept_libraries(self) -> list[Kept]:
        """The libraries that were kept aside, the newest first: each is a data folder of its own."""
        return kept.kept_libraries(self._folder)

    async def _join(self, grant: Grant, joining: Joining) -> None:
        """Take on the library of another device, as part of pairing.  Raises LimError."""
        async with self._library_change():
            try:
                await self._joiner.join(grant, joining)
            finally:
                await self.notes.load()

    @asynccontextmanager
    async def _library_change(self) -> AsyncIterator[None]:
        """While the notes may become those of another library, nobody has one open."""
        joiner = self._joiner
        try:
            await joiner.halt()
            await self.before_library_change()
            async with self.notes.closed():
                yield
        finally:
            joiner.go_on()
            await self.after_library_change()
            self.changed()
