"""What the tests of the service share: services that run, and pairing them as two people do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from app.pairing import Joining, PairingView, Phase
from app.service import Service

ANY_PORT = "127.0.0.1:4300"  # or the next free one


RUNNING: list[Service] = []
"""What ``started`` has started; the fixture ``none_left`` stops what a failed test has left."""


async def started(folder: Path, listen: str = ANY_PORT) -> Service:
    """A service that is on the network."""
    service = Service(folder, listen=listen, discovery=False)
    await service.start()
    RUNNING.append(service)
    await service.online()
    return service


async def stop_all() -> None:
    """Stop the services that still run."""
    while RUNNING:
        service = RUNNING.pop()
        if service.running:
            await service.stop()


def free_port() -> int:
    """A port that nobody else is likely to take soon."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def until(service: Service, true: Callable[[], object]) -> None:
    """Wait until something that the service tells of is true."""
    changed = asyncio.Event()
    stops = [
        service.subscribe(changed.set),
        service.notes.subscribe(lambda oids: changed.set()),
    ]
    async with asyncio.timeout(15):
        while not true():
            await changed.wait()
            changed.clear()
    for stop in stops:
        stop()


async def reached(service: Service, *phases: Phase) -> PairingView:
    """Wait until pairing is in one of these phases."""
    await until(service, lambda: service.pairing.view.phase in phases)
    return service.pairing.view


async def write(service: Service, text: str) -> str:
    """Write a note; returns its oid."""
    note = await service.notes.create()
    note.body.insert(0, text)
    await service.notes.close(note)
    return note.oid


def texts(service: Service) -> list[str]:
    """The titles of all notes."""
    return sorted(row.title for row in service.notes.rows.values())


async def meet(shows: Service, dials: Service) -> None:
    """Go as far as the words that people compare."""
    shows.pairing.show()
    view = await reached(shows, Phase.SHOWING)
    dials.pairing.dial(shows.status().listening, view.code)
    for service in (shows, dials):
        view = await reached(service, Phase.CONFIRM, Phase.FAILED)
        assert view.phase is Phase.CONFIRM, view


async def pair(shows: Service, dials: Service, how: Joining = Joining.ADD_MINE) -> None:
    """Pair two services, as two people do."""
    await meet(shows, dials)
    for service in (shows, dials):
        service.pairing.accept(how)
    for service in (shows, dials):
        view = await reached(service, Phase.PAIRED, Phase.FAILED)
        assert view.phase is Phase.PAIRED, view


async def in_step(*services: Service) -> None:
    """Wait until they hold the same, and have added what was to be added."""
    for service in services:
        await until(
            service,
            lambda: (
                not service.status().adding  # noqa: B023
                and len({one.status().digest for one in services}) == 1
                and len({tuple(texts(one)) for one in services}) == 1
            ),
        )
