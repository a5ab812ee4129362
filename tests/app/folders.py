"""What the tests of data folders share: notes of all sorts, and processes that end at any step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import kept
from app.folder import Folder
from app.joining import Joiner
from app.notes import Note, Notes
from app.opening import Opened, open_library
from liblim.aio import AsyncDatabase

TEXTS = ["Bread\nand milk", "# Kept", "", "Trashed", "Ünïcode 😀"]

Contents = list[tuple[str, bool, bool, list[str]]]
WANTED: Contents = sorted((text, text == "Trashed", text == "# Kept", ["home"]) for text in TEXTS)
"""What ``contents`` gives of notes with these texts."""


async def write(database: AsyncDatabase, *texts: str) -> list[str]:
    """Write notes: with tags, one pinned, one in the trash; returns their oids."""
    oids = []
    for text in texts:
        note = database.create(Note)
        note.body.insert(0, text)
        note.tags.add("home")
        if text == "Trashed":
            note.move_to_trash()
        if text == "# Kept":
            note.pinned.enable()
        await database.release(note)
        oids.append(note.oid)
    return oids


async def contents(database: AsyncDatabase) -> Contents:
    """All notes: text, in the trash, pinned, tags."""
    found = []
    for entry in await database.entries():
        note = await database.get(Note, entry.oid)
        found.append((str(note.body), note.trashed, bool(note.pinned), list(note.tags)))
        await database.release(note)
    return sorted(found)


async def joiner_of(folder: Folder, opened: Opened) -> Joiner:
    """What joins and adds, as the service sets it up; the key is unlocked."""
    opened.vault.unlock(opened.identity)
    notes = Notes(opened.database)
    await notes.load()
    joiner = Joiner(folder, *opened, notes)
    await joiner.load()
    return joiner


async def settled(folder: Folder) -> Opened:
    """Open the folder, and add what is to be added."""
    opened = await open_library(folder)
    joiner = await joiner_of(folder, opened)
    await joiner.add()
    return opened


class Crash(BaseException):
    """The process ends here."""


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let the process end before the ``step``-th thing that it does to files or to the database.

    Returns what tells how many it did.
    """
    done = 0

    def counted(work: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == step:
                raise Crash
            return work(*arguments, **named)

        return call

    for holder, name in [
        (kept, "_make_empty"),
        (kept, "_put_in_place"),
        (AsyncDatabase, "copy_to"),
        (AsyncDatabase, "set_fact"),
        (AsyncDatabase, "release"),
        (AsyncDatabase, "take_on"),
        (Path, "replace"),
        (Path, "rename"),
    ]:
        monkeypatch.setattr(holder, name, counted(getattr(holder, name)))
    return lambda: done


def note_opened(monkeypatch: pytest.MonkeyPatch) -> list[AsyncDatabase]:
    """Every database that is opened from now on, for a process that ends without closing it."""
    databases: list[AsyncDatabase] = []
    real = AsyncDatabase.open

    async def noted(*arguments: Any, **named: Any) -> AsyncDatabase:
        databases.append(await real(*arguments, **named))
        return databases[-1]

    monkeypatch.setattr(AsyncDatabase, "open", noted)
    return databases


def end(databases: list[AsyncDatabase]) -> None:
    """Let go of the files as the end of a process does: nothing more is committed."""
    for database in databases:
        database._stop_timer()
        database._closed = True
        database._thread.shutdown()
        database.core.store.close()
    databases.clear()
