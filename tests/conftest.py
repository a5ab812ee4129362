"""What holds for all tests: no screen, no touching of a person's own data, seeds, long tests."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

MEMORY = Path("/dev/shm")
"""A file system in memory, where every commit of a test's database need not wait for a disk."""
ROOM = 2**30
"""Bytes that are to be free there, else the tests use the system's place for temporary files."""

SIMULATED = "simulated seconds"
"""The property under which a test of the simulation says how much time went by in it."""

# Before anything asks for them: Qt when its application starts, platformdirs at each call.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# No test, and no process that one starts, writes into a person's own keyring.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this project."""
    group = parser.getgroup("limnotes")
    group.addoption("--long", action="store_true", help="run the tests marked long, too")
    group.addoption("--cuts", type=int, default=2000, help="power cuts to survive")
    group.addoption("--seed", type=int, help="replay randomised tests (default: another each run)")
    group.addoption(
        "--seeds", type=int, help="how many worlds of each kind to simulate, from --seed on"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of this run, or take the one that was drawn; choose a quick place."""
    drawn = getattr(config, "workerinput", {}).get("seed")
    if drawn is not None:
        config.option.seed = drawn
    elif config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free > ROOM and os.access(MEMORY, os.W_OK):
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed on to a worker of pytest-xdist, so that all have the one that is shown."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to replay this run."""
    return f"randomised tests: replay with --seed {config.option.seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how fast the simulation was."""
    lived = [
        (seconds, report.duration)
        for report in terminalreporter.getreports("passed")
        for name, seconds in report.user_properties
        if name == SIMULATED
    ]
    if lived:
        hours, spent = sum(seconds for seconds, _ in lived) / 3600, sum(took for _, took in lived)
        terminalreporter.write_line(
            f"simulation: {len(lived)} worlds, {hours:,.0f} hours in {spent:.0f} s of one core, "
            f"{hours / spent:.1f} simulated hours per second"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes long, unless it is asked for."""
    if config.option.long:
        return
    skip = pytest.mark.skip(reason="takes long: runs with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end, the modules and the tests: it runs after each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_folders() -> Iterator[None]:
    """Keep the tests, and the processes they start, out of a person's own data."""
    # Short, because the path of a socket may have no more than 104 bytes.
    place = Path(tempfile.mkdtemp(prefix="lim-"))
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR", "STATE_HOME"):
            folder = place / kind.partition("_")[0].lower()
            folder.mkdir(mode=0o700)
            patch.setenv(f"XDG_{kind}", str(folder))
        yield
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def collect_on_this_thread() -> Iterator[None]:
    """Keep Python's collector off other threads, where it would destroy Qt objects (``ui/garbage.py``)."""
    gc.disable()
    yield
    gc.collect(2 if gc.get_count()[2] > gc.get_threshold()[2] else 1)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Seed of this run for a randomised test, printed so that a failure shows it."""
    value: int = request.config.option.seed
    print(f"replay with --seed {value}")
    return value


@pytest.fixture
def traces() -> Path:
    """Folder of recorded editing traces, which lies beside the project where there is one."""
    folder = Path(os.environ.get("LIMNOTES_TRACES", ROOT.parent / "shared" / "traces"))
    if not folder.is_dir():
        pytest.skip(f"no editing traces in {folder}; LIMNOTES_TRACES names another place")
    return folder
