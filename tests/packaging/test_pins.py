"""The pins: how they are written, and that those in the project are complete."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

import environment
import pins

BOUND = r"python_version (<|>=) '3\.\d+'"
PIN = re.compile(rf"[a-z0-9-]+==[0-9][0-9a-z.+!]*(; {BOUND}( and {BOUND})?)?")


@pytest.fixture
def project() -> dict[str, Any]:
    text = (environment.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def written() -> list[str]:
    """Return the pins of the constraints file."""
    lines = (environment.ROOT / environment.CONSTRAINTS).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_the_constraints_hold_names_and_versions_only() -> None:
    assert [line for line in written() if not PIN.fullmatch(line)] == []
    assert "//" not in "".join(written())


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_everything_asked_for_is_pinned_for_every_python(
    python: str, project: dict[str, Any]
) -> None:
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    for line in written():
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            assert pin.name not in found
            found[pin.name] = str(pin.specifier).removeprefix("==")
    for item in map(Requirement, pins.requirements(project, python)):
        assert item.specifier.contains(found[item.name])


def test_python_versions_come_from_the_classifiers_in_order() -> None:
    start = "Programming Language :: Python :: "
    named = [f"{start}3.9", f"{start}3.11", f"{start}3.10", "Typing :: Typed"]
    assert pins.python_versions({"classifiers": named}) == ["3.9", "3.10", "3.11"]


def test_pyside_is_bounded_by_the_python_asked_about(project: dict[str, Any]) -> None:
    old, new = (
        [line for line in pins.requirements(project, python) if line.startswith("pyside6")]
        for python in ("3.11", "3.12")
    )
    assert old == ["pyside6-essentials<6.12,>=6.8"]
    assert new == ["pyside6-essentials>=6.8"]


def test_one_version_everywhere_is_one_plain_line() -> None:
    resolved = {"3.11": {"b": "2", "a": "1"}, "3.12": {"a": "1", "b": "2"}}
    assert pins.pin_lines(resolved) == ["a==1", "b==2"]


@pytest.mark.parametrize(
    ("versions", "lines"),
    [
        ("122", ["a==1; python_version < '3.12'", "a==2; python_version >= '3.12'"]),
        (
            "123",
            [
                "a==1; python_version < '3.12'",
                "a==2; python_version >= '3.12' and python_version < '3.13'",
                "a==3; python_version >= '3.13'",
            ],
        ),
    ],
)
def test_versions_that_differ_get_markers_without_gap_or_overlap(
    versions: str, lines: list[str]
) -> None:
    pythons = ("3.11", "3.12", "3.13")
    resolved = {python: {"a": v} for python, v in zip(pythons, versions, strict=True)}
    assert pins.pin_lines(resolved) == lines


def test_a_package_that_only_one_python_needs_is_pinned_for_all() -> None:
    assert pins.pin_lines({"3.11": {"a": "1"}, "3.12": {}}) == ["a==1"]


def test_a_report_of_pip_gives_normalised_names() -> None:
    report = {"install": [{"metadata": {"name": "PySide6_Essentials", "version": "6.11.3"}}]}
    assert list(pins.packages(report)) == [("pyside6-essentials", "6.11.3")]
