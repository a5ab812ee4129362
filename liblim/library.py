"""The library that a store holds, seen from its keys: who is a member, and what opens and seals its changes.

``Library`` keeps three things together: the keys (``LibraryKeys``), what the trust documents say by now (the
``Ledger``), and the facts in the store that both begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from liblim.change import Body, Change
from liblim.errors import CertificateError, LimError, StoreUnsealed
from liblim.store import Store
from liblim.trust import (
    MAX_GRANTED,
    TRUST_TYPES,
    Grant,
    Granted,
    Identity,
    Ledger,
    LibraryKeys,
    device_of,
    epoch_name,
    read_certificate,
)

TRUST_KINDS = frozenset(trust_type.kind for trust_type in TRUST_TYPES)


class TrustWord(NamedTuple):
    """A change on a trust document, with the device that wrote it."""

    change: Change
    author: str
    body: Body


def identifier(store: Store, name: str, entropy: Callable[[int], bytes]) -> str:
    """The id kept under ``name``, 32 hex digits; made where there is none."""
    known = store.fact(name)
    if known is None:
        known = entropy(16).hex()
        store.set_fact(name, known)
    return known


class Library:
    """Keys and members of one library on one device.

    ``keys`` may be used on both halves' threads; ``ledger`` belongs to the document half.
    """

    def __init__(self, store: Store, identity: Identity, entropy: Callable[[int], bytes]) -> None:
        """Take over what a store holds; found a library where it holds nothing.

        Raises StoreUnsealed or StoreError.
        """
        self.id = identifier(store, "library", entropy)
        self._store = store
        if store.fact("genesis") is None:
            self._found(identity, entropy)
        store.save_certificate(identity.device, identity.certificate)
        self._genesis = store.fact("genesis") or ""
        self._remembered = self._fallback = store.fact("epoch") or self._genesis
        self._founder = store.fact("founder") or ""
        certificates = store.certificates()
        self.keys = LibraryKeys(self.id, identity, store.epochs(), [der for der, _ in certificates])
        self.keys.use(self._remembered)
        base = [Granted(der, member) for der, member in certificates]
        self.ledger = Ledger(self.id, base, self._founder)
        self._early: list[TrustWord] | None = []

    def _found(self, identity: Identity, entropy: Callable[[int], bytes]) -> None:
        if self._store.last_position():
            raise StoreUnsealed(
                f"{self._store.path} holds notes from before notes were sealed. "
                "They have to be brought over into a new library."
            )
        key = entropy(32)
        with self._store.transaction():
            self._store.set_fact("genesis", epoch_name(key))
            self._store.set_fact("founder", identity.device)
            self._store.save_epoch(key)
            self._store.save_certificate(identity.device, identity.certificate, member=True)

    # The ledger

    @property
    def first_epoch(self) -> str:
        """The name of the epoch with which the library was founded: every member has its key."""
        return self._genesis

    @property
    def loaded(self) -> bool:
        """Whether the ledger has seen the log."""
        return self._early is None

    def begin_with(self, words: list[TrustWord]) -> None:
        """Fill the ledger with what the log held, and with what was delivered since."""
        early, self._early = self._early, None
        for word in [*words, *(early or ())]:
            self.ledger.take(*word)
        self.choose_epoch()

    def take(self, word: TrustWord) -> bool:
        """Take a delivered change into the ledger; whether what holds may have changed."""
        if self._early is not None:
            self._early.append(word)
            return False
        return self.ledger.take(*word)

    def hear(self, word: TrustWord) -> bool:
        """Take what a change says that could not enter the log; whether there may be duties."""
        # Before the log was read nothing can be made of it; it will be sent again.
        return self._early is None and self.ledger.hear(*word)

    def choose_epoch(self) -> None:
        """Seal with the epoch that the ledger names; until it names one, with that of the start."""
        self.keys.use(self.ledger.epoch(self.keys.epochs) or self._fallback)

    def remember_epoch(self) -> None:
        """Keep which epoch is to be used, for the next start.  Within a transaction."""
        if self.keys.epoch != self._remembered:
            self._store.set_fact("epoch", self.keys.epoch)
            self._remembered = self.keys.epoch

    # Joining

    def grant(self, joiner: str = "") -> Grant:
        """All that the device ``joiner`` needs to become a member; of the epochs the one in use comes last.

        What there is no room for comes with the log: certificates with their introductions, keys by the
        duties of the members.
        """
        # Copies, as the store's thread may learn of one more.
        epochs, certificates = dict(self.keys.epochs), dict(self.keys.certificates)
        first, last = self._genesis, self.keys.epoch
        announced, members = self.ledger.announced, self.ledger.members
        others = [name for name in epochs if name not in (first, last)]
        others = sorted(others, key=lambda name: name not in announced)[: MAX_GRANTED - 2]
        named = [first, *others, last] if others or last != first else [first]
        needed = {self._founder, self.keys.device, joiner}
        ranked = sorted(certificates, key=lambda found: (found not in needed, found not in members))
        return Grant(
            library=self.id,
            founder=self._founder,
            epochs=tuple(epochs[name].key for name in named),
            devices=tuple(
                Granted(certificates[device], device in members) for device in ranked[:MAX_GRANTED]
            ),
        )


def take_on(
    store: Store, identity: Identity, grant: Grant, entropy: Callable[[int], bytes]
) -> None:
    """Make the store one of another library, without changes; of its own, only add what it lacks.

    Raises LimError where the grant is not for this device, and StoreError.
    """
    if not any(granted.certificate == identity.certificate for granted in grant.devices):
        raise LimError("The other device sent keys that are not for this device. Pair once more.")
    try:
        for granted in grant.devices:
            read_certificate(granted.certificate)
    except CertificateError:
        raise LimError("The other device sent a damaged certificate. Pair once more.") from None
    if not grant.epochs:
        raise LimError("The other device sent no keys. Pair once more.")
    with store.transaction():
        if store.fact("library") != grant.library:
            store.begin_anew()
            store.set_fact("library", grant.library)
            store.set_fact("log", entropy(16).hex())
        store.set_fact("genesis", epoch_name(grant.epochs[0]))
        store.set_fact("epoch", epoch_name(grant.epochs[-1]))
        store.set_fact("founder", grant.founder)
        for key in grant.epochs:
            store.save_epoch(key)
        for granted in grant.devices:
            device = device_of(granted.certificate)
            store.save_certificate(device, granted.certificate, member=granted.member)
