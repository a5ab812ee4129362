"""This device on the network: its key is unlocked first, then its node listens and connects."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from app import VERSION
from app.opening import Opened
from app.pairing import Nearby
from app.status import OwnAddress
from liblim.errors import IdentityLocked, LimError, StoreError
from liblim.net import DEFAULT_PORT, Address, LogLine, Node, parse_address
from liblim.net.discovery import Discovery
from liblim.net.interfaces import own_addresses

AGENT = f"limnotes/{VERSION}"
NOWHERE = "off"
"""In place of an address to listen at: connect to others only."""
NAME_LENGTH = 64
"""Characters of a device's name."""
GONE = "This device is not in the library any more."
FIRST_RETRY = 4.0
"""Seconds until a locked key is tried again; then twice as long, up to ``LAST_RETRY``."""
LAST_RETRY = 60.0
_ADDRESSES_FOR = 5.0
"""Seconds for which a list of own addresses is good."""


class Network:
    """Puts an open library on the network, once this device's key can be used.

    A key that is locked is tried again every few seconds.
    """

    def __init__(self, opened: Opened, *, name: str, listen: str, discovery: bool) -> None:
        """``name`` is what this device calls itself until its library knows it by a name."""
        self._vault, self._identity, self._database = opened
        self.discovery = Discovery() if discovery else None
        self.node = Node(self._database, agent=AGENT, discovery=self.discovery)
        self.membership = self.node.membership
        self.locked = ""
        """Why the key cannot be used right now, as a sentence."""
        self.problem = ""
        """Why this device is not on the network though its key could be used, as a sentence."""
        self.words = ""
        """This device's fingerprint, once it was asked for."""
        self.online = False
        self.on_change: Callable[[], None] = lambda: None
        self.on_event: Callable[[LogLine], None] = lambda line: None
        self._name = name
        self._listen = listen
        self._unlocking = asyncio.Lock()
        self._going = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None
        self._begun = False
        self._addresses: tuple[OwnAddress, ...] = ()
        self._looked = float("-inf")

    # The key

    async def unlock(self) -> None:
        """Make the key usable.

        Raises IdentityLocked with the sentence that ``locked`` holds from then on.
        """
        async with self._unlocking:
            if not self._identity.locked:
                return
            try:
                # A keyring may ask a person for a password, and waits for that.
                await asyncio.to_thread(self._vault.unlock, self._identity)
            except LimError as error:  # or the file is damaged or gone by now
                self.locked = str(error)
                self.on_change()
                raise IdentityLocked(self.locked) from error
            self.locked = ""
        with contextlib.suppress(StoreError):
            await self._database.commit()  # what was typed meanwhile could not be signed
        self.on_change()

    async def _unlock_later(self) -> None:
        delay = FIRST_RETRY
        while self._identity.locked:
            await asyncio.sleep(delay)
            delay = min(2 * delay, LAST_RETRY)
            with contextlib.suppress(IdentityLocked):
                await self.unlock()
        try:
            await self.go()
        except LimError as error:  # nobody waits for this
            self.on_event(LogLine(time.time(), "error", "", str(error)))

    # Going online

    async def look(self) -> None:
        """Read what there is to tell without going online.

        Raises StoreError.
        """
        from liblim.trust import words_of

        self.words = await asyncio.to_thread(words_of, self._identity.certificate)
        await self.node.load()

    async def go(self) -> None:
        """Go on the network, or as soon as the key can be used; nothing where the folder was moved.

        Raises LimError.
        """
        async with self._going:
            if self.online:
                return
            if self._vault.elsewhere:
                with contextlib.suppress(IdentityLocked):  # what is typed is saved all the same
                    await self.unlock()
                return
            await self.look()
            try:
                await self.unlock()
            except IdentityLocked:
                self._wait_for_key()
                return
            try:
                await self._start()
            except LimError as error:
                self.problem = str(error)
                raise
            finally:
                self.on_change()

    def _wait_for_key(self) -> None:
        if self._waiting is None or self._waiting.done():
            self._waiting = asyncio.ensure_future(self._unlock_later())

    async def _start(self) -> None:
        """Listen where it was asked for, else where it was the last time, or next to that."""
        await self._take_name()
        self._begun = True
        if self._listen == NOWHERE:
            await self.node.start_unheard()
        else:
            found = await self.node.start(*await self._wanted())
            with contextlib.suppress(StoreError):  # it is only for the next start
                await self._database.set_fact("port", str(found.port))
        self.online, self.problem = True, ""
        self._looked = float("-inf")

    async def _wanted(self) -> Address:
        if self._listen:
            return parse_address(self._listen)
        remembered = await self._database.fact("port") or ""
        return Address("", int(remembered) if remembered.isdecimal() else DEFAULT_PORT)

    async def _take_name(self) -> None:
        """Write down what this device is called, where it founded its library; who joins is introduced."""
        ledger = self._database.ledger
        me = ledger.members.get(self._database.device)
        if me is not None and me.device == ledger.founder and not me.name:
            with contextlib.suppress(StoreError):  # it has its name at the next start, then
                await self.membership.rename(me.device, self._name)

    async def set_discovery(self, on: bool) -> None:
        """Look for devices nearby, or stop."""
        if on != (self.discovery is not None):
            self.discovery = Discovery() if on else None
            await self.node.set_discovery(self.discovery)

    async def stop(self) -> None:
        """Say goodbye, and end."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.wait([self._waiting])
        self.online = False
        if self._begun:
            self._begun = False
            await self.node.stop()

    # Devices

    async def ready_to_sign(self) -> None:
        """Have what is needed to write about devices.

        Raises IdentityLocked or StoreError.
        """
        await self.unlock()
        await self._database.load_trust()

    async def rename(self, device: str, name: str) -> str:
        """Name a device of the library, or this one; returns the name, tidied.  Raises LimError."""
        name = " ".join(name.split())[:NAME_LENGTH].strip()
        if not name:
            raise LimError("A device needs a name.")
        await self.ready_to_sign()
        own, ledger = self._database.device, self._database.ledger
        if device != own and device not in ledger.peers:
            raise LimError(GONE)
        if device == own:
            await self._database.set_fact("name", name)
        if own in ledger.members or device != own:
            await self.membership.rename(device, name)
        return name

    async def remove(self, device: str) -> None:
        """Remove a device, or a server, from the library.  Raises LimError."""
        await self.ready_to_sign()
        if device == self._database.device:
            raise LimError("This is this device itself. Remove it at one of the others.")
        if device not in self._database.ledger.peers:
            raise LimError(GONE)
        await self.membership.remove(device)

    # What is around

    @property
    def addresses(self) -> tuple[OwnAddress, ...]:
        """Where others may reach this device, the likeliest first; empty while it does not listen."""
        listening = self.node.listening
        if listening is None:
            return ()
        if time.monotonic() - self._looked > _ADDRESSES_FOR:
            self._looked = time.monotonic()
            found = own_addresses(listening.port, listening.host)
            self._addresses = tuple(OwnAddress(str(own.address), own.label) for own in found)
        return self._addresses

    @property
    def nearby(self) -> list[Nearby]:
        """Devices found on the local network that may be paired with; those that show a code first."""
        found = self.discovery.found.values() if self.discovery else ()
        paired = self._paired()
        near = [
            Nearby(one.name, one.device, str(one.addresses[0]), one.pairing)
            for one in found
            if one.addresses and one.device not in paired
        ]
        return sorted(near, key=lambda one: (not one.pairing, one.name, one.device))

    def _paired(self) -> set[str]:
        """This device, and those that need no pairing; who removed it may be paired with again."""
        own, members = self._database.device, self._database.ledger.members
        if own not in members:
            return {own}
        return members.keys() - {peer.device for peer in self.node.status() if peer.removed_us}
