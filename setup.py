"""The part of the build that pyproject.toml cannot say: the core compiled by mypyc, if that is asked for.

``LIMNOTES_COMPILE=1 pip install .`` makes C of the modules below, for which it needs a C compiler and
Python's headers.  Without it nothing is compiled; the source is the same.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from setuptools import setup

MODULES = (
    *("author", "ops", "remote", "rga", "sequence", "span", "splice", "state", "stroke"),
    *("text", "undo"),
)
"""What a keystroke, a remote operation and loading a text pass through, in ``liblim.crdt``."""

if os.environ.get("LIMNOTES_COMPILE") != "1":
    setup()
elif find_spec("mypyc") is None:
    setup(setup_requires=["mypy>=1.15"])  # pip asks this first, and installs it for the build
else:
    from mypyc.build import mypycify

    options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
    files = [f"liblim/crdt/{module}.py" for module in MODULES]
    setup(ext_modules=mypycify([*options, *files], opt_level="3"))
