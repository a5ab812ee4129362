"""What differs between systems: the mark of this computer, and files that are private and durable."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def machine_mark() -> str:
    """A mark of this computer as 64 hex digits, empty where the system has none.

    It is a hash of the system's own id (``machine-id(5)`` asks not to show that one around), and never leaves
    this computer.
    """
    try:
        found = _machine_id()
    except (OSError, AttributeError, UnicodeDecodeError):
        return ""
    known = re.sub("[^0-9a-f]", "", found.lower())
    # A system image may come with an id of zeros, or with the word "uninitialized".
    if len(known) != 32 or not known.strip("0"):
        return ""
    return hashlib.sha256(b"lim machine\0" + known.encode()).hexdigest()


def _machine_id() -> str:
    if sys.platform == "win32":
        import winreg

        path, access = r"SOFTWARE\Microsoft\Cryptography", winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    if sys.platform == "darwin":
        import ctypes

        uuid = ctypes.create_string_buffer(16)
        patience = (ctypes.c_long * 2)(5, 0)  # struct timespec
        failed = ctypes.CDLL(None).gethostuuid(uuid, patience)
        return "" if failed else uuid.raw.hex()
    for path in _MACHINE_ID_FILES:
        if path.exists():
            return path.read_text("ascii")
    return ""


def write_private(path: Path, data: bytes) -> None:
    """Put a file in place that only this user can read, whole and on the disk, or not at all.

    Raises OSError.
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder.  Raises OSError."""
    if os.name == "nt":
        return  # a folder cannot be flushed there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
