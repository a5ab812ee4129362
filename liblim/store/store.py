"""One library's database: every SQL statement stands in this package.

All methods are synchronous and meant for one thread; ``AsyncDatabase`` gives them one of their own.
"""

from __future__ import annotations

from liblim.store.connection import errors_in_words
from liblim.store.derived import Derived


class Store(Derived):
    """One library's database file, open and locked by this process: the log, and all that is kept beside it.

    Every method may raise StoreError; a failed transaction leaves the file as it was.
    """

    # Keys

    def epochs(self) -> list[bytes]:
        """The keys of all epochs."""
        with errors_in_words(self.path):
            return [row[0] for row in self._db.execute("SELECT key FROM epochs")]

    def save_epoch(self, key: bytes) -> bool:
        """Keep an epoch's key; whether it is new."""
        with errors_in_words(self.path):
            self._db.execute("INSERT OR IGNORE INTO epochs VALUES (?)", (key,))
            return bool(self._db.changes())

    def certificates(self) -> list[tuple[bytes, bool]]:
        """All known certificates, and whether each was a member's when this library was joined."""
        with errors_in_words(self.path):
            rows = self._db.execute("SELECT certificate, member FROM certificates ORDER BY device")
            return [(certificate, bool(member)) for certificate, member in rows]

    def save_certificate(self, device: str, certificate: bytes, member: bool = False) -> None:
        """Keep a device's certificate."""
        with errors_in_words(self.path):
            self._db.execute(
                "INSERT INTO certificates VALUES (?, ?, ?) "
                "ON CONFLICT (device) DO UPDATE SET member = max(member, excluded.member)",
                (device, certificate, member),
            )

    # Receipts: what others hold

    def receipts(self) -> list[tuple[bytes, int]]:
        """What is kept of each device, with the position of the log at that time."""
        with errors_in_words(self.path):
            rows = self._db.execute("SELECT kept, position FROM receipts ORDER BY device")
            return [(kept, position) for kept, position in rows]

    def save_receipt(self, device: str, kept: bytes, position: int) -> None:
        """Keep what was heard of a device."""
        with errors_in_words(self.path):
            row = device, kept, position
            self._db.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)", row)

    def forget_receipt(self, device: str) -> None:
        """Drop what was heard of a device."""
        with errors_in_words(self.path):
            self._db.execute("DELETE FROM receipts WHERE device = ?", (device,))

    # Peers: what this device alone knows of the others

    def peers(self) -> list[bytes]:
        """All peer records, as they were saved."""
        with errors_in_words(self.path):
            return [row[0] for row in self._db.execute("SELECT record FROM peers ORDER BY device")]

    def save_peer(self, device: str, record: bytes) -> None:
        """Keep a peer record."""
        with errors_in_words(self.path):
            self._db.execute("INSERT OR REPLACE INTO peers VALUES (?, ?)", (device, record))

    def forget_peer(self, device: str) -> None:
        """Drop a peer record."""
        with errors_in_words(self.path):
            self._db.execute("DELETE FROM peers WHERE device = ?", (device,))

    # All of it

    def begin_anew(self) -> None:
        """Forget the log, the keys, and all that was derived.  Within a transaction."""
        for table in (
            *("undo", "states", "touches", "documents", "frontier", "aside", "changes"),
            *("replicas", "epochs", "epoch_names", "certificates", "receipts", "peers"),
        ):
            self._db.execute(f"DELETE FROM {table}")
        self._ids, self._new = {}, []
