"""The fields of a document, written from ``PROTOCOL.rst`` alone: it shares no code with liblim.

Everything is as plain as it can be: a text is a list of its elements.  It takes operations and states as
they are, and does not look for what is wrong with them.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

Ops = list[list[Any]]
Id = tuple[int, bytes]
"""Ids compare by counter, then by the octets of the replica."""


def read_ref(ref: Any, replica: str) -> Id:
    if ref == 0:
        return (0, b"")
    counter, owner = ref if isinstance(ref, list) else (ref, replica)
    return (counter, owner.encode())


class Text:
    """Elements in document order, each with its id, its character, and whether it is deleted."""

    def __init__(self) -> None:
        self.ids: list[Id] = []
        self.chars: list[str] = []
        self.deleted: set[Id] = set()
        self.marks: dict[str, int] = {}

    def apply(self, counter: int, replica: str, kind: str, ref: Any, value: Any) -> None:
        target = read_ref(ref, replica)
        if kind == "+":
            for k, char in enumerate(value):
                fresh = (counter + k, replica.encode())
                if fresh not in self.ids:
                    self._insert(target, fresh, char)
                target = fresh
        else:
            self.deleted |= {(target[0] + k, target[1]) for k in range(value)}
            self.marks[replica] = max(counter, self.marks.get(replica, 0))

    def _insert(self, left: Id, fresh: Id, char: str) -> None:
        at = self.ids.index(left) + 1 if left[0] else 0
        while at < len(self.ids) and self.ids[at] > fresh:
            at += 1
        self.ids.insert(at, fresh)
        self.chars.insert(at, char)

    def text(self) -> str:
        found = zip(self.ids, self.chars, strict=True)
        return "".join([char for id_, char in found if id_ not in self.deleted])

    def rows(self) -> list[list[Any]]:
        """The spans of the state: counter, replica, length, 1 if deleted."""
        rows: list[list[Any]] = []
        for counter, octets in self.ids:
            replica, dead = octets.decode(), int((counter, octets) in self.deleted)
            first, owner, length, buried = rows[-1] if rows else (0, "", 0, 0)
            if (first + length, owner, buried) == (counter, replica, dead):
                rows[-1][2] += 1
            else:
                rows.append([counter, replica, 1, dead])
        return rows

    def known(self) -> list[list[Any]]:
        """The replicas of the state, each with its mark."""
        replicas = {octets for _, octets in self.ids} | {name.encode() for name in self.marks}
        return [[name.decode(), self.marks.get(name.decode(), 0)] for name in sorted(replicas)]


def canonical(value: Any) -> str:
    """The JSON by which values are compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def versions(ops: Ops) -> dict[str, int]:
    """For each replica the highest counter."""
    last: dict[str, int] = {}
    for counter, replica, *_ in ops:
        last[replica] = max(counter, last.get(replica, 0))
    return last


def once(ops: Ops) -> Ops:
    """The same operations without those whose counter is not above all before it of their replica."""
    return [op for k, op in enumerate(ops) if op[0] > versions(ops[:k]).get(op[1], 0)]


def merge_register(ops: Ops) -> tuple[Any, Any]:
    """The value, and the state as JSON; so with the others below."""
    counter, replica, value = max([(c, r, v) for c, r, _, v in ops], key=lambda won: won[:2])
    return value, [counter, replica, value, versions(ops)]


def merge_set(ops: Ops) -> tuple[Any, Any]:
    tags: dict[tuple[int, str], Any] = {}
    for counter, replica, verb, *arguments in once(ops):
        if verb in ("add", "on"):
            tags[counter, replica] = arguments[0] if arguments else True
            continue
        for ref in arguments[0]:
            tags.pop((ref, replica) if isinstance(ref, int) else (ref[0], ref[1]), None)
    values = {canonical(value): value for value in tags.values()}
    standing = [[*id_, tags[id_]] for id_ in sorted(tags)]
    return [values[key] for key in sorted(values)], [standing, versions(ops)]


def merge_flag(ops: Ops) -> tuple[Any, Any]:
    values, state = merge_set(ops)
    return values != [], state


def merge_growing(ops: Ops) -> tuple[Any, Any]:
    found = {canonical(op[3]): op[3] for op in ops}
    values = [found[key] for key in sorted(found)]
    return values, [values, versions(ops)]


def merge_counter(ops: Ops) -> tuple[Any, Any]:
    sums: dict[str, int] = {}
    for _, replica, _, n in once(ops):
        sums[replica] = sums.get(replica, 0) + n
    rows = [[replica, versions(ops)[replica], str(sums[replica])] for replica in sorted(sums)]
    return str(sum(sums.values())), [rows]


MERGE = {
    "register": merge_register,
    "set": merge_set,
    "flag": merge_flag,
    "growing set": merge_growing,
    "counter": merge_counter,
}


def merge(kind: str, ops: Ops) -> tuple[Any, bytes]:
    """What the operations make of a field that is no text: its value, and its state."""
    value, state = MERGE[kind](ops)
    return value, b"\0" + canonical(state).encode()


def parts(state: bytes) -> tuple[bytes, bytes]:
    """The plain octets of both parts of a text's state."""
    if state[0] != 0:
        raise ValueError("another format")
    plain, at = [], 1
    for _ in range(2):
        size, packed = struct.unpack_from("<II", state, at)
        at += 8
        plain.append(zlib.decompress(state[at : at + packed]))
        at += packed
        if len(plain[-1]) != size:
            raise ValueError("another size")
    if at != len(state):
        raise ValueError("something behind it")
    return plain[0], plain[1]


def read_table(table: bytes) -> tuple[list[list[Any]], list[list[Any]]]:
    """The replicas with their marks, and the spans as :meth:`Text.rows` has them."""
    (size,) = struct.unpack_from("<I", table)
    replicas = json.loads(table[4 : 4 + size])
    (count,) = struct.unpack_from("<I", table, 4 + size)
    at, columns = 8 + size, []
    for _ in range(4):
        width, at = table[at], at + 1
        planes = [table[at + k * count : at + (k + 1) * count] for k in range(width)]
        at += width * count
        columns.append(
            [sum(plane[i] << 8 * k for k, plane in enumerate(planes)) for i in range(count)]
        )
    if at != len(table):
        raise ValueError("something behind the columns")
    rows, ends = [], [0] * len(replicas)
    for owner, distance, length, dead in zip(*columns, strict=True):
        counter = ends[owner] + (-(distance + 1) // 2 if distance % 2 else distance // 2)
        ends[owner] = counter + length
        rows.append([counter, replicas[owner][0], length, dead])
    return replicas, rows
