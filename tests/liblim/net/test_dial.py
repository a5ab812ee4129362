"""Failures to connect or to listen, as sentences."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from liblim.errors import LimError
from liblim.net.address import Address
from liblim.net.dial import dial
from liblim.net.listener import listen

HERE = Address("127.0.0.1", 4242)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(), "Nothing listens at 127.0.0.1:4242."),
        (TimeoutError(), "127.0.0.1:4242 does not answer."),
        (socket.gaierror(-2, "Name or service not known"), "There is no host named 127.0.0.1."),
        (OSError(errno.EHOSTUNREACH, "No route"), "There is no way to 127.0.0.1:4242 from here."),
        (OSError(errno.ENETUNREACH, "No route"), "There is no way to 127.0.0.1:4242 from here."),
        (OSError(errno.EIO, "Odd thing"), "127.0.0.1:4242 cannot be reached: Input/output error."),
    ],
)
def test_dialling(error: OSError, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", fail)
    with pytest.raises(LimError) as caught:
        asyncio.run(dial(HERE, 1.0))
    assert str(caught.value).startswith(said)


def test_a_connection_that_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", hang)
    with pytest.raises(LimError, match="does not answer"):
        asyncio.run(dial(HERE, 0.01))


def test_other_computers_are_not_dialled() -> None:
    for host in ("192.168.1.5", "desk", "0.0.0.0"):
        with pytest.raises(LimError, match="on one computer"):
            asyncio.run(dial(Address(host, 4242), 1.0))


@pytest.mark.parametrize(
    ("code", "tried", "said"),
    [
        (errno.EADDRINUSE, 101, "All ports from 4242 to 4342 are taken."),
        (errno.EADDRNOTAVAIL, 1, "Cannot listen on 127.0.0.1: Cannot assign"),
    ],
)
def test_listening(code: int, tried: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []

    async def fail(_: Any, host: str, port: int) -> None:
        ports.append(port)
        raise OSError(code, "Cannot assign")

    monkeypatch.setattr(asyncio, "start_server", fail)
    with pytest.raises(LimError) as caught:
        asyncio.run(listen(lambda *_: None))
    assert str(caught.value).startswith(said)
    assert ports == list(range(4242, 4242 + tried))
