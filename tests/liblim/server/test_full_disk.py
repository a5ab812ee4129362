"""A server's disk that is full, or fails: it is said, nothing is lost, and all goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from liblim.change import Head
from liblim.errors import StoreError, StoreFull
from liblim.net.address import Address
from liblim.server.inviting import invite
from liblim.server.sqlite import SqliteStorage
from liblim.server.stores import Standing
from liblim.server.trouble import FULL, in_words, refused
from liblim.sync.messages import Ihaz, Kthx, Ucanhaz, Vouch
from liblim.trust import Identity
from liblim.trust.pairing import Phase
from tests.app.services import free_port
from tests.liblim.net.devices import Device, device, new_database
from tests.liblim.server.guests import codes, couple, household, no_mistakes
from tests.liblim.server.processes import Process, ask, code_for, limserver
from tests.liblim.server.serving import (
    in_step,
    on_folder,
    pair,
    server_peer,
    serving,
)
from tests.liblim.store.disk import Disk, Failure
from tests.liblim.store.small_disk import small_disk

SAID = "The server's disk is full, so it takes nothing new."
PASTE = "x" * 20_000
"""More than the last free pages of a disk take."""


async def told(lap: Device) -> None:
    """Write until the server has no room, and the panel says so."""
    while SAID not in server_peer(lap).error:
        await lap.write(PASTE)
        await lap.until(lambda: server_peer(lap).error or server_peer(lap).identical)


def holds_all(one: Device, other: Device) -> bool:
    """Whether a device holds everything that another does."""
    nothing = Head(0, b"")
    heads = one.database.heads
    return all(heads.get(r, nothing).seq >= head.seq for r, head in other.database.heads.items())


@on_folder
async def test_a_full_disk(folder: Path) -> None:
    with small_disk(folder) as disk:
        data = disk.folder / "server"
        metrics = Address("127.0.0.1", free_port())
        options = "--metrics", str(metrics)
        with Process(data, free_port(), *options, log=folder / "server.log") as server:
            tab_database = await new_database()
            async with device("Lap", unheard=True) as lap, device("Pad") as pad:
                for one in (lap, pad):
                    await pair(one, server.address, await asyncio.to_thread(code_for, data))
                    await one.write("before")
                    await in_step(one)
                async with device("Tab", database=tab_database) as tab:
                    await pad.invite(tab)
                    await pad.identical(tab)
                    await in_step(tab)
                missed = await pad.write("while Tab was away")
                await in_step(pad)

                await asyncio.to_thread(disk.fill)
                await told(lap)
                assert "Ask whoever runs the server" in server_peer(lap).error
                assert not server_peer(lap).refused  # it is tried again
                assert await ask(metrics, "GET /healthz") == (503, f"{FULL}\n")
                await pad.node.stop()
                async with device("Tab", database=tab_database, unheard=True) as tab:
                    # It gets what is there, though something of its own cannot go there.
                    await tab.until(lambda: holds_all(tab, pad))
                    assert await tab.read(missed.oid) == "while Tab was away"
                    refused = await asyncio.to_thread(limserver, data, "invite")
                    assert (refused.returncode, refused.stderr.strip()) == (1, FULL)
                    assert FULL in server.log.read_text()

                    await asyncio.to_thread(disk.clear)
                    await in_step(lap)
                    await tab.write("after")
                    await in_step(tab)
                    assert await ask(metrics, "GET /healthz") == (200, "ok\n")
                    await pair(lap, server.address, await asyncio.to_thread(code_for, data))
                assert "Traceback" not in server.log.read_text()
                assert await asyncio.to_thread(server.end) == 0
                checked = await asyncio.to_thread(limserver, data, "check")
                assert checked.returncode == 0, checked.stdout
            await tab_database.close()


@on_folder
async def test_who_pairs_with_a_server_without_room_is_told(folder: Path) -> None:
    with Disk().in_use() as disk, no_mistakes():
        storage = SqliteStorage(folder)
        async with serving(storage) as server, device("Lap") as lap:
            code = invite(storage.registry).code
            disk.fail(apsw.FullError)
            await pair(lap, server.address, code, Phase.FAILED)
            assert SAID in lap.node.pairing.view.error
            disk.mend()
            await pair(lap, server.address, code)
            await in_step(lap)
        storage.close()


FAILURES: list[Failure] = [apsw.FullError, apsw.IOError, apsw.ReadOnlyError]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_disk_that_fails_in_one_library(tmp_path: Path, failure: Failure) -> None:
    """Only its file does: all others go on, and so does it, with nothing lost, once it is mended."""

    async def run() -> None:
        with Disk().in_use() as disk, no_mistakes() as log:
            storage = SqliteStorage(tmp_path)
            async with serving(storage) as server, couple(server) as two:
                lib = await household(server, 2)
                author = lib.author()
                async with lib.come() as guest:
                    await guest.say(Ucanhaz(author.write("acknowledged")))
                    kept = (await _acknowledged(guest)).heads[0]
                disk.within = str(storage.registry.file_of(lib.library))
                disk.fail(failure)
                second = author.write("not to be kept yet")
                async with lib.come() as guest:
                    await guest.say(Ucanhaz(second))
                    said = await guest.hear_all()
                assert codes(said) == ["trouble"]
                full = failure is apsw.FullError
                assert (SAID if full else "cannot read or write what it keeps") in str(said[-1])
                assert "memory" not in str(said[-1])
                assert str(tmp_path) not in str(said[-1])
                assert any(lib.library in line and (FULL in line) is full for line in log)
                await two.go_on()
                async with lib.come(1) as reader:  # who only reads is let in
                    circle = server.server.shelf.circles[lib.library]
                    assert circle.served.heads == {kept.replica: Head(kept.seq, kept.hash)}
                    disk.mend()
                    async with lib.come() as guest:
                        await guest.say(Ucanhaz(second))
                        assert (await _acknowledged(guest)).heads[0].hash == second.hash
                    # It was told of it, as it lacks what came before.
                    while second.hash not in {e.hash for e in (await reader.hear_of(Ihaz)).heads}:
                        pass
            storage.close()

    asyncio.run(run())


async def _acknowledged(guest: object) -> Kthx:
    while True:
        said: Kthx = await guest.hear_of(Kthx)  # type: ignore[attr-defined]
        if said.heads:
            return said


@pytest.mark.parametrize("failure", FAILURES)
def test_a_registry_that_fails(tmp_path: Path, failure: Failure) -> None:
    """Who vouches is told; members go on; what was vouched for counts once it is written down."""

    async def run() -> None:
        with Disk().in_use() as disk, no_mistakes():
            storage = SqliteStorage(tmp_path)
            async with serving(storage) as server, couple(server) as two:
                lib, other = await household(server), Identity.generate()
                words = Vouch((other.certificate,))
                async with lib.come() as guest:
                    disk.within = str(storage.registry.path)
                    disk.fail(failure)
                    await guest.say(words)
                    assert codes(await guest.hear_all()) == ["trouble"]
                    with pytest.raises(StoreError):
                        storage.registry.set_fact("x", "y")
                await two.go_on()
                assert server.server.shelf.standing(lib.library, other.device) is None
                disk.mend()
                async with lib.come() as guest:
                    await server.server.shelf.vouch(lib.library, lib.members[0].device, words)
                standing = server.server.shelf.standing(lib.library, other.device)
                assert standing is Standing.MEMBER
            storage.close()

    asyncio.run(run())


def test_a_full_disk_of_postgresql_is_one_too() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    from psycopg import errors

    from liblim.server.postgres.pool import errors_in_words

    with pytest.raises(StoreFull) as caught, errors_in_words():
        raise errors.DiskFull
    assert in_words(caught.value) == FULL
    assert str(refused(caught.value)) == SAID
