from __future__ import annotations

import pytest

from liblim.errors import ProtocolError
from liblim.sync import AdoptLibrary, Ready, State, Welcomed
from liblim.sync.handshake import Verdict, judge
from liblim.sync.messages import Ohai
from liblim.sync.refusals import REFUSALS
from tests.liblim.sync.fakes import End, MemoryLog, run

MINE, YOURS = "1" * 32, "2" * 32
A, B = "a" * 32, "b" * 32


def hello(library: str, device: str, *, empty: bool = False, pair: bool = False) -> Ohai:
    return Ohai(0, library, device, empty=empty, pair=pair)


WELCOME, WE, THEY = "WELCOME", "WE_ADOPT", "THEY_ADOPT"
MIRRORED = {WELCOME: WELCOME, WE: THEY, THEY: WE}


@pytest.mark.parametrize(
    ("same", "known", "we_empty", "they_empty", "we_pair", "they_pair", "verdict"),
    [
        # one library
        (True, True, False, False, False, False, WELCOME),
        (True, True, True, False, False, False, WELCOME),
        (True, True, False, False, True, False, WELCOME),
        (True, False, False, False, True, False, WELCOME),
        (True, False, True, True, True, False, WELCOME),
        (True, False, False, False, False, False, "not-paired"),
        # two libraries
        (False, False, True, True, False, False, "not-paired"),
        (False, True, False, False, False, False, "another-library"),
        (False, True, True, False, False, False, "another-library"),
        (False, False, False, False, True, False, "another-library"),
        (False, True, False, False, True, False, "another-library"),
        (False, False, True, False, True, False, WE),
        (False, False, False, True, True, False, THEY),
        (False, False, True, True, True, False, WE),
        (False, False, True, True, True, True, WE),
        (False, False, False, True, True, True, THEY),
    ],
)
def test_decisions(
    same: bool,
    known: bool,
    we_empty: bool,
    they_empty: bool,
    we_pair: bool,
    they_pair: bool,
    verdict: str,
) -> None:
    ours = hello(MINE, A, empty=we_empty, pair=we_pair)
    theirs = hello(MINE if same else YOURS, B, empty=they_empty, pair=they_pair)
    for one, other, expected in ((ours, theirs, verdict), (theirs, ours, MIRRORED.get(verdict))):
        if expected is None or verdict not in MIRRORED:
            with pytest.raises(ProtocolError) as caught:
                judge(one, other, known)
            assert caught.value.code == verdict
            assert caught.value.mend == REFUSALS[verdict].mend
        else:
            assert judge(one, other, known) is Verdict[expected]


def test_oneself() -> None:
    with pytest.raises(ProtocolError) as caught:
        judge(hello(MINE, A, pair=True), hello(MINE, A), True)
    assert caught.value.code == "yourself"


def test_a_device_without_notes_takes_on_the_others_library() -> None:
    full, fresh = MemoryLog("a", MINE), MemoryLog("b", YOURS)
    full.write("a")
    a, b = End(full), End(fresh, pair=True)
    run((a, b))
    assert b.of(AdoptLibrary) == [AdoptLibrary(MINE)]
    assert fresh.library == MINE
    assert fresh.digest == full.digest
    assert a.session.identical
    assert b.session.identical
    assert [e.verdict for e in a.of(Welcomed)] == [Verdict.THEY_ADOPT]
    assert len(a.of(Ready)) == len(b.of(Ready)) == 1


def test_nothing_goes_on_until_the_library_is_adopted() -> None:
    full, fresh = MemoryLog("a", MINE), MemoryLog("b", YOURS)
    full.write("a")
    a, b = End(full), End(fresh, pair=True)
    a.give(b.take(0))
    b.session.receive_data(a.take(0), 0)
    assert b.session.state is State.ADOPTING
    assert b.session.next_timer() is None
    assert b.take(0) == b""
    assert [type(event) for event in b.session.events()] == [Welcomed, AdoptLibrary]
    fresh.library = MINE
    b.session.adopted(0)
    run((a, b))
    assert b.session.identical


def test_each_refusal_reaches_the_other_side_once() -> None:
    a, b = End(MemoryLog("a", MINE)), End(MemoryLog("b", YOURS))
    run((a, b))
    for end in (a, b):
        assert end.closed.code == "not-paired"
        assert end.sent.count(b"NOWAI") == 1
        assert end.closed.mend == "Pair them by address."


def test_another_version() -> None:
    a = End(MemoryLog("a"))
    a.give('ØHAI {"protocol":1,"library":{}}\n'.encode())
    assert a.closed.code == "wrong-version"
    assert "(0 and 1)" in a.closed.reason
