"""What is said of the system: screen, libraries, the line that installs them."""

from __future__ import annotations

import pytest

import system


@pytest.mark.parametrize(
    ("line", "window"),
    [
        ("", True),
        ("--data-dir place", True),
        ("--data-dir=place", True),
        ("--listen 127.0.0.1:0 --data-dir place", True),
        ("--headless", False),
        ("--data-dir place --headless", False),
        ("--help", False),
        ("--version", False),
        ("status", False),
        ("status --json", False),
        ("--data-dir place status", False),
        ("--data-dir=place list --trash", False),
        ("append 1234 some words", False),
    ],
)
def test_a_window_is_wanted_without_headless_and_subcommand(line: str, window: bool) -> None:
    assert system.wants_window(line.split()) is window


@pytest.mark.parametrize(
    ("environ", "platform", "screen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_screen(environ: dict[str, str], platform: str, screen: bool) -> None:
    assert system.has_screen(environ, platform) is screen


@pytest.mark.parametrize(
    ("environ", "more"),
    [
        ({"DISPLAY": ":0"}, system.X_SCREEN),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, system.WAYLAND_SCREEN),
        ({"WAYLAND_DISPLAY": "wayland-0", "QT_QPA_PLATFORM": "xcb"}, system.X_SCREEN),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, {}),
        ({"QT_QPA_PLATFORM": "wayland-egl"}, system.WAYLAND_SCREEN),
        ({}, {}),
    ],
)
def test_a_screen_needs_more_libraries(environ: dict[str, str], more: dict[str, str]) -> None:
    def nothing_there(library: str) -> None:
        raise OSError(library)

    missing = system.missing_libraries(environ, nothing_there, "linux")
    assert missing == system.DRAWING | more
    assert system.missing_libraries(environ, nothing_there, "darwin") == {}


def test_only_what_does_not_load_is_missing() -> None:
    def all_but_egl(library: str) -> None:
        if "EGL" in library:
            raise OSError(library)

    assert system.missing_libraries({}, all_but_egl, "linux") == {"libEGL.so.1": "libegl1"}


def test_the_line_names_packages_for_apt_and_libraries_elsewhere() -> None:
    needed = {"libGL.so.1": "libgl1", "libEGL.so.1": "libegl1"}
    assert "apt-get install -y libgl1 libegl1" in system.install_line(needed, apt=True)
    assert "libGL.so.1, libEGL.so.1" in system.install_line(needed, apt=False)
    assert "\n" not in system.install_line(needed, apt=True)
