"""Devices of one library that meet: syncing, parting, coming back, and being removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from liblim.aio import LONG_PAUSE, SHORT_PAUSE, Pause
from liblim.errors import IdentityLocked, LimError, StoreError
from liblim.net import Address, LogLine, Node, Timing
from liblim.net.discovery import Found
from liblim.net.node import TURNED_AWAY
from liblim.net.timing import BackOff
from liblim.peers import PeerRecord
from liblim.trust import Identity, words_of
from tests.liblim.net.devices import QUICK, Device, both_loops, device, new_database
from tests.liblim.things import Thing


@both_loops
async def test_a_new_member_gets_everything() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        note = await desk.write("hello")
        await desk.invite(lap)
        await lap.identical(desk)
        await desk.identical(lap)
        assert await lap.read(note.oid) == "hello"
        status = lap.peer(desk)
        assert status is not None
        assert (status.name, status.connected, status.agent) == ("Desk", True, "test/1")
        assert status.words == words_of(desk.identity.certificate)
        assert status.address == str(desk.address)
        assert status.round_trip is not None
        assert status.bytes_in > 0
        assert status.changes_in > 0
        other = desk.peer(lap)
        assert other is not None
        assert other.incoming != status.incoming
        assert other.address == str(lap.address)
        await lap.logged("Connected with Desk")
        await desk.logged("Connected with Lap")


@both_loops
async def test_what_is_typed_appears_on_the_other_side_and_back() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.invite(lap)
        note = await desk.write("hello")
        await lap.identical(desk)
        copy = await lap.database.get(Thing, note.oid)
        copy.body.insert(5, " there")
        note.body.insert(0, "Oh, ")
        await desk.until(lambda: str(note.body) == "Oh, hello there")
        await lap.until(lambda: str(copy.body) == "Oh, hello there")
        await desk.identical(lap)


@both_loops
async def test_who_is_introduced_by_one_syncs_with_all() -> None:
    """A knows B, and B knows C: A and C learn from the library where the other can be dialled."""
    async with device("A") as a, device("B") as b, device("C") as c:
        await a.invite(b)
        await b.identical(a)
        await b.invite(c)
        await c.until(lambda: c.connected(a))
        await b.node.stop()
        note = await a.write("from A")
        other = await c.write("from C")
        await c.identical(a)
        await a.identical(c)
        assert await c.read(note.oid) == "from A"
        assert await a.read(other.oid) == "from C"
        status = a.peer(c)
        assert status is not None
        assert status.name == "C"


@both_loops
async def test_a_backlog_of_many_changes_and_a_large_one_arrive() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        for i in range(300):
            await desk.write(f"note {i}")
        large = await desk.write("0123456789" * 100_000)
        await desk.invite(lap)
        await lap.identical(desk)
        assert await lap.read(large.oid) == "0123456789" * 100_000


@both_loops
async def test_they_find_each_other_again_and_merge_what_was_written_apart() -> None:
    first = await new_database()
    async with device("Desk") as desk:
        async with device("Lap", database=first) as lap:
            await desk.invite(lap)
            note = await desk.write("x")
            await desk.identical(lap)
            await lap.identical(desk)
        await desk.logged("Lap left. The program ends.")
        await desk.logged("Nothing listens at")
        status = next(iter(desk.node.status()))
        assert not status.connected
        assert status.identical is None
        assert "Start the program there" in status.error
        assert status.error_since is not None
        assert status.last_seen is not None
        assert not status.refused
        note.body.insert(1, "y")
        await desk.database.commit()
        async with device("Lap", database=first) as lap:
            await lap.write("z")
            await lap.identical(desk)
            await desk.identical(lap)
            await desk.until(lambda: _at(desk, lap))  # its port has moved
            await desk.until(lambda: _well(desk, lap))
            assert await lap.read(note.oid) == "xy"
    await first.close()


def _well(one: Device, other: Device) -> bool:
    status = one.peer(other)
    return status is not None and status.connected and status.error == ""


def _at(one: Device, other: Device) -> bool:
    status = one.peer(other)
    return status is not None and status.address == str(other.address)


@both_loops
async def test_a_peer_that_comes_back_is_found_by_dialling() -> None:
    first = await new_database()
    async with device("Desk") as desk:
        async with device("Lap", database=first) as lap:
            await desk.invite(lap)
            await desk.identical(lap)
            await lap.identical(desk)
            port = lap.address.port
        (record,) = await first.load_peers()
        assert record.address == str(desk.address)
        assert record.bytes_out > 0
        await first.save_peer(PeerRecord(record.device, record.name, dial=False))
        offline = Node(first)
        await offline.load()
        assert [status.name for status in offline.status()] == ["Desk"]
        async with device("Lap", database=first, port=port) as lap:
            desk.node.sync_now()
            await lap.identical(desk)
            status = lap.peer(desk)
            assert status is not None
            assert status.incoming
    await first.close()


@both_loops
async def test_one_direction_is_enough() -> None:
    """One that listens nowhere dials, and the other one says that it connects to us."""
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        await desk.invite(lap)
        await desk.identical(lap)
        await lap.identical(desk)
        status, other = desk.peer(lap), lap.peer(desk)
        assert status is not None
        assert other is not None
        assert (status.incoming, other.incoming) == (True, False)
        assert not status.error
        await desk.write("x")
        await lap.identical(desk)


@both_loops
async def test_one_link_stays_when_both_dial() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.invite(lap)
        await desk.until(lambda: desk.connected(lap))
        for _ in range(5):
            for one, other in ((desk, lap), (lap, desk)):
                peer = one.node._roster.peers[other.id]
                asyncio.ensure_future(one.node._connect(peer))  # noqa: RUF006
        await desk.write("x")
        await lap.identical(desk)
        await desk.identical(lap)
        one_side, other_side = desk.peer(lap), lap.peer(desk)
        assert one_side is not None
        assert other_side is not None
        assert one_side.incoming != other_side.incoming
        assert not one_side.error
        assert not other_side.error


@both_loops
async def test_the_pause_is_short_while_another_device_is_connected() -> None:
    pauses: list[Pause] = []
    async with device("Desk") as desk, device("Lap") as lap:
        desk.database.set_pause = pauses.append  # type: ignore[assignment, method-assign]
        await desk.invite(lap)
        await desk.until(lambda: SHORT_PAUSE in pauses)
        await lap.node.stop()
        await desk.until(lambda: pauses[-1] == LONG_PAUSE)


# Addresses


@both_loops
async def test_all_learn_where_a_device_listens_now() -> None:
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        await desk.invite(lap)
        await lap.identical(desk)
        await lap.until(lambda: lap.database.ledger.members[desk.id].addresses)
        assert lap.database.ledger.members[desk.id].addresses == (str(desk.address),)
        assert desk.database.ledger.members[lap.id].addresses == ()


@both_loops
async def test_a_device_is_found_where_it_is_seen_on_the_local_network() -> None:
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        discovery = FakeDiscovery()
        await lap.node.set_discovery(discovery)  # type: ignore[arg-type]
        await lap.until(lambda: discovery.told == [("", 0)])
        await desk.invite(lap, met=False)
        assert not lap.connected(desk)
        discovery.found[desk.id] = Found(desk.id, "Desk", (desk.address,), False)
        discovery.found["e" * 32] = Found("e" * 32, "Other", (desk.address,), False)
        discovery.on_change()
        await lap.identical(desk)
        lap.node.pairing.show()
        await lap.until(lambda: ("Lap", True) in discovery.updates)
        await lap.node.set_discovery(None)
        assert discovery.stopped


class FakeDiscovery:
    """The local network, as a test wants it."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.told: list[tuple[str, int]] = []
        self.updates: list[tuple[str, bool]] = []
        self.stopped = False
        self.on_change: Callable[[], None] = lambda: None

    async def start(self, device: str, name: str, port: int, host: str = "") -> None:
        self.told.append((host, port))

    async def update(self, name: str, pairing: bool) -> None:
        self.updates.append((name, pairing))

    async def stop(self) -> None:
        self.stopped = True


@both_loops
async def test_another_device_at_a_known_address_and_the_right_one_at_another() -> None:
    async with device("Desk") as desk, device("Lap") as lap, device("Other") as other:
        await desk.invite(lap)
        await lap.identical(desk)
        await lap.until(lambda: lap.database.ledger.members[desk.id].addresses)
        links = list(lap.node._links)
        lap.node.remember(desk.id, other.address)
        for link in links:
            link.drop()
        await lap.until(lambda: lap.connected(desk))
        await lap.write("x")
        await lap.identical(desk)
        assert other.node.sessions == []


# Who belongs to the library


@both_loops
async def test_a_name_given_on_one_device_is_shown_on_all() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.invite(lap)
        await lap.identical(desk)
        await lap.node.membership.rename(desk.id, "Kitchen")
        await lap.until(lambda: [s.name for s in lap.node.status()] == ["Kitchen"])
        await desk.until(lambda: desk.node.name == "Kitchen")


@both_loops
async def test_one_that_is_removed_is_told_and_keeps_what_it_has() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        note = await desk.write("hello")
        await desk.invite(lap)
        await desk.until(lambda: desk.database.ledger.members[lap.id].addresses)
        await lap.until(lambda: lap.database.ledger.members[desk.id].addresses)
        await lap.identical(desk)
        count = lap.database.count
        await desk.node.membership.remove(lap.id)
        assert desk.node.status() == []
        await lap.until(lambda: (s := lap.peer(desk)) and s.removed_us)
        status = lap.peer(desk)
        assert status is not None
        assert (status.refused, status.connected) == (True, False)
        assert status.error.startswith("One of the two devices was removed from the library.")
        await desk.write("not for it")
        for _ in range(3):
            # Not dialled again by itself: else the next try had its time.
            await lap.until(lambda: (s := lap.peer(desk)) and not s.connecting)
            status = lap.peer(desk)
            assert status is not None
            assert (status.removed_us, status.next_try) == (True, None)
            tries = len(lap.node.sessions)
            lap.node.sync_now()
            await lap.until(lambda: len(lap.node.sessions) == tries + 1)  # noqa: B023
        assert lap.database.count == count
        assert await lap.read(note.oid) == "hello"
        await desk.database.commit()
        assert await desk.database.load_peers() == []


@both_loops
async def test_two_that_remove_each_other_part() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.invite(lap)
        await desk.until(lambda: desk.database.ledger.members[lap.id].addresses)
        await lap.until(lambda: lap.database.ledger.members[desk.id].addresses)
        removals = [desk.node.membership.remove(lap.id), lap.node.membership.remove(desk.id)]
        await asyncio.gather(*removals)
        assert desk.node.status() == lap.node.status() == []
        count = lap.database.count
        await desk.write("x")
        assert lap.database.count == count


@both_loops
async def test_one_that_is_not_known_any_more_is_told_what_to_do() -> None:
    """Its certificate fails the handshake, which a device that dials sees as an end without a word."""
    async with device("Desk") as desk, device("Lap", unheard=True) as lap:
        await desk.invite(lap)
        await lap.identical(desk)
        ledger = desk.database.ledger
        certificates = dict(ledger.certificates)
        del ledger.certificates[lap.id]
        tries = len(lap.node.sessions)
        for link in list(desk.node._links):
            link.drop()
        line = await lap.logged(TURNED_AWAY)
        assert len(lap.node.sessions) >= tries + 2, "once is nothing to tell"
        assert line.text == f"Desk: {TURNED_AWAY}"
        ledger.certificates.update(certificates)
        await lap.until(lambda: lap.connected(desk))


@both_loops
async def test_joining_another_library_parts_from_the_devices_of_the_old_one() -> None:
    async with device("Desk") as desk, device("Lap") as lap, device("Tab") as tab:
        await lap.invite(tab)
        await lap.until(lambda: lap.connected(tab))
        await tab.until(lambda: tab.connected(lap))
        note = await desk.write("x")
        await desk.invite(lap)
        await lap.identical(desk)
        assert await lap.read(note.oid) == "x"
        assert [status.name for status in lap.node.status()] == ["Desk"]
        await tab.logged("Lap left. This device takes on another library.")
        assert not tab.connected(lap)


# When something fails


@both_loops
async def test_a_store_that_fails_ends_the_link_and_it_is_tried_again() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.invite(lap)
        await lap.identical(desk)
        receive, failures = lap.database.receive, [1]

        async def fail(changes: Any) -> Any:
            if failures:
                failures.pop()
                raise StoreError("/secret/place: the disk is full")
            return await receive(changes)

        lap.database.receive = fail  # type: ignore[method-assign]
        await desk.write("x")
        await lap.logged("Desk: /secret/place: the disk is full")
        line = await desk.logged("cannot read or write its notes")
        assert "/secret" not in line.text
        await lap.identical(desk)


def test_a_store_that_goes_on_failing_is_tried_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both listen, so each may dial: neither does so without a rest that grows."""
    rests: list[float] = []
    real = BackOff.next

    def noted(back_off: BackOff) -> float:
        rests.append(real(back_off))
        return rests[-1]

    async def fail(_: Any) -> Any:
        raise StoreError("The disk is full.")

    async def run() -> None:
        timing = QUICK._replace(last_retry=60.0)
        async with device("Desk", timing=timing) as desk, device("Lap", timing=timing) as lap:
            await desk.invite(lap)
            await desk.until(lambda: desk.database.ledger.members[lap.id].addresses)
            await lap.identical(desk)
            lap.database.receive = fail  # type: ignore[assignment, method-assign]
            monkeypatch.setattr(BackOff, "next", noted)
            before = len(lap.node.sessions)
            await desk.write("x")
            await lap.until(lambda: len(lap.node.sessions) >= before + 8)
            assert len(rests) >= 8
            assert max(rests) > 4 * QUICK.first_retry

    asyncio.run(run())


@both_loops
async def test_a_store_that_fails_to_remember() -> None:
    async with device("Desk") as desk, device("Lap") as lap:

        async def fail(*_: Any) -> None:
            raise StoreError("The disk is full.")

        lap.database.save_peer = fail  # type: ignore[assignment, method-assign]
        await desk.invite(lap)
        assert (await lap.logged("The disk is full.")).level == "error"
        await lap.identical(desk)


@both_loops
async def test_upkeep_that_fails_is_said_once_and_tried_again() -> None:
    timing = QUICK._replace(upkeep=0.01)
    async with device("Desk", timing=timing) as desk, device("Lap", unheard=True) as lap:
        announce, failures = desk.node.membership.announce, [1, 2, 3]

        async def fail(addresses: Any) -> None:
            if failures:
                failures.pop()
                raise StoreError("The disk is full.")
            await announce(addresses)

        desk.node.membership.announce = fail  # type: ignore[method-assign]
        await desk.invite(lap)
        await desk.until(lambda: desk.database.ledger.members[desk.id].addresses)
        assert sum(line.text == "The disk is full." for line in desk.lines) == 1


def test_a_mistake_of_this_program_ends_one_link(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with device("Desk") as desk, device("Lap") as lap:
            await desk.invite(lap)
            await lap.identical(desk)
            receive, mistakes = lap.database.receive, [RuntimeError("a mistake")]

            async def fail(changes: Any) -> Any:
                if mistakes:
                    raise mistakes.pop()
                return await receive(changes)

            lap.database.receive = fail  # type: ignore[method-assign]
            await desk.write("x")
            await lap.logged("This program made a mistake: RuntimeError('a mistake')")
            await lap.identical(desk)

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == ["a link failed"]
    caplog.clear()


def test_a_mistake_after_a_commit_ends_one_link(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with device("Desk") as desk, device("Lap") as lap:
            await desk.invite(lap)
            await lap.identical(desk)
            receive, changed = lap.database.receive, lap.node.changed
            mistakes: list[RuntimeError] = []

            async def take(changes: Any) -> Any:
                taken = await receive(changes)
                lap.database.receive = receive  # type: ignore[method-assign]
                mistakes.append(RuntimeError("a mistake"))
                return taken

            def fail() -> None:
                if mistakes:
                    raise mistakes.pop()
                changed()

            lap.database.receive = take  # type: ignore[method-assign]
            lap.node.changed = fail  # type: ignore[method-assign]
            await desk.write("x")
            await lap.logged("This program made a mistake: RuntimeError('a mistake')")
            await lap.identical(desk)

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == ["a link failed"]
    caplog.clear()


# Starting and stopping


def test_a_mistake_while_connecting_is_told_and_it_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with device("Desk") as desk, device("Lap") as lap:
            mistakes = [1]
            opened = lap.node._open

            def fail(*arguments: Any) -> Any:
                if mistakes:
                    mistakes.pop()
                    raise RuntimeError("a mistake")
                return opened(*arguments)

            monkeypatch.setattr(lap.node, "_open", fail)
            await desk.invite(lap)
            await lap.until(lambda: not mistakes)
            await lap.identical(desk)

    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == ["connecting failed"]
    caplog.clear()


@both_loops
async def test_a_taken_port_is_passed_over() -> None:
    async with device("Desk") as desk:
        database = await new_database()
        node = Node(database)
        found = await node.start("127.0.0.1", desk.address.port)
        assert desk.address.port < found.port <= desk.address.port + 100
        await node.stop()
        with pytest.raises(LimError, match="Cannot listen on 192.0.2.1"):
            await node.start("192.0.2.1")
        await database.close()


@both_loops
async def test_all_addresses_of_this_computer() -> None:
    lines: list[LogLine] = []
    database = await new_database()
    node = Node(database)
    node.on_event = lines.append
    host, port = await node.start(port=0)
    assert (host, node.listening) == ("", Address("", port))
    assert lines[0].text == f"Listening at port {port}."
    await node.stop()
    await database.close()


@both_loops
async def test_with_a_locked_key_it_does_not_start() -> None:
    database = await new_database(Identity(Identity.generate().certificate))
    node = Node(database)
    with pytest.raises(IdentityLocked):
        await node.start("127.0.0.1", 0)
    assert node.listening is None
    await node.stop()
    await database.close()


@both_loops
async def test_stopping_twice_and_without_having_started() -> None:
    database = await new_database()
    node = Node(database, timing=Timing())
    await node.stop()
    assert isinstance(await node.start("127.0.0.1", 0), Address)
    await node.stop()
    await node.stop()
    await database.close()
