"""Run, test and maintain Lim Notes from a checkout, with nothing but Python installed.

    python3 packaging/bootstrap.py run [limnotes arguments]
    python3 packaging/bootstrap.py server [limserver arguments]
    python3 packaging/bootstrap.py test [pytest arguments]
    python3 packaging/bootstrap.py bench [core|sync|server] [arguments]

With LIMNOTES_COMPILE=1 they use the core of liblim compiled by mypyc, which needs a C compiler; its test
is that of the core only.
A virtual environment is made in ``.venv`` (or in the folder that ``LIMNOTES_VENV`` names), filled
with what ``constraints.txt`` pins, and kept until that changes.  What a person can mend
is told in a sentence, without a traceback.
"""

# No `from __future__ import annotations` and no syntax newer than Python 3.6 in this file: an old
# Python has to get as far as the sentence below.
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Lim Notes needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import environment
import system

SCRIPT = "py packaging\\bootstrap.py" if os.name == "nt" else "python3 packaging/bootstrap.py"
NO_SCREEN = f"""\
There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set).
To sync without a window: {SCRIPT} run --headless"""

TESTED = {"gui", "postgres", "server", "test"}
BENCHES = {"core": {"bench"}, "sync": {"bench", "gui"}, "server": {"postgres", "server"}}

# What `test` runs before pytest.
CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports", "--no-logo"),
)
COMPILED_TESTS = ("tests/liblim/crdt", "tests/liblim/test_traces.py", "tests/vectors")
# One process more than processors: tests of networks and processes mostly wait.
PYTEST = (f"--numprocesses={min(4, 1 + (os.cpu_count() or 1))}", "--dist=worksteal")


def run(arguments: list[str]) -> int:
    """Start ``limnotes`` with `arguments`; install the window's packages only for a window."""
    gui = system.wants_window(arguments)
    if gui and not system.has_screen(os.environ):
        raise environment.SetupError(NO_SCREEN)
    extras = {"gui"} if gui else set()
    first = not environment.ready(extras)
    prepare(extras)
    if first and gui:
        system.recommend_fonts()
    if wants_compiled():
        os.environ["PYTHONPATH"] = environment.compiled()
    return environment.become([environment.program("limnotes"), *arguments])


def server(arguments: list[str]) -> int:
    """Start ``limserver`` with `arguments`; without, serve what is in the folder where it keeps its data."""
    wanted = any(argument.startswith("--database") for argument in arguments)
    prepare({"postgres", "server"} if wanted else {"server"})
    return environment.become([environment.program("limserver"), *(arguments or ["run"])])


def test(arguments: list[str]) -> int:
    """Run all checks and then pytest; with `arguments`, only pytest with these."""
    python = prepare(TESTED)
    if wants_compiled():
        return test_compiled(python, arguments or [*COMPILED_TESTS])
    if arguments:
        return environment.become([python, "-m", "pytest", *arguments], environment.ROOT)
    failed = [" ".join(check) for check in CHECKS if not passes(check)]
    environment.say("pytest")
    code = environment.call([python, "-m", "pytest", *PYTEST])
    if failed:
        environment.say(f"Failed before pytest: {', '.join(failed)}")
    return code or int(bool(failed))


def wants_compiled() -> bool:
    """Tell whether the core is to be compiled."""
    return os.environ.get("LIMNOTES_COMPILE") == "1"


def test_compiled(python: str, arguments: list[str]) -> int:
    """Run pytest with the compiled modules in place of those of the checkout."""
    modules = environment.compiled()
    os.environ["PYTHONPATH"] = os.pathsep.join([modules, str(environment.ROOT)])
    command = [python, "-P", "-m", "pytest", "--override-ini=pythonpath=packaging", *arguments]
    return environment.become(command, environment.ROOT)


def bench(arguments: list[str]) -> int:
    """Measure the core beside others, the sync of the app, or a server, in an environment of their own."""
    os.environ["LIMNOTES_VENV"] = f"{environment.folder()}-bench"
    kind = "core"
    if arguments and arguments[0] in BENCHES:
        kind, *arguments = arguments
    python = prepare(BENCHES[kind])
    if kind == "core" and wants_compiled():
        arguments = ["--compiled", environment.compiled(), *arguments]
    return environment.become([python, "-m", f"tests.bench.{kind}", *arguments], environment.ROOT)


def passes(check: tuple[str, ...]) -> bool:
    """Run one of the CHECKS, and tell whether it passed."""
    name, began = " ".join(check), time.monotonic()
    environment.say(name)
    code = environment.call([environment.program(check[0]), *check[1:]])
    environment.say(f"{name} {'FAILED' if code else 'passed'} ({time.monotonic() - began:.1f} s)")
    return code == 0


def screenshots(arguments: list[str]) -> int:
    """Make the pictures of the README again."""
    python = prepare({"gui"})
    system.recommend_fonts()
    script = str(environment.ROOT / "packaging" / "screenshots.py")
    return environment.become([python, script, *arguments], environment.ROOT)


def update(arguments: list[str]) -> int:
    """Write ``constraints.txt`` anew, with the newest versions that ``pyproject.toml`` allows."""
    refuse(arguments)
    require(system.missing_venv())
    with tempfile.TemporaryDirectory(prefix="limnotes-") as fresh:
        environment.say("Making a Python environment to resolve in")
        environment.make_in(Path(fresh))
        script = str(environment.ROOT / "packaging" / "pins.py")
        code = environment.call([environment.program("python", Path(fresh)), script])
    if code == 0:
        environment.say(f"The new pins are in {environment.CONSTRAINTS}; now try: {SCRIPT} test")
    return code


def missing(arguments: list[str]) -> int:
    """Print the Debian packages that `test` needs and that are missing."""
    refuse(arguments)
    print(*lacking(TESTED).values())
    return 0


class Command(NamedTuple):
    """One thing that this script can be asked to do."""

    do: Callable[[list[str]], int]
    help: str


COMMANDS = {
    "run": Command(run, "start Lim Notes; arguments are passed on (try: run --help)"),
    "server": Command(server, "start a server; arguments are passed on (try: server --help)"),
    "test": Command(test, "run all checks and tests; with arguments, only pytest with these"),
    "bench": Command(
        bench,
        "measure liblim's core beside loro and pycrdt; bench sync: the app's sync; bench server: a server",
    ),
    "screenshots": Command(screenshots, "make the pictures of the README again"),
    "update": Command(update, "refresh the pinned versions in packaging/constraints.txt"),
    "missing": Command(missing, "print the Debian packages that `test` needs and that are missing"),
}


def prepare(extras: set[str]) -> str:
    """Make sure that the system and the environment have what `extras` need; return the Python."""
    require(lacking(extras))
    return environment.ensure(extras)


def lacking(extras: set[str]) -> dict[str, str]:
    """Return what the system lacks for `extras`, each with its Debian package."""
    needed = {} if environment.ready(extras) else system.missing_venv()
    if "gui" in extras:
        needed |= system.missing_libraries(os.environ)
    return needed


def require(needed: dict[str, str]) -> None:
    """Raise SetupError with the line that mends it if anything is `needed`."""
    if needed:
        raise environment.SetupError(system.install_line(needed))


def refuse(arguments: list[str]) -> None:
    """Raise SetupError if a command that takes no arguments got some."""
    if arguments:
        raise environment.SetupError(f"This command takes no arguments: {' '.join(arguments)}")


def usage() -> str:
    """Return the help text: every command with a line about it."""
    lines = [f"  {name:<12} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join([f"usage: {SCRIPT} COMMAND [arguments]", "", *lines])


def main(arguments: list[str]) -> int:
    """Carry out the command that `arguments` begin with, and return the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"There is no command {arguments[0]!r}.\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]].do(arguments[1:])
    except environment.SetupError as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold any character
    sys.exit(main(sys.argv[1:]))
