"""Finding devices on the local network: mDNS service discovery (RFC 6762, RFC 6763).

A convenience: what is found here is only a guess about where to dial, and proves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from liblim.net.address import Address
from liblim.net.interfaces import own_addresses

if TYPE_CHECKING:
    from zeroconf import Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE = "_lim._tcp.local."
MAX_FOUND = 64
"""Devices that are remembered; the oldest is forgotten for one more."""
MAX_NAME = 60
"""Bytes of a name, so that it fits a string of a TXT record."""
PATIENCE = 3.0
"""Seconds for a device to tell more of itself, and for ours to be taken back at the end."""
MAX_ADDRESSES = 8

_DEVICE = re.compile(r"[0-9a-f]{32}")
_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """A device on the local network, as it says; ``pairing`` while it shows a code."""

    device: str
    name: str
    addresses: tuple[Address, ...]
    pairing: bool


class Discovery:
    """Announces this device, and finds others.  Never raises: ``problem`` says why it does not work."""

    def __init__(self, *, interfaces: Sequence[str] | None = None) -> None:
        """Use the interfaces with these addresses, or all."""
        self.found: dict[str, Found] = {}
        """What was found, by device."""
        self.problem = ""
        self.on_change: Callable[[], None] = lambda: None
        self._interfaces = interfaces
        self._network: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._info: AsyncServiceInfo | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._device, self._name, self._port, self._pairing = "", "", 0, False
        self._order = asyncio.Lock()

    async def start(self, device: str, name: str, port: int) -> None:
        """Look for others; announce this device where it listens on a ``port``."""
        self._device, self._name, self._port = device, name, port
        async with self._order:
            if self._network is None:
                await self._attempt(self._start())

    async def update(self, name: str, pairing: bool) -> None:
        """Announce another name, and whether a code is shown."""
        self._name, self._pairing = name, pairing
        async with self._order:
            if self._network is not None and self._info is not None:
                await self._attempt(self._publish())

    async def stop(self) -> None:
        """Take back what was announced, and look no more."""
        async with self._order:
            for task in list(self._asking.values()):
                task.cancel()
            network, self._network = self._network, None
            browser, self._browser, self._info = self._browser, None, None
            self.found = {}
            with contextlib.suppress(Exception):
                async with asyncio.timeout(PATIENCE):
                    if browser is not None:
                        await browser.async_cancel()
                    if network is not None:
                        await network.async_close()

    async def _attempt(self, work: Any) -> None:
        from zeroconf import Error

        try:
            await work
            self.problem = ""
        except (OSError, Error, TimeoutError, ValueError) as error:
            _log.info("discovery failed: %r", error)
            self.problem = "Devices on the local network cannot be found here; addresses work."
            self.on_change()

    async def _start(self) -> None:
        from zeroconf import InterfaceChoice
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        chosen: Any = InterfaceChoice.All if self._interfaces is None else list(self._interfaces)
        self._network = AsyncZeroconf(interfaces=chosen)
        self._browser = AsyncServiceBrowser(
            self._network.zeroconf, SERVICE, handlers=[self._heard]
        )
        if self._port:
            await self._publish()

    async def _publish(self) -> None:
        """Announce this device, or what has changed of it."""
        from zeroconf.asyncio import AsyncServiceInfo

        assert self._network is not None
        name = self._name.encode()[:MAX_NAME].decode(errors="ignore")
        told = {"v": "1", "d": self._device, "n": name, "p": "1" if self._pairing else "0"}
        info = AsyncServiceInfo(
            SERVICE,
            f"{self._device}.{SERVICE}",
            port=self._port,
            properties=told,
            parsed_addresses=self._own_addresses(),
            server=f"lim-{self._device[:16]}.local.",
        )
        if self._info is None:
            await self._network.async_register_service(info)
        else:
            await self._network.async_update_service(info)
        self._info = info

    def _own_addresses(self) -> list[str]:
        if self._interfaces is not None:
            return list(self._interfaces)
        return [own.address.host.partition("%")[0] for own in own_addresses(self._port)]

    # What is heard

    def _heard(self, *, zeroconf: Zeroconf, name: str, state_change: Any, **_: Any) -> None:
        from zeroconf import ServiceStateChange

        device = name.removesuffix(f".{SERVICE}")
        if not _DEVICE.fullmatch(device) or device == self._device or self._network is None:
            return
        if state_change is ServiceStateChange.Removed:
            if self.found.pop(device, None) is not None:
                self.on_change()
        elif device not in self._asking and len(self._asking) < MAX_FOUND:
            task = asyncio.ensure_future(self._ask(zeroconf, device))
            self._asking[device] = task
            task.add_done_callback(lambda _: self._asking.pop(device, None))

    async def _ask(self, zeroconf: Zeroconf, device: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        info = AsyncServiceInfo(SERVICE, f"{device}.{SERVICE}")
        try:
            if not await info.async_request(zeroconf, PATIENCE * 1000):
                return
            found = read(device, info.properties, info.parsed_scoped_addresses(), info.port or 0)
        except Exception:
            _log.info("a device on the local network could not be read", exc_info=True)
            return
        if found is not None and self._network is not None and found != self.found.get(device):
            self.found.pop(device, None)
            self.found[device] = found
            if len(self.found) > MAX_FOUND:
                del self.found[next(iter(self.found))]
            self.on_change()


def read(
    device: str, told: Mapping[bytes, bytes | None], addresses: Sequence[str], port: int
) -> Found | None:
    """What a device says of itself; ``None`` where that makes no sense."""
    if told.get(b"d") != device.encode() or not 1 <= port <= 65535:
        return None
    name = (told.get(b"n") or b"")[:MAX_NAME].decode(errors="ignore")
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    usable = [Address(text, port) for text in addresses if _is_address(text)]
    if not usable:
        return None
    return Found(device, name, tuple(usable[:MAX_ADDRESSES]), told.get(b"p") == b"1")


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)
