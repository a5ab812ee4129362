"""Two devices, one note: two processes of the real app, worked through Qt events."""

from __future__ import annotations

import random
import time
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.apps import App, Wire, eventually

pytestmark = pytest.mark.timeout(120)

SCRIPTS = "e\u0301\u00e9 日本語 שלום 👩‍👩‍👧 \u00a0\ttab"


@pytest.fixture
def apps() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Pair:
    """Desk listens; Lap reaches it over a wire that can be cut, and is reached by nobody."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        desk = App(folder / "desk", "--listen", "127.0.0.1:4242", wait=False)
        self.desk = stack.enter_context(desk)
        self.lap = stack.enter_context(App(folder / "lap", "--listen", "off", wait=False))
        for app in (self.desk, self.lap):
            app.wait("ready", True)
            app.wait("online", True)
        self.wire = Wire(self.desk.do("listening"))
        stack.callback(self.wire.close)

    def compare(self) -> str:
        """Go as far as the words that two people compare; returns the code."""
        code: str = self.desk.do("show_code")
        self.lap.do("enter_code", address=self.wire.address, code=code)
        for app in (self.desk, self.lap):
            app.wait("page", "ConfirmPage")
        return code

    def pair(self, *, keep_apart: bool = False) -> str:
        """Pair them, and wait until they say that they are identical; returns the code."""
        code = self.compare()
        self.desk.do("accept")
        self.lap.do("accept", keep_apart=keep_apart)
        for app in (self.desk, self.lap):
            app.wait("page", "PairedPage")
            app.do("close_dialog")
            app.wait("active", True)
        self.meet()
        return code

    def meet(self) -> None:
        """Wait until both say that they are identical, and are."""
        for app in (self.desk, self.lap):
            app.wait("states", ["up to date"])
            app.wait("identical", [True])
        eventually(lambda: self.lap.do("digest") == self.desk.do("digest"))

    def part(self) -> None:
        """Cut the wire, and wait until both have noticed."""
        self.wire.cut()
        for app in (self.desk, self.lap):
            app.wait("connected", 0)

    def find_again(self) -> None:
        """Let the wire lead to where Desk listens now that it was started again."""
        self.desk.wait("online", True)
        self.wire.retarget(self.desk.do("listening"))

    def rejoin(self) -> None:
        """Mend the wire and have it tried at once."""
        self.wire.mend()
        self.lap.do("key", keys="F5")
        self.meet()

    def note(self, text: str) -> None:
        """Write a note on Desk, and open it on both."""
        self.desk.do("key", keys="Ctrl+N")
        self.desk.do("type", text=text)
        self.desk.wait("saved", True)
        title = text.split("\n", 1)[0]
        eventually(lambda: title in self.lap.do("titles"))
        self.lap.do("open", title=title)
        self.lap.wait("text", text)


@pytest.fixture
def pair(apps: ExitStack, tmp_path: Path) -> Pair:
    return Pair(apps, tmp_path)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two devices that are paired, for tests that each write a note and leave them connected."""
    with ExitStack() as stack:
        found = Pair(stack, tmp_path_factory.mktemp("paired"))
        found.pair()
        yield found


def test_typing_together_apart_and_together_again(paired: Pair) -> None:
    """The whole way through: pair, type on both, cut, type on both, meet, compare."""
    paired.note("Title\nbody")
    paired.lap.do("caret", end=True)
    paired.lap.do("type", text=" from lap")
    paired.desk.wait("text", "Title\nbody from lap")

    paired.part()
    paired.desk.do("caret", after="Title")
    paired.desk.do("type", text=" of desk")
    paired.desk.do("delete", text="from ")
    paired.lap.do("caret", after="from")
    paired.lap.do("type", text="ever")
    paired.lap.do("caret", after="Title")
    paired.lap.do("type", text="!")
    for app in (paired.desk, paired.lap):
        app.wait("saved", True)
    paired.rejoin()

    text = paired.desk.do("text")
    assert paired.lap.do("text") == text
    head, body = text.split("\n")
    # Both typed in one place: each run whole, one behind the other.
    assert head in ("Title of desk!", "Title! of desk")
    assert body == "body everlap"


def test_every_script_and_control_character_arrives(paired: Pair) -> None:
    paired.note("Scripts\n")
    paired.desk.do("caret", end=True)
    paired.desk.do("type", text=SCRIPTS)
    paired.desk.do("paste", text="\r\none\r\ntwo\rthree\x00end")
    wanted = f"Scripts\n{SCRIPTS}\none\ntwo\nthree\x00end"
    paired.desk.wait("text", wanted)
    paired.lap.wait("text", wanted)
    paired.lap.do("caret", end=True)
    paired.lap.do("type", text="👍🏽")
    paired.desk.wait("text", wanted + "👍🏽")
    assert unicodedata.normalize("NFC", wanted) != wanted, "nothing is normalised on the way"


def test_a_large_paste_arrives_whole(paired: Pair) -> None:
    paired.note("Large\n")
    paired.desk.do("caret", end=True)
    line = "0123456789 äöü 日本語 😀 " + "x" * 70 + "\n"
    times = 5_000_000 // len(line)
    paired.desk.do("paste", text=line, times=times)
    paired.desk.wait("size", 6 + times * len(line))
    paired.lap.wait("size", 6 + times * len(line))
    paired.meet()
    assert paired.lap.do("text") == "Large\n" + line * times


def test_undo_takes_back_own_edits_only(paired: Pair) -> None:
    paired.note("Undo\n")
    paired.desk.do("caret", end=True)
    paired.desk.do("paste", text="mine")
    paired.lap.wait("text", "Undo\nmine")
    paired.lap.do("caret", after="mi")
    paired.lap.do("type", text="THEIRS")
    paired.desk.wait("text", "Undo\nmiTHEIRSne")
    paired.desk.do("key", keys="Ctrl+Z")
    paired.lap.wait("text", "Undo\nTHEIRS")
    paired.desk.do("key", keys="Ctrl+Shift+Z")
    paired.lap.wait("text", "Undo\nmiTHEIRSne")


def test_kill_at_any_moment(pair: Pair, seed: int) -> None:
    """What was shown as saved is there after the restart, and sync goes on by itself."""
    rng = random.Random(seed)
    pair.pair()
    pair.note("Kill\n")
    for _ in range(3):
        pair.desk.do("caret", end=True)
        saved = "Kill\n"
        for _ in range(rng.randint(5, 40)):
            pair.desk.do("type", text=rng.choice("abcdef 😀\n"))
            saved = pair.desk.do("saved_text") or saved
        pair.desk.kill()
        pair.lap.wait("connected", 0)
        pair.desk.restart()
        pair.desk.do("open", title="Kill")
        pair.desk.wait("opened", "Kill")
        found = pair.desk.do("text")
        assert found.startswith(saved), f"seed {seed}: {saved!r} was saved, {found!r} is there"
        pair.find_again()
        pair.meet()
        assert pair.lap.do("text") == found


def test_orderly_ends(pair: Pair) -> None:
    """Closing the window and being told to end both save what was typed last."""
    pair.pair()
    pair.note("End\n")
    pair.desk.do("caret", end=True)
    pair.desk.do("type", text="last words")
    assert pair.desk.shut() == 0
    pair.lap.wait("text", "End\nlast words")
    pair.lap.do("caret", end=True)
    pair.lap.do("type", text=", and more")
    assert pair.lap.terminate() == 0
    pair.desk.restart()
    pair.find_again()
    pair.lap.restart()
    pair.meet()
    pair.desk.do("open", title="End")
    pair.desk.wait("text", "End\nlast words, and more")


def test_what_is_typed_is_seen_by_nobody_on_the_way(pair: Pair) -> None:
    """Neither a note nor the code goes over the wire in the clear, or into what is printed."""
    code = pair.pair()
    canary = "canary-7f3a91c2"
    pair.note(f"{canary} in a note\n")
    pair.lap.do("caret", end=True)
    pair.lap.do("type", text=canary)
    pair.desk.wait("text", f"{canary} in a note\n{canary}")
    assert len(pair.wire.carried) > 5000
    for secret in (canary, code, code.replace(" ", "")):
        assert secret.encode() not in pair.wire.carried
        for app in (pair.desk, pair.lap):
            assert secret not in app.log.read_text()


def test_notes_of_ones_own_come_along(pair: Pair) -> None:
    for app, text in ((pair.desk, "Of desk"), (pair.lap, "Of lap")):
        app.do("key", keys="Ctrl+N")
        app.do("type", text=text)
        app.wait("saved", True)
    pair.pair()
    for app in (pair.desk, pair.lap):
        app.wait("titles", ["Of desk", "Of lap"])
    pair.meet()


def test_notes_of_ones_own_stay_apart(pair: Pair) -> None:
    for app, text in ((pair.desk, "Of desk"), (pair.lap, "Of lap")):
        app.do("key", keys="Ctrl+N")
        app.do("type", text=text)
        app.wait("saved", True)
    pair.pair(keep_apart=True)
    pair.lap.wait("titles", ["Of desk"])
    assert pair.desk.do("titles") == ["Of desk"]


def test_a_kill_while_joining_loses_no_note(pair: Pair, seed: int) -> None:
    """Whatever came of pairing, the notes are there after the restart, each once."""
    rng = random.Random(seed)
    for app, text in ((pair.desk, "Of desk"), (pair.lap, "Of lap")):
        app.do("key", keys="Ctrl+N")
        app.do("type", text=text)
        app.wait("saved", True)
    pair.compare()
    pair.desk.do("accept")
    pair.lap.do("accept")
    time.sleep(rng.random() * 0.4)
    pair.lap.kill()
    pair.lap.restart()
    pair.lap.wait("online", True)
    joined = pair.lap.do("library") == pair.desk.do("library")
    pair.lap.wait("titles", ["Of desk", "Of lap"] if joined else ["Of lap"])


def test_a_removed_device_is_told_and_keeps_its_notes(pair: Pair) -> None:
    pair.pair()
    pair.note("Shared")
    pair.desk.do("remove", device=pair.lap.do("device"))
    pair.lap.wait("removed_by", pair.desk.do("name"))
    pair.desk.do("key", keys="Ctrl+N")
    pair.desk.do("type", text="Not for Lap")
    pair.desk.wait("saved", True)
    assert pair.lap.do("titles") == ["Shared"]
    assert pair.desk.do("states") == []


def test_a_second_launch_raises_the_first_window(apps: ExitStack, tmp_path: Path) -> None:
    first = apps.enter_context(App(tmp_path / "one"))
    first.do("minimise")
    second = App(tmp_path / "one", wait=False)
    apps.enter_context(second)
    assert second.process.wait(20) == 0
    first.wait("minimised", False)


@pytest.mark.parametrize("trouble", ["newer", "damaged"])
def test_a_database_that_cannot_be_used_is_said(tmp_path: Path, trouble: str) -> None:
    folder = tmp_path / "data"
    with App(folder) as app:
        app.shut()
    path = folder / "notes.db"
    octets = bytearray(path.read_bytes())
    if trouble == "newer":
        octets[60:64] = (99).to_bytes(4, "big")  # user_version
    else:
        octets[:16] = b"not a database!!"
    path.write_bytes(octets)
    with App(folder, wait=False) as app:
        assert app.process.wait(20) == 1
    said = app.log.read_text()
    assert ("newer version" if trouble == "newer" else "damaged") in said
    assert path.read_bytes() == octets
