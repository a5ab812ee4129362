"""What ``help(liblim)`` says is complete, and works."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest

import liblim
from liblim import crdt
from liblim.crdt import Field

FIELDS = [kind for name in crdt.__all__ if inspect.isclass(kind := getattr(crdt, name))]


def programs(text: str) -> list[str]:
    """The indented blocks behind a double colon."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if inside and (not line or line.startswith("    ")):
            found[-1].append(line)
        elif inside := line.endswith("::"):
            found.append([])
    return [textwrap.dedent("\n".join(lines)) for lines in found]


def test_its_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    whole = programs(liblim.__doc__ or "")
    assert len(whole) == 2
    # In a function, as its type might have the kind of another test's.
    first = textwrap.indent(whole[0], "    ").replace("notes.db", ":memory:")
    exec(f"def first():\n{first}\n    return str(note.body)", names)
    assert names["first"]() == "Hello"
    exec(whole[1], {"Text": liblim.Text}, names)
    assert str(names["other"]) == "Hello"


def test_each_field_is_in_its_table() -> None:
    for kind in FIELDS:
        if issubclass(kind, Field) and kind is not Field:
            assert f"\n``{kind.__name__}" in (liblim.__doc__ or "")
            assert kind.__name__ in liblim.__all__


@pytest.mark.parametrize("kind", [*FIELDS, liblim.Document, liblim.Database, liblim.AsyncDatabase])
def test_each_public_method_says_what_it_does(kind: type) -> None:
    if not (inspect.getsourcefile(kind) or "").endswith(".py"):
        pytest.skip("compiled, which leaves the docstrings out")
    assert kind.__doc__
    for name, member in vars(kind).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"
