"""What import-linter cannot see: the layers work where the packages of other layers are missing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOP = ("app", "liblim", "resources", "ui")

WITHOUT_QT = """
import importlib, pkgutil, sys
for name in ("PySide6", "qasync", "shiboken6"):
    sys.modules[name] = None
import app, liblim, ui.launch
for package in (app, liblim):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def python_packages() -> set[str]:
    """Return the names of the packages that stand in the project's folder, but for the tests."""
    found = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__init__.py")}
    return {".".join(path.parts) for path in found if path.parts[0] in TOP}


def test_liblim_and_app_and_the_launcher_need_no_qt() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_QT], check=True, cwd=ROOT, timeout=60)


def test_every_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["setuptools"]["packages"]) == python_packages()


def test_every_package_says_that_it_is_typed() -> None:
    assert [name for name in TOP if not (ROOT / name / "py.typed").exists()] == []


def test_the_packaging_folder_is_no_package() -> None:
    # An __init__.py there would hide the package `packaging`, which pytest needs.
    assert not (ROOT / "packaging" / "__init__.py").exists()
