"""Ending the real app by signals, as a system does that shuts down."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path

from tests.e2e.apps import App


def test_who_is_asked_to_end_again_and_again_ends_in_good_order(tmp_path: Path) -> None:
    with App(tmp_path / "desk", "--listen", "off") as desk:
        for _ in range(10_000):
            with contextlib.suppress(subprocess.TimeoutExpired):
                desk.process.wait(0.001)
                break
            desk.process.send_signal(signal.SIGTERM)
        assert desk.process.poll() in (0, -signal.SIGTERM)  # the last may come after the end
        assert "Traceback" not in desk.log.read_text()
