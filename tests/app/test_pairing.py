"""Pairing through the service: who joins, what becomes of notes, and every way in which it does not work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.folder import Folder
from app.kept import kept_libraries
from app.pairing import Joining, Phase
from app.service import Service
from liblim.errors import LimError
from tests.app.services import in_step, meet, pair, reached, started, texts, until, write

pytestmark = pytest.mark.usefixtures("none_left")


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Service]:
    service = await started(tmp_path / "desk")
    yield service
    await service.stop()


@pytest_asyncio.fixture
async def lap(tmp_path: Path) -> AsyncIterator[Service]:
    service = await started(tmp_path / "lap")
    yield service
    await service.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("shows", ["desk", "lap"])
async def test_the_empty_device_joins_whoever_dials(
    desk: Service, lap: Service, shows: str
) -> None:
    await write(desk, "A note")
    pairs = (desk, lap) if shows == "desk" else (lap, desk)
    await meet(*pairs)
    view = lap.pairing.view
    assert (view.we_join, view.asks) == (True, False)
    assert not desk.pairing.view.we_join
    assert view.peer_words == desk.status().words
    assert view.own_words == lap.status().words
    assert view.peer_name == desk.name
    for service in pairs:
        service.pairing.accept()
    await until(lap, lambda: texts(lap) == ["A note"])
    assert kept_libraries(Folder(lap.data_dir)) == []


@pytest.mark.asyncio
async def test_the_first_sync_is_counted(desk: Service, lap: Service) -> None:
    for number in range(5):
        await write(desk, f"Note {number}")
    await pair(desk, lap)
    seen: list[tuple[int, int]] = []

    def arrived() -> bool:
        view = lap.pairing.view
        seen.append((view.done, view.total))
        return view.total > 5 and view.done == view.total and len(lap.notes.rows) == 5

    await until(lap, arrived)
    assert all(0 <= done <= total for done, total in seen)


@pytest.mark.asyncio
async def test_addresses_are_shown_with_the_code(desk: Service) -> None:
    desk.pairing.show()
    view = await reached(desk, Phase.SHOWING)
    assert [own.address for own in view.addresses] == [desk.status().listening]
    assert len(view.code.replace(" ", "")) == 8
    desk.pairing.cancel()
    assert desk.pairing.view.phase is Phase.IDLE


@pytest.mark.asyncio
async def test_notes_of_ones_own_are_added(desk: Service, lap: Service) -> None:
    await write(desk, "Of desk")
    oid = await write(lap, "Mine")
    library = lap.status().library
    await meet(desk, lap)
    joiner, giver = (lap, desk) if lap.pairing.view.we_join else (desk, lap)
    assert joiner.pairing.view.asks
    assert joiner.pairing.view.notes == 1
    for service in (desk, lap):
        service.pairing.accept(Joining.ADD_MINE)
    await until(giver, lambda: texts(giver) == ["Mine", "Of desk"])
    await until(joiner, lambda: texts(joiner) == ["Mine", "Of desk"])
    if joiner is lap:
        (row,) = (row for row in desk.notes.rows.values() if row.title == "Mine")
        assert row.origin == (library, oid)
    (kept,) = joiner.kept_libraries()
    assert kept.path.parent.parent == joiner.data_dir


@pytest.mark.asyncio
async def test_notes_of_ones_own_may_be_kept_apart(desk: Service, lap: Service) -> None:
    await write(desk, "Of desk")
    await write(lap, "Mine")
    await pair(desk, lap, Joining.KEEP_APART)
    await in_step(desk, lap)
    joiner = lap if lap.kept_libraries() else desk
    assert texts(joiner) == (["Of desk"] if joiner is lap else ["Mine"])
    (kept,) = joiner.kept_libraries()
    other = Service(kept.path, offline=True)
    await other.start()
    assert texts(other) == (["Mine"] if joiner is lap else ["Of desk"])
    await other.stop()


@pytest.mark.asyncio
async def test_the_window_closes_its_note_before_another_library_comes(
    desk: Service, lap: Service
) -> None:
    await write(desk, "Of desk")
    note = await lap.notes.create()
    note.body.insert(0, "typed a moment ago")
    told: list[str] = []

    async def before() -> None:
        told.append("before")
        await lap.notes.close(note)

    async def after() -> None:
        told.append("after")

    lap.before_library_change, lap.after_library_change = before, after
    other = Service(lap.data_dir.parent / "office", listen="off", discovery=False)
    await other.start()
    await other.online()
    await pair(desk, other)  # so it is lap that joins
    await pair(desk, lap)
    await in_step(desk, lap)
    assert told == ["before", "after"]
    assert texts(lap) == ["Of desk", "typed a moment ago"]
    await other.stop()


@pytest.mark.asyncio
async def test_three_devices_know_each_other(desk: Service, lap: Service, tmp_path: Path) -> None:
    await write(desk, "A note")
    await pair(desk, lap)
    await in_step(desk, lap)
    office = await started(tmp_path / "office")
    await pair(lap, office)
    for service in (desk, lap, office):
        await until(
            service,
            lambda: [one.connected for one in service.status().devices] == [True, True],  # noqa: B023
        )
    await write(office, "From office")
    await until(desk, lambda: "From office" in texts(desk))
    await office.stop()


@pytest.mark.asyncio
async def test_devices_that_are_paired_are_told_so(desk: Service, lap: Service) -> None:
    await pair(desk, lap)
    desk.pairing.show()
    view = await reached(desk, Phase.SHOWING)
    lap.pairing.dial(desk.status().listening, view.code)
    view = await reached(lap, Phase.FAILED)
    assert "already" in view.error


@pytest.mark.asyncio
async def test_who_refuses_pairs_nothing(desk: Service, lap: Service) -> None:
    await write(lap, "Mine")
    library = lap.status().library
    await meet(desk, lap)
    lap.pairing.accept()
    desk.pairing.refuse()
    view = await reached(lap, Phase.FAILED)
    assert view.error.endswith(".")
    assert lap.status().library == library
    assert texts(lap) == ["Mine"]
    assert desk.status().devices == lap.status().devices == ()


@pytest.mark.asyncio
async def test_a_wrong_code_pairs_nothing(desk: Service, lap: Service) -> None:
    desk.pairing.show()
    view = await reached(desk, Phase.SHOWING)
    wrong = "".join(str((int(digit) + 1) % 10) for digit in view.code.replace(" ", ""))
    lap.pairing.dial(desk.status().listening, wrong)
    view = await reached(lap, Phase.FAILED)
    assert view.error
    assert desk.pairing.view.tries == 2
    assert desk.pairing.view.phase is Phase.SHOWING


@pytest.mark.asyncio
async def test_a_device_that_shows_no_code_is_not_paired_with(desk: Service, lap: Service) -> None:
    lap.pairing.dial(desk.status().listening, "12345678")
    view = await reached(lap, Phase.FAILED)
    assert view.error


@pytest.mark.parametrize(
    ("address", "code", "says"),
    [
        ("", "12345678", "Enter the address"),
        ("127.0.0.1:port", "12345678", "no port"),
        ("127.0.0.1", "1234567", "has 8 digits"),
        ("127.0.0.1", "1234567x", "has 8 digits"),
        ("127.0.0.1", "١٢٣٤٥٦٧٨", "has 8 digits"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_an_address_or_a_code_is_said_at_once(
    desk: Service, address: str, code: str, says: str
) -> None:
    with pytest.raises(LimError, match=says):
        desk.pairing.dial(address, code)
    assert desk.pairing.view.phase is Phase.IDLE


@pytest.mark.parametrize(
    ("address", "says"), [("127.0.0.1:1", "127.0.0.1:1"), ("no-such-host.invalid", "no-such-host")]
)
@pytest.mark.asyncio
async def test_nobody_there_is_said(desk: Service, address: str, says: str) -> None:
    desk.pairing.dial(address, "1234 5678")
    view = await reached(desk, Phase.FAILED)
    assert says in view.error


@pytest.mark.asyncio
async def test_pairing_before_going_online_says_why_not(tmp_path: Path) -> None:
    service = Service(tmp_path / "one", listen="off", discovery=False)
    await service.start()
    service.pairing.show()
    view = service.pairing.view
    assert view.phase is Phase.FAILED
    assert "not on the network yet" in view.error
    service.pairing.cancel()
    view = service.pairing.view
    assert view.phase is Phase.IDLE
    await service.stop()


@pytest.mark.asyncio
async def test_two_libraries_with_other_devices_are_not_joined(
    desk: Service, lap: Service, tmp_path: Path
) -> None:
    """Each belongs to a library with others: neither would come along."""
    await pair(desk, lap)
    one, two = await started(tmp_path / "one"), await started(tmp_path / "two")
    await pair(one, two)
    desk.pairing.show()
    view = await reached(desk, Phase.SHOWING)
    one.pairing.dial(desk.status().listening, view.code)
    view = await reached(one, Phase.FAILED)
    assert view.error
    for service in (one, two):
        await service.stop()


@pytest.mark.asyncio
async def test_a_device_that_listens_nowhere_shows_no_code(tmp_path: Path) -> None:
    service = Service(tmp_path / "one", listen="off", discovery=False)
    await service.start()
    await service.online()
    service.pairing.show()
    assert service.pairing.view.phase is Phase.FAILED
    assert "listens nowhere" in service.pairing.view.error
    await service.stop()
