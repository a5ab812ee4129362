"""``limnotes pair`` in processes of its own, alone and through processes that run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.cli import main

pytestmark = pytest.mark.timeout(90)

HASTY = """
import sys
from app import cli, conversation
conversation.LOOK, conversation.SETTLED = 0.1, 0.3
sys.exit(cli.main())
"""
"""The program, except that it looks more often, and stays less long for notes that are added."""


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", HASTY, "--no-discovery", "--listen", "127.0.0.1:4310"]
    return subprocess.Popen(
        [*command, "--data-dir", str(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
    )


def run(folder: Path, *words: str, typed: str = "", code: int = 0) -> str:
    process = start(folder, *words)
    said, _ = process.communicate(typed, timeout=60)
    assert process.returncode == code, said
    return said


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read what a process prints until a line matches."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"no {pattern!r} in {said!r}")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def headless(stack: ExitStack, folder: Path) -> None:
    process = start(folder, "--headless")
    stack.enter_context(process)
    stack.callback(process.kill)
    read_until(process, "Stop with Ctrl")


@pytest.mark.parametrize("running", [True, False], ids=["running", "nobody runs"])
def test_two_processes_pair(tmp_path: Path, stack: ExitStack, running: bool) -> None:
    desk, lap = tmp_path / "desk", tmp_path / "lap"
    run(desk, "new", "Of desk")
    run(lap, "new", "Mine")
    if running:
        headless(stack, desk)
        headless(stack, lap)
    shows = start(desk, "pair", "--show", "--yes")
    stack.enter_context(shows)
    stack.callback(shows.kill)
    address = read_until(shows, r"^    (127\.0\.0\.1:\d+) ")[1]
    code = read_until(shows, r"Code: (\d{4} \d{4})")[1]
    said = run(lap, "pair", address, typed=f"{code}\ny\nn\n")
    assert "Paired with" in said
    assert "its words:" in said
    assert shows.stdout is not None
    rest = shows.stdout.read()
    assert shows.wait(60) == 0, rest
    assert "Paired with" in rest
    if not running:
        for folder in (desk, lap):
            listed = run(folder, "list")
            assert "Of desk" in listed
            assert "Mine" in listed, said + rest


def test_a_wrong_code_is_said(tmp_path: Path, stack: ExitStack) -> None:
    headless(stack, tmp_path / "desk")
    shows = start(tmp_path / "desk", "pair", "--show")
    stack.enter_context(shows)
    stack.callback(shows.kill)
    address = read_until(shows, r"^    (127\.0\.0\.1:\d+) ")[1]
    code = read_until(shows, r"Code: (\d{4} \d{4})")[1]
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    said = run(tmp_path / "lap", "pair", address, "--yes", typed=wrong + "\n", code=1)
    assert said == (
        "limnotes: The code was not the one that the other device shows. "
        "Look at the code once more, and enter it again. Tries left: 2.\n"
    )


@pytest.mark.parametrize(
    ("address", "typed", "says"),
    [("127.0.0.1:1", "12345678\n", "127.0.0.1:1"), ("127.0.0.1:1", "1234\n", "8 digits")],
)
def test_what_fails_at_once_is_said(tmp_path: Path, address: str, typed: str, says: str) -> None:
    said = run(tmp_path, "pair", address, "--yes", typed=typed, code=1)
    assert says in said
    assert "Traceback" not in said


def test_the_words_have_to_be_accepted(tmp_path: Path, stack: ExitStack) -> None:
    shows = start(tmp_path / "desk", "pair", "--show")
    stack.enter_context(shows)
    stack.callback(shows.kill)
    address = read_until(shows, r"^    (127\.0\.0\.1:\d+) ")[1]
    code = read_until(shows, r"Code: (\d{4} \d{4})")[1]
    said = run(tmp_path / "lap", "pair", address, typed=f"{code}\nn\n", code=1)
    assert "You did not accept it" in said
    rest, _ = shows.communicate("y\n", timeout=60)
    assert shows.returncode == 1
    assert "limnotes: " in rest
    assert "Paired" not in rest


@pytest.mark.parametrize("words", [["--show"], ["127.0.0.1:1", "--yes"]], ids=["shows", "dials"])
def test_where_to_listen_may_stand_after_pair(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pair", *words, "--data-dir", str(tmp_path), "--no-discovery"]
    assert main([*command, "--listen", "nowhere at all"]) == 1
    assert "nowhere at all" in capsys.readouterr().err


def test_the_code_is_no_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every program of this computer could read it there."""
    for words in (["127.0.0.1:1", "40718826"], ["127.0.0.1:1", "--code", "40718826"]):
        with pytest.raises(SystemExit):
            main(["--data-dir", str(tmp_path), "pair", *words])
        assert "unrecognized arguments" in capsys.readouterr().err
