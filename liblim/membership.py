"""``Membership``: what this device writes about who is in the library, and the keys that go with it.

What holds is for the ledger to say; here is who introduces, names and removes, and what follows from
others having done so at the same time (see ``Ledger.duties``).

Introductions and the library's document are sealed under the library's first epoch, which every device that
was ever introduced has: who lacks a key could else not read the very change that brings it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from liblim.aio import AsyncDatabase
from liblim.crdt import Register
from liblim.document import Document
from liblim.errors import CertificateError, LimError
from liblim.trust import Device, Library, Member, Server, read_certificate
from liblim.trust.documents import (
    MAX_ADDRESS,
    MAX_ADDRESSES,
    MAX_SAW,
    clean_name,
    text_of,
)

KEYS_EACH = 400
"""Devices for which one element of ``epochs`` is written here, so that it fits one operation."""
SLICE = 16
"""Keys wrapped in one go, at some 0.2 ms each: typing waits for no more."""

D = TypeVar("D", bound=Document)
V = TypeVar("V")


class Membership:
    """Changes who is in the library of an open database; one change after another."""

    def __init__(
        self, database: AsyncDatabase, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """Write through ``database``, which needs an identity; ``entropy(n)`` gives n random bytes."""
        self._database = database
        self._entropy = entropy
        self._turn = asyncio.Lock()
        self._handed: set[tuple[str, str]] = set()
        """Epochs and devices that this run has wrapped a key for: never twice, whatever others write."""

    async def introduce(self, certificate: bytes, name: str) -> None:
        """Make the device with this certificate (DER) a member, and give it the announced epochs.

        Raises CertificateError; LimError where it was removed, or this device was; StoreError.
        """
        device = read_certificate(certificate).device
        async with self._at_work():
            ledger = self._database.ledger
            if device in ledger.removed:
                raise LimError(
                    "That device was removed from this library, and a removal holds for ever. "
                    "Give it a new identity there, then pair it again."
                )
            if device not in ledger.members:
                async with self._document(Device, device) as document:
                    with self._readable_by_all():
                        _write(document.certificate, text_of(certificate))
                    _write(document.name, clean_name(name))
            await self._tend()

    async def add_server(self, certificate: bytes, name: str, addresses: Sequence[str]) -> None:
        """Let all devices of the library use the server with this certificate (DER), at these addresses.

        Raises CertificateError; LimError where it was removed, or this device was; StoreError.
        """
        server = read_certificate(certificate).device
        async with self._at_work():
            if server in self._database.ledger.removed:
                raise LimError(
                    "That server was removed from this library, and a removal holds for ever. "
                    "Give it a new key there, then pair it again."
                )
            async with self._document(Server, server) as document:
                _write(document.certificate, text_of(certificate))
                _write(document.name, clean_name(name))
                _write(document.addresses, _fitting(addresses))

    async def rename(self, device: str, name: str) -> None:
        """Name a member.  Raises LimError where it is none, or the name is empty, and StoreError."""
        wanted = clean_name(name)
        if not wanted:
            raise LimError("A device needs a name. Type one.")
        async with self._at_work():
            if self._member(device).name != wanted:
                kind: type[Device | Server] = Server if self._member(device).server else Device
                async with self._document(kind, device) as document:
                    _write(document.name, wanted)

    async def announce(self, addresses: Sequence[str]) -> None:
        """Say at which ``host:port`` this device listens, where that is news.

        Not before this device has read its own introduction: then it does not know yet what is news.
        Raises as ``rename``.
        """
        if not self._database.ledger.knows(self._database.device):
            return
        wanted = _fitting(addresses)
        async with self._at_work():
            device = self._database.device
            if self._member(device).addresses != tuple(wanted):
                async with self._document(Device, device) as document:
                    _write(document.addresses, wanted)

    async def remove(self, device: str) -> None:
        """Remove a member for ever, with a new epoch for the others, or a server; nothing if it is removed.

        Raises LimError where it is no member or this very device, and StoreError.
        """
        async with self._at_work():
            if device == self._database.device:
                raise LimError(
                    "A device cannot remove itself. Remove it on another device of the library."
                )
            if device in self._database.ledger.removed:
                return
            elements: list[dict[str, Any]] = []
            if not self._member(device).server:  # which has no keys
                others = self._database.ledger.members.keys() - {device}
                elements = await self._new_epoch(others)
            async with self._document(Library, self._database.library) as document:
                with self._readable_by_all():
                    document.removed.add({"device": device, "saw": self._saw(device)})
                    for element in elements:
                        document.epochs.add(element)

    async def tend(self) -> None:
        """Do what this device owes the others, if anything: a new epoch, keys that some lack.

        To be called after the ledger changed.  Raises StoreError.
        """
        async with self._at_work(asks=False):
            await self._tend()

    async def _tend(self) -> None:
        database = self._database
        assert database.core.trust is not None
        held = database.keys.epochs
        # The first everybody has.
        in_use = held.keys() - {database.core.trust.first_epoch}
        duties = database.ledger.duties(database.device, held, in_use)
        removals = duties.removals
        elements: list[dict[str, Any]] = []
        if duties.new_epoch or removals.keys() & database.ledger.members.keys():
            elements += await self._new_epoch(database.ledger.members.keys() - removals.keys())
        for epoch, devices in duties.wraps.items():
            lacking = [device for device in devices if (epoch, device) not in self._handed]
            elements += await self._wrapped(epoch, [one for one in lacking if one not in removals])
        if elements:
            async with self._document(Library, database.library) as document:
                with self._readable_by_all():
                    for device, saw in removals.items():
                        document.removed.add({"device": device, "saw": saw})
                    for element in elements:
                        document.epochs.add(element)

    @asynccontextmanager
    async def _at_work(self, *, asks: bool = True) -> AsyncIterator[None]:
        """Take turns, knowing what holds, with nothing written here that the ledger does not know.

        Raises LimError where somebody ``asks`` and this device is no member.
        """
        async with self._turn:
            await self._database.load_trust()
            await self._database.commit()
            if asks and self._database.device not in self._database.ledger.members:
                raise LimError(
                    "This device was removed from the library, so it cannot say who belongs to it."
                )
            if asks and not self._database.ledger.knows(self._database.device):
                # What it would remove or introduce now would void what it has not read.
                raise LimError(
                    "This device has not received all that it needs yet. Let it sync with another "
                    "device of the library first, then try again."
                )
            yield

    def _member(self, device: str) -> Member:
        found = self._database.ledger.peers.get(device)
        if found is None:
            raise LimError("That device does not belong to the library any more.")
        return found

    @asynccontextmanager
    async def _document(self, document_type: type[D], oid: str) -> AsyncIterator[D]:
        """A trust document; what is written to it in the block is durable after it."""
        document = await self._database.ensure(document_type, oid)
        try:
            yield document
        finally:
            await self._database.release(document)

    @contextmanager
    def _readable_by_all(self) -> Iterator[None]:
        """Seal what is written in the block under the first epoch, as one change; nothing may wait in it."""
        writer, keys = self._database.core.writer, self._database.keys
        writer.close()  # what was typed until now
        current = keys.epoch
        assert self._database.core.trust is not None
        keys.use(self._database.core.trust.first_epoch)
        try:
            yield
            writer.close()
        finally:
            keys.use(current)

    def _saw(self, device: str) -> dict[str, int]:
        """Up to where this device has read another, in the replicas that matter most if there are many."""
        ends = {
            replica: author.end
            for replica, author in self._database.authors.items()
            if author.device == device
        }
        wrote = self._database.ledger.replicas(device)
        ranked = sorted(ends, key=lambda one: (one in wrote, ends[one]), reverse=True)
        return {replica: ends[replica] for replica in sorted(ranked[:MAX_SAW])}

    async def _new_epoch(self, members: Iterable[str]) -> list[dict[str, Any]]:
        """Make a key; it is used as soon as these elements, which announce it, are in the log."""
        database = self._database
        epoch = database.keys.add_epoch(self._entropy(32))
        others = sorted(set(members) - {database.device})
        return await self._wrapped(epoch, [database.device, *others])

    async def _wrapped(self, epoch: str, devices: Sequence[str]) -> list[dict[str, Any]]:
        """Elements of ``epochs`` that give an epoch's key to these devices."""
        keys: dict[str, str] = {}
        for number, device in enumerate(devices, 1):
            self._handed.add((epoch, device))
            try:
                keys[device] = text_of(self._database.keys.wrap_for(device, epoch))
            except CertificateError:
                continue  # it can have no secrets: its key is a trap
            if number % SLICE == 0:
                await asyncio.sleep(0)
        found = list(keys.items())
        slices = [dict(found[n : n + KEYS_EACH]) for n in range(0, len(found), KEYS_EACH)]
        return [{"epoch": epoch, "keys": piece} for piece in slices]


def _fitting(addresses: Sequence[str]) -> list[str]:
    return [found for found in addresses if 0 < len(found) <= MAX_ADDRESS][:MAX_ADDRESSES]


def _write(register: Register[V], value: V) -> None:
    """Write also what the register holds already: the operation that wrote it may be void."""
    if register.value == value:
        register.set(register.default)
    register.set(value)
