"""The virtual environment that the bootstrap commands work in: made once, checked in no time.

A marker file in the environment says that it is ours and what was installed into it.  While pip is
at work the marker says "unfinished", so that an environment whose making was killed is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = Path("packaging", "constraints.txt")
MARKER = "limnotes-bootstrap.json"
RETRYING = "WARNING: Retrying "  # how pip reports a network that does not answer


class SetupError(Exception):
    """Something that a person can mend; its text is the whole message."""


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"-- {text}", flush=True)


@dataclass(frozen=True)
class Stamp:
    """What an environment holds.

    ``base`` stands for what it cannot outlive (its Python and the places), ``pins`` for what was
    asked of pip; ``finished`` is false while somebody is at work on it.
    """

    base: str = ""
    pins: str = ""
    extras: list[str] = field(default_factory=list)
    finished: bool = False

    def covers(self, extras: set[str]) -> bool:
        """Tell whether nothing has to be installed to use `extras`."""
        return self.sound() and self.pins == pins_key() and extras <= set(self.extras)

    def sound(self) -> bool:
        """Tell whether pip can go on with this environment."""
        return self.finished and self.base == base_key()


def base_key() -> str:
    """Return what changes when an environment made earlier can no longer be used."""
    return digest(sys.version, sys.base_prefix, str(ROOT), str(folder()))


def pins_key() -> str:
    """Return what changes when pip has to be asked again."""
    files = (ROOT / "pyproject.toml", ROOT / CONSTRAINTS)
    return digest(*(path.read_text(encoding="utf-8") for path in files))


def digest(*texts: str) -> str:
    """Return a hash that tells lists of texts apart."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def folder() -> Path:
    """Return where the environment is, or is to be."""
    named = os.environ.get("LIMNOTES_VENV")
    return Path(named).expanduser().resolve() if named else ROOT / ".venv"


def read_stamp() -> Stamp:
    """Return what the marker says; an environment without a readable one is unfinished."""
    try:
        return Stamp(**json.loads((folder() / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Stamp()


def write_stamp(stamp: Stamp) -> None:
    """Replace the marker as one step, so that a kill leaves the old one or the new one."""
    beside = folder() / (MARKER + ".new")
    beside.write_text(json.dumps(asdict(stamp)), encoding="utf-8")
    beside.replace(folder() / MARKER)


def program(name: str, place: Path | None = None) -> str:
    """Return the path of a program of our environment, or of the one in `place`."""
    parts = ("Scripts", f"{name}.exe") if os.name == "nt" else ("bin", name)
    return str((place or folder()).joinpath(*parts))


def ready(extras: set[str]) -> bool:
    """Tell whether the environment can be used for `extras` as it is."""
    return read_stamp().covers(extras) and Path(program("python")).exists()


def ensure(extras: set[str]) -> str:
    """Make the environment hold the project with `extras`, and return the path of its Python.

    Raises SetupError where it cannot be made or filled.
    """
    if ready(extras):
        return program("python")
    if not os.access(ROOT, os.W_OK):
        raise SetupError(
            f"{ROOT} cannot be written to, and installing needs that: "
            "copy the project to a folder of your own."
        )
    try:
        with locked():
            if not ready(extras):  # by whoever held the lock
                install(extras)
    except OSError as error:
        raise SetupError(f"Cannot set up {folder()}: {error.strerror or error}.") from error
    return program("python")


def install(extras: set[str]) -> None:
    """Bring the environment from whatever state it is in to one that covers `extras`."""
    if not (read_stamp().sound() and Path(program("python")).exists()):
        make()
    before = read_stamp()
    wanted = sorted(extras.union(before.extras))  # grows only: run and test take turns
    write_stamp(replace(before, finished=False))
    try:
        pip_install(wanted)
    except SetupError:
        write_stamp(before)  # pip itself leaves nothing half done
        raise
    write_stamp(Stamp(base_key(), pins_key(), wanted, finished=True))


def make() -> None:
    """Make an empty environment in place of what is there, if that is ours."""
    place = folder()
    if place.exists() and not (place / MARKER).exists() and any(place.iterdir()):
        raise SetupError(
            f"{place} was not made by this script, so it is left alone: "
            "remove it, or name another folder in LIMNOTES_VENV."
        )
    say(f"Making a Python environment in {place}")
    place.mkdir(parents=True, exist_ok=True)
    write_stamp(Stamp())
    clear(place)
    make_in(place)
    write_stamp(Stamp(base_key(), finished=True))


def make_in(place: Path) -> None:
    """Make an environment, with pip and nothing else, in an empty folder."""
    watch([sys.executable, "-m", "venv", str(place)], "Python could not make an environment")


def clear(place: Path) -> None:
    """Empty the folder but for the marker, which says that it may be emptied."""
    for entry in place.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARKER:
            entry.unlink()


def pip_install(extras: list[str]) -> None:
    """Install the project, editable, with `extras` and what they need."""
    target = f".[{','.join(extras)}]" if extras else "."
    say(f"Installing {target} with what it needs; this can take a minute")
    # As variables the constraints hold as well for what builds the project.
    pinned = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(CONSTRAINTS))
    command = [program("python"), "-m", "pip", "install", "--editable", target]
    watch(command, "pip could not install what Lim Notes needs", pinned)


def compiled() -> str:
    """Have the project with its core compiled in a folder of the environment; return that folder.

    It goes to the front of PYTHONPATH.  The environment itself stays plain, so that one checkout serves
    both.  Raises SetupError where it cannot be built.
    """
    place = folder() / "compiled"
    stamp = place / MARKER
    try:
        with locked():
            key = sources_key()
            if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
                shutil.rmtree(place, ignore_errors=True)
                build_in(place)
                stamp.write_text(key, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"Cannot set up {place}: {error.strerror or error}.") from error
    return str(place)


def build_in(place: Path) -> None:
    """Build the project with its core compiled, and put it into a folder."""
    say("Compiling the core; this can take a minute")
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack what is gone, too
    variables = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(CONSTRAINTS))
    command = [program("python"), "-m", "pip", "install", "--no-deps", "--target", str(place), "."]
    watch(command, "The core could not be compiled", variables | {"LIMNOTES_COMPILE": "1"})


def sources_key() -> str:
    """Return what changes when the core has to be compiled again."""
    packages = [path for name in ("app", "liblim", "ui") for path in (ROOT / name).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sorted(packages)]
    return digest(base_key(), pins_key(), (ROOT / "setup.py").read_text(encoding="utf-8"), *texts)


def watch(command: list[str], trouble: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a step, show its landmarks only, and raise SetupError with its last words if it fails."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment() | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        close_fds=False,  # hands the lock on, see locked()
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            show_landmark(lines[-1])
    if process.returncode:
        raise SetupError(f"{trouble}: {last_words(lines)}")


def show_landmark(line: str) -> None:
    """Show the lines of pip that say what takes so long."""
    large = line.startswith("Downloading ") and " MB)" in line
    if large or line.startswith("Installing collected"):
        print(f"   {line if len(line) < 100 else line[:97] + '...'}", flush=True)
    elif line.startswith(RETRYING):
        print("   The package index does not answer, trying again", flush=True)


def last_words(lines: list[str]) -> str:
    """Return why a step failed, in its own words, and what may mend it."""
    network = [line for line in lines if line.startswith(RETRYING)]
    if network:
        reason = network[-1].partition(" connection broken by ")[2].split(">: ")[-1]
        return f"the package index does not answer. Is this computer online?\n   {reason}"
    return "\n   ".join([line for line in lines if "error" in line.lower()][-3:] or lines[-3:])


def environment() -> dict[str, str]:
    """Return the variables for pip, without those that would lead it elsewhere."""
    misleading = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_CONSTRAINT"}
    misleading.add("LIMNOTES_COMPILE")  # would compile into the checkout
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    return kept | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1"}


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Keep other bootstraps away from the environment.

    The children inherit the lock, so that it outlasts this process if only this process is killed.
    """
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        if not try_lock(file, wait=False):
            say("Another bootstrap is at work here: waiting for it")
            try_lock(file, wait=True)
        yield


if sys.platform == "win32":
    import msvcrt

    def try_lock(file: IO[str], wait: bool) -> bool:
        """Take the lock, which ends with its file; without `wait`, return whether it was free."""
        while True:
            try:
                # LK_LOCK itself waits for ten seconds.
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True

else:
    import fcntl

    def try_lock(file: IO[str], wait: bool) -> bool:
        """Take the lock, which ends with its file; without `wait`, return whether it was free."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def call(command: list[str]) -> int:
    """Run a command in the project's folder and return its exit code.

    Ctrl-C reaches the command as well: it ends in its own way, then KeyboardInterrupt is raised.
    """
    interrupted = False
    with subprocess.Popen(command, cwd=ROOT) as process:
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode


def become(command: list[str], place: Path | None = None) -> int:
    """Go on as `command`, in `place` if one is given: its signals and its exit code are ours."""
    if place is not None:
        os.chdir(place)
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command's to answer
    return subprocess.call(command)
