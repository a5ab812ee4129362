"""A real file system of a few megabytes, which takes the right to mount one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest


class Place(NamedTuple):
    """A folder on a disk that can be full and be well again."""

    folder: Path
    fill: Callable[[], None]
    clear: Callable[[], None]


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Place]:
    """One in a folder, until the end of the block; skips the test where this user may not mount it."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    point = folder / "tmpfs"
    point.mkdir()
    command = [mount or "", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)]
    if not mount or not umount or subprocess.call(command, stderr=subprocess.DEVNULL):
        pytest.skip("this user may not mount a file system")
    filler = point / "filler"

    def fill() -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    try:
        yield Place(point, fill, filler.unlink)
    finally:
        # Lazily: where a test failed, something may still be open there.
        subprocess.run([umount, "-l", str(point)], check=True)
