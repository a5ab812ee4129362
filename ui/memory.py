"""What the window remembers from one start to the next, in a small file in the data folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

FILE = "window.ini"


class Memory:
    """Sizes, positions and the last open note.

    A file that is missing, damaged or cannot be written is no trouble: then defaults hold.
    """

    def __init__(self, folder: Path) -> None:
        self._settings = QSettings(str(folder / FILE), QSettings.Format.IniFormat)

    def octets(self, name: str) -> QByteArray:
        """What ``saveGeometry`` or ``saveState`` gave; empty where nothing is remembered."""
        value = self._settings.value(name)
        return value if isinstance(value, QByteArray) else QByteArray()

    def text(self, name: str) -> str:
        """A text; empty where nothing is remembered."""
        value = self._settings.value(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """A whole number; 0 where nothing is remembered."""
        try:
            return int(self.text(name))
        except ValueError:
            return 0

    def keep(self, **values: QByteArray | str | int) -> None:
        """Remember, on disk."""
        for name, value in values.items():
            self._settings.setValue(name, str(value) if isinstance(value, int) else value)
        self._settings.sync()
