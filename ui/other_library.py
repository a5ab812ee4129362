"""File > Open other library: the notes that were kept apart, each in a window of its own process."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QProcess
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from app.kept import KEPT
from app.service import Service
from ui.notice import Notice


def product_name(data_dir: Path) -> str:
    """What the title of a window ends with; notes that were kept apart say so."""
    if data_dir.parent.name != KEPT:
        return "Lim Notes"
    return f"Lim Notes, kept on {data_dir.name[:10]}"


def command(data_dir: Path) -> list[str]:
    """What starts this program with another data folder."""
    frozen = getattr(sys, "frozen", False)
    start = [sys.executable] if frozen else [sys.executable, "-m", "ui.launch"]
    return [*start, "--data-dir", str(data_dir)]


class OtherLibraries(QMenu):
    """Lists the libraries that were kept; hidden where there is none."""

    def __init__(self, service: Service, notice: Notice, file_menu: QMenu) -> None:
        super().__init__(file_menu)
        self._service, self._notice = service, notice
        self.setTitle(self.tr("Open &other library"))
        file_menu.addMenu(self)
        file_menu.aboutToShow.connect(self.fill)
        self.fill()

    def fill(self) -> None:
        """Look which there are."""
        self.clear()
        for kept in self._service.kept_libraries():
            action = QAction(kept.label.replace("&", "&&"), self)
            action.triggered.connect(lambda _, path=kept.path: self.open_library(path))
            self.addAction(action)
        self.menuAction().setVisible(not self.isEmpty())

    def open_library(self, path: Path) -> None:
        """Start this program with a kept library; where that runs already, it comes to the front."""
        program, *arguments = command(path)
        started, _ = QProcess.startDetached(program, arguments)
        if not started:
            words = self.tr(
                "The other library could not be opened. Start limnotes --data-dir {path}"
            )
            self._notice.warn(words.format(path=path))
