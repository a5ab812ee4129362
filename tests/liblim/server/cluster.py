"""A PostgreSQL cluster of one's own, thrown away afterwards: on a Unix socket in a temporary folder."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "fatal",
}
_UNSAFE = {"fsync": "off", "full_page_writes": "off"}
"""A test kills PostgreSQL, not the machine: what the system was given is not lost."""


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``: the one in the path, or Debian's newest."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class Cluster:
    """A running PostgreSQL, with as many databases as are asked for."""

    def __init__(self, folder: Path, programs: Path, *, safe: bool = False) -> None:
        """Make it in an empty folder with a short path; ``safe`` to wait for the disk."""
        self.folder = folder
        self._programs = programs
        self._numbers = itertools.count(1)
        self._user = _somebody() if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._call(
            "initdb", "--auth=trust", "--username=lim", "--encoding=UTF8", "--locale=C", "-N"
        )
        settings = {
            **_SETTINGS,
            "unix_socket_directories": str(folder),
            **({} if safe else _UNSAFE),
        }
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self.folder / 'data'}", *arguments]
        # Not inherited: what holds a pipe of ours open would keep us waiting.
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            subprocess.run(
                command, check=True, stdout=log, stderr=log, user=self._user, cwd=self.folder
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._call("pg_ctl", "--wait", "--silent", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends connections, ``immediate`` is a crash."""
        self._call("pg_ctl", "--wait", "--silent", f"--mode={mode}", "stop")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block none of its processes gets to do anything: whoever asks gets no answer."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        held = [first]
        os.kill(first, signal.SIGSTOP)  # the first, so that it begins no others
        for found in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            held.append(int(found))
            os.kill(held[-1], signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(held):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def address(self, database: str = "postgres") -> str:
        """What names a database of it."""
        return f"postgresql:///{database}?host={self.folder}&user=lim"

    def new_database(self) -> str:
        """The address of a new, empty database."""
        name = f"lim{next(self._numbers)}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)


def _somebody() -> str:
    """Who runs PostgreSQL, which refuses to be run by root."""
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def short_folder(parent: Path = Path("/tmp")) -> Path:
    """A new folder with a path that leaves room for a socket's name, which others may enter."""
    folder = Path(tempfile.mkdtemp(prefix="limpg-", dir=parent if parent.is_dir() else None))
    folder.chmod(0o755)
    return folder
