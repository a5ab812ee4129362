"""Opening a data folder: this device's key, and the library that the folder holds.

A new key is made only in a folder that holds no library yet, or because a person said so (``renew``): a key
that is gone is said, never replaced in silence.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, NamedTuple

from app import kept
from app.folder import Folder
from app.notes import Note
from liblim.aio import AsyncDatabase
from liblim.errors import IdentityLost, LimError, StoreUnsealed
from liblim.trust import Identity
from liblim.trust.vault import Vault

KEYRING_SERVICE = "limnotes"
"""The name under which passphrases stand in the system's keyring."""
NEW_KEY = (
    "Put the file back from a backup. If there is none, make a new key with 'limnotes identity new'; "
    "your notes stay, and devices that this one was paired with have to be paired again."
)


class Opened(NamedTuple):
    """An open library, with the key of this device, locked as yet."""

    vault: Vault
    identity: Identity
    database: AsyncDatabase


def vault_of(folder: Folder) -> Vault:
    """Where the key of this device is kept."""
    return Vault(folder.path, service=KEYRING_SERVICE)


async def open_library(folder: Folder) -> Opened:
    """Open what a locked folder holds; make a key and a library where it holds nothing.

    Quick, and without cryptography, where both are there.

    Raises IdentityLost, StoreTooNew, StoreReadOnly or another LimError.
    """
    vault = vault_of(folder)
    identity = await _identity(folder, vault)
    try:
        database = await _open(folder, identity)
    except StoreUnsealed:
        await found_anew(folder, vault, identity, sealed=False)
        database = await _open(folder, identity)
    return Opened(vault, identity, database)


async def _open(folder: Folder, identity: Identity) -> AsyncDatabase:
    return await AsyncDatabase.open(folder.database, [Note], identity=identity)


async def _identity(folder: Folder, vault: Vault) -> Identity:
    if vault.exists:
        try:
            return vault.read()
        except IdentityLost as error:
            raise IdentityLost(f"{error} {NEW_KEY}") from error
    if await _belongs_to_a_device(folder):
        raise IdentityLost(
            f"The key of this device is gone: {folder.path} holds notes, and no identity.pem. {NEW_KEY}"
        )
    return await asyncio.to_thread(vault.create)


async def _belongs_to_a_device(folder: Folder) -> bool:
    """Whether the folder holds a library with keys, which some device founded or joined."""
    if not folder.database.exists():
        return False
    database = await AsyncDatabase.open(folder.database, [Note])
    try:
        return await database.fact("genesis") is not None
    finally:
        await database.close()


async def renew(folder: Folder) -> None:
    """Give this device a new key, because a person said so; the folder is locked and not open.

    A library with other devices stays as it is: one of them has to introduce the new key, by pairing.  One
    whose only device had the lost key is founded anew, and its notes are brought over.

    Raises LimError.
    """
    vault = vault_of(folder)
    copied = vault.exists and vault.elsewhere
    old = _old_device(vault)
    identity = await asyncio.to_thread(vault.replace if vault.exists else vault.create)
    if not folder.database.exists():
        return
    try:
        database = await _open(folder, identity)
    except StoreUnsealed:
        return  # brought over when it is opened
    try:
        await database.load_trust()
        others = database.ledger.members.keys() - {old}
        # This may be a copy of a folder that is still in use: what it sends must not be taken for that log.
        await database.set_fact("log", secrets.token_hex(16))
    finally:
        await database.close()
    alone = len(others) <= (0 if old else 1)  # where it is not known, one of them is the old one
    if alone and not copied:
        await found_anew(folder, vault, identity, sealed=True)


def _old_device(vault: Vault) -> str:
    """The device whose key is replaced; empty where that is not known."""
    try:
        return vault.read().device
    except LimError:
        return ""


async def found_anew(folder: Folder, vault: Vault, identity: Identity, *, sealed: bool) -> None:
    """Keep the folder's library aside, and begin a new one that its notes are then added to.

    What was there stays in place until the new library stands, so a crash costs nothing.
    """
    options: dict[str, Any] = {"identity": identity} if sealed else {}
    old = await AsyncDatabase.open(folder.database, [Note], **options)
    try:
        pending = await kept.keep(old, vault, folder, add=True, first_sync=False)
        facts = {name: await old.fact(name) for name in kept.OWN_FACTS}
    finally:
        await old.close()
    fresh = folder.database.with_suffix(".new")
    for leftover in folder.path.glob(f"{fresh.name}*"):
        leftover.unlink()
    database = await AsyncDatabase.open(fresh, [Note], identity=identity)
    try:
        for name, value in facts.items():
            if value is not None:
                await database.set_fact(name, value)
        await kept.remember(database, *pending)
    finally:
        await database.close()
    fresh.replace(folder.database)
