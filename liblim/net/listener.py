"""Listening on one port of this computer."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from liblim.errors import LimError
from liblim.net.address import DEFAULT_PORT, Address, is_loopback

PORTS = 100
"""How many ports after the wanted one are tried where it is taken."""

_TAKEN = (errno.EADDRINUSE, errno.EACCES, 10013, 10048)  # the numbers are Windows' for the same

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def listen(
    accept: Accept, host: str = "127.0.0.1", port: int = DEFAULT_PORT
) -> tuple[asyncio.Server, Address]:
    """Listen on ``port`` or the next free one; 0 takes any.  Returns where.

    Raises LimError where ``host`` is not this computer alone, or no port is free.
    """
    if not is_loopback(host):
        raise LimError(
            f"This version listens on this computer only, so not on {host}. Use 127.0.0.1."
        )
    for candidate in range(port, min(port + PORTS, 65535) + 1) if port else [0]:
        try:
            server = await asyncio.start_server(accept, host, candidate)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise LimError(f"Cannot listen on {host}: {error.strerror}.") from error
        else:
            found = server.sockets[0].getsockname()
            return server, Address(host, found[1])
    raise LimError(
        f"All ports from {port} to {port + PORTS} are taken. Choose another one, or end a program."
    )
