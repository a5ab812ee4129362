"""Making a connection, with failures as sentences that say what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from liblim.errors import LimError
from liblim.net.address import Address, is_loopback

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(address: Address, patience: float) -> Streams:
    """Connect within ``patience`` seconds.

    Raises LimError.
    """
    if not is_loopback(address.host):
        raise LimError(
            f"{address.host} is not this computer. This version connects programs on one computer "
            "only: use 127.0.0.1."
        )
    try:
        # Not wait_for: before Python 3.12 it swallows a cancellation at the moment of success.
        async with asyncio.timeout(patience):
            return await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        raise LimError(
            f"{address} does not answer. Check the address, and that the device is on."
        ) from None
    except OSError as error:
        raise LimError(_in_words(address, error)) from error


def _in_words(address: Address, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {address}. Start the program there, and check the port."
    if isinstance(error, socket.gaierror):
        return f"There is no host named {address.host}. Check the spelling, or use its address."
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, 10051, 10065):
        return f"There is no way to {address} from here. Check the network on both devices."
    # asyncio puts words of its own into strerror.
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{address} cannot be reached: {why}."
