"""Who may read and write: devices and their keys, epochs, sealing, and who is a member.

Nothing here imports cryptography before it is needed.
"""

from __future__ import annotations

from liblim.trust.documents import TRUST_TYPES, Device, Library, Server
from liblim.trust.epochs import Epoch, epoch_name
from liblim.trust.grant import MAX_GRANTED, Grant, Granted
from liblim.trust.identity import Certificate, Identity, device_of, read_certificate, words_of
from liblim.trust.keys import LibraryKeys, replica_of
from liblim.trust.ledger import Duties, Ledger, Member, Removal
from liblim.trust.sealing import Learned, Sealer, Unsealed, Verifier
from liblim.trust.vault import Keeping, Vault, machine_mark

__all__ = [
    "MAX_GRANTED",
    "TRUST_TYPES",
    "Certificate",
    "Device",
    "Duties",
    "Epoch",
    "Grant",
    "Granted",
    "Identity",
    "Keeping",
    "Learned",
    "Ledger",
    "Library",
    "LibraryKeys",
    "Member",
    "Removal",
    "Sealer",
    "Server",
    "Unsealed",
    "Vault",
    "Verifier",
    "device_of",
    "epoch_name",
    "machine_mark",
    "read_certificate",
    "replica_of",
    "words_of",
]
