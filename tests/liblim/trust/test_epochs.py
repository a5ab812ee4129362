"""Epochs: names, HKDF against its vectors, and that a seal opens for what it was made for only."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec
import pytest

from liblim.change import Dep, Header
from liblim.errors import ChangeError
from liblim.trust.epochs import Epoch, associated_data, epoch_name, hkdf
from tests.liblim.trust.sealed import EPOCH, LIBRARY, flipped

HEADER = Header(
    replica="ab" * 8,
    seq=2,
    prev=b"p" * 32,
    deps=(Dep("cd" * 8, 7, b"d" * 32),),
    clock=12,
    n=5,
    at=-1,
    epoch=epoch_name(EPOCH),
    device="",
    body=b"",
)
OTHERS: dict[str, Any] = {
    "replica": "ac" * 8,
    "seq": 3,
    "prev": b"q" * 32,
    "deps": (),
    "clock": 13,
    "n": 6,
    "at": 0,
    "epoch": "0" * 32,
    "device": "d" * 32,
}
PACKED = b"\x00" + b'{"oid":"","kind":"","ops":[]}'


# RFC 5869, appendix A
@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "expected"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf(secret: str, salt: str, info: str, length: int, expected: str) -> None:
    derived = hkdf(bytes.fromhex(secret), bytes.fromhex(info), length, bytes.fromhex(salt) or None)
    assert derived.hex() == expected


def test_an_epoch_is_named_by_its_key() -> None:
    assert Epoch(EPOCH).name == epoch_name(EPOCH)
    assert epoch_name(EPOCH) == hashlib.sha256(b"lim/1 epoch name" + EPOCH).hexdigest()[:32]
    assert epoch_name(EPOCH) != epoch_name(bytes(32))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(ChangeError):
        Epoch(bytes(size))


def test_a_key_stands_in_no_repr() -> None:
    assert repr(Epoch(EPOCH)) == f"<Epoch {epoch_name(EPOCH)}>"


def test_what_is_bound_is_the_canonical_header_without_its_body() -> None:
    bound = associated_data(HEADER, LIBRARY)
    assert bound[:16] == bytes.fromhex(LIBRARY)
    whole = msgspec.structs.replace(HEADER, body=b"b" * 32)
    members = msgspec.json.decode(whole.canonical())
    del members["body"]
    assert bound[16:] == msgspec.json.encode(members, order="sorted")
    assert associated_data(whole, LIBRARY) == bound


def test_every_member_of_a_header_but_its_body_is_bound() -> None:
    assert {*OTHERS, "body"} == set(Header.__struct_fields__)


def test_a_seal_opens_and_is_the_same_each_time() -> None:
    sealed = Epoch(EPOCH).seal(PACKED, HEADER, LIBRARY)
    assert sealed == Epoch(EPOCH).seal(PACKED, HEADER, LIBRARY)
    assert len(sealed) == len(PACKED) + 24 + 16
    assert Epoch(EPOCH).open(sealed, HEADER, LIBRARY) == PACKED
    whole = msgspec.structs.replace(HEADER, body=hashlib.sha256(sealed).digest())
    assert Epoch(EPOCH).open(sealed, whole, LIBRARY) == PACKED


def test_an_empty_body_can_be_sealed() -> None:
    sealed = Epoch(EPOCH).seal(b"", HEADER, LIBRARY)
    assert Epoch(EPOCH).open(sealed, HEADER, LIBRARY) == b""


def test_no_two_seals_share_a_salt() -> None:
    """Else they would share key and nonce."""
    epoch = Epoch(EPOCH)
    seals = [epoch.seal(PACKED, HEADER, LIBRARY), epoch.seal(PACKED + b" ", HEADER, LIBRARY)]
    seals.append(epoch.seal(PACKED, HEADER, "2c" * 16))
    for name, value in OTHERS.items():
        other = msgspec.structs.replace(HEADER, **{name: value})
        seals.append(epoch.seal(PACKED, other, LIBRARY))
    assert len({sealed[:24] for sealed in seals}) == len(seals)
    assert Epoch(bytes(32)).seal(PACKED, HEADER, LIBRARY)[:24] != seals[0][:24]


def test_a_guess_cannot_be_tested_without_the_key() -> None:
    """The salt is no unkeyed hash of what is sealed."""
    bound = associated_data(HEADER, LIBRARY)
    told = len(bound).to_bytes(8, "big") + bound + PACKED
    sealed = Epoch(EPOCH).seal(PACKED, HEADER, LIBRARY)
    for key in (b"", bytes(32), bytes.fromhex(epoch_name(EPOCH)), bytes.fromhex(LIBRARY)):
        assert hmac.digest(key, told, "sha256")[:24] != sealed[:24]
    assert hashlib.sha256(told).digest()[:24] != sealed[:24]


def test_every_flip_and_every_truncation_is_refused() -> None:
    epoch = Epoch(EPOCH)
    sealed = epoch.seal(PACKED, HEADER, LIBRARY)
    for at in range(len(sealed)):
        for bad in (flipped(sealed, at), sealed[:at], sealed[at + 1 :]):
            with pytest.raises(ChangeError):
                epoch.open(bad, HEADER, LIBRARY)
    with pytest.raises(ChangeError):
        epoch.open(sealed + b"\0", HEADER, LIBRARY)


@pytest.mark.parametrize("member", OTHERS)
def test_a_body_does_not_open_under_another_header(member: str) -> None:
    epoch = Epoch(EPOCH)
    sealed = epoch.seal(PACKED, HEADER, LIBRARY)
    other = msgspec.structs.replace(HEADER, **{member: OTHERS[member]})
    with pytest.raises(ChangeError):
        epoch.open(sealed, other, LIBRARY)


def test_a_body_does_not_open_in_another_library_or_with_another_key() -> None:
    sealed = Epoch(EPOCH).seal(PACKED, HEADER, LIBRARY)
    with pytest.raises(ChangeError):
        Epoch(EPOCH).open(sealed, HEADER, "2c" * 16)
    with pytest.raises(ChangeError):
        Epoch(bytes(32)).open(sealed, HEADER, LIBRARY)
