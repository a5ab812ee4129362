"""Resolve the newest versions that ``pyproject.toml`` allows, and pin them in ``constraints.txt``.

``bootstrap.py update`` runs this file with the Python of a fresh environment, whose pip it uses.
Each Python version that the project's classifiers name is resolved on its own: where the results
differ, the pins carry a marker.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from environment import CONSTRAINTS, ROOT, SetupError, say, watch

# Needed beside what is resolved here: for building, and by pytest, keyring and psycopg on Windows only.
ALSO = ("setuptools", "colorama", "pywin32-ctypes", "tzdata")
HEADER = "# Written by `bootstrap.py update`: name==version, and the Python where that matters.\n"

# Python version -> normalised package name -> version.
Resolved = dict[str, dict[str, str]]


def python_versions(project: Mapping[str, Any]) -> list[str]:
    """Return the Python versions that the classifiers name, oldest first."""
    start = "Programming Language :: Python :: "
    named = [line.removeprefix(start) for line in project["classifiers"] if line.startswith(start)]
    return sorted(named, key=version_key)


def version_key(version: str) -> list[int]:
    """Return what orders "3.9" before "3.10"."""
    return [int(part) for part in version.split(".")]


def requirements(project: Mapping[str, Any], python: str) -> list[str]:
    """Return what the project and all its extras ask for on one Python version."""
    # The interpreter that runs this is not the one asked about, so pip must not judge the markers.
    from pip._vendor.packaging.requirements import Requirement

    extras = itertools.chain(*project["optional-dependencies"].values())
    wanted = [Requirement(line) for line in (*ALSO, *project["dependencies"], *extras)]
    asked = {"python_version": python, "python_full_version": f"{python}.0"}
    held = [item for item in wanted if item.marker is None or item.marker.evaluate(asked)]
    return [str(item).partition(";")[0] for item in held]


def resolve(wanted: list[str], python: str) -> dict[str, str]:
    """Ask pip, without installing anything, which versions meet `wanted` on one Python version."""
    say(f"Resolving for Python {python}")
    with tempfile.TemporaryDirectory(prefix="limnotes-") as place:
        report = Path(place, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--report", str(report), "--target", str(Path(place, "target"))]
        command += ["--only-binary=:all:", "--python-version", python, *wanted]
        watch(command, f"pip found no versions for Python {python}, so the pins stay as they are")
        return dict(packages(json.loads(report.read_text(encoding="utf-8"))))


def packages(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and version of every package in an installation report of pip."""
    for item in report["install"]:
        metadata = item["metadata"]
        yield re.sub("[-_.]+", "-", metadata["name"]).lower(), metadata["version"]


def pin_lines(resolved: Resolved) -> list[str]:
    """Return the lines of the constraints file, sorted by package."""
    names = sorted({name for versions in resolved.values() for name in versions})
    return [line for name in names for line in lines_of(name, resolved)]


def lines_of(name: str, resolved: Resolved) -> Iterator[str]:
    """Yield one line for each version of a package, with a marker if there are several."""
    pythons = [python for python in resolved if name in resolved[python]]
    starts = [
        python
        for before, python in zip([None, *pythons], pythons, strict=False)
        if before is None or resolved[before][name] != resolved[python][name]
    ]
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        bounds = [f"python_version >= '{start}'"] if start != starts[0] else []
        bounds += [f"python_version < '{end}'"] if end else []
        marker = f"; {' and '.join(bounds)}" if bounds else ""
        yield f"{name}=={resolved[start][name]}{marker}"


def main() -> int:
    """Write the constraints file anew."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    try:
        resolved = {
            python: resolve(requirements(project, python), python)
            for python in python_versions(project)
        }
    except SetupError as trouble:
        print(trouble, file=sys.stderr)
        return 1
    text = HEADER + "".join(f"{line}\n" for line in pin_lines(resolved))
    (ROOT / CONSTRAINTS).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
