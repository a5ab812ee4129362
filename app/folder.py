"""The data folder: where it is, that it can be used, and that one process at a time uses it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import filelock
import platformdirs

from liblim.errors import LimError, StoreReadOnly

DATABASE = "notes.db"
ENDPOINT = "control.json"
"""How to reach the process that uses the folder."""


class AlreadyRunning(LimError):
    """Another process uses the data folder."""


def default_folder() -> Path:
    """Where this system keeps the data of a person's programs."""
    return Path(platformdirs.user_data_dir("limnotes", appauthor=False))


class Folder:
    """A data folder, made if it is not there."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is touched yet."""
        self.path = path
        self._lock = filelock.FileLock(path / "lock", mode=0o600)

    @property
    def database(self) -> Path:
        """The library's file."""
        return self.path / DATABASE

    @property
    def endpoint(self) -> Path:
        """The file that says how to reach the running process."""
        return self.path / ENDPOINT

    def acquire(self) -> None:
        """Make the folder, see that it can be written, and lock it for this process.

        Raises StoreReadOnly, AlreadyRunning or LimError.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise AlreadyRunning(
                f"Lim Notes is already running with the data folder {self.path}."
            ) from None
        except (FileExistsError, NotADirectoryError) as error:
            raise LimError(
                f"{self.path} is not a folder. Choose another one with --data-dir."
            ) from error
        except OSError as error:
            raise StoreReadOnly(
                f"The data folder {self.path} cannot be used: {os.strerror(error.errno or 0)}. "
                "Make it writable, or choose another one with --data-dir."
            ) from error

    def release(self) -> None:
        """Let other processes use the folder."""
        self._lock.release()
