from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from app.notes import NoteRow
from tests.gui.windows import row
from ui.notemodel import ROW, UNTITLED, NoteModel
from ui.shelves import ALL, TRASH

Rows = dict[str, NoteRow]
_FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def rows() -> Rows:
    return {oid: row(oid, changed) for oid, changed in (("a", 10), ("b", 30), ("c", 20))}


@pytest.fixture
def model(qtbot: QtBot, rows: Rows) -> NoteModel:
    made = NoteModel(rows)
    made.tester = QAbstractItemModelTester(made, _FATAL, made)  # type: ignore[attr-defined]
    made.show(ALL.holds)
    return made


def order(model: NoteModel) -> str:
    return "".join(model.oid_at(at) for at in range(model.rowCount()))


def signals(model: NoteModel) -> list[str]:
    """Gathers the names of the signals that a model sends from now on."""
    seen: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_: seen.append(name)

    for name in ("rowsInserted", "rowsRemoved", "rowsMoved", "dataChanged", "modelReset"):
        getattr(model, name).connect(note(name))
    return seen


def test_newest_first(model: NoteModel) -> None:
    assert order(model) == "bca"


def test_what_a_row_says(model: NoteModel, rows: Rows) -> None:
    index = model.index_of("a")
    assert index.data() == "Note a"
    assert index.data(ROW) == rows["a"]
    assert index.data(Qt.ItemDataRole.AccessibleTextRole).startswith("Note a, changed ")
    assert index.data(Qt.ItemDataRole.AccessibleDescriptionRole) == "and more"


def test_a_note_without_a_title(model: NoteModel, rows: Rows) -> None:
    rows["a"] = NoteRow("a", "", "", 10, False, False, False)
    model.refresh(["a"])
    assert model.index_of("a").data() == UNTITLED


@pytest.mark.parametrize(
    ("change", "expected", "sent"),
    [
        ({"d": row("d", 25)}, "bdca", ["rowsInserted"]),
        ({"a": row("a", 40)}, "abc", ["rowsMoved", "dataChanged"]),
        ({"b": row("b", 15)}, "cba", ["rowsMoved", "dataChanged"]),
        ({"c": row("c", 21)}, "bca", ["dataChanged"]),
        ({"c": row("c", 20, "Another")}, "bca", ["dataChanged"]),
        ({"c": row("c", 20)}, "bca", []),
        ({"c": row("c", 50, trashed=True)}, "ba", ["rowsRemoved"]),
        ({"d": row("d", 50, trashed=True)}, "bca", []),
    ],
)
def test_changes(
    model: NoteModel, rows: Rows, change: Rows, expected: str, sent: list[str]
) -> None:
    seen = signals(model)
    rows.update(change)
    model.refresh(change)
    assert order(model) == expected
    assert seen == sent


def test_a_held_row_stays_until_it_is_let_go(model: NoteModel, rows: Rows) -> None:
    model.hold({"a"})
    rows["a"] = row("a", 99, "Being edited")
    model.refresh(["a"])
    assert order(model) == "bca"
    assert model.index_of("a").data() == "Being edited"
    model.hold({"b"})
    assert order(model) == "abc"


def test_marks_are_explained(model: NoteModel, rows: Rows) -> None:
    rows["a"] = NoteRow("a", "", "", 10, False, True, False)
    rows["b"] = NoteRow("b", "", "", 30, False, False, True)
    model.refresh(["a", "b"])
    tip = Qt.ItemDataRole.ToolTipRole
    assert "trash" in model.index_of("a").data(tip)
    assert "newer version" in model.index_of("b").data(tip)
    assert model.index_of("c").data(tip) is None


def test_another_shelf(model: NoteModel, rows: Rows) -> None:
    rows["c"] = row("c", 20, trashed=True)
    model.show(TRASH.holds)
    assert order(model) == "c"
    rows["c"] = row("c", 20)
    model.refresh(["c"])
    assert model.rowCount() == 0
    assert not model.index_of("c").isValid()
    assert model.oid_at(0) == model.oid_at(-1) == ""


def test_any_changes_keep_the_order(model: NoteModel, rows: Rows, seed: int) -> None:
    choose = random.Random(seed)
    names = "abcdefghijkl"
    for _ in range(400):
        some = choose.sample(names, choose.randint(1, 4))
        for oid in some:
            rows[oid] = row(oid, choose.randint(1, 30), trashed=choose.random() < 0.2)
        model.refresh(some)
        expected = sorted(filter(ALL.holds, rows.values()), key=lambda row: (-row.changed, row.oid))
        assert order(model) == "".join(row.oid for row in expected)


def test_ten_thousand_notes_arrive(qtbot: QtBot) -> None:
    rows: dict[str, Any] = {}
    model = NoteModel(rows)
    seen = signals(model)
    rows.update({f"{n:05}": row(f"{n:05}", n) for n in range(10_000)})
    began = time.perf_counter()
    model.refresh(rows)
    taken = time.perf_counter() - began
    assert model.rowCount() == 10_000
    assert "modelReset" not in seen
    assert taken < 2, f"{taken:.2f} s"


def test_many_new_rows_come_in_one_go_wherever_they_stand_side_by_side(
    model: NoteModel, rows: Rows
) -> None:
    seen = signals(model)
    new = {"d": 5, "e": 6, "f": 25, "g": 40, "h": 7}
    rows |= {oid: row(oid, changed) for oid, changed in new.items()}
    model.refresh(new)
    assert order(model) == "gbfcahed"
    assert seen == ["rowsInserted"] * 3
    assert all(model.index_of(oid).data(ROW) == rows[oid] for oid in rows)
