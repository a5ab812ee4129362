"""Finding devices on the local network: mDNS (RFC 6762) and its service discovery (RFC 6763).

A convenience: what is found is a guess about where to dial, and proves nothing.  The network may be full of
lies, may change, or may not be there at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import ipaddress
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from liblim.net.address import Address
from liblim.net.interfaces import GLOBAL, INTERNET, LAN, own_addresses
from liblim.words import on_one_line

if TYPE_CHECKING:
    from zeroconf import Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE = "_lim._tcp.local."
MAX_FOUND = 64
"""Devices that are remembered, and asked about at a time; the oldest is forgotten for one more."""
MAX_ADDRESSES = 8
"""Addresses of one device that are remembered."""
MAX_NAME = 120
"""Bytes of a name: with its key it fits one string of a TXT record (255 bytes)."""
PATIENCE = 3.0
"""Seconds for a device to tell more of itself, and for goodbyes at the end."""
LOOK_AGAIN = 10.0
"""Seconds after which it is checked what has changed: our interfaces, and whether what was found is there."""

_DEVICE = re.compile(r"[0-9a-f]{32}")
_INSTEAD = "Enter the address of the other device instead."
_NOWHERE = f"This computer is on no local network, so devices nearby cannot be found. {_INSTEAD}"
_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """A device on the local network, as it says itself; ``pairing`` while it shows a code."""

    device: str
    name: str
    addresses: tuple[Address, ...]
    pairing: bool


class _Told(NamedTuple):
    """What this device says of itself."""

    device: str
    name: str
    pairing: bool
    port: int
    addresses: tuple[str, ...]


class Discovery:
    """Announces this device and finds others, by itself, from ``start`` to ``stop``.

    Nothing here raises or makes wait: while it does not work ``problem`` is a sentence, and it is tried
    again.  ``found`` has devices by their ids.  ``on_change`` is called after either has changed.
    """

    def __init__(self, *, interfaces: Sequence[str] | None = None) -> None:
        """Use the interfaces with these addresses (IPv4), or those to local networks."""
        self.found: dict[str, Found] = {}
        self.problem = ""
        self.on_change: Callable[[], None] = lambda: None
        self._interfaces = interfaces
        self._device, self._name, self._port, self._host, self._pairing = "", "", 0, "", False
        self._work: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._network: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._joined: list[str] = []
        self._told: _Told | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def start(self, device: str, name: str, port: int, host: str = "") -> None:
        """Look for others, and let them find this device where it listens; port 0: only look.

        Who listens at one ``host`` only is announced only there, and on this computer alone not at all.
        """
        self._device, self._name, self._port, self._host = device, name, port, host
        self._wake.set()
        if self._work is None:
            self._work = asyncio.ensure_future(self._keep_up())

    async def update(self, name: str, pairing: bool) -> None:
        """Announce another name, and whether a code is shown."""
        self._name, self._pairing = name, pairing
        self._wake.set()

    async def stop(self) -> None:
        """Say goodbye to the network, and look no more; takes ``PATIENCE`` at the most."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait([work])
        self._leave()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=PATIENCE)
        self.problem = ""

    # Keeping up with the network

    async def _keep_up(self) -> None:
        while True:
            self._wake.clear()
            problem = ""
            try:
                problem = await self._refresh()
            except Exception as error:  # whatever the network and the system can come up with
                _log.info("discovery does not work: %r", error)
                problem = _in_words(error)
                self._leave()
            if problem != self.problem:
                self.problem = problem
                self.on_change()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._wake.wait()

    async def _refresh(self) -> str:
        """Bring what is announced up to date; returns why that is impossible, if it is."""
        own = own_addresses(self._port, self._host)
        here = [one.address.host for one in own if one.label in (LAN, INTERNET, GLOBAL)]
        if self._interfaces is not None:
            here = list(self._interfaces)
        wanted = self._interfaces or _local_networks()
        if wanted != self._joined or self._network is None:
            self._leave()
            if not wanted:
                return _NOWHERE
            await self._join(list(wanted))
        told = _Told(self._device, self._name, self._pairing, self._port, tuple(here))
        if told != self._told and told.port and told.addresses:
            await self._tell(told)
        for device in list(self.found):
            self._ask(device)
        return ""

    async def _join(self, interfaces: list[str]) -> None:
        """Look for others on these interfaces."""
        # The import takes a tenth of a second, which a window would notice.
        await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        # What goes wrong is told by `problem`, and once.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        self._network = AsyncZeroconf(interfaces=interfaces)
        self._joined = interfaces
        await self._network.zeroconf.async_wait_for_start()
        self._browser = AsyncServiceBrowser(self._network.zeroconf, SERVICE, handlers=[self._heard])

    def _leave(self) -> None:
        """Forget what was found, and say goodbye in the background."""
        for task in self._asking.values():
            task.cancel()
        network, browser, self._network, self._browser = self._network, self._browser, None, None
        self._told = None
        if network is not None:
            task = asyncio.ensure_future(_close(network, browser))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        if self.found:
            self.found = {}
            self.on_change()

    async def _tell(self, told: _Told) -> None:
        """Announce this device, or what has changed of it."""
        assert self._network is not None
        info = _info(told)
        if self._told is None:
            # Others are not asked first whether the name is free: it is the hash of our certificate, and
            # whoever claimed it could keep us from being found.
            sending = await self._network.async_register_service(info, cooperating_responders=True)
        else:
            sending = await self._network.async_update_service(info)
        self._told = told
        await sending

    # What is heard

    def _heard(self, *, name: str, state_change: Any, **_: Any) -> None:
        """Called by the library with the name of a device that came, changed, or left."""
        device = name.removesuffix(f".{SERVICE}")
        if not _DEVICE.fullmatch(device) or device == self._device:
            return
        if state_change.name == "Removed":
            self._note(device, None)
        else:
            self._ask(device)

    def _ask(self, device: str) -> None:
        """Find out more about a device, unless that is going on."""
        if self._network is None or device in self._asking:
            return
        if len(self._asking) >= MAX_FOUND:
            self._asking.pop(next(iter(self._asking))).cancel()
        self._asking[device] = asyncio.ensure_future(self._learn(self._network.zeroconf, device))

    async def _learn(self, network: Zeroconf, device: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        info = AsyncServiceInfo(SERVICE, f"{device}.{SERVICE}")
        found = None
        try:
            if await info.async_request(network, PATIENCE * 1000):
                found = read(device, info.properties, info.parsed_scoped_addresses(), info.port)
        except Exception as error:  # of a library that reads what strangers wrote
            _log.info("what a device said on the local network could not be read: %r", error)
        finally:
            if self._asking.get(device) is asyncio.current_task():
                del self._asking[device]
        self._note(device, found)

    def _note(self, device: str, found: Found | None) -> None:
        if found == self.found.get(device):
            return
        if found is None:
            del self.found[device]
        else:
            self.found[device] = found
        if len(self.found) > MAX_FOUND:
            del self.found[next(iter(self.found))]
        self.on_change()


def read(
    device: str, told: Mapping[bytes, bytes | None], addresses: Sequence[str], port: int | None
) -> Found | None:
    """What a device says of itself, cleaned and bounded; ``None`` where that makes no sense."""
    if told.get(b"d") != device.encode() or not port:
        return None
    name = on_one_line((told.get(b"n") or b"")[:MAX_NAME].decode(errors="ignore"))
    usable = [Address(text, port) for text in addresses if _is_usable(text)]
    if not usable:
        return None
    return Found(device, name, tuple(usable[:MAX_ADDRESSES]), told.get(b"p") == b"1")


def _is_usable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified:
        return False
    return not (address.version == 6 and address.is_link_local and "%" not in text)


def _info(told: _Told) -> AsyncServiceInfo:
    from zeroconf.asyncio import AsyncServiceInfo

    name = told.name.encode()[:MAX_NAME].decode(errors="ignore")
    return AsyncServiceInfo(
        SERVICE,
        f"{told.device}.{SERVICE}",
        port=told.port,
        properties={"v": "1", "d": told.device, "n": name, "p": "1" if told.pairing else "0"},
        parsed_addresses=list(told.addresses),
        server=f"lim-{told.device[:16]}.local.",
    )


def _local_networks() -> list[str]:
    """Our addresses (IPv4) on local networks; never those on the Internet, where strangers would ask."""
    own = own_addresses(0)
    return [one.address.host for one in own if one.label == LAN and ":" not in one.address.host]


async def _close(network: AsyncZeroconf, browser: AsyncServiceBrowser | None) -> None:
    try:
        if browser is not None:
            await browser.async_cancel()
        await network.async_close()
    except Exception as error:
        _log.info("leaving the local network failed: %r", error)
        network.zeroconf.close()


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES, 10048, 10013):
        why = "another program keeps the port for that (5353) to itself"
    elif isinstance(error, OSError) and error.errno:
        why = f"the local network cannot be listened to ({os.strerror(error.errno)})"
    else:
        why = "the local network cannot be listened to"
    return f"Devices nearby cannot be found, because {why}. {_INSTEAD}"
