"""The state of a text as bytes, and back.

::

    octet    0, the version of this format
    u32 u32  octets of the text in UTF-8: plain, compressed
    ...      the visible text, zlib
    u32 u32  octets of the table: plain, compressed
    ...      the table, zlib: which elements there are, in document order, tombstones too

    table:   u32 octets of a JSON list [[replica, mark], ...] in order of the replicas; the list;
             u32 number of spans; the columns for each span: number of its replica in the list,
             its first counter, its length, 1 if it is deleted
    column:  one octet w; the lowest octets of all its numbers, then their second octets, ... w in all

Numbers are little-endian.  A counter is written as its distance from the end of the span of the same
replica before it (0 at first), d >= 0 as 2d, d < 0 as -2d - 1.  A mark is the counter that the replica's last
delete stood at, or 0.  Spans are as long as they can be: equal states have equal bytes.
"""

from __future__ import annotations

import gc
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from collections.abc import Sequence as Numbers
from contextlib import contextmanager

import msgspec

from liblim.crdt.ops import COUNTER_LIMIT, check_id
from liblim.crdt.rga import Rga
from liblim.crdt.sequence import LONGEST_TEXT
from liblim.crdt.span import Chunk, Span
from liblim.errors import OperationError

VERSION = 0
MOST_OCTETS = 2**28
"""No part of a state is larger than this when plain."""
MOST_ROWS = 2**24
"""No table of a state has more rows."""

_SIZES = struct.Struct("<II")
_SIZE = struct.Struct("<I")
_Replicas = list[tuple[str, int]]
_read_replicas = msgspec.json.Decoder(_Replicas).decode


def encode_text(rga: Rga, marks: dict[str, int]) -> bytes:
    """The state of a text as bytes."""
    replicas = sorted(marks.keys() | rga.ids.keys())
    text = "".join([span.text for span in rga.walk()]).encode()
    names = msgspec.json.encode([(replica, marks.get(replica, 0)) for replica in replicas])
    columns = _columns(rga, {replica: k for k, replica in enumerate(replicas)})
    count = len(columns[0])
    table = [_SIZE.pack(len(names)), names, _SIZE.pack(count), *map(_pack_column, columns)]
    return bytes([VERSION]) + _pack(text) + _pack(b"".join(table))


def _columns(
    rga: Rga, numbers: dict[str, int]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """The columns of the table, with neighbouring spans joined where their ids go on."""
    owners: list[int] = []
    counters: list[int] = []
    lengths: list[int] = []
    dead: list[int] = []
    ends = [0] * len(numbers)
    for span in rga.walk():
        k, buried = numbers[span.replica], 0 if span.text else 1
        distance = span.counter - ends[k]
        ends[k] = span.counter + span.length
        if owners and distance == 0 and owners[-1] == k and dead[-1] == buried:
            lengths[-1] += span.length
            continue
        owners.append(k)
        counters.append(2 * distance if distance >= 0 else -2 * distance - 1)
        lengths.append(span.length)
        dead.append(buried)
    return owners, counters, lengths, dead


def decode_text(blob: bytes) -> tuple[Rga, dict[str, int]]:
    """The text and the marks that these bytes hold.  Raises OperationError where they hold none."""
    try:
        if blob[0] != VERSION:
            raise OperationError(f"The state is of format {blob[0]}, which is not known here.")
        octets, at = _unpack(blob, 1)
        table, end = _unpack(blob, at)
        if end != len(blob):
            raise OperationError("Something follows the state.")
        with _uncollected():
            return _build(octets.decode(), table)
    except (
        IndexError,
        UnicodeDecodeError,
        struct.error,
        zlib.error,
        msgspec.MsgspecError,
    ) as error:
        raise OperationError(f"This is not the state of a text: {error}.") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector of garbage away: it would look through all spans again and again, for nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def glance(blob: bytes) -> str:
    """The visible text alone, in a small part of the time.  Raises OperationError where there is none."""
    try:
        if blob[0] != VERSION:
            raise OperationError(f"The state is of format {blob[0]}, which is not known here.")
        return _unpack(blob, 1)[0].decode()
    except (IndexError, UnicodeDecodeError, struct.error, zlib.error) as error:
        raise OperationError(f"This is not the state of a text: {error}.") from error


def _build(text: str, table: bytes) -> tuple[Rga, dict[str, int]]:
    """Make the spans that the table describes."""
    at = _SIZE.size + _SIZE.unpack_from(table)[0]
    replicas = _read_replicas(table[_SIZE.size : at])
    (count,) = _SIZE.unpack_from(table, at)
    at += _SIZE.size
    if count > MOST_ROWS:
        raise OperationError("A state is too large.")
    columns: list[Numbers[int]] = []
    for _ in range(4):
        column, at = _unpack_column(table, at, count)
        columns.append(column)
    if at != len(table):
        raise OperationError("Something follows the table of a state.")
    names = [replica for replica, _ in replicas]
    if names != sorted(set(names)):
        raise OperationError("The replicas of a state are not in order.")
    for replica, mark in replicas:
        check_id(mark or 1, replica)
    rga = Rga()
    rga.fill(_spans(text, names, columns))
    return rga, {replica: mark for replica, mark in replicas if mark}


def _spans(text: str, names: list[str], columns: list[Numbers[int]]) -> list[Span]:
    """The spans of the columns, with their part of the text each."""
    spans: list[Span] = []
    append, nowhere, ends = spans.append, Chunk(0), [0] * len(names)
    owners, distances, lengths, dead = columns
    if min(lengths, default=1) < 1 or max(dead, default=0) > 1:
        raise OperationError("A span of a state has impossible numbers.")
    at = 0
    for k, distance, length, buried in zip(owners, distances, lengths, dead, strict=True):
        counter = ends[k] + (-(distance + 1 >> 1) if distance & 1 else distance >> 1)
        end = ends[k] = counter + length
        if counter < 1 or end > COUNTER_LIMIT:
            raise OperationError("A span of a state has impossible numbers.")
        if buried:
            append(Span(names[k], counter, length, "", nowhere))
            continue
        stop = at + length
        if stop > len(text):
            raise OperationError("The text of a state is too short.")
        while stop - at > LONGEST_TEXT:
            append(Span(names[k], counter, LONGEST_TEXT, text[at : at + LONGEST_TEXT], nowhere))
            counter += LONGEST_TEXT
            at += LONGEST_TEXT
        append(Span(names[k], counter, stop - at, text[at:stop], nowhere))
        at = stop
    if at != len(text):
        raise OperationError("The text of a state is too long.")
    return spans


def _pack_column(numbers: list[int]) -> bytes:
    """One column as planes of octets, which zlib shrinks better than whole numbers."""
    octets = _swapped(array("Q", numbers)).tobytes()
    planes = (max(numbers, default=0).bit_length() + 7) // 8
    return bytes([planes]) + b"".join([octets[k::8] for k in range(planes)])


def _unpack_column(table: bytes, at: int, count: int) -> tuple[array[int], int]:
    """The column that begins at ``at``, and where the next one does."""
    planes = table[at]
    at += 1
    end = at + planes * count
    if planes > 8 or end > len(table):
        raise OperationError("A column of a state is cut short.")
    octets = bytearray(8 * count)
    for k in range(planes):
        octets[k::8] = table[at + k * count : at + (k + 1) * count]
    return _swapped(array("Q", bytes(octets))), end


def _swapped(numbers: array[int]) -> array[int]:
    """The same numbers in little-endian order, or from it."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _pack(plain: bytes) -> bytes:
    packed = zlib.compress(plain, 9)
    return _SIZES.pack(len(plain), len(packed)) + packed


def _unpack(blob: bytes, at: int) -> tuple[bytes, int]:
    """The plain octets of the part that begins at ``at``, and where the next one does."""
    size, packed = _SIZES.unpack_from(blob, at)
    at += _SIZES.size
    if size > MOST_OCTETS:
        raise OperationError("A state is too large.")
    inflater = zlib.decompressobj()
    plain = inflater.decompress(blob[at : at + packed], size + 1)
    if len(plain) != size or not inflater.eof or inflater.unused_data:
        raise OperationError("A part of a state has not the size that it says.")
    return plain, at + packed
