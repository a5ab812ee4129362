from __future__ import annotations

import pytest

from liblim.errors import ProtocolError
from liblim.sync import Ready, Welcomed
from liblim.sync.handshake import judge
from liblim.sync.messages import Ohai
from liblim.sync.refusals import REFUSALS
from tests.liblim.sync.fakes import End, MemoryLog, run

MINE, YOURS = "1" * 32, "2" * 32
A, B, C = "a" * 32, "b" * 32, "c" * 32


def hello(library: str, device: str) -> Ohai:
    return Ohai(1, library, device)


@pytest.mark.parametrize(
    ("theirs", "peer", "code"),
    [
        (hello(MINE, B), B, ""),
        (hello(YOURS, B), B, "another-library"),
        (hello(MINE, A), A, "yourself"),
        (hello(MINE, B), A, "yourself"),
        (hello(MINE, C), B, "bad-message"),
        (hello(MINE, A), B, "bad-message"),
        (hello(YOURS, C), B, "bad-message"),
    ],
)
def test_decisions(theirs: Ohai, peer: str, code: str) -> None:
    if not code:
        judge(hello(MINE, A), theirs, peer)
        return
    with pytest.raises(ProtocolError) as caught:
        judge(hello(MINE, A), theirs, peer)
    assert caught.value.code == code
    assert caught.value.mend == REFUSALS[code].mend


def test_both_hear_that_they_were_accepted() -> None:
    a, b = End(MemoryLog("a", MINE), "b"), End(MemoryLog("b", MINE), "a")
    run((a, b))
    for end in (a, b):
        assert len(end.of(Welcomed)) == len(end.of(Ready)) == 1


def test_nothing_of_the_log_is_said_to_another_library() -> None:
    log = MemoryLog("a", MINE)
    log.write("a")
    a, b = End(log, "b"), End(MemoryLog("b", YOURS), "a")
    run((a, b))
    for end in (a, b):
        assert end.closed.code == "another-library"
        assert end.sent.count(b"NOWAI") == 1
        assert b"IHAZ" not in end.sent


def test_a_device_that_gives_another_name_than_its_certificate_is_refused() -> None:
    a, b = End(MemoryLog("a"), "c"), End(MemoryLog("b"), "a")
    a.give(b.take(0))
    assert a.closed.code == "bad-message"
    assert b"IHAZ" not in a.sent


def test_another_version() -> None:
    a = End(MemoryLog("a"), "b")
    a.give('ØHAI {"protocol":2,"library":{}}\n'.encode())
    assert a.closed.code == "wrong-version"
    assert "(1 and 2)" in a.closed.reason
