"""All that a server keeps, in one PostgreSQL database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from liblim.errors import StoreError
from liblim.server.postgres.hints import Hints
from liblim.server.postgres.log import PostgresLog
from liblim.server.postgres.pool import PATIENCE, SIZE, Pool, connect, errors_in_words
from liblim.server.postgres.registry import PostgresRegistry
from liblim.server.postgres.schema import SCHEMA, migrate

BACKUP = "limserver.dump"


class PostgresStorage:
    """A ``Storage``: see there."""

    def __init__(self, database: str, size: int = SIZE, patience: float = PATIENCE) -> None:
        """Open a database, ``postgresql://…``, and bring it to this version's tables.

        ``size`` bounds the connections of its threads; for ``patience`` seconds PostgreSQL may be away
        later on before what waits for it fails.

        Raises StoreTooNew, StoreReadOnly or StoreError.
        """
        self._pool = Pool(database, size, patience)
        with errors_in_words(), connect(self._pool.info) as connection:
            migrate(connection)
        self._open: dict[str, PostgresLog] = {}
        self._hints = Hints(self._pool.info, lambda: tuple(self._open))
        self.registry = PostgresRegistry(self._pool, self._hints.tell)

    def open(self, library: str) -> PostgresLog:
        """The log of a library that the registry knows; one process opens each at most once."""
        log = PostgresLog(self._pool, library, self._hints.tell, self._closed)
        self._open[library] = log
        return log

    def _closed(self, log: PostgresLog) -> None:
        if self._open.get(log.library) is log:  # not one that was opened after it
            del self._open[log.library]

    def has_log(self, library: str) -> bool:
        """It is: the tables hold the logs of all libraries."""
        return True

    def listen(self, hint: Callable[[str], None]) -> None:
        """Call ``hint``, on its own thread, when another process may have written to a library.

        "" is for the registry.  Hints may be late by some seconds, and may come without news.
        """
        self._hints.listen(hint)

    def writing(self) -> AbstractContextManager[None]:
        """The right to run a server on this storage: any number of processes may."""
        return nullcontext()

    def back_up(self, folder: Path) -> None:
        """Write a copy of everything into a new folder, with ``pg_dump``; ``pg_restore`` reads it.

        Raises StoreError.
        """
        given = conninfo_to_dict(self._pool.info)
        # Not among the arguments, which everybody can see.
        secret = {"PGPASSWORD": str(given.pop("password"))} if given.get("password") else {}
        given.pop("options", None)  # its search path is not pg_dump's
        command = ["pg_dump", "--format=custom", f"--schema={SCHEMA}", "--no-owner"]
        try:
            folder.mkdir(mode=0o700)
            place = [f"--file={folder / BACKUP}", f"--dbname={make_conninfo('', **given)}"]
            done = subprocess.run(  # noqa: S603 - a fixed program, no shell
                [*command, *place], env={**os.environ, **secret}, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise StoreError(
                "PostgreSQL's program pg_dump is not here. Install it (Debian: postgresql-client)."
            ) from error
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}.") from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise StoreError(f"pg_dump failed: {lines[0]}.")

    def close(self) -> None:
        """Let go of everything."""
        self._hints.close()
        self._pool.close()
