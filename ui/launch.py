"""The command ``limnotes``: the command line, and the window where PySide6 is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from app import cli
from liblim.errors import LimError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    return cli.main(argv, open_window=open_window)


def open_window(options: cli.Options) -> int:
    """Open the window and stay until it is closed; returns the exit code.

    Raises LimError where PySide6 or qasync is missing: everything else works without them.
    """
    missing = [name for name in ("PySide6", "qasync") if find_spec(name) is None]
    if missing:
        raise LimError(
            f"The window needs {' and '.join(missing)}, which is not installed. "
            "Install the extra: pip install 'limnotes[gui]'. Or start with --headless."
        )
    from ui import application

    return application.run(options)


if __name__ == "__main__":
    raise SystemExit(main())
