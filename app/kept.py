"""Libraries that were kept aside, each in a data folder of its own: ``<data>/kept/<date>-<library>/``."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.folder import DATABASE, Folder
from app.notes import Note
from liblim.aio import AsyncDatabase
from liblim.errors import StoreError
from liblim.trust.vault import Vault

KEPT = "kept"
"""The folder, in the data folder, of the libraries that were kept."""
OWN_FACTS = ("name", "port", "discovery")
"""What a device keeps when it founds a library anew."""
_FACT = "kept"
_DRAFT = ".draft"


class Pending(msgspec.Struct, frozen=True):
    """A library that was kept, and what is still to be done with its notes.

    ``log`` is the log that was copied.  ``add`` says that the notes are to be added to the present library,
    ``first_sync`` that this waits for that one's own notes, ``sealed`` whether the copy has keys.
    """

    folder: str
    library: str
    log: str
    add: bool
    first_sync: bool
    sealed: bool


class Kept(NamedTuple):
    """A library that was kept aside: its data folder, and what to call it."""

    path: Path
    label: str


def kept_libraries(folder: Folder) -> list[Kept]:
    """The libraries that were kept aside, the newest first."""
    found = [path.parent for path in (folder.path / KEPT).glob(f"*/{DATABASE}")]
    paths = sorted((path for path in found if path.name != _DRAFT), key=lambda path: path.name)
    days = Counter[str]()
    kept = []
    for path in paths:
        day = path.name[:10]
        days[day] += 1
        more = f" ({days[day]})" if days[day] > 1 else ""
        kept.append(Kept(path, f"Notes kept on {day}{more}"))
    return kept[::-1]


def is_kept(folder: Folder) -> bool:
    """Whether a data folder is that of a library which was kept aside."""
    return folder.path.resolve().parent.name == KEPT


async def keep(
    database: AsyncDatabase, vault: Vault, folder: Folder, *, add: bool, first_sync: bool
) -> tuple[Pending, ...]:
    """Copy a library, with this device's key, to where it is kept, unless there is nothing in it.

    Returns all that is pending then.  Raises StoreError.
    """
    pending = await recall(database, folder)
    if await _is_empty(database):
        return pending
    draft = folder.path / KEPT / _DRAFT
    try:
        await asyncio.to_thread(_make_empty, draft)
        await database.copy_to(draft / DATABASE)
        sealed = await database.fact("genesis") is not None
        if sealed:
            await asyncio.to_thread(vault.copy_to, draft)
        name = _free_name(draft.parent, database.library)
        new = Pending(name, database.library, database.log_id, add, first_sync, sealed)
        await remember(database, *pending, new)
        await asyncio.to_thread(_put_in_place, draft, name)
    except OSError as error:
        raise StoreError(
            f"Your notes could not be copied to {draft.parent}: {error.strerror or error}. "
            "Nothing was changed."
        ) from error
    return *pending, new


async def _is_empty(database: AsyncDatabase) -> bool:
    """Whether a library has no notes, and nothing that may be one and cannot be shown yet."""
    notes = any(entry.kind == Note.kind for entry in await database.entries())
    return not (notes or await database.unshown() or await database.aside())


async def remember(database: AsyncDatabase, *pending: Pending) -> None:
    """Write down what is pending.  Raises StoreError."""
    await database.set_fact(_FACT, msgspec.json.encode(pending).decode())


async def recall(database: AsyncDatabase, folder: Folder) -> tuple[Pending, ...]:
    """What is pending; a copy of the very log that the database still has is dropped.

    Raises StoreError.
    """
    try:
        text = await database.fact(_FACT)
        found = msgspec.json.decode(text or "[]", type=tuple[Pending, ...])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    needless = [one for one in found if one.log == database.log_id]
    for one in needless:
        await asyncio.to_thread(shutil.rmtree, path_of(folder, one), ignore_errors=True)
    pending = tuple(one for one in found if one.add and one not in needless)
    if pending != found:
        await remember(database, *pending)
    return pending


def path_of(folder: Folder, pending: Pending) -> Path:
    """The data folder that a library was copied to."""
    return folder.path / KEPT / Path(pending.folder).name


def _make_empty(draft: Path) -> None:
    if draft.exists():
        shutil.rmtree(draft)
    draft.parent.mkdir(mode=0o700, exist_ok=True)
    draft.mkdir(mode=0o700)


def _free_name(kept: Path, library: str) -> str:
    wanted = f"{time.strftime('%Y-%m-%d')}-{library[:8]}"
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if not (kept / name).exists())


def _put_in_place(draft: Path, name: str) -> None:
    """Give the copy its name once it is on the disk: SQLite does not wait for that when it copies."""
    for path in (*draft.iterdir(), draft):
        _flush(path)
    draft.rename(draft.parent / name)
    _flush(draft.parent)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot, and need not
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
