"""A connection on which two devices pair: one line of the pairing protocol after another."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import TypeVar

from liblim.errors import PairingError
from liblim.net.dial import Streams, other_end
from liblim.net.tls import certificate_of
from liblim.trust.pairing_messages import MAX_LINE, Message, Nowai, decode, encode, problem
from liblim.words import on_one_line

ANSWER = 10.0
"""Seconds for a program to answer, or to take what is said."""
CHUNK = 65536

M = TypeVar("M", bound=Message)


class Talk:
    """Says and hears lines; as a context it closes the connection, and says why if something went wrong."""

    def __init__(self, streams: Streams) -> None:
        """Talk over a connection that was made."""
        self._reader, self._writer = streams
        self._buffer = bytearray()
        self._told = False
        """Whether the other side said why it ends this."""
        self.host = other_end(self._writer).host
        self.certificate = certificate_of(self._writer)

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(None if error is None else in_words(error))

    async def say(self, line: bytes | Message, patience: float = ANSWER) -> None:
        """Send a line; that the other side is gone is for ``hear`` to find."""
        self._writer.write(line if isinstance(line, bytes) else encode(line))
        with contextlib.suppress(OSError):  # and TimeoutError, which is one
            async with asyncio.timeout(patience):
                await self._writer.drain()

    async def hear_line(self, patience: float = ANSWER, most: int = MAX_LINE) -> bytes:
        """The next line, with its newline, of at most so many bytes.

        Raises PairingError, also for the other side's ``NOWAI``.
        """
        searched = 0
        try:
            async with asyncio.timeout(patience):
                while (end := self._buffer.find(b"\n", searched, most)) < 0:
                    searched = len(self._buffer)
                    if searched >= most:
                        raise problem("garbage")
                    data = await self._reader.read(CHUNK)
                    if not data:
                        raise problem("lost")
                    self._buffer += data
        except TimeoutError:
            raise problem("too-late") from None
        except OSError:
            raise problem("lost") from None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if line.startswith(b"NOWAI "):
            self._told = True
            raise _as_said(decode(line[:-1]))
        return line

    async def hear(self, kind: type[M], patience: float = ANSWER, most: int = MAX_LINE) -> M:
        """The next message, which has to be of a kind.  Raises as ``hear_line``."""
        message = decode((await self.hear_line(patience, most)).removesuffix(b"\n"))
        if not isinstance(message, kind):
            raise problem("garbage")
        return message

    def end(self, error: PairingError | None = None) -> None:
        """Say why, where there is a reason that did not come from the other side, and close."""
        if error is not None and not self._told:
            self._writer.write(encode(Nowai(error.code, str(error)[:500], error.mend[:500])))
        self._writer.close()


def _as_said(message: Message) -> PairingError:
    assert isinstance(message, Nowai)
    said = on_one_line(message.message) or "The other device ended pairing."
    return PairingError(message.code, said, on_one_line(message.mend))


def in_words(error: BaseException) -> PairingError:
    """What to tell the other side; what is wrong in here in detail does not concern it."""
    if isinstance(error, PairingError):
        return error
    return problem("cancelled" if isinstance(error, asyncio.CancelledError) else "trouble")
