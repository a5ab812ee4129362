"""The proof of the code, made again from PROTOCOL.rst alone: it shares no code with what it checks.

``tests/vectors/pairing.json`` holds one pairing.  Another implementation can be tried against it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from spake2 import SPAKE2_A, SPAKE2_B

from liblim.trust.pairing_messages import Pair, decode
from liblim.trust.pairing_proof import Handshake, Role

VECTOR: dict[str, Any] = json.loads(
    Path(__file__).parents[2].joinpath("vectors", "pairing.json").read_text("utf-8")
)
DOCUMENT = files("liblim").joinpath("PROTOCOL.rst").read_text("utf-8")

# edwards25519 (RFC 8032, section 5.1), points as (x, y)

Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q

Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % Q
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, Q)
    return x % Q, (y1 * y2 + x1 * x2) * pow(1 - k, -1, Q) % Q


def times(n: int, point: Point) -> Point:
    found = NEUTRAL
    for bit in bin(n)[2:]:
        found = add(found, found)
        if bit == "1":
            found = add(found, point)
    return found


def even_x(y: int) -> int | None:
    """The even x of a point with this y, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if (x * x - square) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    if (x * x - square) % Q:
        return None
    return x if x % 2 == 0 else Q - x


def written(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def read(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y = number & (1 << 255) - 1
    x = even_x(y)
    assert x is not None
    return (Q - x) % Q if number >> 255 else x, y


BASE = read(bytes.fromhex("58" + "66" * 31))


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    key = hmac.digest(bytes(32), secret, "sha256")
    found = block = b""
    while len(found) < length:
        block = hmac.digest(key, block + info + bytes([len(found) // 32 + 1]), "sha256")
        found += block
    return found[:length]


def constant(seed: bytes) -> Point:
    y = int.from_bytes(hkdf(seed, b"SPAKE2 arbitrary element", 48), "big") % Q
    while (x := even_x(y)) is None:
        y += 1
    return times(8, (x, y))


M, N = constant(b"M"), constant(b"N")
sha256 = hashlib.sha256


def password() -> int:
    return int.from_bytes(hkdf(VECTOR["code"].encode(), b"SPAKE2 pw", 48), "big") % L


def secret_of(point: Point, first: bytes, second: bytes) -> bytes:
    told = (VECTOR["code"].encode(), b"lim-pair/1 dials", b"lim-pair/1 shows")
    names = b"".join(sha256(text).digest() for text in told)
    return sha256(names + first[1:] + second[1:] + written(point)).digest()


def minus(point: Point) -> Point:
    return -point[0] % Q, point[1]


def part(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def test_the_constants_are_those_of_the_document() -> None:
    for name, point in (("M", M), ("N", N)):
        assert f"    {name}  = {written(point).hex()}\n" in DOCUMENT


def test_both_sides_of_spake2() -> None:
    w, x, y = password(), int(VECTOR["x"], 16), int(VECTOR["y"], 16)
    first = b"A" + written(add(times(x, BASE), times(w, M)))
    second = b"B" + written(add(times(y, BASE), times(w, N)))
    assert first.hex() == VECTOR["pake of the side that dials"]
    assert second.hex() == VECTOR["pake of the side that shows"]
    seen_by_a = times(x, add(read(second[1:]), minus(times(w, N))))
    seen_by_b = times(y, add(read(first[1:]), minus(times(w, M))))
    assert seen_by_a == seen_by_b
    assert secret_of(seen_by_a, first, second).hex() == VECTOR["secret"]


def test_the_macs() -> None:
    parts = [b"lim-pair/1"]
    parts += [
        sha256(bytes.fromhex(VECTOR[f"certificate of the side that {r}"])).digest() for r in ROLES
    ]
    parts += [VECTOR[f"line of the side that {role}"].encode() for role in ROLES]
    info = b"lim-pair/1 mac" + sha256(b"".join(map(part, parts))).digest()
    material = hkdf(bytes.fromhex(VECTOR["secret"]), info, 64)
    for role, key in zip(ROLES, (material[:32], material[32:]), strict=True):
        for words in ("stranger", "member"):
            mac = hmac.digest(key, words.encode(), "sha256")
            assert mac.hex() == VECTOR[f"mac of the side that {role}, {words}"]


ROLES = ("dials", "shows")


def handshake(role: Role, scalar: int) -> Handshake:
    """What the program does, with a scalar that is given."""
    line = VECTOR[f"line of the side that {role.value.decode()}"].encode()
    pair = decode(line)
    assert isinstance(pair, Pair)
    side = partial(
        SPAKE2_A if role is Role.DIALS else SPAKE2_B,
        idA=b"lim-pair/1 dials",
        idB=b"lim-pair/1 shows",
        entropy_f=lambda count: scalar.to_bytes(count, "big"),
    )
    made = Handshake(role, VECTOR["code"], pair.about, lambda role, code: side(code.encode()))
    assert made.line == line + b"\n"
    return made


def test_the_program_says_the_same() -> None:
    dials = handshake(Role.DIALS, int(VECTOR["x"], 16))
    shows = handshake(Role.SHOWS, int(VECTOR["y"], 16))
    shower = bytes.fromhex(VECTOR["certificate of the side that shows"])
    for role, proof in (
        ("dials", dials.finish(shows.line, shower)),
        ("shows", shows.finish(dials.line, shower)),
    ):
        for words, member in (("stranger", False), ("member", True)):
            assert proof.own[member].hex() == VECTOR[f"mac of the side that {role}, {words}"]
