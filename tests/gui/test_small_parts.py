"""The small parts of the window: moments, icons, theme, memory, tasks, notices, the title's style."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QDate, QLocale, QSize
from PySide6.QtGui import QColor, QFont, QImage, QTextCursor
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

import resources
from app.notes import NoteRow
from app.status import State
from liblim.errors import LimError
from tests.gui.syncing import Test
from tests.gui.windows import until
from ui import icons, moments, theme
from ui.coalesce import Coalesced
from ui.memory import Memory
from ui.notebanner import NoteBanner
from ui.notice import Notice
from ui.tasks import Tasks
from ui.titlestyle import TitleStyle

Run = Callable[[Test], None]
TODAY = QDate(2026, 3, 18)


# ---- moments


@pytest.fixture
def english() -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedKingdom))
    yield
    QLocale.setDefault(before)


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("moment", "short", "full"),
    [
        (datetime(2026, 3, 18, 14, 2), "14:02", "today at 14:02"),
        (datetime(2026, 3, 17, 23, 59), "Yesterday", "yesterday at 23:59"),
        (datetime(2026, 3, 13), "Friday", "on 13 March 2026 at 00:00"),
        (datetime(2026, 3, 11), "11 Mar", "on 11 March 2026 at 00:00"),
        (datetime(2025, 12, 31), "31 Dec 2025", "on 31 December 2025 at 00:00"),
        (datetime(2026, 3, 19), "19 Mar", "on 19 March 2026 at 00:00"),
    ],
)
def test_moments(moment: datetime, short: str, full: str) -> None:
    changed = int(moment.timestamp() * 1000)
    assert moments.short(changed, TODAY) == short
    assert moments.full(changed, TODAY) == full


# ---- icons and theme

NAMES = [path.name.removesuffix(".svg") for path in (files("resources") / "icons").iterdir()]


@pytest.mark.parametrize("name", NAMES)
def test_an_icon_is_drawn_in_its_colour(qtbot: QtBot, name: str) -> None:
    image = icons.icon(name, "#ff0000").pixmap(QSize(64, 64)).toImage()
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    points = [image.pixelColor(x, y) for x in range(64) for y in range(64)]
    drawn = [point for point in points if point.alpha() == 255]
    assert drawn
    assert name == "limnotes" or any(point == QColor("#ff0000") for point in drawn)
    assert not icons.pixmap(name, "#ff0000", 20, 2.0).isNull()


def test_the_icon_of_the_program(qtbot: QtBot) -> None:
    assert not icons.app_icon().pixmap(QSize(256, 256)).isNull()


def test_there_is_no_such_icon() -> None:
    with pytest.raises(FileNotFoundError):
        resources.read("icons/unicorn.svg")


def test_every_state_has_a_shape_of_its_own() -> None:
    shapes = {theme.state_look(state)[0] for state in State}
    assert len(shapes) == len(State)
    assert shapes <= set(NAMES)


def luminance(colour: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    ink = QColor(colour)
    red, green, blue = linear(ink.redF()), linear(ink.greenF()), linear(ink.blueF())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


PAIRS = [
    *((ink, ground) for ink in ("text", "soft", "faint") for ground in ("page", "list", "ground")),
    *((ink, ground) for ink in ("text", "soft") for ground in ("chosen", "chosen_idle", "hover")),
    *((ink, "page") for ink in ("accent", "good", "busy", "wait", "idle", "bad")),
    ("accent", "ground"),
    ("on_accent", "accent"),
    ("text", "selection"),
    ("good", "good_ground"),
    ("wait", "wait_ground"),
    ("bad", "bad_ground"),
    ("on_notice", "notice"),
    ("notice_accent", "notice"),
    ("on_notice", "notice_hover"),
]


@pytest.mark.parametrize("look", [theme.LIGHT, theme.DARK])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_is_legible(look: theme.Colours, ink: str, ground: str) -> None:
    light, dark = sorted(luminance(getattr(look, name)) for name in (ink, ground))[::-1]
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.fixture
def light(qapp: QApplication) -> Iterator[None]:
    yield
    theme.apply(qapp, theme.LIGHT)


@pytest.mark.usefixtures("light")
def test_whatever_is_drawn_has_the_colours_of_the_look(qapp: QApplication) -> None:
    tick = icons.icon("check")
    theme.apply(qapp, theme.DARK)
    assert theme.colours == theme.DARK
    assert qapp.palette().base().color().name() == theme.DARK.page
    assert theme.DARK.accent in qapp.styleSheet()
    assert theme.state_look(State.REFUSED) == ("state-refused", theme.DARK.bad)
    assert icons.icon("check").cacheKey() != tick.cacheKey()
    theme.apply(qapp)  # as the system is: nobody chose here
    assert theme.colours == theme.LIGHT


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("look", [theme.LIGHT, theme.DARK])
def test_the_style_sheet_is_filled_in(qapp: QApplication, look: theme.Colours) -> None:
    theme.apply(qapp, look)
    sheet = theme.style_sheet()
    assert "$" not in sheet
    assert sheet.count("{") == sheet.count("}")
    assert all(QColor(name).isValid() for name in re.findall(r"#[0-9a-f]{6}\b", sheet))


# ---- memory


def test_memory(qtbot: QtBot, tmp_path: Path) -> None:
    Memory(tmp_path).keep(geometry=QByteArray(b"\x00\xff"), note="3f", zoom=-2)
    memory = Memory(tmp_path)
    assert memory.octets("geometry").data() == b"\x00\xff"
    assert memory.text("note") == "3f"
    assert memory.number("zoom") == -2
    assert memory.octets("note").isEmpty()
    assert memory.text("geometry") == ""
    assert memory.number("note") == memory.number("nothing") == 0


def test_a_memory_that_cannot_be_written_is_no_trouble(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    Memory(file).keep(note="3f")
    assert Memory(file).text("note") == ""


# ---- tasks, and changes looked at once


def test_tasks_say_what_went_wrong(on_qt: Run) -> None:
    async def test() -> None:
        said: list[str] = []
        handled: list[object] = []
        tasks = Tasks(said.append)

        async def fail(error: Exception) -> None:
            raise error

        first = tasks.start(fail(LimError("A sentence.")))
        await tasks.settle()
        loop = first.get_loop()
        loop.set_exception_handler(lambda _, context: handled.append(context["exception"]))
        bug = KeyError("bug")
        tasks.start(fail(bug))
        await tasks.settle()
        await until(lambda: len(said) == 2)
        assert said[0] == "A sentence."
        assert "Something went wrong" in said[1]
        assert handled == [bug]

    on_qt(test)


def test_tasks_are_cancelled_without_a_word(on_qt: Run) -> None:
    async def test() -> None:
        said: list[str] = []
        tasks = Tasks(said.append)
        task = tasks.start(until(lambda: False))
        await tasks.cancel()
        assert task.cancelled()
        assert said == []

    on_qt(test)


def test_changes_are_gathered(qtbot: QtBot) -> None:
    taken: list[set[str]] = []
    changes = Coalesced(taken.append, 5)
    changes.add({"a"})
    changes.add({"b"})
    changes.add()
    qtbot.waitUntil(lambda: taken == [{"a", "b"}])
    changes.add({"c"})
    changes.flush()
    assert taken == [{"a", "b"}, {"c"}]


def test_many_changes_are_passed_on_bit_by_bit(qtbot: QtBot) -> None:
    taken: list[set[str]] = []
    changes = Coalesced(taken.append, 1, at_most=10)
    names = {str(n) for n in range(25)}
    changes.add(names)
    qtbot.waitUntil(lambda: len(taken) == 3)
    assert [len(part) for part in taken] == [10, 10, 5]
    assert set().union(*taken) == names


# ---- notice and banner


@pytest.fixture
def notice(qtbot: QtBot) -> Notice:
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.show()
    made = Notice(parent)
    made.owner = parent  # type: ignore[attr-defined]
    return made


def test_a_notice_offers_something_once(notice: Notice) -> None:
    done: list[int] = []
    notice.say("Moved “<b>” to the trash", "Undo", lambda: done.append(1))
    assert notice.text == "Moved “<b>” to the trash"
    assert notice.offers
    notice.button.click()
    notice.act()
    assert done == [1]
    assert notice.text == ""


def test_a_notice_goes_by_itself_and_a_warning_stays(notice: Notice) -> None:
    notice.say("Done")
    assert notice.clock.isActive()
    notice.warn("The disk is full.")
    assert not notice.clock.isActive()
    assert not notice.offers
    assert notice.text == "The disk is full."
    notice.say("Done")
    notice.clock.timeout.emit()
    assert notice.text == ""


def note_row(*, trashed: bool = False, kept: bool = False, newer: bool = False) -> NoteRow:
    return NoteRow("a", "", "", 0, trashed=trashed, kept=kept, newer=newer)


@pytest.mark.parametrize(
    ("facts", "words", "offer"),
    [
        ({}, "", ""),
        ({"trashed": True}, "This note is in the trash.", "Restore"),
        ({"kept": True}, "This note stays", "Keep it"),
        ({"newer": True}, "A newer version", ""),
    ],
)
def test_banner(qtbot: QtBot, facts: dict[str, bool], words: str, offer: str) -> None:
    banner = NoteBanner()
    qtbot.addWidget(banner)
    banner.show_row(note_row(**facts))
    assert banner.text.startswith(words)
    assert bool(banner.text) == bool(words)
    assert banner.button.text() == offer
    assert banner.button.isVisibleTo(banner) or not offer
    banner.show_row(None)
    assert banner.text == ""


# ---- the title


def bold_lines(editor: QPlainTextEdit) -> list[str]:
    """The lines that stand out."""
    found, block = [], editor.document().begin()
    while block.isValid():
        formats = block.layout().formats()
        if any(part.format.fontWeight() == QFont.Weight.DemiBold for part in formats):
            found.append(block.text())
        block = block.next()
    return found


def test_the_first_line_that_is_not_blank_stands_out(qtbot: QtBot) -> None:
    editor = QPlainTextEdit()
    qtbot.addWidget(editor)
    style = TitleStyle(editor.document())
    cursor = QTextCursor(editor.document())
    for inserted, at, bold in (
        ("one\ntwo\nthree", 0, ["one"]),
        ("\n  \n", 0, ["one"]),
        ("first", 0, ["first"]),
        ("🥕", 5, ["first🥕"]),
    ):
        cursor.setPosition(at)
        cursor.insertText(inserted)
        assert bold_lines(editor) == bold
    cursor.setPosition(0)
    cursor.setPosition(7, QTextCursor.MoveMode.KeepAnchor)
    cursor.removeSelectedText()
    assert bold_lines(editor) == ["one"]
    editor.clear()
    assert bold_lines(editor) == []
    assert style.document() is editor.document()
