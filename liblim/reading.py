"""Admission on a device, which reads what it can: what each change is about, and the keys that it brings."""

from __future__ import annotations

from liblim.admission import Admission, Early, Entered, Outside
from liblim.change import Body, Change, unpack_body
from liblim.errors import ChangeError
from liblim.store import Store
from liblim.trust import Library, Sealer, device_of


class ReadingAdmission(Admission):
    """Admission by somebody with keys.

    A body that cannot be read, or of an unknown kind, is admitted like any other.
    """

    def __init__(self, store: Store, sealer: Sealer, library: str = "") -> None:
        """Read the heads of the log; ``library`` is the oid of its library document.

        Raises StoreError.
        """
        super().__init__(store, sealer)
        self._own = (Library.kind, library)
        self._derived = store
        self._keys = sealer
        self._unlocked = False

    def _read(self, position: int, change: Change) -> Entered:
        """Note what a change is about, and take the keys that it may bring."""
        body = self.read_body(change)
        if body is not None:
            learned = self._keys.learn(change, body)
            # A member that wrote another kind of document under such an oid could block its own removal.
            holds = bool(learned.certificates) or (body.kind, body.oid) == self._own
            at = change.header.at
            self._derived.touch(position, body.oid, body.kind, at, kind_holds=holds)
            for certificate in learned.certificates:
                self._derived.save_certificate(device_of(certificate), certificate)
                self._introduced.append(device_of(certificate))
            for key in learned.epochs:
                self._unlocked |= self._derived.save_epoch(key)
        return Entered(position, change, body)

    def _hear(self, change: Change) -> None:
        """Note what a change says on the library's document, though it cannot enter, if it is genuine."""
        device = self._author(change)
        body = self.read_body(change)
        if body is None or (body.kind, body.oid) != self._own or not device:
            return
        try:
            self._authenticate(change, device)
        except (ChangeError, Early):
            return
        self._outside.append(Outside(change, device, body))
        # With the key of an epoch that is announced there, what is set aside can be read, and issued again.
        for key in self._keys.learn(change, body).epochs:
            self._unlocked |= self._derived.save_epoch(key)

    def _revive(self) -> tuple[Entered, ...]:
        """Read what could not be read before, if a key has come."""
        revived: list[Entered] = []
        while self._unlocked:
            self._unlocked = False
            for position, change in self._derived.unread():
                found = self._read(position, change)
                if found.body is not None:
                    self._derived.forget_state(found.body.oid)
                    revived.append(found)
        return tuple(revived)

    def read_again(self) -> None:
        """Note what all those changes are about that this version can read, and an older could not.

        Raises StoreError.
        """
        with self._derived.transaction():
            self._unlocked = True
            self._revive()

    def read_body(self, change: Change) -> Body | None:
        """Open and read a change's body; ``None`` where this version cannot."""
        if change.body is None:
            return None
        try:
            return unpack_body(self._keys.open(change.body, change.header))
        except ChangeError:
            return None
