"""Issuing again while a note is open: whoever shows it hears of what comes in."""

from __future__ import annotations

import random

import pytest

from app.notes import Note, Notes
from liblim.aio import AsyncDatabase
from liblim.crdt import Splice
from liblim.database import Database
from tests.liblim.store.powercut import everything
from tests.liblim.things import ManualClock, pull


def copy_of_a_machine() -> Database:
    """Each is the same device, from the same moment on."""
    return Database(":memory:", [Note], entropy=random.Random(7).randbytes, clock=ManualClock())


@pytest.mark.asyncio
async def test_what_is_issued_again_shows_in_an_open_note() -> None:
    first, second = copy_of_a_machine(), copy_of_a_machine()
    for core in (first, second):
        core.create(Note).body.insert(0, "List")
        core.commit()
    pull(first, second)
    (entry,) = first.entries()
    first.get(Note, entry.oid).body.insert(4, " of one")
    second.get(Note, entry.oid).body.insert(4, " of two")
    second.get(Note, entry.oid).tags.add("home")
    first.commit()
    second.commit()

    database = await AsyncDatabase.open(":memory:", [Note])
    notes = Notes(database)
    await notes.load()
    await database.receive(everything(first))
    await database.receive(everything(second))
    note = await notes.open(entry.oid)
    shown = str(note.body)
    assert shown == "List of one"
    splices: list[Splice] = []
    notes.watch(note, splices.extend)
    assert await database.issue_again() == 1
    for pos, removed, inserted in splices:
        shown = shown[:pos] + inserted + shown[pos + removed :]
    assert shown == str(note.body) == "List of two of one"
    assert list(note.tags) == ["home"]
    assert notes.rows[entry.oid].title == "List of two of one"
    await notes.close(note)
    await database.close()
