"""A transaction that fails leaves the store as it was, whatever the disk does then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from liblim.errors import StoreError
from liblim.store import Store
from tests.liblim.changes import make


class Failing:
    """A connection that runs no statement while it ``fails``; it rolls back all the same."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, *arguments: Any) -> Any:
        if self.fails and arguments != ("ROLLBACK",):
            raise apsw.IOError("as the test wants it")
        return self._connection.execute(*arguments)


def test_a_disk_that_cannot_be_read_either_costs_no_more_than_the_transaction() -> None:
    store = Store(":memory:")
    first, second = make("a"), make("b")
    with store.transaction():
        store.append(first)
    connection: Any = Failing(store._db)
    store._db = connection

    def write() -> None:
        with store.transaction():
            store.append(second)
            connection.fails = True
            store.set_fact("name", "Desk")

    with pytest.raises(StoreError):
        write()
    connection.fails = False
    assert store.replicas().keys() == {first.replica}
    with store.transaction():
        store.append(second)
    assert store.lookup(second.replica, 1) == (second.hash, second.header.end)
    store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_what_root_makes_in_anothers_folder_is_theirs(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    Store(tmp_path / "log.db").close()
    assert (tmp_path / "log.db").stat().st_uid == 12345
