"""A whole life of two devices, heard by everything that could tell: no secret is in what it tells."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.commands import plain
from app.pairing import Phase
from app.service import Service
from liblim.errors import LimError
from tests.app.services import in_step, meet, pair, reached, started, write

pytestmark = pytest.mark.usefixtures("none_left")

TEXT = "canary-5b1f"
"""Stands in a note; titles are shown to people, and not logged."""


def forms(secret: bytes) -> Iterator[str]:
    """How the beginning of a secret looks where it is printed, whole or cut."""
    yield secret.hex()[:16]
    yield secret.hex()[:16].upper()
    yield base64.b64encode(secret).decode()[:12]
    yield base64.urlsafe_b64encode(secret).decode()[:12]
    yield repr(secret)[2:-1][:16]
    yield str(list(secret))[1:-1][:24]


def secrets_of(service: Service) -> Iterator[str]:
    """All that a device must tell nobody, as it might be printed."""
    opened = service._opened
    assert opened is not None
    folder = service.data_dir
    passphrase = (folder / "identity.key").read_text().strip()
    assert len(passphrase) > 40
    yield passphrase[:16]
    yield msgspec.json.decode((folder / "control.json").read_bytes())["token"]
    key = opened.identity._unlocked()
    yield from forms(key.private_bytes_raw())
    agreement = opened.identity._agreement
    assert agreement is not None
    yield from forms(agreement.private_bytes_raw())
    for epoch in opened.database.keys.epochs.values():
        yield from forms(epoch.key)
        yield from forms(epoch._salt_key)


def shown(service: Service) -> str:
    """What a device shows, and what a debugger would show of it."""
    opened = service._opened
    assert opened is not None
    database, node = opened.database, service.network.node
    things: list[Any] = [service, service.pairing.view, opened, opened.vault, opened.identity]
    things += [vars(opened.vault), database, database.keys, database.keys.epochs, database.ledger]
    things += [node, node.pairing, node.status(), database.grant(), asyncio.all_tasks()]
    events = [event.text for event in service.events]
    return "\n".join([*map(repr, things), *events, str(plain(service.status()))])


async def wrong_code(shows: Service, dials: Service) -> tuple[str, set[str]]:
    """A wrong code is entered, and one that is none; returns what is said of that, and the codes."""
    shows.pairing.show()
    code = (await reached(shows, Phase.SHOWING)).code.replace(" ", "")
    wrong = f"{(int(code) + 1) % 10**8:08}"
    dials.pairing.dial(shows.status().listening, wrong)
    view = await reached(dials, Phase.FAILED)
    with pytest.raises(LimError) as caught:
        dials.pairing.dial(shows.status().listening, code + "0")
    said = f"{view!r} {view.error} {view.mend} {caught.value} {caught.value!r}"
    return said, {code, f"{code[:4]} {code[4:]}", wrong}


async def live(folder: Path, said: list[str], secrets: set[str]) -> None:
    """Begin, mistype, pair, write, remove, start again; gathers what is said and what is secret."""
    desk, lap = await started(folder / "desk"), await started(folder / "lap")
    await write(desk, TEXT)
    mistyped, codes = await wrong_code(desk, lap)
    said.append(mistyped)
    secrets |= codes
    await meet(desk, lap)
    said += [shown(desk), shown(lap)]
    desk.pairing.cancel()
    await reached(lap, Phase.FAILED)
    await pair(desk, lap)
    await in_step(desk, lap)
    said += [shown(desk), shown(lap)]
    secrets.update(*map(secrets_of, (desk, lap)))
    await desk.remove(lap.status().device)
    await write(desk, TEXT)
    said += [shown(desk), shown(lap)]
    secrets.update(*map(secrets_of, (desk, lap)))
    for service in (desk, lap):
        await service.stop()
    desk = await started(folder / "desk")
    said.append(shown(desk))
    secrets.update(secrets_of(desk))
    await desk.stop()


@pytest.mark.asyncio
async def test_no_secret_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 60  # on a busy machine
    said: list[str] = []
    secrets: set[str] = set()
    try:
        await live(tmp_path, said, secrets)
    finally:
        loop.set_debug(False)
    assert len(secrets) > 40
    logged = caplog.text + "".join(str(record.args) for record in caplog.records)
    told = "\n".join([*said, logged, *capfd.readouterr()])
    assert [secret for secret in secrets if secret in told] == []
    assert TEXT not in logged
