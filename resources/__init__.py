"""Data files of Lim Notes: icons, drawn for it, and the screenshots of its README.

Read them with :func:`read`; they may lie in a folder or inside an archive.
"""

from __future__ import annotations

from importlib.resources import files


def read(path: str) -> bytes:
    """Return the contents of a file of this package, such as ``icons/trash.svg``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return files(__name__).joinpath(*path.split("/")).read_bytes()
