"""Devices that meet: pairing, syncing, parting, and coming back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from liblim.aio import LONG_PAUSE, SHORT_PAUSE, AsyncDatabase, Pause
from liblim.errors import LimError, StoreError
from liblim.net import Address, Node, Timing
from liblim.net.listener import listen
from liblim.peers import PeerRecord
from tests.liblim.net.devices import QUICK, both_loops, device, failure
from tests.liblim.things import Thing


@both_loops
async def test_a_new_device_takes_on_the_library_and_gets_everything() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        note = await desk.write("hello")
        paired = await lap.node.pair(*desk.address)
        assert (paired.peer.name, paired.already) == ("Desk", False)
        assert lap.database.library == desk.database.library
        await lap.identical(desk)
        await desk.identical(lap)
        assert await lap.read(note.oid) == "hello"
        status = lap.peer(desk)
        assert status is not None
        assert (status.connected, status.incoming, status.agent) == (True, False, "test/1")
        assert status.address == str(desk.address)
        assert status.round_trip is not None
        assert status.bytes_in > 0
        assert status.changes_in == 1
        other = desk.peer(lap)
        assert other is not None
        assert other.incoming
        assert other.address == str(lap.address)
        await lap.logged("Paired with Desk.")
        await desk.logged("Paired with Lap.")


@both_loops
async def test_what_is_typed_appears_on_the_other_side_and_back() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await lap.pair(desk)
        note = await desk.write("hello")
        await lap.identical(desk)
        copy = await lap.database.get(Thing, note.oid)
        copy.body.insert(5, " there")
        note.body.insert(0, "Oh, ")
        await desk.until(lambda: str(note.body) == "Oh, hello there")
        await lap.until(lambda: str(copy.body) == "Oh, hello there")
        await desk.identical(lap)


@both_loops
async def test_three_in_a_chain_converge() -> None:
    async with device("A") as a, device("B") as b, device("C") as c:
        await b.pair(a)
        await c.pair(b)
        note = await a.write("from A")
        other = await c.write("from C")
        await c.until(lambda: c.database.count == 2)
        await a.until(lambda: a.database.count == 2)
        await b.identical(a, c)
        assert await c.read(note.oid) == "from A"
        assert await a.read(other.oid) == "from C"
        assert a.peer(c) is None


@both_loops
async def test_a_backlog_of_many_changes_and_a_large_one_arrive() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        for i in range(600):
            await desk.write(f"note {i}")
        large = await desk.write("0123456789" * 100_000)
        await lap.pair(desk)
        await lap.identical(desk)
        assert await lap.read(large.oid) == "0123456789" * 100_000


@both_loops
async def test_they_find_each_other_again_and_merge_what_was_written_apart() -> None:
    first = await AsyncDatabase.open(":memory:", [Thing])
    async with device("Desk") as desk:
        async with device("Lap", database=first) as lap:
            await lap.pair(desk)
            note = await desk.write("x")
            await desk.identical(lap)
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
            again = desk.peer(lap)
            assert again is not None
            assert again.error == ""
            assert again.address == str(lap.address)  # its port has moved
            assert await lap.read(note.oid) == "xy"
    await first.close()


@both_loops
async def test_a_peer_that_comes_back_is_found_by_dialling() -> None:
    first = await AsyncDatabase.open(":memory:", [Thing])
    async with device("Desk") as desk:
        async with device("Lap", database=first) as lap:
            await lap.pair(desk)
            await desk.identical(lap)
            port = lap.address.port
        (record,) = await first.load_peers()
        assert record.address == str(desk.address)
        assert record.bytes_out > 0
        await first.save_peer(PeerRecord(record.device, record.name, dial=False))
        offline = Node(first, name="Lap")
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
async def test_one_link_stays_when_both_dial() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await lap.pair(desk)
        await desk.until(lambda: desk.peer(lap))
        for _ in range(5):
            pairings = [lap.node.pair(*desk.address), desk.node.pair(*lap.address)]
            found = await asyncio.gather(*pairings)
            assert all(paired.already for paired in found)
        await desk.write("x")
        await lap.identical(desk)
        await desk.identical(lap)
        one, other = desk.peer(lap), lap.peer(desk)
        assert one is not None
        assert other is not None
        assert one.incoming != other.incoming
        assert not one.error
        assert not other.error


@both_loops
async def test_the_pause_is_short_while_another_device_is_connected() -> None:
    pauses: list[Pause] = []
    async with device("Desk") as desk, device("Lap") as lap:
        desk.database.set_pause = pauses.append  # type: ignore[assignment, method-assign]
        await lap.pair(desk)
        await desk.until(lambda: pauses == [SHORT_PAUSE])
        await lap.node.stop()
        await desk.until(lambda: pauses[-1] == LONG_PAUSE)


@both_loops
async def test_unpairing_closes_and_forgets_and_the_other_side_is_told() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await lap.pair(desk)
        await desk.until(lambda: desk.peer(lap))
        await desk.node.unpair(lap.database.device)
        assert desk.node.status() == []
        assert await desk.database.load_peers() == []
        await lap.until(lambda: (s := lap.peer(desk)) and s.refused)
        status = lap.peer(desk)
        assert status is not None
        assert status.error == "The two devices are not paired. Pair them by address."
        assert (await lap.node.pair(*desk.address)).already
        await desk.identical(lap)


@both_loops
async def test_what_keeps_devices_from_pairing_is_said_on_both_sides() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.write("mine")
        await lap.write("mine, too")
        library = lap.database.library
        said = await failure(lap.pair(desk))
        assert said.startswith("Each of the two devices holds notes of its own")
        await desk.logged("Each of the two devices holds notes of its own")
        assert lap.database.library == library
        assert lap.node.status() == desk.node.status() == []
        said = await failure(lap.pair(lap))
        assert said.startswith("This address leads back to the same device.")


@both_loops
async def test_pairing_with_nobody() -> None:
    async with device("Desk") as desk:
        server, address = await listen(lambda _, writer: writer.transport.abort(), port=0)
        said = await failure(desk.node.pair(*address))
        assert said.startswith("The other end closed the connection without a word.")
        server.close()
        said = await failure(desk.node.pair(*address))
        assert said == (
            f"Nothing listens at {address}. Start the program there, and check the port."
        )
        said = await failure(desk.node.pair("192.0.2.1", 4242))
        assert "is not this computer" in said
        assert desk.node.status() == []


@both_loops
async def test_pairing_with_somebody_who_says_nothing() -> None:
    async with device("Desk", timing=QUICK._replace(greeting=0.1)) as desk:
        writers: list[asyncio.StreamWriter] = []
        server, address = await listen(lambda _, writer: writers.append(writer), port=0)
        said = await failure(desk.node.pair(*address))
        assert said.startswith("Nobody said hello within 0.1 seconds.")
        server.close()
        for writer in writers:
            writer.transport.abort()


@both_loops
async def test_another_device_at_a_known_address() -> None:
    async with device("Desk") as desk, device("Lap") as lap, device("New") as new:
        await new.pair(desk)
        await lap.pair(desk)
        await desk.until(lambda: desk.peer(lap) and desk.peer(new))
        peer = desk.node._peers[lap.database.device]
        await lap.node.stop()
        await desk.until(lambda: not peer.linked)
        peer.record = PeerRecord(peer.record.device, "Lap", str(new.address))
        desk.node.sync_now()
        await desk.logged(f"Lap: Another device answers at {new.address}.")
        status = desk.peer(new)
        assert status is not None
        assert status.connected


@both_loops
async def test_a_store_that_fails_ends_the_link_and_it_is_tried_again() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await lap.pair(desk)
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


@both_loops
async def test_joining_a_library_parts_from_those_in_the_old_one() -> None:
    async with device("Desk") as desk, device("Lap") as lap, device("Tab") as tab:
        await tab.pair(lap)
        await lap.until(lambda: lap.peer(tab))
        await desk.write("x")
        await lap.pair(desk)
        await lap.identical(desk)
        await tab.until(lambda: (s := tab.peer(lap)) and s.refused)
        status = tab.peer(lap)
        assert status is not None
        assert "in different libraries" in status.error


@both_loops
async def test_something_written_while_joining_keeps_the_library() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.write("x")
        library, adopt = lap.database.library, lap.database.adopt

        async def write_first(found: str) -> None:
            await lap.write("y")
            await adopt(found)

        lap.database.adopt = write_first  # type: ignore[assignment, method-assign]
        said = await failure(lap.pair(desk))
        assert said.startswith("Each of the two devices holds notes of its own")
        assert lap.database.library == library
        assert lap.node.status() == desk.node.status() == []


@both_loops
async def test_a_store_that_fails_to_join_or_to_remember() -> None:
    async with device("Desk") as desk, device("Lap") as lap:
        await desk.write("x")

        async def fail(_: Any) -> None:
            raise StoreError("The disk is full.")

        adopt, lap.database.adopt = lap.database.adopt, fail  # type: ignore[assignment, method-assign]
        assert (await failure(lap.pair(desk))).startswith("The disk is full.")
        lap.database.adopt = adopt  # type: ignore[method-assign]
        lap.database.save_peer = fail  # type: ignore[assignment, method-assign]
        await lap.pair(desk)
        assert (await lap.logged("The disk is full.")).level == "error"
        await lap.identical(desk)
        await lap.node.unpair("f" * 32)


def test_a_mistake_of_this_program_ends_one_link(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with device("Desk") as desk, device("Lap") as lap:
            await lap.pair(desk)
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


@both_loops
async def test_a_taken_port_is_passed_over() -> None:
    async with device("Desk") as desk:
        database = await AsyncDatabase.open(":memory:", [Thing])
        node = Node(database, name="Lap")
        found = await node.start(port=desk.address.port)
        assert desk.address.port < found.port <= desk.address.port + 100
        await node.stop()
        with pytest.raises(LimError, match="on this computer only"):
            await node.start("0.0.0.0")
        await database.close()


@both_loops
async def test_stopping_twice_and_without_having_started() -> None:
    database = await AsyncDatabase.open(":memory:", [Thing])
    node = Node(database, name="Lap", timing=Timing())
    await node.stop()
    assert isinstance(await node.start(port=0), Address)
    await node.stop()
    await node.stop()
    await database.close()
