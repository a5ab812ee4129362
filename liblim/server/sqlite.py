"""A server's storage in one folder: ``registry.db``, and for each library a database file as on a device."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from liblim.errors import StoreBusy, StoreError
from liblim.store import Store
from liblim.store.connection import give_to_owner
from liblim.store.registry import RegistryFile

REGISTRY = "registry.db"


class SqliteStorage:
    """Opens what a folder holds; other processes may do so, too, but only one may serve it."""

    def __init__(self, folder: Path) -> None:
        """Open or create the folder.  Raises StoreError."""
        self.folder = folder
        self._logs = folder / "libraries"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._logs.exists():
                self._logs.mkdir(mode=0o700, exist_ok=True)
                give_to_owner(self._logs)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}.") from error
        self.registry = _Registry(folder / REGISTRY, self._logs)

    def open(self, library: str) -> Store:
        """The log of a library that the registry knows."""
        return Store(self.registry.file_of(library), shared=True)

    def has_log(self, library: str) -> bool:
        """Whether the file of a library is there, as it should be."""
        return self.registry.file_of(library).exists()

    def listen(self, hint: Callable[[str], None]) -> None:
        """Do nothing: no other process writes to a log, and the registry is looked at now and then."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The right to serve the folder.

        Raises StoreBusy.
        """
        lock = FileLock(self.folder / "serving.lock", mode=0o600, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            raise StoreBusy(
                f"{self.folder} is served by another process. End that one, or choose another folder."
            ) from None
        try:
            self.registry.sweep()
            yield
        finally:
            lock.release()

    def back_up(self, folder: Path) -> None:
        """Write a copy into a new folder, which `--data` can name."""
        try:
            folder.mkdir(mode=0o700, parents=True)
            (folder / "libraries").mkdir(mode=0o700)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}.") from error
        # The registry first: a library that comes meanwhile is not in the copy, rather than without its log.
        self.registry.copy_to(folder / REGISTRY)
        for library in self.registry.libraries():
            if self.has_log(library):
                log = self.open(library)
                try:
                    log.copy_to(folder / "libraries" / self.registry.file_of(library).name)
                finally:
                    log.close()

    def close(self) -> None:
        """Close the registry; logs are closed by who opened them."""
        self.registry.close()


class _Registry(RegistryFile):
    """A registry that removes the files of logs, too."""

    def __init__(self, path: Path, logs: Path) -> None:
        super().__init__(path)
        self._logs = logs

    def file_of(self, library: str) -> Path:
        """Where a library's log is.

        It has a new name where a library was removed and comes again: the old file may still be open.
        """
        number = self.number(library)
        if number is None:
            raise StoreError("That library is not served here any more.")
        return self._logs / _file_name(library, number)

    def vouch(
        self,
        by: str,
        library: str,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Collection[str],
        *,
        founding: bool = False,
    ) -> bool:
        """Take what a device says; a library has its file from its first word on, so that a loss is seen."""
        taken = super().vouch(by, library, members, authors, withdrawn, founding=founding)
        if taken and founding:
            Store(self.file_of(library), shared=True).close()
        return taken

    def remove(self, library: str) -> bool:
        """Forget a library; whether there was one."""
        found = super().remove(library)
        self.sweep()
        return found

    def sweep(self) -> None:
        """Delete the logs of libraries that are not served any more."""
        files = list(self._logs.iterdir())  # before: a library that comes now has none among them
        kept = {_file_name(*row) for row in self.numbers()}
        for file in files:
            if file.name.removesuffix("-wal").removesuffix("-shm") not in kept:
                with suppress(
                    OSError
                ):  # another process has it open, on Windows; the next start does it
                    file.unlink()


def _file_name(library: str, number: int) -> str:
    return f"{library}-{number}.db"
