"""Both storages of a server, for the same tests."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from liblim.server.stores import Storage
from tests.liblim.server.appending import storage_at

if TYPE_CHECKING:
    from tests.liblim.server.cluster import Cluster

Opener = Callable[[], Storage]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this run."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (the extra `postgres`)")
    from tests.liblim.server.cluster import Cluster, binaries, short_folder

    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = short_folder()
    try:
        cluster = Cluster(folder, programs)
        yield cluster
        cluster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a storage is to be: a folder, or the address of a database."""
    if request.param == "sqlite":
        return str(tmp_path / "server")
    return str(request.getfixturevalue("cluster").new_database())


@pytest.fixture
def open_storage(place: str) -> Iterator[Opener]:
    """Opens the same storage as often as it is called, as several processes would."""
    opened: list[Storage] = []

    def opener() -> Storage:
        opened.append(storage_at(place))
        return opened[-1]

    yield opener
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(open_storage: Opener) -> Storage:
    """A storage, empty."""
    return open_storage()
