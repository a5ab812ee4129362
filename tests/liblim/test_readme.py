"""The program in liblim's README, run word for word."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import liblim


def program() -> str:
    text = Path(liblim.__file__).with_name("README.rst").read_text(encoding="utf-8")
    block = text.split(".. code-block:: python\n")[1].split("\nIt prints ")[0]
    return textwrap.dedent(block)


def test_the_program_prints_what_the_readme_says(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    text = Path(liblim.__file__).with_name("README.rst").read_text(encoding="utf-8")
    assert f"It prints ``{run.stdout.strip()}``" in text
    assert run.stdout == "Saturday ['bread'] all from the market\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desk.db", "phone.db"]
