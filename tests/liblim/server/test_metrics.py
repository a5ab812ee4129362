"""What a server tells those who watch it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from liblim.errors import LimError
from liblim.net.address import Address
from liblim.server.metrics import MAX_REQUEST, Monitor
from liblim.server.sqlite import SqliteStorage
from tests.app.services import free_port
from tests.liblim.net.devices import device
from tests.liblim.server.processes import Process, ask, code_for
from tests.liblim.server.serving import in_step, on_folder, pair, serving


def values(text: str) -> dict[str, float]:
    return {
        "/".join([sample.name.removeprefix("limserver_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@on_folder
async def test_numbers_are_those_of_what_is_and_of_what_is_over(folder: Path) -> None:
    storage = SqliteStorage(folder / "server")
    async with serving(storage) as one:
        monitor = Monitor(one.server)
        where = await monitor.open(Address("127.0.0.1", 0))
        async with device("Lap") as lap:
            await one.pair(lap)
            await lap.write("x")
            await in_step(lap)
            status, text = await ask(where, "GET /metrics")
            told = values(text)
            assert status == 200
            assert [told[name] for name in ("connections", "libraries", "libraries_open")] == [
                1
            ] * 3
            assert told["changes_total/received"] == lap.database.count
            assert told["commit_seconds_count"] >= 1
        (circle,) = one.server.shelf.circles.values()
        while circle.links:  # noqa: ASYNC110 - nobody is told of an end that was found a moment ago
            await asyncio.sleep(0)
        after = values((await ask(where, "GET /metrics?again"))[1])
        assert after["connections"] == 0
        assert after["connections_ended_total/left"] == 1
        assert after["changes_total/received"] == told["changes_total/received"]
        assert after["bytes_total/received"] >= told["bytes_total/received"]
        assert await ask(where, "GET /healthz") == (200, "ok\n")
        assert (await ask(where, "GET /other"))[0] == 404
        assert (await ask(where, "POST /metrics"))[0] == 405
        one.server.shelf.trouble = "The disk is gone."
        assert await ask(where, "GET /healthz") == (503, "The disk is gone.\n")
        with pytest.raises(LimError, match="Cannot listen on"):
            await Monitor(one.server).open(where)
    assert (await ask(where, "GET /healthz"))[0] == 503
    await monitor.close()
    storage.close()


@on_folder
async def test_who_sends_no_request_gets_no_answer(folder: Path) -> None:
    storage = SqliteStorage(folder / "server")
    async with serving(storage) as one:
        monitor = Monitor(one.server)
        where = await monitor.open(Address("127.0.0.1", 0))
        for said in (b"\0" * (MAX_REQUEST + 2), b"GET /metrics"):
            reader, writer = await asyncio.open_connection(*where)
            writer.write(said)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await ask(where, "GET /healthz"))[0] == 200
        await monitor.close()
    storage.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@on_folder
async def test_sigterm_says_goodbye_and_logs_are_json(folder: Path) -> None:
    metrics = Address("127.0.0.1", free_port())
    options = ["--json-logs", "--metrics", str(metrics)]
    with Process(folder / "server", free_port(), *options) as server:
        code = await asyncio.to_thread(code_for, server.data)
        async with device("Lap") as lap:
            await pair(lap, server.address, code)
            await lap.write("x")
            await in_step(lap)
            assert (await ask(metrics, "GET /healthz"))[0] == 200
            assert await asyncio.to_thread(server.end) == 0
            await lap.logged("The server ends")
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} == set(lines[0])
    assert any("is connected" in line["message"] for line in lines)
