"""What Lim Notes needs of the system beneath Python: libraries, fonts, a screen."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping

# Shared library -> Debian package: what PySide6 needs to draw at all, and beside that on a screen.
DRAWING = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
}
X_SCREEN = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
}
WAYLAND_SCREEN = {"libwayland-cursor.so.0": "libwayland-cursor0"}

# Language (as fontconfig calls it) -> Debian package with a font for it.
FONTS = {"zh": "fonts-wqy-zenhei", "und-zsye": "fonts-noto-color-emoji"}


def wants_window(arguments: list[str]) -> bool:
    """Tell whether `limnotes` with `arguments` opens a window.

    It does not with ``--headless`` or a subcommand, which is the first word that is neither an
    option nor the value of one: all options that may stand before it take a value.
    """
    if {"--headless", "--help", "-h", "--version"} & set(arguments):
        return False
    value_next = False
    for word in arguments:
        if not (value_next or word.startswith("-")):
            return False
        value_next = word.startswith("-") and "=" not in word
    return True


def has_screen(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a window can be shown; elsewhere than on Linux one always can."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return platform != "linux" or any(environ.get(name) for name in names)


def screen_libraries(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what Qt needs for the screen that it will draw on."""
    platform = environ.get("QT_QPA_PLATFORM", "")
    if platform.startswith("wayland") or (not platform and environ.get("WAYLAND_DISPLAY")):
        return WAYLAND_SCREEN
    if platform.startswith("xcb") or (not platform and environ.get("DISPLAY")):
        return X_SCREEN
    return {}


def missing_libraries(
    environ: Mapping[str, str],
    load: Callable[[str], object] = ctypes.CDLL,
    platform: str = sys.platform,
) -> dict[str, str]:
    """Return the shared libraries that the window lacks on Linux, each with its Debian package."""
    if platform != "linux":
        return {}
    needed = DRAWING | screen_libraries(environ)
    return {library: package for library, package in needed.items() if not loads(library, load)}


def loads(library: str, load: Callable[[str], object]) -> bool:
    """Tell whether the system's loader finds a library."""
    try:
        load(library)
    except OSError:
        return False
    return True


def missing_venv() -> dict[str, str]:
    """Return the Python module that Debian ships apart and that making an environment needs."""
    if importlib.util.find_spec("ensurepip"):
        return {}
    return {"the Python module venv": f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"}


def install_line(needed: Mapping[str, str], apt: bool | None = None) -> str:
    """Return the one line that says what is missing and how to install it."""
    if apt is None:
        apt = shutil.which("apt-get") is not None
    if not apt:
        return f"Missing: {', '.join(needed)}. Install them with this system's package manager."
    return f"Missing system packages. Install them with: {apt_command(needed.values())}"


def apt_command(packages: Iterable[str]) -> str:
    """Return the command that installs Debian packages, for whoever is asking."""
    sudo = "" if sys.platform == "win32" or os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y {' '.join(packages)}"


def recommend_fonts() -> None:
    """Say which fonts a Debian lacks, as far as fontconfig can tell; Qt would draw empty boxes."""
    if not (shutil.which("apt-get") and shutil.which("fc-list")):
        return
    lacking = [package for language, package in FONTS.items() if not has_font(language)]
    if lacking:
        print(f"-- Some scripts or emoji will be empty boxes without: {apt_command(lacking)}")


def has_font(language: str) -> bool:
    """Tell whether fontconfig knows a font for `language`."""
    found = subprocess.run(["fc-list", f":lang={language}"], capture_output=True, check=False)
    return bool(found.stdout.strip())
