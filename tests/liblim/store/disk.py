"""A disk for SQLite that loses what was not synced, and fails when it is told to.

It is an ``apsw`` VFS over files in memory.  Each file has what is durable, and what was written since the
last sync.  At a cut every sector is left somewhere in its own history since then, torn in the middle
perhaps, so writes survive in part and in any order; so does the file's size, and files that were made or
deleted a moment ago.  What a write does not touch stays as it was, which SQLite assumes of every disk unless
told otherwise (SQLITE_IOCAP_POWERSAFE_OVERWRITE).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import apsw

SECTOR = 512
_POWERSAFE_OVERWRITE = 0x1000
_NAMES = iter(range(10**9))

Failure = type[apsw.Error]


class Off(apsw.IOError):
    """The power is off."""


class _Contents:
    """One file: how it reads now, what of it is durable, and what was done to it since."""

    def __init__(self) -> None:
        self.now = bytearray()
        self.durable = bytearray()
        self.undone: list[tuple[int, bytes | None]] = []
        """What is not synced: bytes written at an offset, or ``None`` where it was cut to that size."""
        self.named = False
        """Whether its name is durable."""

    def write(self, data: bytes, offset: int) -> None:
        _write(self.now, offset, data)
        self.undone.append((offset, data))

    def truncate(self, size: int) -> None:
        del self.now[size:]
        self.undone.append((size, None))

    def sync(self) -> None:
        for offset, data in self.undone:
            if data is None:
                del self.durable[offset:]
            else:
                _write(self.durable, offset, data)
        self.undone.clear()

    def cut(self, rng: Random) -> None:
        """Leave each sector, and the size, anywhere in its history since the last sync."""
        fate = rng.choice(["lost", "kept", "any", "any", "any", "torn", "torn"])
        histories, sizes = self._histories()
        left = bytearray(self.durable)
        for sector, images in histories.items():
            place = {"lost": 0, "kept": len(images) - 1}.get(fate, rng.randrange(len(images)))
            image = images[place]
            if fate == "torn" and place + 1 < len(images):
                at = rng.randrange(SECTOR)
                image = images[place + 1][:at] + image[at:]
            _write(left, sector * SECTOR, image)
        size = {"lost": sizes[0], "kept": sizes[-1]}.get(fate, rng.choice(sizes))
        left.extend(bytes(max(0, size - len(left))))
        del left[size:]
        self.now, self.durable, self.undone = left, bytearray(left), []

    def _histories(self) -> tuple[dict[int, list[bytes]], list[int]]:
        histories: dict[int, list[bytes]] = {}
        sizes = [len(self.durable)]

        def patch(sector: int, at: int, data: bytes) -> None:
            if sector not in histories:
                old = bytes(self.durable[sector * SECTOR : (sector + 1) * SECTOR])
                histories[sector] = [old.ljust(SECTOR, b"\0")]
            old = histories[sector][-1]
            histories[sector].append(old[:at] + data + old[at + len(data) :])

        for offset, data in self.undone:
            if data is None:
                for sector in range(-(-offset // SECTOR), -(-sizes[-1] // SECTOR)):
                    patch(sector, 0, bytes(SECTOR))
                sizes.append(offset)
                continue
            sizes.append(max(sizes[-1], offset + len(data)))
            done = 0
            while done < len(data):
                sector, at = divmod(offset + done, SECTOR)
                part = data[done : done + SECTOR - at]
                patch(sector, at, part)
                done += len(part)
        return histories, sizes


def _write(target: bytearray, offset: int, data: bytes) -> None:
    if offset > len(target):
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """Files in memory that a database is opened on, within ``in_use``.

    ``failure`` is what every write, sync and the like raises from the operation ``fails_from`` on (counted in
    ``done``), for as long as it is set.
    """

    def __init__(self) -> None:
        """Begin with no files."""
        self.name = f"disk{next(_NAMES)}"
        super().__init__(self.name, "")
        self.files: dict[str, _Contents] = {}
        self.deleted: dict[str, _Contents] = {}
        """Files whose deletion is not durable yet."""
        self.done = 0
        self.fails_from = 0
        self.failure: Failure | None = None
        self.within = ""
        """The folder in which operations fail; empty for all."""
        self.hits = 0
        """How many operations have failed."""

    @contextmanager
    def in_use(self) -> Iterator[Disk]:
        """Have SQLite open its databases here."""
        usual = next(name for name in apsw.vfs_names() if name)
        apsw.set_default_vfs(self.name)
        try:
            yield self
        finally:
            apsw.set_default_vfs(usual)

    def fail(self, failure: Failure, after: int = 0) -> None:
        """Let operations fail once so many more were done, until ``mend``."""
        self.failure, self.fails_from, self.hits = failure, self.done + after, 0

    def mend(self) -> None:
        """Let operations succeed again."""
        self.failure = None

    def cut(self, rng: Random) -> None:
        """Lose the power, and have it back: what is left is what a disk may hold then."""
        for path, contents in self.deleted.items():
            if path not in self.files and rng.random() < 0.5:
                self.files[path] = contents
        self.deleted.clear()
        for path, contents in list(self.files.items()):
            if not contents.named and rng.random() < 0.5:
                del self.files[path]
            else:
                contents.cut(rng)
                contents.named = True
        self.mend()

    def step(self, path: str, *, takes_room: bool = False) -> None:
        """Count an operation that changes a file; raise where it is to fail."""
        due = self.done >= self.fails_from and path.startswith(self.within)
        if self.failure is apsw.FullError and not takes_room:
            due = False
        if self.failure is not None and due:
            self.hits += 1
            raise self.failure("as the test wants it")
        self.done += 1

    def sync_folder(self) -> None:
        """Make durable which files there are."""
        self.deleted.clear()
        for contents in self.files.values():
            contents.named = True

    # What SQLite calls

    def excepthook(self, kind: Any, error: Any, trace: Any) -> bool:
        """Failures that SQLite passes over are no news here."""
        return True

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        flags[1] = flags[0]
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        path = path or f"temporary{next(_NAMES)}"
        if path not in self.files:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError("there is no such file")
            self.step(path)
            self.files[path] = _Contents()
        return _File(self, path)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.step(filename)
        contents = self.files.pop(filename, None)
        if contents is not None and contents.named and not syncdir:
            self.deleted[filename] = contents

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.files

    def xFullPathname(self, name: str) -> str:
        return name


class _File:
    """An open file."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._contents = disk.files[path]

    def excepthook(self, kind: Any, error: Any, trace: Any) -> bool:
        return True

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._contents.now[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.step(self._path, takes_room=True)
        self._contents.write(bytes(data), offset)

    def xTruncate(self, size: int) -> None:
        self._disk.step(self._path)
        self._contents.truncate(size)

    def xSync(self, flags: int) -> None:
        try:
            self._disk.step(self._path, takes_room=True)
        except apsw.Error:
            # As with Linux: what could not be synced counts as clean, and the next sync passes it over.
            if self._disk.failure is not Off:
                self._contents.undone.clear()
            raise
        self._contents.sync()
        if not self._contents.named:
            self._disk.sync_folder()  # as SQLite's own VFS does with the first sync of a new file

    def xFileSize(self) -> int:
        return len(self._contents.now)

    def xClose(self) -> None:
        pass

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return _POWERSAFE_OVERWRITE


def path_on(disk: Disk, folder: Path) -> Path:
    """Where a database is opened: beside the disk, ``liblim`` looks whether it may write there."""
    return folder / f"{disk.name}.db"
