"""PySide6 keeps its reference counts: some releases abort after thousands of calls."""

from __future__ import annotations

import subprocess
import sys

import pytest

CURSOR = """
from PySide6.QtGui import QGuiApplication, QTextCursor, QTextDocument
application = QGuiApplication([])
document = QTextDocument("abc")
cursor = QTextCursor(document)
for _ in range(50_000):
    cursor.setPosition(0)
"""
SIGNAL = """
from PySide6.QtCore import QObject, Signal
class Sender(QObject):
    signal = Signal(int)
sender = Sender()
heard = []
sender.signal.connect(heard.append)
for number in range(5_000):
    sender.signal.emit(number)
assert heard == list(range(5_000))
"""


@pytest.mark.parametrize("code", [CURSOR, SIGNAL], ids=["void calls", "emits"])
def test_many_calls_do_not_abort_the_process(code: str) -> None:
    # In a process of its own: the abort would take pytest along.
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
