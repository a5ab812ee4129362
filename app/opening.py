"""Opening a data folder: this device's key, and the library that the folder holds.

A new key is made only in a folder that holds no library yet, or because a person said so (``renew``): a key
that is gone is said, never replaced in silence.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, NamedTuple

from app import kept
from app.folder import Folder
from app.notes import Note
from liblim.aio import AsyncDatabase
from liblim.errors import IdentityLost, LimError, StoreUnsealed
from liblim.trust import Identity
from liblim.trust.vault import Vault

_log = logging.getLogger(__name__)

KEYRING_SERVICE = "limnotes"
"""The name under which passphrases stand in the system's keyring."""
NEW_KEY = (
    "Put the file back from a backup. If there is none, make a new key with 'limnotes identity new'; "
    "your notes stay, and devices that this one was paired with have to be paired again."
)
_RENEWING = "renewing"
"""The fact that names the device whose key is being replaced, until the library is one for the new key."""
_UNKNOWN = "unknown"


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
    if await _is_unfinished(database) and not kept.is_kept(folder):  # a copy is as it was copied
        await database.close()
        try:
            await _finish_renewal(folder, vault, identity)
        except LimError as error:  # the notes can be read meanwhile, and the next start tries again
            _log.warning("The library could not be founded anew yet. %s", error)
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


async def _is_unfinished(database: AsyncDatabase) -> bool:
    try:
        return bool(await database.fact(_RENEWING))
    except BaseException:
        await database.close()
        raise


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
    whose only device had the lost key is founded anew, and its notes are brought over.  What is cut off is
    finished when the folder is opened, or by doing this again.

    Raises LimError.
    """
    vault = vault_of(folder)
    if folder.database.exists():
        await _begin_renewal(folder, vault)
    identity = await asyncio.to_thread(vault.replace if vault.exists else vault.create)
    if folder.database.exists():
        await _finish_renewal(folder, vault, identity)


async def _begin_renewal(folder: Folder, vault: Vault) -> None:
    """Write down whose key is to be replaced, while that can be told."""
    database = await AsyncDatabase.open(folder.database, [Note])
    try:
        if await database.fact(_RENEWING):
            return  # cut off before: that device is the one that the library knows
        await kept.recall(database, folder)  # it tells by the log which copies are needless
        # This may be a copy of a folder that is still in use: what it sends must not be taken for that log.
        await database.set_fact("log", secrets.token_hex(16))
        copied = vault.exists and vault.elsewhere
        if not copied:  # else the device that it was copied from can introduce the new key
            await database.set_fact(_RENEWING, _old_device(vault))
    finally:
        await database.close()


async def _finish_renewal(folder: Folder, vault: Vault, identity: Identity) -> None:
    """Found the library anew where nobody is left who could introduce the new key."""
    try:
        database = await _open(folder, identity)
    except StoreUnsealed:
        return  # brought over when it is opened
    try:
        alone = await _is_left_alone(database)
        if not alone:
            await database.set_fact(_RENEWING, "")
    finally:
        await database.close()
    if alone:
        await found_anew(folder, vault, identity, sealed=True)


async def _is_left_alone(database: AsyncDatabase) -> bool:
    old = await database.fact(_RENEWING)
    await database.load_trust()
    members, removed = database.ledger.members, database.ledger.removed
    if not old or database.device in members or database.device in removed:
        return False  # one that the library knows has no new key
    others = members.keys() - {old}
    return len(others) <= (1 if old == _UNKNOWN else 0)  # one of them is the unknown one


def _old_device(vault: Vault) -> str:
    """The device whose key is replaced, as far as that is known."""
    try:
        return vault.read().device
    except LimError:
        return _UNKNOWN


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
