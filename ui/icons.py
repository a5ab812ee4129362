"""Icons: drawn from the SVG files of ``resources``, in the colours of the theme."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

import resources
from ui.theme import ICON, colours

_SIZES = (16, 20, 24, 32, 40, 48, 64)
"""Pixels of the drawings that an icon holds: the usual sizes at scales of 1 to 3."""
_APP_SIZES = (16, 24, 32, 48, 64, 128, 256)


def icon(name: str, colour: str = "") -> QIcon:
    """The icon ``name``, drawn in ``colour``; without one as what stands beside words."""
    return _icon(name, colour or colours.soft, colours.off)


@lru_cache(maxsize=128)
def _icon(name: str, colour: str, disabled: str) -> QIcon:
    drawn = QIcon()
    for size in _SIZES:
        drawn.addPixmap(_draw(name, colour, size))
        drawn.addPixmap(_draw(name, disabled, size), QIcon.Mode.Disabled)
    return drawn


@lru_cache(maxsize=1)
def app_icon() -> QIcon:
    """The icon of the program."""
    drawn = QIcon()
    for size in _APP_SIZES:
        drawn.addPixmap(_draw("limnotes", "", size))
    return drawn


@lru_cache(maxsize=128)
def pixmap(name: str, colour: str, size: int = ICON, ratio: float = 1.0) -> QPixmap:
    """The icon ``name`` for a label, ``size`` logical pixels wide on a screen of this ``ratio``."""
    drawn = _draw(name, colour, round(size * ratio))
    drawn.setDevicePixelRatio(ratio)
    return drawn


def _draw(name: str, colour: str, size: int) -> QPixmap:
    source = resources.read(f"icons/{name}.svg")
    source = source.replace(b"currentColor", colour.encode())
    if name.startswith("state-"):
        source = source.replace(b"#ffffff", colours.page.encode())  # cut out of the coloured disc
    drawn = QPixmap(size, size)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    QSvgRenderer(QByteArray(source)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return drawn
