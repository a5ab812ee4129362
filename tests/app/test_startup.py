"""Start-up does not pay for keys: nothing heavy is imported before the notes are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

START = """
import asyncio, sys
from pathlib import Path
from app.service import Service

HEAVY = {"cryptography", "ifaddr", "keyring", "mnemonic", "spake2", "zeroconf", "PySide6"}

async def main(folder):
    service = Service(Path(folder), listen="off", discovery=False)
    await service.start()
    status = service.status()
    print(len(service.notes.rows), status.line(), *sorted(HEAVY & sys.modules.keys()), sep="|")
    if not service.notes.rows:
        note = await service.notes.create()
        note.body.insert(0, "A note")
        await service.notes.close(note)
    await service.stop()

asyncio.run(main(sys.argv[1]))
"""


def test_a_start_with_notes_imports_nothing_heavy(tmp_path: Path) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", START, str(tmp_path / "data")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said[1] == "1|On this device only"
    assert said[0].startswith("0|On this device only|cryptography"), "a first start makes a key"


def test_it_starts_as_a_module_too() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "app", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("limnotes ")
