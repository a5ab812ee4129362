"""Pairing on the command line: what it prints and asks, against a running process that is made up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.commands import plain
from app.conversation import Conversation, Lines, Wanted
from app.pairing import Joining, PairingView, Phase
from app.status import OwnAddress
from liblim.errors import LimError

SHOWING = PairingView(
    phase=Phase.SHOWING,
    code="1234 5678",
    until=time.time() + 180,
    addresses=(OwnAddress("192.168.1.5:4242", "LAN"), OwnAddress("10.8.0.2:4242", "VPN")),
)
CONFIRM = PairingView(
    phase=Phase.CONFIRM,
    peer="d" * 32,
    peer_name="Lap\u202etop",
    peer_words="one two three four",
    own_words="five six seven eight",
)
PAIRED = PairingView(phase=Phase.PAIRED, peer="d" * 32, peer_name="Laptop")


class Process:
    """Answers as a process does in which pairing goes through these views, one for each answer."""

    def __init__(self, *views: PairingView, waits: bool = True) -> None:
        self._views = list(views)
        self._waits = waits
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        if command != "pair-view":
            self.asked.append((command, arguments))
            if command == "pair-accept":
                self._next()
            return None
        view = plain(self._views[0])
        if view == arguments["seen"]:
            await asyncio.sleep(0.001)  # as long as nothing changes
            if self._views[0].phase is not Phase.CONFIRM or not self._waits:
                self._next()
        return plain(self._views[0])

    def _next(self) -> None:
        if len(self._views) > 1:
            self._views.pop(0)


def typing(*lines: str) -> Lines:
    """Standard input with these lines, and then nobody who types."""
    left: Iterator[str] = iter(lines)
    silent = threading.Event()

    def read() -> str:
        line = next(left, None)
        if line is None:
            silent.wait()
        return line or ""

    return Lines(read)


def talk(process: Process, lines: Lines, wanted: Wanted) -> PairingView:
    return asyncio.run(Conversation(process.ask, wanted, lines).run())


SHOW = Wanted("", yes=False, keep_apart=False)
DIAL = Wanted("192.168.1.5", yes=False, keep_apart=False)


def test_a_code_is_shown_with_addresses_and_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(SHOWING, CONFIRM, PAIRED)
    assert talk(process, typing("y\n"), SHOW) == PAIRED
    said = capsys.readouterr().out
    assert "192.168.1.5:4242  LAN\n    10.8.0.2:4242     VPN" in said
    assert said.count("Code: 1234 5678") == 1
    assert "its words:   one two three four" in said
    assert "“Lap top”" in said, "what would turn the line round is not printed"
    assert process.asked == [("pair-show", {}), ("pair-accept", {"keep_apart": False})]


def test_the_code_is_read_from_standard_input() -> None:
    process = Process(CONFIRM, PAIRED)
    talk(process, typing("1234 5678\n", "yes\n"), DIAL)
    assert process.asked[0] == ("pair-dial", {"address": "192.168.1.5", "code": "1234 5678"})


def test_no_is_no() -> None:
    process = Process(SHOWING, CONFIRM, PAIRED)
    with pytest.raises(LimError, match="did not accept"):
        talk(process, typing("\n"), SHOW)
    assert [name for name, _ in process.asked] == ["pair-show", "pair-refuse", "pair-cancel"]


def test_the_end_of_standard_input_is_no() -> None:
    with pytest.raises(LimError, match="did not accept"):
        talk(Process(CONFIRM), Lines(lambda: ""), SHOW)


def test_a_script_is_asked_nothing() -> None:
    process = Process(SHOWING, CONFIRM, PAIRED)
    talk(process, typing(), SHOW._replace(yes=True))
    assert process.asked[-1] == ("pair-accept", {"keep_apart": False})


@pytest.mark.parametrize(
    ("wanted", "lines", "apart"),
    [
        (SHOW, ["y\n", "n\n"], False),
        (SHOW, ["y\n", "y\n"], True),
        (SHOW._replace(keep_apart=True), ["y\n"], True),
        (SHOW._replace(yes=True), [], False),
        (SHOW._replace(yes=True, keep_apart=True), [], True),
    ],
)
def test_who_joins_with_notes_says_what_becomes_of_them(
    wanted: Wanted, lines: list[str], apart: bool
) -> None:
    asks = PairingView(phase=Phase.CONFIRM, peer_name="Desk", we_join=True, asks=True, notes=12)
    process = Process(asks, PAIRED)
    talk(process, typing(*lines), wanted)
    assert process.asked[-1] == ("pair-accept", {"keep_apart": apart})


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.IDLE])
def test_what_ends_meanwhile_is_said_although_a_question_waits(phase: Phase) -> None:
    ended = PairingView(phase=phase, error="The other device refused.", mend="Ask there.")
    process = Process(SHOWING, CONFIRM, ended, waits=False)
    with pytest.raises(LimError) as caught:
        talk(process, typing(), SHOW)
    if phase is Phase.FAILED:
        assert str(caught.value) == "The other device refused. Ask there."
    assert process.asked[-1][0] == "pair-cancel"


def test_views_go_over_the_control_channel_whole() -> None:
    import msgspec

    for view in (SHOWING, CONFIRM, PAIRED):
        wire = msgspec.json.encode(plain(view))
        assert msgspec.convert(msgspec.json.decode(wire), PairingView) == view
    assert {joining.value for joining in Joining} == {"add-mine", "keep-apart"}
