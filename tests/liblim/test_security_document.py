"""SECURITY.rst names the test that holds each promise up: each has to be there."""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = files("liblim").joinpath("SECURITY.rst").read_text(encoding="utf-8")
NAMED = re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", DOCUMENT)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_the_test_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_promise_names_one() -> None:
    rows = re.findall(r"^   \* - (?!promise|who)(.*?)(?=^   \* -|^\S|\Z)", DOCUMENT, re.M | re.S)
    promises = [row for row in rows if row.count("\n     - ") == 1]
    assert len(promises) > 15
    for promise in promises:
        assert "::test_" in promise, promise
