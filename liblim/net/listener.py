"""Listening on one port of this computer, and the TLS handshake with whoever comes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
import traceback
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from liblim.errors import LimError
from liblim.net.address import DEFAULT_PORT, Address
from liblim.net.dial import Streams, make_streams

PORTS = 100
"""How many ports after the wanted one are tried where it is taken."""
MAX_STRANGERS = 32
"""Handshakes under way at once; for one more, an older one has to go.

To refuse the new one instead would let a flood lock out the devices of the library.
"""
EXHAUSTED = 0.1
"""Seconds to wait where this computer cannot take one more connection."""

_TAKEN = (errno.EADDRINUSE, errno.EACCES, 10013, 10048)  # the numbers are Windows' for the same


class _Stranger(NamedTuple):
    """Somebody whose handshake is under way."""

    connection: socket.socket
    origin: str

    def hang_up(self) -> None:
        """Let the handshake fail.  Cancelled in its first turns, it would leave the socket open."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Listener:
    """Takes connections, and hands on those whose handshake succeeded."""

    def __init__(
        self,
        sockets: list[socket.socket],
        context: Callable[[], ssl.SSLContext],
        accept: Callable[[Streams], None],
        patience: float,
        most: int = MAX_STRANGERS,
    ) -> None:
        """Begin to take connections from ``sockets``; ``context`` is asked for each.

        At most so many handshakes are under way.
        """
        self._most = most
        self._sockets = sockets
        self._context = context
        self._accept = accept
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers: dict[asyncio.Task[None], _Stranger] = {}
        self._takers: list[asyncio.Task[None]] = []
        self._closing = False
        for found in sockets:
            found.setblocking(False)
            self._watch(found)

    @property
    def strangers(self) -> int:
        """How many handshakes are under way."""
        return len(self._strangers)

    async def close(self) -> None:
        """Listen no more, and drop handshakes that are under way."""
        self._closing = True
        for found in self._sockets:
            with contextlib.suppress(NotImplementedError):
                self._loop.remove_reader(found)
        for task in self._takers:
            task.cancel()
        for stranger in self._strangers.values():
            stranger.hang_up()
        await asyncio.gather(*self._takers, *self._tasks, return_exceptions=True)
        for found in self._sockets:
            found.close()

    def _watch(self, listening: socket.socket) -> None:
        if self._closing:
            return
        try:
            # Not `sock_accept`: cancelled, or called once more before its future is looked at (as Qt's loop
            # does), it loses a connection.
            self._loop.add_reader(listening, self._take, listening)
        except NotImplementedError:
            # Windows, where it loses none.
            self._takers.append(asyncio.ensure_future(self._take_each(listening)))

    def _take(self, listening: socket.socket) -> None:
        """Take one connection.  Whoever waits behind it comes in the loop's next turn."""
        try:
            connection, (host, *_) = listening.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # no more files, or the other end has left already
            self._loop.remove_reader(listening)
            self._loop.call_later(EXHAUSTED, self._watch, listening)
            return
        connection.setblocking(False)
        self._begin(connection, host)

    async def _take_each(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, (host, *_) = await self._loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(EXHAUSTED)
                continue
            self._begin(connection, host)
            await asyncio.sleep(0)

    def _begin(self, connection: socket.socket, host: str) -> None:
        task = asyncio.ensure_future(self._shake_hands(connection))
        self._tasks.add(task)
        self._strangers[task] = _Stranger(connection, origin(host))
        task.add_done_callback(self._ended)
        if len(self._strangers) > self._most:
            self._evict()

    def _evict(self) -> None:
        """Throw out the oldest of those from where most are: a flood crowds out itself first."""
        ((most, _),) = Counter(found.origin for found in self._strangers.values()).most_common(1)
        oldest = next(task for task, found in self._strangers.items() if found.origin == most)
        self._strangers.pop(oldest).hang_up()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._strangers.pop(task, None)

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            try:
                context = self._context()
            except BaseException:
                connection.close()
                raise
            # From here on the transport closes the socket.
            streams = await make_streams(
                self._loop.connect_accepted_socket,
                connection,
                ssl=context,
                ssl_handshake_timeout=self._patience,
            )
            if self._closing:
                streams[1].transport.abort()
            else:
                self._accept(streams)
        except (OSError, LimError) as error:
            # The error, what waited for it and all that belongs to TLS lead to each other: of a flood, that
            # is hundreds of megabytes until they are collected as garbage, for which the loop stands still.
            traceback.clear_frames(error.__traceback__)


def origin(host: str) -> str:
    """From where somebody comes: the IPv4 address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))


async def listen(
    context: Callable[[], ssl.SSLContext],
    accept: Callable[[Streams], None],
    host: str = "",
    port: int = DEFAULT_PORT,
    *,
    patience: float = 5.0,
    most: int = MAX_STRANGERS,
    ports: int = PORTS,
) -> tuple[Listener, Address]:
    """Listen on ``port`` or the next free one of ``ports`` after it; 0 takes any.  Returns where.

    An empty ``host`` means all addresses of this computer, of both versions of IP; ``patience`` is how many
    seconds a handshake may take, ``most`` how many are under way at a time.  Raises LimError.
    """
    for candidate in range(port, min(port + ports, 65535) + 1) if port else [0]:
        try:
            sockets = await _bind(host, candidate)
        except OSError as error:
            if error.errno not in _TAKEN:
                where = host or "this computer"
                raise LimError(
                    f"Cannot listen on {where}: {error.strerror}. Choose another address or port."
                ) from error
        else:
            listener = Listener(sockets, context, accept, patience, most)
            return listener, Address(host, _port(sockets[0]))
    taken = (
        f"All ports from {port} to {port + ports} are taken" if ports else f"Port {port} is taken"
    )
    raise LimError(f"{taken}. Choose another one, or end a program.")


def _port(found: socket.socket) -> int:
    port: int = found.getsockname()[1]
    return port


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for all addresses of ``host``, on one port."""
    if not host:
        return [_bind_all(port)]
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, where in dict.fromkeys((info[0], info[4]) for info in infos):
        own_port = _port(sockets[0]) if sockets else port
        address = (where[0], own_port, *where[2:])
        try:
            sockets.append(socket.create_server(address, family=family))
        except OSError as error:
            failure = failure if failure and failure.errno in _TAKEN else error
    if failure is not None and (not sockets or failure.errno in _TAKEN):
        for found in sockets:
            found.close()
        raise failure
    return sockets


def _bind_all(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno in _TAKEN:
                raise
    return socket.create_server(("", port))  # IPv6 is not there, or is switched off
