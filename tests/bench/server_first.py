"""A device's first sync of many notes, from a server and from another device: devices as people have them."""

from __future__ import annotations

import shutil
from pathlib import Path

from liblim.server.inviting import invite
from tests.bench.server_process import Place, Running
from tests.bench.sync import SIZE, Device, device, meet


def first_sync(place: Place, processes: int, folder: Path, notes: int) -> list[tuple[float, float]]:
    """Seconds until a device has notes that were written while it was off, three times by turns.

    From the server, and directly.
    """
    desk_folder, lap_folder, kept = folder / "desk", folder / "lap", folder / "kept"
    with device(desk_folder) as desk, Running(place, processes) as running:
        with device(lap_folder) as lap:
            _pair(place, running, desk, lap)
        lap_folder.rename(kept)
        desk.ask("fill", notes, SIZE, 1)
        desk.ask("identical")
        changes = desk.ask("facts")["changes"]

    def catch_up() -> float:
        shutil.copytree(kept, lap_folder)
        try:
            with device(lap_folder) as lap:
                began = lap.ask("online")
                return float(lap.ask("has", notes, changes)) - float(began)
        finally:
            shutil.rmtree(lap_folder)

    found = []
    for _ in range(3):
        with device(desk_folder) as desk:
            desk.ask("online")
            directly = catch_up()
        with Running(place, processes, ports=running.ports):
            found.append((catch_up(), directly))
    return found


def _pair(place: Place, running: Running, desk: Device, lap: Device) -> None:
    """Pair all three; each is to know both others."""
    meet(desk, lap)
    for one in (desk, lap):
        one.ask("accept")
    for one in (desk, lap):
        one.ask("identical")
    storage = place.open()
    try:
        code = invite(storage.registry).code
    finally:
        storage.close()
    desk.ask("enter_code", running.address(0), code)
    desk.ask("accept")
    for one in (desk, lap):
        one.ask("all_identical", 2)
