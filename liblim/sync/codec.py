"""The line codec: ``VERB {json}`` and a newline, to and from messages.

Errors carry the code, the sentence and the mend that go out as ``NOWAI``.  Whatever the bytes are
and however they are cut into chunks, nothing but ProtocolError comes out.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

import msgspec

from liblim.errors import ProtocolError
from liblim.sync.messages import MAX_GREETING, PROTOCOL, VERBS, Message
from liblim.sync.refusals import refusal

_VERB = re.compile("[A-ZØ]{1,32}")
_ENCODED_VERBS = {cls: f"{verb} ".encode() for verb, cls in VERBS.items()}
_DECODERS = {verb: msgspec.json.Decoder(cls) for verb, cls in VERBS.items()}
_any_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Unknown(NamedTuple):
    """A message of a newer version: passed over."""

    verb: str


Decoded: TypeAlias = Message | Unknown


class _Version(msgspec.Struct):
    """What every version's ``ØHAI`` has in common."""

    protocol: int


_version_decoder = msgspec.json.Decoder(_Version)


def encode(message: Message) -> bytes:
    """Write a message as a line."""
    return b"".join((_ENCODED_VERBS[type(message)], msgspec.json.encode(message), b"\n"))


class LineDecoder:
    """Cuts a stream of bytes into messages, in time linear in the bytes however they are chunked.

    Holds at most ``limit`` bytes and one chunk.  ``limit`` may be changed between messages.  After
    a ProtocolError the stream cannot be read on.
    """

    def __init__(self, limit: int = MAX_GREETING) -> None:
        """Accept lines of at most ``limit`` bytes."""
        self.limit = limit
        self._buffer = bytearray()
        self._start = 0
        self._searched = 0

    @property
    def partial(self) -> bool:
        """Whether there are bytes that no message came of yet."""
        return self._start < len(self._buffer)

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not read yet."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take a chunk; ``next`` then gives its messages."""
        if self._start:
            del self._buffer[: self._start]
            self._searched -= self._start
            self._start = 0
        self._buffer += data

    def next(self) -> Decoded | None:
        """The next message, or ``None`` until more bytes come.

        Raises ProtocolError.
        """
        end = self._buffer.find(b"\n", self._searched)
        length = (len(self._buffer) if end < 0 else end + 1) - self._start
        if length > self.limit:
            raise refusal("too-long", str(self.limit))
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[self._start : end])
        self._start = self._searched = end + 1
        return decode(line)


def decode(line: bytes) -> Decoded:
    """Read one line, without its newline.

    Raises ProtocolError.
    """
    try:
        # msgspec does not look into the strings of members that it passes over.
        if not line.isascii():
            line.decode()
        verb = line.partition(b" ")[0].decode()
    except UnicodeDecodeError:
        raise refusal("garbage", "it is not UTF-8") from None
    payload = memoryview(line)[len(verb.encode()) + 1 :]
    if not _VERB.fullmatch(verb):
        raise refusal("garbage", "a line does not begin with a verb")
    if bytes(payload[:1]) != b"{" or bytes(payload[-1:]) != b"}":
        raise refusal("garbage", f"{verb} is not followed by a JSON object and a newline")
    return _decode_payload(verb, payload)


def _decode_payload(verb: str, payload: memoryview) -> Decoded:
    decoder = _DECODERS.get(verb)
    try:
        if decoder is None:
            _any_object.decode(payload)
            return Unknown(verb)
        if verb == "ØHAI":
            _check_version(payload)
        message: Message = decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise _invalid(verb, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal("garbage", f"{verb}: {error}") from None
    return message


def _check_version(payload: memoryview) -> None:
    """Look at the version before all else: another version's ``ØHAI`` may look different."""
    version = _version_decoder.decode(payload).protocol
    if version != PROTOCOL:
        raise refusal("wrong-version", f"{PROTOCOL} and {version}")


def _invalid(verb: str, error: str) -> ProtocolError:
    return refusal("bad-change" if verb == "UCANHAZ" else "bad-message", f"{verb}: {error}")
