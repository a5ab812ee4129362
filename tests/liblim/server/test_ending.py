"""SIGTERM: a server ends within seconds, also where its storage hangs; what it acknowledged is there."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from liblim.server import server as module
from liblim.server.cli import HANGS
from liblim.server.server import Server, identity_of
from liblim.server.sqlite import SqliteStorage
from liblim.store import Store
from liblim.sync.messages import Igotz, Kthx, Nm, Sup, Ucanhaz
from tests.app.services import free_port
from tests.liblim.net.devices import QUICK, Device, device
from tests.liblim.server.cluster import Cluster
from tests.liblim.server.guests import household
from tests.liblim.server.processes import Process, code_for
from tests.liblim.server.serving import Serving, in_step, on_folder, pair, server_peer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, and /proc")

WITHIN = 10.0
"""Seconds for a process to end: twice what is promised, as the machine may be busy."""


class Hanging(Store):
    """A log that hangs from some call on, until it is let go."""

    wanted = ""
    reached = threading.Event()
    go_on = threading.Event()

    def _hang(self, name: str) -> None:
        if name == self.wanted:
            self.reached.set()
            self.go_on.wait()

    def transaction(self) -> Any:
        self._hang("transaction")
        return super().transaction()

    def save_receipt(self, *what: Any) -> None:
        self._hang("save_receipt")
        super().save_receipt(*what)

    def close(self) -> None:
        self._hang("close")
        super().close()


@pytest.mark.parametrize("wanted", ["transaction", "save_receipt", "close"])
def test_a_storage_that_hangs_is_not_waited_for(
    tmp_path: Path, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST", 0.2)
    monkeypatch.setattr(Hanging, "reached", threading.Event())
    monkeypatch.setattr(Hanging, "go_on", threading.Event())
    monkeypatch.setattr(Hanging, "wanted", "")
    storage = SqliteStorage(tmp_path)
    monkeypatch.setattr(
        storage, "open", lambda library: Hanging(storage.registry.file_of(library), shared=True)
    )

    async def run() -> None:
        server = Server(storage, identity_of(storage.registry), timing=QUICK)
        await server.start("127.0.0.1", 0)
        lib = await household(Serving(storage, server))
        async with lib.come() as guest:
            author = lib.author()
            await guest.say(Ucanhaz(author.write("x")))
            while not (await guest.hear_of(Kthx)).heads:
                pass
            await guest.say(Igotz(lib.receipt(1)), Sup(1))
            while await guest.hear_of(Nm) != Nm(1):
                pass
            Hanging.wanted = wanted
            if wanted == "transaction":
                await guest.say(Ucanhaz(author.write("y")))
                await asyncio.to_thread(Hanging.reached.wait, 10)
            done = await server.stop(patience=0.2)
        assert Hanging.reached.is_set()
        assert not done
        Hanging.go_on.set()

    try:
        asyncio.run(run())
    finally:
        Hanging.go_on.set()
    storage.close()


@asynccontextmanager
async def hanging(cluster: Cluster, folder: Path) -> AsyncIterator[tuple[Process, Device]]:
    """A server over a PostgreSQL that does not answer, with a device that waits for it to."""
    data, database = folder / "server", cluster.new_database()
    with Process(data, free_port(), database=database) as server:
        async with device("Lap") as lap:
            code = await asyncio.to_thread(code_for, database)
            await pair(lap, server.address, code)
            await lap.write("before")
            await in_step(lap)
            with cluster.held():
                await lap.write("while nothing moves")
                await lap.until(lambda: server_peer(lap).they_lack)
                yield server, lap
            before = lap.database.digest
            # Nothing that was acknowledged is lost, and what was not comes by itself.
            with Process(data, server.address.port, database=database):
                await in_step(lap)
                assert lap.database.digest == before


def on_cluster(test: Callable[[Cluster, Path], Any]) -> Callable[[Cluster, Path], None]:
    def run(cluster: Cluster, tmp_path: Path) -> None:
        asyncio.run(test(cluster, tmp_path))

    run.__name__ = test.__name__
    return run


@on_cluster
async def test_sigterm_while_postgresql_hangs(cluster: Cluster, folder: Path) -> None:
    async with hanging(cluster, folder) as (server, lap):
        server.signal(signal.SIGTERM)
        await lap.logged("The server ends.")
        assert await asyncio.to_thread(server.ended, WITHIN) == 1
        assert HANGS in server.log.read_text()


@on_cluster
async def test_who_asks_twice_does_not_wait(cluster: Cluster, folder: Path) -> None:
    async with hanging(cluster, folder) as (server, lap):
        server.signal(signal.SIGTERM)
        await lap.logged("The server ends.")
        server.signal(signal.SIGINT)
        assert await asyncio.to_thread(server.ended, WITHIN) == 1
        said = server.log.read_text()
        assert "It was asked to end once more." in said
        assert HANGS not in said


@on_folder
async def test_two_signals_at_once_do_no_harm(folder: Path) -> None:
    with Process(folder / "server", free_port()) as server:
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.ended, WITHIN) in (0, 1)
        assert "Traceback" not in server.log.read_text()
