"""Lives of a database whose power is cut again and again, and what has to hold after each cut."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import apsw

from liblim.change import Change, Head, Range, digest
from liblim.database import Database
from liblim.errors import StoreError
from tests.liblim.store.disk import Disk, Off, path_on
from tests.liblim.things import Thing, memory, pull

CUTS_A_LIFE = 16
_WORDS = ("a", "few words ", "日本語", "x" * 300, "long " * 2000)


class Lost(AssertionError):
    """Something that was acknowledged is gone."""


class Life:
    """One database on a disk, and a device in memory that it syncs with.

    The peer gets each change as soon as that is acknowledged, and loses nothing: it knows what must be there.
    """

    def __init__(self, seed: int, folder: Path, synchronous: str = "FULL") -> None:
        """Begin with an empty disk; ``folder`` is where the database seems to be."""
        self.rng = Random(seed)
        self.disk = Disk()
        self.cuts = 0
        self._path = str(path_on(self.disk, folder))
        self._synchronous = synchronous
        self._peer = memory(self.rng.getrandbits(32))
        self._acknowledged: dict[str, Head] = {}
        self._oids: list[str] = []

    def live(self, cuts: int) -> None:
        """Write and receive, cut, start again, and check, so many times.  Raises Lost and AssertionError."""
        with self.disk.in_use():
            for self.cuts in range(1, cuts + 1):
                self._until_the_cut()
                self.disk.cut(self.rng)
                self._check()

    def _until_the_cut(self) -> None:
        """Work until the power goes: in the middle of some operation on the disk, or between two."""
        self.disk.fail(
            Off, after=self.rng.choice((self.rng.randrange(30), self.rng.randrange(400)))
        )
        database: Database | None = None
        try:
            database = self._open()
            for _ in range(self.rng.randint(1, 12)):
                self._act(database)
                if self.rng.random() < 0.05:
                    self._have_trouble(database)
        except StoreError:
            pass  # the power is off
        self.disk.fail(Off)
        if database is not None:
            with suppress(StoreError):
                database.store.close()

    def _open(self) -> Database:
        database = memory(self.rng.getrandbits(32), self._path)
        database.store._db.pragma("synchronous", self._synchronous)
        # So that checkpoints are among what is cut: usually there is one in 1,000 pages.
        database.store._db.wal_autocheckpoint(self.rng.choice((3, 30, 1000)))
        return database

    def _act(self, database: Database) -> None:
        """Do something that is acknowledged when it returns."""
        match self.rng.choices(("write", "receive", "derive", "release"), (6, 4, 1, 2))[0]:
            case "write":
                for _ in range(self.rng.randint(1, 3)):
                    self._edit(database)
                database.commit()
            case "receive":
                for _ in range(self.rng.randint(1, 4)):
                    self._edit(self._peer)
                self._peer.commit()
                pull(database, self._peer)
            case "derive":
                database.rebuild()
            case "release" if self._oids:
                oid = self.rng.choice(self._oids)
                if database.holds(Thing, oid):
                    database.release(database.get(Thing, oid))
        self._acknowledge(database)

    def _have_trouble(self, database: Database) -> None:
        """Write while the disk fails for a moment; nothing is acknowledged until it is well again."""
        off, at = self.disk.failure, self.disk.fails_from
        self._edit(database)
        self.disk.fail(
            self.rng.choice((apsw.IOError, apsw.FullError)), after=self.rng.randrange(30)
        )
        with suppress(StoreError):
            database.commit()
        self.disk.failure, self.disk.fails_from = off, at
        database.commit()
        self._acknowledge(database)

    def _edit(self, database: Database) -> None:
        rng = self.rng
        held = [oid for oid in self._oids[-6:] if database.holds(Thing, oid)]
        if not held or rng.random() < 0.2:
            thing = database.create(Thing)
            self._oids.append(thing.oid)
        else:
            thing = database.get(Thing, rng.choice(held))
        thing.body.insert(rng.randint(0, len(thing.body)), rng.choice(_WORDS))
        if rng.random() < 0.3:
            at = rng.randrange(len(thing.body))
            thing.body.delete(at, min(rng.randint(1, 9), len(thing.body) - at))
        if rng.random() < 0.2:
            thing.tags.add(rng.randrange(5))

    def _acknowledge(self, database: Database) -> None:
        self._acknowledged = dict(database.heads)
        pull(self._peer, database)

    def _check(self) -> None:
        """Start on what the disk kept: all that was acknowledged is there, and nothing is damaged."""
        database = self._open()
        try:
            found = database.store._db.execute("PRAGMA integrity_check").fetchall()
            assert found == [("ok",)], found
            changes = everything(database)
            self._check_nothing_is_lost(changes)
            assert digest(check_chain(changes)) == database.digest
            database.derive()
            pull(database, self._peer)
            self._acknowledge(database)
            assert database.digest == self._peer.digest
            self._compare(database)
        finally:
            database.close()

    def _check_nothing_is_lost(self, changes: list[Change]) -> None:
        there = {(change.replica, change.seq): change.hash for change in changes}
        for replica, head in self._acknowledged.items():
            if there.get((replica, head.seq)) != head.hash:
                raise Lost(f"change {head.seq} of {replica}")

    def _compare(self, database: Database) -> None:
        """Documents, with the states that were saved of them, and the list are as the peer has them."""
        entries = {entry.oid: entry.summary for entry in database.entries()}
        assert entries == {entry.oid: entry.summary for entry in self._peer.entries()}
        for oid in self.rng.sample(sorted(entries), min(1, len(entries))):
            mine, theirs = database.load(oid).document, self._peer.load(oid).document
            assert mine.encode() == theirs.encode()


def everything(database: Database) -> list[Change]:
    """The whole log, in order."""
    return database.read(
        [Range(r, 1, head.seq) for r, head in database.heads.items()], 10**6, 10**9
    )


def check_chain(changes: list[Change]) -> dict[str, Head]:
    """Check each change on its own, by its hash, and that it stands behind all that it names; the heads."""
    heads: dict[str, Head] = {}
    seen: set[bytes] = set()
    for change in changes:
        change.check()
        alone = Change(change.header, change.signature, change.body)
        assert alone.hash == change.hash, "the hash that is stored is another"
        before = heads.get(change.replica, Head(0, b""))
        assert change.seq == before.seq + 1
        assert before.hash in (b"", change.header.prev)
        assert all(dep.hash in seen for dep in change.header.deps)
        heads[change.replica] = Head(change.seq, change.hash)
        seen.add(change.hash)
    return heads


def run_lives(seed: int, cuts: int, folder: Path, synchronous: str = "FULL") -> int:
    """Cut so many times, over several lives; returns how many of these lost something."""
    lossy = 0
    for number in range(-(-cuts // CUTS_A_LIFE)):
        life = Life(seed + number, folder, synchronous)
        try:
            life.live(min(CUTS_A_LIFE, cuts - number * CUTS_A_LIFE))
        except Lost:
            if synchronous == "FULL":
                print(f"life {seed + number}, cut {life.cuts}")
                raise
            lossy += 1
        except BaseException:
            print(f"life {seed + number}, cut {life.cuts}")
            raise
    return lossy
