"""A process that appends to a log until it is killed, and says what is durable: for test_stores."""

from __future__ import annotations

import sys
from pathlib import Path

from liblim.change import Change
from liblim.server.cli import open_storage
from liblim.server.stores import Storage
from tests.liblim.changes import make


def storage_at(place: str) -> Storage:
    """The storage in a folder, or at the address of a database."""
    folder, database = (place, "") if "://" not in place else ("", place)
    return open_storage(Path(folder), database)


def main(place: str, library: str) -> None:
    """Go on with the one replica of a log, in batches of three."""
    log = storage_at(place).open(library)
    end = log.history(log.last_position() - 1, 1)
    last: Change | None = end[0].change if end else None
    while True:
        with log.transaction():
            for new in log.fresh().changes:  # what one killed before had begun to commit
                last = new.change
            for _ in range(3):
                last = make("a", last)
                log.append(last)
        print(log.last_position(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
