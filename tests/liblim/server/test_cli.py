"""The command line of the server, as a person uses it, and ``kill -9``."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest

from liblim.change import Head, count, digest
from liblim.net.link import Link
from liblim.server.cli import main
from liblim.server.keyless import all_vouched
from liblim.server.sqlite import SqliteStorage
from liblim.trust import words_of
from tests.app.services import free_port
from tests.liblim.net.devices import Device, device
from tests.liblim.server.processes import Process, code_for, limserver
from tests.liblim.server.serving import in_step, on_folder, pair, server_peer
from tests.liblim.server.signed import vouch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@on_folder
async def test_from_nothing_to_a_library_that_is_checked_and_backed_up(folder: Path) -> None:
    data = folder / "server"
    made = await asyncio.to_thread(limserver, data, "init")
    assert made.returncode == 0
    with Process(data, free_port()) as server:
        code = await asyncio.to_thread(code_for, data)
        async with device("Lap") as lap:
            await pair(lap, server.address, code)
            certificate = next(iter(lap.database.ledger.servers.values())).certificate
            assert words_of(certificate) in made.stdout
            await lap.write("x")
            await in_step(lap)
            # All of it while the server runs.
            listed = await asyncio.to_thread(limserver, data, "libraries")
            assert (
                f"{lap.database.library}  1 devices, 0 removed, {lap.database.count} changes"
                in (listed.stdout)
            )
            checked = await asyncio.to_thread(limserver, data, "check")
            assert (checked.returncode, "all is well" in checked.stdout) == (0, True)
            saved = await asyncio.to_thread(limserver, data, "backup", str(folder / "backup"))
            assert saved.returncode == 0
            again = await asyncio.to_thread(limserver, folder / "backup", "check")
            assert again.stdout == checked.stdout
            assert await asyncio.to_thread(server.end) == 0
            await lap.until(lambda: not server_peer(lap).connected)
    removed = await asyncio.to_thread(limserver, data, "remove", lap.database.library)
    assert removed.returncode == 0
    assert not list((data / "libraries").iterdir())
    assert limserver(data, "remove", lap.database.library).returncode == 1


@on_folder
async def test_only_one_process_serves_a_folder(folder: Path) -> None:
    with Process(folder / "server", free_port()):
        second = await asyncio.to_thread(limserver, folder / "server", "run")
        assert second.returncode == 1
        assert "is served by another process" in second.stderr


async def killed(folder: Path, rng: Random, rounds: int) -> None:
    """Kill a server in the middle of taking in changes, again and again."""
    data, port = folder / "server", free_port()
    async with device("Lap") as lap:
        for number in range(rounds):
            with Process(data, port) as server:
                if not number:
                    await pair(lap, server.address, await asyncio.to_thread(code_for, data))
                await lap.until(lambda: (s := server_peer(lap)) is not None and s.connected)
                writing = asyncio.ensure_future(write_on(lap, 1000))
                link = next(iter(lap.node._links))
                enough = (link.session.count or 0) + rng.randrange(1, 30)
                await lap.until(partial(_confirmed, link, enough))
                server.kill()
                writing.cancel()
                await link.over.wait()
                # What the server said last that it holds, it holds.
                said = link.session.count or 0
                held = await asyncio.to_thread(heads_in, data, lap.database.library)
                assert count(held) >= said >= enough
                assert count(held) > said or digest(held) == link.session.digest
                checked = await asyncio.to_thread(limserver, data, "check")
                assert checked.returncode == 0, checked.stdout
        with Process(data, port):
            await in_step(lap)
        held = await asyncio.to_thread(heads_in, data, lap.database.library)
        assert held == lap.database.heads


def _confirmed(link: Link, changes: int) -> bool:
    return (link.session.count or 0) >= changes


async def write_on(lap: Device, notes: int) -> None:
    for number in range(notes):
        await lap.write(f"note {number}")


def heads_in(data: Path, library: str) -> dict[str, Head]:
    with closing(SqliteStorage(data)) as storage, closing(storage.open(library)) as log:
        return {replica: row.head for replica, row in log.replicas().items()}


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    asyncio.run(killed(tmp_path, Random(seed), 2))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kill_9_fifty_times(tmp_path: Path, seed: int) -> None:
    asyncio.run(killed(tmp_path, Random(seed), 50))


# A log that somebody has altered


async def _prepare(folder: Path) -> None:
    data = folder / "server"
    with Process(data, free_port()) as server:
        code = await asyncio.to_thread(code_for, data)
        async with device("Lap") as lap:
            await pair(lap, server.address, code)
            for number in range(5):
                await lap.write(f"x{number}")
            await in_step(lap)
            await asyncio.to_thread(server.end)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server has kept of one device's library."""
    folder = tmp_path_factory.mktemp("served")
    asyncio.run(_prepare(folder))
    return folder / "server"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE changes SET body = x'00' WHERE position = 3", "is not what its hash says"),
        ("UPDATE changes SET at = at + 1 WHERE position = 2", "is not what its hash says"),
        ("DELETE FROM changes WHERE position = 3", "missing"),
        ("UPDATE changes SET signature = zeroblob(64)", "not signed"),
        ("DELETE FROM changes WHERE position = (SELECT max(position) FROM changes)", "ends before"),
    ],
)
def test_what_was_altered_is_found(
    served: Path,
    tmp_path: Path,
    statement: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(served, tmp_path / "server")
    (file,) = (tmp_path / "server" / "libraries").glob("*.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)
    assert main(["--data", str(tmp_path / "server"), "check"]) == 1
    assert words in capsys.readouterr().out


def test_wrong_usage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run: Callable[..., int] = lambda *words: main(["--data", str(tmp_path / "s"), *words])  # noqa: E731
    for command in ("invite", "libraries", "check"):
        assert run(command) == 1
        assert "no server in" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
    assert run("init") == 0
    assert run("invite", "--hours", "0") == 1
    assert "above 0" in capsys.readouterr().err
    for wrong in ("here:there", ":there"):
        assert run("run", "--listen", wrong) == 1
        assert "no port" in capsys.readouterr().err
    with closing(SqliteStorage(tmp_path / "s")) as storage:
        assert all_vouched(storage.registry) == {}


def test_a_user_without_a_home_names_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service's user is."""
    pwd = pytest.importorskip("pwd")

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert main(["libraries"]) == 1
    assert "--data" in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "s"), "init"]) == 0


def test_a_log_that_is_gone_is_told_and_not_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "s"
    with closing(SqliteStorage(data)) as storage:
        vouch(storage)
    (file,) = (data / "libraries").glob("*.db")
    file.unlink()
    for command, code in (("libraries", 0), ("check", 1)):
        assert main(["--data", str(data), command]) == code
        assert "its log is gone" in capsys.readouterr().out
    assert not file.exists()
