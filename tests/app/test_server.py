"""A server as the app has it: paired like a device, told as what it is, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import commands
from app.pairing import Phase
from app.printing import PRINT
from app.service import Service
from app.status import DeviceStatus, State
from liblim.server.inviting import invite
from liblim.server.server import Server, identity_of
from liblim.server.sqlite import SqliteStorage
from liblim.trust import words_of
from tests.app.services import pair, reached, started, until, write


def the_server(service: Service) -> DeviceStatus | None:
    return next((one for one in service.status().devices if one.server), None)


async def pair_with(service: Service, server: Server, storage: SqliteStorage) -> None:
    service.pairing.dial(str(server.listening), invite(storage.registry).code)
    view = await reached(service, Phase.CONFIRM, Phase.FAILED)
    assert (view.phase, view.server, view.we_join) == (Phase.CONFIRM, True, False), view
    assert view.peer_words == words_of(identity_of(storage.registry).certificate)
    service.pairing.accept()
    view = await reached(service, Phase.PAIRED, Phase.FAILED)
    assert view.phase is Phase.PAIRED, view


@pytest.mark.asyncio
async def test_a_server_is_paired_shown_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = SqliteStorage(tmp_path / "server")
    server = Server(storage, identity_of(storage.registry), name="Cellar")
    await server.start("127.0.0.1", 0)
    desk = await started(tmp_path / "desk")
    lap = await started(tmp_path / "lap")
    try:
        await pair(desk, lap)
        await pair_with(desk, server, storage)
        oid = await write(desk, "on the server, too")
        # The other device finds it by itself.
        for service in (desk, lap):
            await until(
                service,
                lambda: (
                    (one := the_server(service)) is not None  # noqa: B023
                    and one.state is State.UP_TO_DATE
                ),
            )
        await until(desk, lambda: desk.status().line().startswith("Identical with "))
        assert "Cellar" in (await desk.whereabouts(oid)).line
        PRINT["status"](await commands.run(desk, "status", {}))
        told = capsys.readouterr().out
        assert "\nCellar (server): up to date\n" in told
        assert f"a server that reads nothing, {server.listening}" in told
        await commands.run(desk, "rename", {"device": "Cellar", "name": "Attic"})
        assert [one.label for one in desk.status().devices if one.server] == ["Attic"]
        await commands.run(desk, "remove", {"device": "Attic"})
        for service in (desk, lap):
            await until(service, lambda: the_server(service) is None)  # noqa: B023
    finally:
        await lap.stop()
        await desk.stop()
        await server.stop()
        storage.close()
