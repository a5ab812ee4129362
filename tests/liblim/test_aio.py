"""The asyncio shell: durable after a pause, in order, and by itself again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from liblim.aio import RETRY, AsyncDatabase, Pause
from liblim.change import Change, Range
from liblim.errors import StoreBusy, StoreError
from tests.liblim.things import Thing

QUICK = Pause(0.02, 0.06)


@pytest_asyncio.fixture
async def database() -> AsyncIterator[AsyncDatabase]:
    database = await AsyncDatabase.open(":memory:", [Thing])
    database.set_pause(QUICK)
    yield database
    await database.close()


async def committed(database: AsyncDatabase, count: int) -> list[Change]:
    """Wait until so many changes more have been committed."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    found: list[Change] = []

    def listen(changes: list[Change]) -> None:
        found.extend(changes)
        if len(found) >= count and not done.done():
            done.set_result(None)

    stop = database.subscribe(listen)
    await asyncio.wait_for(done, 5)
    stop()
    return found


async def everything(database: AsyncDatabase) -> list[Change]:
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    return await database.read(ranges, 10**6, 10**9)


@pytest.mark.asyncio
async def test_typing_becomes_durable_by_itself(database: AsyncDatabase) -> None:
    thing = database.create(Thing)
    thing.body.insert(0, "hello")
    assert not database.core.is_saved(thing)
    await committed(database, 1)
    assert database.core.is_saved(thing)
    thing.body.insert(5, "!")
    await committed(database, 1)
    assert database.count == 2


@pytest.mark.asyncio
async def test_typing_that_goes_on_is_committed_all_the_same(database: AsyncDatabase) -> None:
    thing = database.create(Thing)
    stop = asyncio.Event()

    async def type_on() -> None:
        while not stop.is_set():
            thing.body.insert(len(thing.body), "x")
            await asyncio.sleep(0)

    typing = asyncio.create_task(type_on())
    first, second = (await committed(database, 2))[:2]
    stop.set()
    await typing
    assert second.seq == first.seq + 1
    await database.commit()
    assert await copy_text(database, thing.oid) == str(thing.body)


@pytest.mark.asyncio
async def test_a_change_that_a_received_one_closed_is_committed_too(
    database: AsyncDatabase,
) -> None:
    source = await AsyncDatabase.open(":memory:", [Thing])
    source.create(Thing).body.insert(0, "theirs")
    await source.commit()
    thing = database.create(Thing)
    thing.body.insert(0, "mine")
    await database.receive(await everything(source))
    assert not database.core.is_saved(thing)
    await committed(database, 1)
    assert database.core.is_saved(thing)
    await source.close()


async def copy_text(database: AsyncDatabase, oid: str) -> str:
    copy = await AsyncDatabase.open(":memory:", [Thing])
    await copy.receive(await everything(database))
    thing = await copy.get(Thing, oid)
    text = str(thing.body)
    await copy.close()
    return text


@pytest.mark.asyncio
async def test_a_document_loaded_while_changes_arrive_misses_none(database: AsyncDatabase) -> None:
    source = await AsyncDatabase.open(":memory:", [Thing])
    thing = source.create(Thing)
    for n in range(60):
        thing.body.insert(n, "x")
        await source.commit()
    changes = await everything(source)
    await database.receive(changes[:1])

    async def feed() -> None:
        for change in changes[1:]:
            await database.receive([change])

    feeding = asyncio.create_task(feed())
    copies = []
    for _ in range(20):
        copy = await database.get(Thing, thing.oid)
        copies.append(copy)
        await database.release(copy)
    last = await database.get(Thing, thing.oid)
    await feeding
    assert str(last.body) == "x" * 60
    await source.close()


@pytest.mark.asyncio
async def test_a_failing_disk_is_told_and_tried_again(
    database: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RETRY <= 1
    monkeypatch.setattr("liblim.aio.RETRY", 0.02)
    failed, saved = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (failed if database.problem else saved).set()

    database.on_saved = note
    thing = database.create(Thing)

    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(database.core.store, "append", full)
        thing.body.insert(0, "kept")
        await asyncio.wait_for(failed.wait(), 5)
        assert database.problem == "The disk is full."
        assert not database.core.is_saved(thing)
        thing.body.insert(4, " all")
        with pytest.raises(StoreError):
            await database.commit()
    await asyncio.wait_for(saved.wait(), 5)
    await database.commit()
    assert database.problem == ""
    assert await copy_text(database, thing.oid) == "kept all"


@pytest.mark.asyncio
async def test_close_commits_and_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = await AsyncDatabase.open(path, [Thing])
    thing = database.create(Thing)
    thing.body.insert(0, "last words")
    with pytest.raises(StoreBusy):
        await AsyncDatabase.open(path, [Thing])
    await database.close()
    await database.close()
    again = await AsyncDatabase.open(path, [Thing])
    assert [entry.summary["body"] for entry in await again.entries()] == ["last words"]
    await again.close()


@pytest.mark.asyncio
async def test_facts_and_peers_are_kept(tmp_path: Path) -> None:
    from liblim.peers import PeerRecord

    database = await AsyncDatabase.open(tmp_path / "a.db", [Thing])
    desk = PeerRecord("d" * 32, name="Desk", address="127.0.0.1:4242")
    await database.set_fact("name", "Lap")
    await database.save_peer(desk)
    await database.close()
    again = await AsyncDatabase.open(tmp_path / "a.db", [Thing])
    assert await again.fact("name") == "Lap"
    assert await again.fact("nothing") is None
    assert await again.load_peers() == [desk]
    await again.forget_peer(desk.device)
    assert await again.load_peers() == []
    await again.close()


@pytest.mark.asyncio
async def test_a_caller_that_is_cancelled_leaves_heads_and_disk_alike(
    database: AsyncDatabase,
) -> None:
    source = await AsyncDatabase.open(":memory:", [Thing])
    source.create(Thing).body.insert(0, "x")
    await source.commit()
    receiving = asyncio.create_task(database.receive(await everything(source)))
    await asyncio.sleep(0)  # it has begun
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert database.digest == source.digest
    assert len(await everything(database)) == 1
    await source.close()
