"""Making a connection, with failures as sentences that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from liblim.errors import LimError
from liblim.net.address import Address
from liblim.net.interfaces import zoned
from liblim.net.tls import certificate_of, protocol_of

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

STAGGER = 0.25
"""Seconds after which the next address is tried beside those before it (RFC 8305, section 5)."""
GOODBYE = 1.0
"""Seconds for the other end to answer the end of TLS."""
MAX_ADDRESSES = 20
"""Addresses of one device that are tried at a time."""

_CHECK = "Check that the address is that of a device with this program, of the same version."
_MAC = " On a Mac, also allow Lim Notes under System Settings > Privacy & Security > Local Network."


class Dialled(NamedTuple):
    """A connection, and the address at which it was made."""

    streams: Streams
    address: Address


async def dial(
    addresses: Sequence[Address],
    context: ssl.SSLContext,
    patience: float,
    certificate: bytes | None = None,
) -> Dialled:
    """Connect to the first address whose TLS handshake succeeds, within ``patience`` seconds for each.

    Later addresses are tried beside earlier ones that do not answer at once.  Where a ``certificate`` (DER)
    is given, the other end has to have shown that very one: whether OpenSSL trusts it is not enough.

    Raises LimError with what the first address came to.
    """
    if not addresses:
        raise LimError("No address of this device is known. Pair again, or let it connect to us.")
    ways = [way for address in addresses for way in zoned(address)]
    unique = list(dict.fromkeys(ways))[:MAX_ADDRESSES]
    return await _race([_try(address, context, patience, certificate) for address in unique])


async def _race(tries: Sequence[Coroutine[Any, Any, Dialled]]) -> Dialled:
    """What succeeds first; each begins a little after the one before it.  Else the first one's error."""
    tasks = [
        asyncio.ensure_future(_later(STAGGER * number, one)) for number, one in enumerate(tries)
    ]
    winner: Dialled | None = None
    try:
        for done in asyncio.as_completed(tasks):
            with contextlib.suppress(OSError, LimError):
                winner = await done
                return winner
        return await tasks[0]
    finally:
        # Nothing is awaited here: a cancellation could strike, and nobody would have the winner.
        for task, one in zip(tasks, tries, strict=True):
            task.cancel()
            task.add_done_callback(partial(_clear_away, one, winner))


def _clear_away(
    one: Coroutine[Any, Any, Dialled], winner: Dialled | None, task: asyncio.Task[Dialled]
) -> None:
    one.close()  # it may never have begun
    if not task.cancelled() and task.exception() is None and task.result() is not winner:
        task.result().streams[1].transport.abort()


async def _later(delay: float, one: Coroutine[Any, Any, Dialled]) -> Dialled:
    if delay:
        await asyncio.sleep(delay)
    return await one


async def _try(
    address: Address, context: ssl.SSLContext, patience: float, certificate: bytes | None
) -> Dialled:
    try:
        # Not wait_for: before Python 3.12 it swallows a cancellation at the moment of success.
        async with asyncio.timeout(patience):
            loop = asyncio.get_running_loop()
            infos = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
            found = dict.fromkeys((info[0], info[4]) for info in infos)
            dialled = await _race(
                [_connect(address, *one, context) for one in list(found)[:MAX_ADDRESSES]]
            )
    except TimeoutError:
        raise LimError(
            f"{address} does not answer. Check the address, that the device is on, and that no "
            "firewall is in the way."
        ) from None
    except OSError as error:
        raise LimError(_in_words(address, error)) from error
    if not protocol_of(dialled.streams[1]):
        dialled.streams[1].transport.abort()
        raise LimError(f"{address} does not speak this protocol. {_CHECK}")
    if certificate is not None and certificate_of(dialled.streams[1]) != certificate:
        dialled.streams[1].transport.abort()
        raise LimError(_another(address))
    return dialled


async def _connect(
    address: Address, family: int, where: tuple[Any, ...], context: ssl.SSLContext
) -> Dialled:
    """Connect to one of the addresses that a name stands for.  Raises OSError."""
    loop = asyncio.get_running_loop()
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await loop.sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    streams = await make_streams(
        loop.create_connection, sock=connection, ssl=context, server_hostname=""
    )
    return Dialled(streams, address)


async def make_streams(
    connect: Callable[..., Awaitable[tuple[asyncio.BaseTransport, Any]]],
    *where: Any,
    **options: Any,
) -> Streams:
    """Reader and writer over what one of the loop's methods connects, with TLS.

    Raises OSError.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await connect(lambda: protocol, *where, ssl_shutdown_timeout=GOODBYE, **options)
    assert isinstance(transport, asyncio.WriteTransport)
    # asyncio does so only for sockets that were made with the number of the protocol.  Else a line waits
    # 40 ms for the acknowledgement of the one before (RFC 896).
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def cut(writer: asyncio.StreamWriter) -> None:
    """End a connection without a word, whatever it is at."""
    # Of one that was closed twice Python 3.11.2, which is Debian's, has forgotten what to end.
    with contextlib.suppress(AttributeError):
        writer.transport.abort()


def other_end(writer: asyncio.StreamWriter) -> Address:
    """The address of the other end of a connection; with an empty host where it is gone already."""
    host, port, *rest = writer.get_extra_info("peername") or ("", 0)
    host = str(host).removeprefix("::ffff:")  # IPv4, on a socket for both versions
    zone = rest[1] if len(rest) == 2 and "%" not in host else 0
    return Address(f"{host}%{zone}" if zone else host, port)


def _another(address: Address) -> str:
    return f"Another device answers at {address}. If that one was set up anew, pair again."


def _in_words(address: Address, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _another(address)
    if isinstance(error, ssl.SSLError):
        return f"{address} does not speak this protocol. {_CHECK}"
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {address}. Start the program there, and check the port."
    if isinstance(error, ConnectionError):
        return f"{address} closed the connection at once. {_CHECK}"
    if isinstance(error, socket.gaierror):
        return f"There is no host named {address.host}. Check the spelling, or use its address."
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, 10051, 10065):
        more = _MAC if sys.platform == "darwin" else ""
        return f"There is no way to {address} from here. Check the network on both devices.{more}"
    # asyncio puts words of its own into strerror.
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{address} cannot be reached: {why}."
