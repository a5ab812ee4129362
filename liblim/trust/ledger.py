"""The ledger: who is in a library, as its trust documents' operations say.

It depends on the set of operations read, never on the order in which they came:

1.  *Ever introduced* are the founder and whom a device that was ever introduced introduced: that is,
    wrote the certificate into whose ``device`` document, which is named after it.
2.  Removals by those count, for ever, also where their author was removed.  An operation of a removed
    device is void where a removal of it did not see it (see ``Removed.saw``).
3.  *Introduced* are the founder and whom a device that is introduced introduced by an operation that is
    not void.  All other operations hold where their author is introduced and they are not void.
4.  *Members* are the introduced without the removed.
5.  *Servers* are those of whom an introduced device wrote the certificate into their ``server`` document, by
    an operation that is not void, without the removed and the members.

The first rule looks at no removal, so no operation can take away its own ground.

Memory is bounded against a hostile member: what repeats is merged, and of what one author writes in numbers
the last counts.  Introductions and removals are all kept: were there an end to them, a device could push out
its own, and with them what they give ground to.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from liblim.change import Body, Change
from liblim.crdt.ops import BEGINNING, Id
from liblim.errors import CertificateError
from liblim.trust.authors import Author, Removals, seen_by_both
from liblim.trust.documents import (
    Addresses,
    Device,
    Library,
    Removed,
    Server,
    Wrapped,
    Write,
    bytes_of,
    clean_name,
    writes,
)
from liblim.trust.identity import device_of, read_certificate

if TYPE_CHECKING:
    from liblim.trust.grant import Granted

LATEST = 16
"""Writes of one author to one register that are remembered."""


class Member(NamedTuple):
    """A device of the library, or a server; ``addresses`` are ``host:port``, as the device announced them."""

    device: str
    certificate: bytes
    name: str
    addresses: tuple[str, ...]
    server: bool = False


class Removal(NamedTuple):
    """The first removal of a device: by which other, and when by that one's clock (Unix ms)."""

    device: str
    by: str
    at: int


class Duties(NamedTuple):
    """What a device should write: a new epoch, and the keys of epochs for those who lack them.

    Also removals, with what each saw, that others said in changes that cannot enter the log here.
    """

    new_epoch: bool
    wraps: dict[str, list[str]]
    removals: dict[str, dict[str, int]]


@lru_cache(maxsize=64)
def _is_certificate(der: bytes) -> bool:
    """Whether these bytes are one; remembered, because telling takes long and may be asked for often."""
    try:
        read_certificate(der)
    except CertificateError:
        return False
    return True


@dataclass
class _Holds:
    """What holds: made from all operations, and kept until another comes."""

    members: dict[str, Member] = field(default_factory=dict)
    servers: dict[str, Member] = field(default_factory=dict)
    removed: dict[str, Removal] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)
    """Who was ever introduced."""
    last_removal: Id = BEGINNING
    """Of a device that may hold keys."""
    epochs: dict[str, Id] = field(default_factory=dict)
    """The announced ones, the latest first."""
    keys: dict[str, set[str]] = field(default_factory=dict)
    """For each epoch the devices that wrapped it, and that it was wrapped for."""


class Ledger:
    """Who is in the library ``library``; pure, fed with every change on a trust document.

    ``base`` are the certificates handed over on joining: those of members count as introduced until an
    introduction, or what claims to be one, was read; then the operations decide.
    """

    def __init__(self, library: str, base: Iterable[Granted] = (), founder: str = "") -> None:
        """Begin with what was handed over, without reading the certificates."""
        self.library = library
        self.founder = founder
        self.certificates: dict[str, bytes] = {}
        """Every certificate ever read, also of devices that are not members."""
        self._base: set[str] = set()
        for granted in base:
            # Not read yet: that takes cryptography, and a start has to do without.
            device = device_of(granted.certificate)
            self.certificates[device] = granted.certificate
            if granted.member:
                self._base.add(device)
        self._authors: dict[str, Author] = {}
        self._introduced: set[str] = set()
        self._servers: dict[str, bytes] = {}
        """The certificate of every server ever read."""
        self._registers: dict[tuple[str, str], dict[str, list[tuple[Id, Any]]]] = {}
        self._heard: dict[tuple[str, str], dict[str, int]] = {}
        self._derived: _Holds | None = None

    # Reading

    def take(self, change: Change, author: str, body: Body) -> bool:
        """Read a change by device ``author``; return whether what holds may have changed.

        Nothing in a body makes it fail: what is not understood is passed over.
        """
        read: Callable[[Write, str, str, int], bool]
        if body.kind == Device.kind:
            read = self._read_device
        elif body.kind == Server.kind:
            read = self._read_server
        elif body.kind == Library.kind and body.oid == self.library:
            read = self._read_library
        else:
            return False
        news = False
        for write in writes(change, body):
            try:
                news |= read(write, author, body.oid, change.header.at)
            except (msgspec.ValidationError, CertificateError):
                continue
        if news:
            self._derived = None
        return news

    def _read_device(self, write: Write, author: str, device: str, at: int) -> bool:
        match write.field:
            case "= certificate":
                return self._introduce(write, author, device)
            case "= name":
                name = clean_name(msgspec.convert(write.value, str))
                return self._register(write.id, author, (device, "name"), name)
            case "= addresses":
                addresses = tuple(msgspec.convert(write.value, Addresses))
                return self._register(write.id, author, (device, "addresses"), addresses)
        return False

    def _read_server(self, write: Write, author: str, server: str, at: int) -> bool:
        """What a server's document says; its keys are of other names than those of devices' documents."""
        key = f"server {server}"
        match write.field:
            case "= certificate":
                certificate = bytes_of(write.value)
                if self._servers.get(server) != certificate:
                    if device_of(certificate) != server or not _is_certificate(certificate):
                        return False
                    self._servers[server] = certificate
                return self._register(write.id, author, (key, "certificate"), True)
            case "= name":
                name = clean_name(msgspec.convert(write.value, str))
                return self._register(write.id, author, (key, "name"), name)
            case "= addresses":
                addresses = tuple(msgspec.convert(write.value, Addresses))
                return self._register(write.id, author, (key, "addresses"), addresses)
        return False

    def _introduce(self, write: Write, author: str, device: str) -> bool:
        certificate = bytes_of(write.value)
        if self.certificates.get(device) != certificate:
            if device_of(certificate) != device or not _is_certificate(certificate):
                return False
            self.certificates.setdefault(device, certificate)
        self._introduced.add(device)
        return self._author(author).introduce(device, write.id)

    def _register(self, written: Id, author: str, key: tuple[str, str], value: Any) -> bool:
        kept = self._registers.setdefault(key, {}).setdefault(author, [])
        if any(known == written for known, _ in kept):
            return False
        kept.append((written, value))
        kept.sort(reverse=True)
        last = kept.pop() if len(kept) > LATEST else None
        return last is None or last[0] != written

    def _read_library(self, write: Write, author: str, library: str, at: int) -> bool:
        match write.field:
            case "add removed":
                element = msgspec.convert(write.value, Removed)
                removals = Removals(write.id, at, write.id, element.saw)
                return self._author(author).remove(element.device, removals)
            case "add epochs":
                return self._read_epoch(write, author)
        return False

    def _read_epoch(self, write: Write, author: str) -> bool:
        element = msgspec.convert(write.value, Wrapped)
        writer, replica = self._author(author), write.id[1]
        news = author in element.keys and writer.announced.put((element.epoch, replica), write.id)
        for device in element.keys:
            news |= writer.wrapped.put((element.epoch, device, replica), write.id)
        return news

    def _author(self, device: str) -> Author:
        return self._authors.setdefault(device, Author())

    def hear(self, change: Change, author: str, body: Body) -> bool:
        """Read a change that could not enter the log, for its removals; whether there may be duties.

        They hold only once somebody has written them again: the ledger is made from the log alone.
        """
        if body.kind != Library.kind or body.oid != self.library:
            return False
        news = False
        for write in writes(change, body):
            if write.field != "add removed":
                continue
            try:
                element = msgspec.convert(write.value, Removed)
            except msgspec.ValidationError:
                continue
            if element.device in self.peers:
                key = author, element.device
                saw = self._heard.get(key, element.saw)
                self._heard[key] = seen_by_both(saw, element.saw)
                news = True
        return news

    # What holds

    @property
    def members(self) -> dict[str, Member]:
        """The devices of the library by their ids; not to be changed."""
        return self._holds.members

    @property
    def servers(self) -> dict[str, Member]:
        """The servers of the library by their ids; not to be changed."""
        return self._holds.servers

    @property
    def peers(self) -> dict[str, Member]:
        """Whom this device syncs with, if it is a member: all members and all servers."""
        return {**self._holds.servers, **self._holds.members}

    @property
    def removed(self) -> dict[str, Removal]:
        """The removed devices by their ids; not to be changed.  Some may be unknown otherwise."""
        return self._holds.removed

    def epoch(self, held: Container[str]) -> str:
        """The name of the epoch to write with: of those ``held`` the last announced; "" for the first."""
        return next((name for name in self._holds.epochs if name in held), "")

    def knows(self, device: str) -> bool:
        """Whether a device's place in the library was read: it founded it, or its introduction was.

        Before that, a device that has just joined does not know what it would speak about.
        """
        return device == self.founder or device in self._introduced

    def duties(self, me: str, held: Container[str], in_use: Iterable[str] = ()) -> Duties:
        """What the device ``me``, which has the keys of the epochs ``held``, should write.

        Nothing as long as its own introduction was not read: then it does not know the library yet.
        ``in_use`` are those of the held epochs that something may be sealed with, announced or not: an
        announcement may be lost with the only disk that had it.
        """
        holds = self._holds
        if me not in holds.members or not self.knows(me):
            return Duties(False, {}, {})
        current = self.epoch(held)
        since = holds.epochs.get(current, BEGINNING)
        known_to = holds.keys.get(current, set())
        new = since < holds.last_removal or not known_to <= holds.members.keys()
        wraps: dict[str, list[str]] = {}
        for epoch in sorted(self.announced.union(in_use)):
            if epoch in held:
                lacking = holds.members.keys() - holds.keys.get(epoch, set()) - {me}
                if lacking:
                    wraps[epoch] = sorted(lacking)
        return Duties(new, wraps, self._unwritten_removals(me, holds))

    def _unwritten_removals(self, me: str, holds: _Holds) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (author, device), saw in self._heard.items():
            if author in holds.ever and device in self.peers.keys() - {me}:
                found[device] = seen_by_both(found.get(device, saw), saw)
        return found

    @property
    def announced(self) -> set[str]:
        """All announced epochs, void ones too: something may be sealed with those as well."""
        return {name for a in self._authors.values() for (name, _), _ in a.announced}

    def replicas(self, device: str) -> set[str]:
        """The replicas in which a device wrote what may hold."""
        author = self._authors.get(device)
        found = author.replicas() if author else set()
        for written in self._registers.values():
            found |= {replica for (_, replica), _ in written.get(device, ())}
        return found

    @property
    def _holds(self) -> _Holds:
        if self._derived is None:
            self._derived = self._derive()
        return self._derived

    def _derive(self) -> _Holds:
        roots = {self.founder} if self.founder else set()
        roots |= self._base - self._introduced
        ever = self._reach(roots, lambda author, written: True)
        holds = _Holds(ever=ever)
        floors = self._read_removals(ever, holds)

        def stands(author: str, written: Id) -> bool:
            floor = floors.get(author)
            return floor is None or written[0] <= floor.get(written[1], 0)

        introduced = self._reach(roots, stands)
        for device in sorted(introduced - holds.removed.keys()):
            if device in self.certificates:
                name = self._latest((device, "name"), introduced, stands)
                addresses = self._latest((device, "addresses"), introduced, stands)
                holds.members[device] = Member(
                    device, self.certificates[device], name or "", addresses or ()
                )
        for server in sorted(self._servers.keys() - holds.removed.keys() - holds.members.keys()):
            key = f"server {server}"
            if self._latest((key, "certificate"), introduced, stands):
                name = self._latest((key, "name"), introduced, stands)
                addresses = self._latest((key, "addresses"), introduced, stands)
                holds.servers[server] = Member(
                    server, self._servers[server], name or "", addresses or (), server=True
                )
        self._read_epochs(introduced, stands, holds)
        return holds

    def _reach(self, roots: set[str], counts: Callable[[str, Id], bool]) -> set[str]:
        """The roots, and whom they introduced, and whom those introduced, by operations that count."""
        found = set(roots)
        left = list(roots)
        while left:
            author = left.pop()
            wrote = self._authors.get(author)
            for (device, replica), counter in wrote.introduced.items() if wrote else ():
                if device not in found and counts(author, (counter, replica)):
                    found.add(device)
                    left.append(device)
        return found

    def _read_removals(self, ever: set[str], holds: _Holds) -> dict[str, dict[str, int]]:
        """Note who is removed; return for each up to which counters its operations hold."""
        floors: dict[str, dict[str, int]] = {}
        first: dict[str, Id] = {}
        for author in ever & self._authors.keys():
            for device, removals in self._authors[author].removed.items():
                if device not in first or removals.first < first[device]:
                    first[device] = removals.first
                    holds.removed[device] = Removal(device, author, removals.at)
                if device in self.certificates:
                    holds.last_removal = max(holds.last_removal, removals.last)
                saw = floors.get(device, removals.saw)
                floors[device] = seen_by_both(saw, removals.saw)
        return floors

    def _latest(
        self, key: tuple[str, str], introduced: set[str], stands: Callable[[str, Id], bool]
    ) -> Any:
        """The value of a register: of the writes that hold, the one with the greatest id."""
        standing = [
            (written, value)
            for author, kept in self._registers.get(key, {}).items()
            if author in introduced
            for written, value in kept
            if stands(author, written)
        ]
        return max(standing)[1] if standing else None

    def _read_epochs(
        self, introduced: set[str], stands: Callable[[str, Id], bool], holds: _Holds
    ) -> None:
        found: dict[str, Id] = {}
        for author in introduced & self._authors.keys():
            wrote = self._authors[author]
            for (epoch, _), written in wrote.announced:
                if stands(author, written):
                    found[epoch] = max(found.get(epoch, written), written)
            for (epoch, device, _), written in wrote.wrapped:
                if stands(author, written):
                    holds.keys.setdefault(epoch, set()).update((author, device))
        holds.epochs = dict(sorted(found.items(), key=lambda item: item[1], reverse=True))
