"""Opening a data folder: never a new key in silence, old libraries brought over, a crash at every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from app import kept, opening
from app.folder import Folder
from app.notes import Note
from app.opening import open_library
from liblim.aio import AsyncDatabase
from liblim.errors import IdentityLost, LimError
from liblim.membership import Membership
from liblim.trust import Identity
from tests.app.folders import (
    TEXTS,
    WANTED,
    Crash,
    contents,
    crash_at,
    end,
    note_opened,
    settled,
    write,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "data")
    folder.acquire()
    yield folder
    folder.release()


async def device_of(folder: Folder) -> str:
    opened = await open_library(folder)
    await opened.database.close()
    return opened.database.device


@pytest.mark.asyncio
async def test_a_device_is_made_once(folder: Folder) -> None:
    device = await device_of(folder)
    assert await device_of(folder) == device


@pytest.mark.asyncio
async def test_a_folder_with_a_key_and_no_notes_yet_keeps_the_key(folder: Folder) -> None:
    """As a crash at the very first start leaves it."""
    device = opening.vault_of(folder).create().device
    assert await device_of(folder) == device


@pytest_asyncio.fixture
async def lost(folder: Folder) -> str:
    """A library whose only device has lost its key; returns the device's id."""
    opened = await open_library(folder)
    opened.vault.unlock(opened.identity)
    await write(opened.database, *TEXTS)
    await opened.database.set_fact("name", "Desk")
    await opened.database.close()
    for file in folder.path.glob("identity.*"):
        file.unlink()
    return opened.database.device


@pytest.mark.asyncio
async def test_a_key_that_is_gone_is_said_and_not_made_anew(folder: Folder, lost: str) -> None:
    with pytest.raises(IdentityLost, match="limnotes identity new"):
        await open_library(folder)
    assert not list(folder.path.glob("identity.*"))


@pytest.mark.asyncio
async def test_a_damaged_key_is_said_and_left_alone(folder: Folder) -> None:
    await device_of(folder)
    path = folder.path / "identity.pem"
    path.write_bytes(b"no key")
    with pytest.raises(IdentityLost, match="limnotes identity new"):
        await open_library(folder)
    assert path.read_bytes() == b"no key"


@pytest.mark.asyncio
async def test_a_library_of_one_device_gets_a_new_key_and_keeps_its_notes(
    folder: Folder, lost: str
) -> None:
    await opening.renew(folder)
    opened = await settled(folder)
    database = opened.database
    assert database.device != lost
    assert list(database.ledger.members) == [database.device]
    assert await contents(database) == WANTED
    assert await database.fact("name") == "Desk"
    await database.close()
    (aside,) = kept.kept_libraries(folder)
    opened = await open_library(Folder(aside.path))
    assert await contents(opened.database) == WANTED
    await opened.database.close()


async def is_in_order(folder: Folder) -> str:
    """Check that the notes are here and that this device alone is a member; returns its id."""
    opened = await settled(folder)
    database = opened.database
    await database.load_trust()
    assert list(database.ledger.members) == [database.device]
    assert await contents(database) == WANTED
    await database.close()
    return database.device


@pytest.mark.asyncio
@pytest.mark.parametrize("again", ["by renewing", "by starting"])
async def test_a_new_key_that_could_not_be_finished_is_finished_later(
    folder: Folder, lost: str, again: str
) -> None:
    obstacle = folder.path / kept.KEPT
    obstacle.write_text("in the way")
    with pytest.raises(LimError, match="could not be copied"):
        await opening.renew(folder)
    opened = await open_library(folder)
    assert await contents(opened.database) == WANTED, "the notes can be read meanwhile"
    await opened.database.close()
    obstacle.unlink()
    if again == "by renewing":
        await opening.renew(folder)
    device = await is_in_order(folder)
    assert device != lost
    (aside,) = kept.kept_libraries(folder)
    opened = await open_library(Folder(aside.path))
    assert await contents(opened.database) == WANTED
    await opened.database.close()
    assert await is_in_order(folder) == device, "once only"


@pytest.mark.asyncio
@pytest.mark.parametrize("gone", [False, True], ids=["key there", "key gone"])
async def test_a_crash_at_any_step_of_a_new_key_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    left_open = note_opened(monkeypatch)
    for step in count(1):
        folder = Folder(tmp_path / str(step))
        folder.acquire()
        opened = await open_library(folder)
        opened.vault.unlock(opened.identity)
        await write(opened.database, *TEXTS)
        await opened.database.close()
        left_open.clear()
        if gone:
            (folder.path / "identity.pem").unlink()
        with monkeypatch.context() as patch:
            done = crash_at(step, patch)
            with suppress(Crash):
                await opening.renew(folder)
        end(left_open)
        try:
            await is_in_order(folder)
        except IdentityLost:  # it is said, and the person tries again
            await opening.renew(folder)
            assert await is_in_order(folder) != opened.database.device
        assert len(kept.kept_libraries(folder)) <= 1, f"a crash before step {step}"
        left_open.clear()
        folder.release()
        if done() < step:
            break
    assert step > 10


@pytest.mark.asyncio
async def test_a_library_of_several_devices_stays_as_it_is(folder: Folder) -> None:
    opened = await open_library(folder)
    opened.vault.unlock(opened.identity)
    other = Identity.generate()
    await Membership(opened.database).introduce(other.certificate, "Lap")
    await write(opened.database, *TEXTS)
    before, log = opened.database.library, opened.database.log_id
    await opened.database.close()
    (folder.path / "identity.pem").unlink()
    await opening.renew(folder)
    again = await settled(folder)
    await again.database.load_trust()
    assert again.database.library == before
    assert again.database.log_id != log, "what it sends must not be taken for the old log"
    assert again.database.device not in again.database.ledger.members
    assert other.device in again.database.ledger.members
    assert await contents(again.database) == WANTED
    await again.database.close()


@pytest.mark.asyncio
async def test_two_that_removed_each_other_each_begin_anew(folder: Folder) -> None:
    """There is nobody left who could take either of them back."""
    opened = await open_library(folder)
    opened.vault.unlock(opened.identity)
    await write(opened.database, *TEXTS)
    other = Identity.generate()
    membership = Membership(opened.database)
    await membership.introduce(other.certificate, "Lap")
    await membership.remove(other.device)
    library = opened.database.library
    await opened.database.close()
    await opening.renew(folder)
    again = await settled(folder)
    await again.database.load_trust()
    assert again.database.library != library
    assert list(again.database.ledger.members) == [again.database.device]
    assert await contents(again.database) == WANTED
    await again.database.close()


async def write_version_0(folder: Folder) -> None:
    database = await AsyncDatabase.open(folder.database, [Note])
    await write(database, *TEXTS)
    await database.set_fact("port", "4300")
    await database.close()


@pytest.mark.asyncio
async def test_notes_from_before_sealing_are_brought_over(folder: Folder) -> None:
    await write_version_0(folder)
    old = folder.database.read_bytes()
    opened = await settled(folder)
    assert await contents(opened.database) == WANTED
    assert await opened.database.fact("port") == "4300"
    await opened.database.close()
    again = await settled(folder)
    assert await contents(again.database) == WANTED, "once only"
    await again.database.close()
    assert b"Bread" in old
    assert b"Bread" not in b"".join(bodies(folder))
    (aside,) = kept.kept_libraries(folder)
    assert (aside.path / "notes.db").exists()


def bodies(folder: Folder) -> list[bytes]:
    connection = apsw.Connection(str(folder.database))
    found = [body for (body,) in connection.execute("SELECT body FROM changes")]
    connection.close()
    return found


@pytest.mark.asyncio
async def test_an_empty_library_from_before_sealing_is_dropped(folder: Folder) -> None:
    database = await AsyncDatabase.open(folder.database, [Note])
    await database.close()
    opened = await open_library(folder)
    assert await contents(opened.database) == []
    await opened.database.close()
    assert kept.kept_libraries(folder) == []


@pytest.mark.asyncio
async def test_a_crash_at_any_step_of_bringing_over_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open = note_opened(monkeypatch)
    for step in count(1):
        folder = Folder(tmp_path / str(step))
        folder.acquire()
        await write_version_0(folder)
        with monkeypatch.context() as patch:
            done = crash_at(step, patch)
            with suppress(Crash):
                await settled(folder)
        end(left_open)
        again = await settled(folder)
        assert await contents(again.database) == WANTED, f"a crash before step {step}"
        await again.database.close()
        left_open.clear()
        folder.release()
        if done() < step:
            break
    assert step > 15


@pytest.mark.asyncio
async def test_a_key_is_not_made_where_the_folder_cannot_be_read(folder: Folder) -> None:
    folder.database.write_bytes(b"not a database!!" * 100)
    with pytest.raises(LimError, match="damaged"):
        await open_library(folder)
    assert not list(folder.path.glob("identity.*"))
