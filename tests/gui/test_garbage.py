"""The garbage collector on Qt's thread."""

from __future__ import annotations

import gc
import threading
import weakref

from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from ui.garbage import GarbageCollector


class Node:
    def __init__(self) -> None:
        self.itself = self


def test_cycles_go_on_this_thread_and_on_no_other(qtbot: QtBot) -> None:
    parent = QObject()
    collector = GarbageCollector(parent)
    try:
        ended: list[int] = []
        weakref.finalize(Node(), lambda: ended.append(threading.get_ident()))

        def litter() -> None:
            for _ in range(50_000):
                Node()

        other = threading.Thread(target=litter)
        other.start()
        other.join()
        assert ended == []
        collector.look()
        assert ended == [threading.get_ident()]
    finally:
        collector.stop()
    assert gc.isenabled()
