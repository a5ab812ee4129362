"""The environment: when pip is asked, when all is made anew, what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

import environment
from environment import SetupError, Stamp

# Holds the lock until its input ends.
HOLDER = """
import sys, environment
with environment.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def start(code: str) -> subprocess.Popen[str]:
    """Run code that imports the modules of packaging/."""
    command = [sys.executable, "-c", code]
    place = Path(environment.__file__).parent
    return subprocess.Popen(command, cwd=place, text=True, stdin=PIPE, stdout=PIPE)


def read_line(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder like a project's; only the marker of its environment is real."""
    monkeypatch.delenv("LIMNOTES_VENV", raising=False)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    (tmp_path / "packaging").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / environment.CONSTRAINTS).write_text("apsw==3.50\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def steps(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what gets done: making an environment, and installing extras, by their names."""
    done: list[str] = []

    def make_in(place: Path) -> None:
        done.append("make")
        program = Path(environment.program("python", place))
        program.parent.mkdir()
        program.touch()

    monkeypatch.setattr(environment, "make_in", make_in)
    monkeypatch.setattr(environment, "pip_install", lambda extras: done.append(",".join(extras)))
    return done


def test_the_second_time_nothing_is_done(steps: list[str]) -> None:
    environment.ensure({"gui"})
    assert steps == ["make", "gui"]
    environment.ensure({"gui"})
    environment.ensure(set())
    assert steps == ["make", "gui"]


def test_extras_only_grow(steps: list[str]) -> None:
    for extras in ({"gui"}, {"test"}, {"gui"}, {"gui", "test"}):
        environment.ensure(extras)
    assert steps == ["make", "gui", "gui,test"]


@pytest.mark.parametrize("name", ["pyproject.toml", environment.CONSTRAINTS])
def test_new_pins_are_installed_into_what_is_there(steps: list[str], name: str) -> None:
    environment.ensure({"gui"})
    (environment.ROOT / name).write_text("# other\n", encoding="utf-8")
    environment.ensure(set())
    assert steps == ["make", "gui", "gui"]


def test_the_core_is_compiled_again_only_where_a_source_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build_in(place: Path) -> None:
        assert not place.exists()
        place.mkdir()
        built.append(place)

    monkeypatch.setattr(environment, "build_in", build_in)
    source = project / "liblim" / "crdt" / "rga.py"
    source.parent.mkdir(parents=True)
    source.write_text("", encoding="utf-8")
    (project / "setup.py").write_text("", encoding="utf-8")
    environment.folder().mkdir()
    place = project / ".venv" / "compiled"
    assert environment.compiled() == environment.compiled() == str(place)
    assert built == [place]
    source.write_text("# other", encoding="utf-8")
    environment.compiled()
    assert built == [place, place]


def test_the_environment_itself_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNOTES_COMPILE", "1")
    assert "LIMNOTES_COMPILE" not in environment.environment()


def test_another_python_makes_it_anew(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environment.ensure({"gui"})
    monkeypatch.setattr(sys, "version", "4.0")
    environment.ensure(set())
    assert steps == ["make", "gui", "make", ""]


def test_what_was_killed_half_way_is_made_anew(steps: list[str]) -> None:
    environment.ensure({"gui"})
    environment.write_stamp(replace(environment.read_stamp(), finished=False))
    leftover = environment.folder() / "lib"
    leftover.mkdir()
    environment.ensure({"gui"})
    assert steps == ["make", "gui", "make", "gui"]
    assert not leftover.exists()


def test_a_broken_marker_counts_as_unfinished(steps: list[str]) -> None:
    environment.ensure(set())
    (environment.folder() / environment.MARKER).write_text("{", encoding="utf-8")
    assert environment.read_stamp() == Stamp()
    environment.ensure(set())
    assert steps == ["make", "", "make", ""]


def test_a_vanished_python_makes_it_anew(steps: list[str]) -> None:
    environment.ensure(set())
    Path(environment.program("python")).unlink()
    environment.ensure(set())
    assert steps == ["make", "", "make", ""]


def test_where_pip_fails_the_environment_stays_and_pip_is_asked_again(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(extras: list[str]) -> None:
        raise SetupError("offline")

    environment.ensure({"gui"})
    with monkeypatch.context() as patch:
        patch.setattr(environment, "pip_install", offline)
        with pytest.raises(SetupError, match="offline"):
            environment.ensure({"test"})
    assert environment.ready({"gui"})
    environment.ensure({"test"})
    assert steps == ["make", "gui", "gui,test"]


def test_a_folder_of_somebody_else_is_left_alone(
    steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear", encoding="utf-8")
    monkeypatch.setenv("LIMNOTES_VENV", str(precious))
    with pytest.raises(SetupError, match="left alone"):
        environment.ensure(set())
    assert (precious / "letter").read_text(encoding="utf-8") == "dear"
    assert steps == []


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(
    steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIMNOTES_VENV", str(tmp_path / "file" / "venv"))
    with pytest.raises(SetupError, match="Cannot set up"):
        environment.ensure(set())


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNOTES_VENV", str(tmp_path / "elsewhere"))
    assert environment.folder() == tmp_path / "elsewhere"
    assert Path(environment.program("pytest")).is_relative_to(tmp_path / "elsewhere")


def test_a_second_bootstrap_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNOTES_VENV", str(tmp_path / "venv"))
    with start(HOLDER) as first:
        assert read_line(first) == "held"
        with start(HOLDER) as second:
            assert "Another bootstrap" in read_line(second)
            first.communicate()  # closes its input, and so it ends
            assert read_line(second) == "held"


PIP = """
print("Collecting x")
print("Downloading x (9 kB)")
print("Downloading y (9 MB)")
print("ERROR: no z")
raise SystemExit(3)
"""


def test_a_step_shows_its_landmarks_and_fails_with_its_last_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SetupError, match=r"^It failed: ERROR: no z$"):
        environment.watch([sys.executable, "-c", PIP], "It failed")
    assert capfd.readouterr().out == "   Downloading y (9 MB)\n"


def test_a_network_that_does_not_answer_is_named() -> None:
    lines = [
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'Error('<x>: No route",
        "ERROR: No matching distribution",
    ]
    assert environment.last_words(lines).endswith("Is this computer online?\n   No route")


def test_a_checkout_that_cannot_be_written_to_is_told_in_a_sentence(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SetupError, match="copy the project"):
        environment.ensure(set())
    assert steps == []


def test_variables_that_lead_pip_astray_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PIP_TARGET", "PIP_CONSTRAINT"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_USER", "1")
    kept = environment.environment()
    assert "/elsewhere" not in kept.values()
    assert kept["PIP_USER"] == "0"
