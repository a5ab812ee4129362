"""The bootstrap commands, as far as no installing is needed."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

import bootstrap
import environment
import system

PLACE = Path(bootstrap.__file__)


def test_an_old_python_can_read_as_far_as_the_sentence_for_it() -> None:
    ast.parse(PLACE.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("arguments", [["--help"], ["help"]])
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in bootstrap.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ""),
        (["nonsense"], 2, "no command 'nonsense'"),
        (["update", "now"], 1, "takes no arguments: now"),
    ],
)
def test_a_wrong_call_is_answered_with_words(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(arguments) == code
    assert words in capsys.readouterr().err


def test_without_a_screen_run_offers_headless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "has_screen", lambda environ: False)
    assert bootstrap.main(["run"]) == 1
    assert "run --headless" in capsys.readouterr().err


def test_what_is_missing_is_one_line_for_apt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    libraries = {"libGL.so.1": "libgl1", "libEGL.so.1": "libegl1"}
    monkeypatch.setattr(system, "missing_libraries", lambda environ: dict(libraries))
    monkeypatch.setattr(system, "missing_venv", lambda: {"venv": "python3.11-venv"})
    monkeypatch.setattr(environment, "ready", lambda extras: False)
    assert bootstrap.main(["missing"]) == 0
    assert capsys.readouterr().out == "python3.11-venv libgl1 libegl1\n"
    monkeypatch.setattr(environment, "ready", lambda extras: True)
    assert bootstrap.main(["missing"]) == 0
    assert capsys.readouterr().out == "libgl1 libegl1\n"


def test_ctrl_c_ends_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(bootstrap.COMMANDS, "run", bootstrap.Command(interrupted, ""))
    assert bootstrap.main(["run"]) == 130
    assert "Stopped" in capsys.readouterr().err


def test_the_benchmark_has_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNOTES_VENV", str(tmp_path / "own"))
    monkeypatch.delenv("LIMNOTES_COMPILE", raising=False)
    monkeypatch.setattr(bootstrap, "prepare", lambda extras: f"{environment.folder()} {extras}")
    asked: list[list[str]] = []
    monkeypatch.setattr(environment, "become", lambda command, place: asked.append(command))
    bootstrap.main(["bench", "--rounds", "1"])
    assert asked[0][0] == f"{tmp_path / 'own-bench'} {{'bench'}}"
    assert asked[0][1:] == ["-m", "tests.bench.core", "--rounds", "1"]


def test_compiled_modules_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNOTES_COMPILE", "1")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(bootstrap, "prepare", lambda extras: "python")
    monkeypatch.setattr(environment, "compiled", lambda: "modules")
    asked: list[list[str]] = []
    monkeypatch.setattr(environment, "become", lambda command, place: asked.append(command))
    bootstrap.main(["test", "tests/vectors"])
    assert os.environ["PYTHONPATH"].split(os.pathsep) == ["modules", str(environment.ROOT)]
    assert asked[0][1:3] == ["-P", "-m"]
    assert asked[0][-1] == "tests/vectors"
