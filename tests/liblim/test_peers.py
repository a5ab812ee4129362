from __future__ import annotations

import pytest

from liblim.errors import StoreError
from liblim.peers import PeerRecord, pack_peer, unpack_peer


def test_round_trip() -> None:
    record = PeerRecord("a" * 32, "Desk 🖥", "127.0.0.1:4242", False, 1.5, 1, 2, 3, 4)
    assert unpack_peer(pack_peer(record)) == record


def test_what_a_later_version_added_is_passed_over() -> None:
    data = b'{"device":"' + b"a" * 32 + b'","fingerprint":[1]}'
    assert unpack_peer(data) == PeerRecord("a" * 32)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"device":1}', b"[" * 100_000])
def test_damaged(data: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack_peer(data)
