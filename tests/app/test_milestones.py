"""What the sync log tells of what is only seen by looking."""

from __future__ import annotations

from app.milestones import Line, Milestones
from tests.app.peers import LAP, peer

SAME = Line("info", LAP, "Lap holds the same as this device: 7 changes, digest eeeeeeee.")


def test_trouble_and_its_end_are_told_once() -> None:
    seen = Milestones()
    assert list(seen.look("", [])) == []
    assert list(seen.look("The disk is full.", [])) == [Line("error", "", "The disk is full.")]
    assert list(seen.look("The disk is full.", [])) == []
    assert [line.level for line in seen.look("", [])] == ["info"]
    assert list(seen.look("", [])) == []


def test_convergence_is_told_once_a_connection() -> None:
    seen = Milestones()
    assert list(seen.look("", [peer(identical=False)])) == []
    assert list(seen.look("", [peer()])) == [SAME]
    assert list(seen.look("", [peer(identical=False)])) == []
    assert list(seen.look("", [peer()])) == []
    assert list(seen.look("", [peer(connected=False, identical=None)])) == []
    assert list(seen.look("", [peer()])) == [SAME]
    assert list(seen.look("", [])) == []
    (nameless,) = seen.look("", [peer(name="")])
    assert nameless.text.startswith("A device without a name holds")
