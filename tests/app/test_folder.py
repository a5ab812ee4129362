"""The data folder: one process at a time, and clear words where it cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.folder import AlreadyRunning, Folder
from liblim.errors import LimError


def test_a_folder_is_made_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder with ünïcode"
    first, second = Folder(path), Folder(path)
    first.acquire()
    with pytest.raises(AlreadyRunning, match="already running"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LimError, match="--data-dir"):
        Folder(tmp_path / "file").acquire()
    with pytest.raises(LimError, match="is not a folder"):
        Folder(tmp_path / "file" / "below").acquire()
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs Unix rights")
def test_a_read_only_folder_is_said_and_untouched(tmp_path: Path) -> None:
    """Run as somebody without rights where the tests run as root."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in [tmp_path, *tmp_path.parents]:
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from app.folder import Folder\n"
        "from liblim.errors import StoreReadOnly\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: Folder(Path(sys.argv[1])).acquire()\n"
        "except StoreReadOnly as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
    )
    assert "Make it writable, or choose another one with --data-dir." in run.stdout, run.stderr
    assert list(folder.iterdir()) == []
