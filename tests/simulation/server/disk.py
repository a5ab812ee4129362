"""The server's files, and a disk that fails now and then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from liblim.change import Change, Range
from liblim.errors import StoreError
from liblim.server.sqlite import SqliteStorage, _Registry
from liblim.store import Store
from liblim.store.registry import Word

Check = Callable[[], None]


class Trouble:
    """What a disk refuses right now: to write, or to read, too."""

    def __init__(self) -> None:
        self.full = self.broken = False

    @property
    def any(self) -> bool:
        """Whether it refuses anything."""
        return self.full or self.broken

    def on_write(self) -> None:
        """Raises StoreError where nothing can be written."""
        if self.any:
            raise StoreError("The disk is full.")

    def on_read(self) -> None:
        """Raises StoreError where nothing can be read."""
        if self.broken:
            raise StoreError("The disk cannot be read.")


class Log(Store):
    """The log of a library on such a disk: what fails there fails when it is committed."""

    def __init__(self, path: Path, trouble: Trouble) -> None:
        super().__init__(path, shared=True)
        self._trouble = trouble

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of it, or nothing."""
        with super().transaction():
            yield
            self._trouble.on_write()

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Read changes."""
        self._trouble.on_read()
        return super().read(ranges, changes, octets)


class _Words(_Registry):
    """The registry on such a disk."""

    def __init__(self, path: Path, logs: Path, trouble: Trouble) -> None:
        super().__init__(path, logs)
        self._trouble = trouble

    def vouch(
        self,
        library: str,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Collection[str],
        *,
        by: str = "",
    ) -> None:
        """Take what a member says."""
        self._trouble.on_write()
        super().vouch(library, members, authors, withdrawn, by=by)

    def words(self, after: int) -> list[Word]:
        """The journal."""
        self._trouble.on_read()
        return super().words(after)


class Disk(SqliteStorage):
    """A server's folder on a disk with ``trouble``."""

    def __init__(self, folder: Path, trouble: Trouble) -> None:
        super().__init__(folder)
        self._trouble = trouble
        self._opened: list[Store] = []
        self.registry.close()
        self.registry = _Words(folder / "registry.db", folder / "libraries", trouble)

    def open(self, library: str) -> Store:
        """The log of a library."""
        self._trouble.on_read()
        self._opened.append(Log(self.registry.file_of(library), self._trouble))
        return self._opened[-1]

    def let_go(self) -> None:
        """Close all files that a process which ended has left open."""
        for log in self._opened:
            log.close()
        self.close()
