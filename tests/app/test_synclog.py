"""The sync log: bounded, searched, and there again after a restart, whatever the disk does meanwhile."""

from __future__ import annotations

import asyncio
import random
import stat
import sys
from pathlib import Path

import pytest

from app import synclog
from app.status import Event
from app.synclog import FILE, LENGTH, LONGEST, OLDER, SyncLog, matches


def event(number: int, text: str = "", level: str = "info") -> Event:
    return Event(1000.0 + number, level, "", text or f"event {number}")


def texts(log: SyncLog) -> list[str]:
    return [event.text for event in log.events]


async def read(folder: Path) -> SyncLog:
    log = SyncLog(folder)
    await log.load()
    return log


@pytest.mark.parametrize(
    ("level", "text", "found"),
    [
        ("", "", True),
        ("info", "", True),
        ("warning", "", True),
        ("error", "", False),
        ("", "DESK answer", True),
        ("", "desk lap", False),
        ("", "warning", True),
        ("unheard of", "", True),
    ],
)
def test_what_matches(level: str, text: str, found: bool) -> None:
    assert matches(event(1, "Desk: does not answer.", "warning"), level, text) is found


def test_an_event_of_an_unknown_level_is_never_left_out_by_level() -> None:
    assert matches(event(1, "x", "critical"), "error")


@pytest.mark.asyncio
async def test_it_survives_a_restart(tmp_path: Path) -> None:
    log = SyncLog(tmp_path)
    log.add(event(1, "ünï\ncode \x1b[31m 😀", "error"))
    log.add(event(2))
    await log.close()
    again = await read(tmp_path)
    assert list(again.events) == list(log.events)
    again.add(event(3))
    await again.close()
    assert texts(await read(tmp_path))[1:] == ["event 2", "event 3"]
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_it_is_written_behind_without_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synclog, "GATHER", 0.001)
    log = SyncLog(tmp_path)
    log.add(event(1))
    async with asyncio.timeout(10):
        while texts(await read(tmp_path)) != ["event 1"]:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.002)
    log.add(event(2))
    await log.close()
    assert texts(await read(tmp_path)) == ["event 1", "event 2"]


@pytest.mark.asyncio
async def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synclog, "MOST", 4000)
    log = SyncLog(tmp_path)
    for number in range(LENGTH + 300):
        log.add(event(number))
        if number % 50 == 0:
            await log.close()
    log.add(event(0, "x" * 3 * LONGEST))
    await log.close()
    assert len(log.events) == LENGTH
    assert len(log.events[-1].text) == LONGEST
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FILE, OLDER])
    # No more than was there when the last batch began, and that batch.
    assert (tmp_path / FILE).stat().st_size < 4000 + 60 * 100 + 2 * LONGEST
    again = await read(tmp_path)
    assert texts(again)[-2:] == texts(log)[-2:]
    assert len(again.events) >= 50, "the older file is read, too"


@pytest.mark.asyncio
async def test_it_is_read_whatever_stands_in_the_file(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    log = SyncLog(tmp_path)
    for number in range(30):
        log.add(event(number))
    await log.close()
    whole = (tmp_path / FILE).read_bytes()
    for _ in range(50):
        torn = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(3)):
            torn[chance.randrange(len(torn) + 1) :] += chance.randbytes(5)
        (tmp_path / FILE).write_bytes(torn)
        after = await read(tmp_path)
        after.add(event(99, "after"))
        await after.close()
        assert texts(await read(tmp_path))[-1] == "after", "what comes behind a torn line is whole"


@pytest.mark.asyncio
async def test_octets_that_are_no_utf_8_in_a_line_lose_that_line_alone(tmp_path: Path) -> None:
    log = SyncLog(tmp_path)
    for number in range(3):
        log.add(event(number, "sailing"))
    await log.close()
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole.replace(b"sailing", b"sail\xed\xa0g", 1))
    assert texts(await read(tmp_path)) == ["sailing", "sailing"]


@pytest.mark.asyncio
async def test_while_the_disk_fails_it_goes_on_in_memory_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synclog, "GATHER", 0.001)
    monkeypatch.setattr(synclog, "RETRY", 0.001)
    folder = tmp_path / "gone"
    log = SyncLog(folder)
    await log.load()
    log.add(event(1))
    async with asyncio.timeout(10):
        while not log.problem:  # noqa: ASYNC110 - what is looked at has no event of its own
            await asyncio.sleep(0.002)
    log.add(event(2))
    assert texts(log) == ["event 1", "event 2"]
    folder.mkdir()
    async with asyncio.timeout(10):
        while log.problem:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    await log.close()
    assert texts(await read(folder)) == ["event 1", "event 2"]


@pytest.mark.asyncio
async def test_closing_ends_although_the_disk_fails(tmp_path: Path) -> None:
    log = SyncLog(tmp_path / "gone")
    log.add(event(1))
    async with asyncio.timeout(3):
        await log.close()
    assert log.problem


@pytest.mark.asyncio
async def test_a_second_load_doubles_nothing(tmp_path: Path) -> None:
    log = SyncLog(tmp_path)
    log.add(event(1))
    await log.close()
    await log.load()
    assert texts(log) == ["event 1"]
