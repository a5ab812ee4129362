"""The status, put together from what a library and its node tell."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.folder import Folder, default_folder
from app.network import NAME_LENGTH, Network
from app.notes import NoteRow, Notes
from app.opening import Opened
from app.status import SHORT, DeviceStatus, Difference, Mend, SetAside, State, Status
from app.traffic import Traffic
from liblim.aio import AsyncDatabase
from liblim.net import PeerStatus
from liblim.reissue import Aside

REMOVED_US = (
    "It says that this device was removed from the library. The notes here stay, and sync no more. "
    "To come back, pair this device again."
)


def usual_name(folder: Folder) -> str:
    """The computer's name; with the folder's, where it is not the usual one, to tell two apart."""
    name = socket.gethostname() or "This device"
    path = folder.path.resolve()
    return name if path == default_folder().resolve() else f"{name} ({path.name})"[:NAME_LENGTH]


class Facts:
    """Puts the status together, and remembers what takes more than one look."""

    def __init__(self, opened: Opened, network: Network, notes: Notes) -> None:
        """Tell of this library, with these notes, on this network."""
        self._database, self._vault = opened.database, opened.vault
        self._network, self._notes = network, notes
        self._traffic = Traffic()
        self.aside: Sequence[Aside] = ()
        """What is set aside, as the database told last."""
        self.unshown = 0
        """How many changes cannot be shown, as the database told last."""

    def look(self) -> list[PeerStatus]:
        """How the devices stand now; call it whenever they may stand otherwise."""
        peers = self._network.node.status()
        self._traffic.look(peers, time.monotonic())
        return peers

    def status(self, name: str, adding: str, log_problem: str) -> Status:
        """All facts of this moment, of a device called ``name``, while ``adding`` goes on."""
        database, network = self._database, self._network
        listening, peers = network.node.listening, self.look()
        removed_by = _removed_by(database, peers)
        members = database.ledger.members
        return Status(
            library=database.library,
            device=database.device,
            name=name,
            listening=str(listening) if listening else "",
            changes=database.count,
            digest=database.digest,
            unsaved=not database.core.idle,
            problem=database.problem or network.problem,
            devices=tuple(self._device(peer) for peer in peers),
            words=network.words,
            addresses=network.addresses,
            keeping=self._vault.keeping.value if self._vault.keeping else "",
            locked=network.locked,
            elsewhere=self._vault.elsewhere,
            removed_by=removed_by,
            outside=bool(members) and database.device not in members and not removed_by,
            adding=adding,
            discovery=network.discovery is not None,
            discovery_problem=network.discovery.problem if network.discovery else "",
            aside=set_aside(self.aside, self._notes.rows, self.name_of),
            unshown=self.unshown,
            log_problem=log_problem,
        )

    def _device(self, peer: PeerStatus) -> DeviceStatus:
        return device_status(
            peer,
            differing=self._differences(peer),
            flow=self._traffic.flow(peer.device) if self._network.online else None,
            progress=self._traffic.progress(peer.device),
        )

    def _differences(self, peer: PeerStatus) -> tuple[Difference, ...]:
        """Whose changes a device and this one hold differently, and how many, by who wrote them."""
        database, authors = self._database, self._database.authors
        found: dict[str, tuple[int, int]] = {}
        for replica in peer.differing:
            theirs = database.holdings.last_of(peer.device, replica, database.heads) or 0
            ours = database.heads[replica].seq if replica in database.heads else 0
            author = authors[replica].device if replica in authors else ""
            they_lack, we_lack = found.get(author, (0, 0))
            found[author] = they_lack + max(0, ours - theirs), we_lack + max(0, theirs - ours)
        return tuple(
            Difference(device, self.name_of(device), *lacking)
            for device, lacking in sorted(found.items())
        )

    def name_of(self, device: str) -> str:
        """What the author of a change is called, member or not."""
        member = self._database.ledger.members.get(device)
        if device == self._database.device:
            return "this device"
        if member is not None:
            return member.name or f"Device {device[:SHORT]}"
        return f"the former device {device[:SHORT]}" if device else "a device not known here yet"


def _removed_by(database: AsyncDatabase, peers: Iterable[PeerStatus]) -> str:
    """Who removed this device, by what the ledger says, or what another device told it."""
    removal = database.ledger.removed.get(database.device)
    names = {peer.device: peer.name for peer in peers if not peer.server}
    if removal is not None:
        return names.get(removal.by) or "Another device"
    told = [names.get(peer.device, "") for peer in peers if peer.removed_us]
    if not told:
        return ""
    # With several, who says so need not be who did it.
    return (told[0] if len(names) == 1 else "") or "Another device"


def device_status(peer: PeerStatus, **more: Any) -> DeviceStatus:
    """One paired device as the views show it, with ``more`` facts that the node does not tell."""
    return DeviceStatus(
        device=peer.device,
        name=peer.name,
        state=_state(peer),
        address=peer.address,
        incoming=peer.incoming,
        last_seen=peer.last_seen,
        they_lack=peer.they_lack,
        we_lack=peer.we_lack,
        changes_in=peer.changes_in,
        changes_out=peer.changes_out,
        bytes_in=peer.bytes_in,
        bytes_out=peer.bytes_out,
        round_trip=peer.round_trip,
        digest=peer.digest,
        identical=peer.identical,
        error=REMOVED_US if peer.removed_us and peer.refused else peer.error,
        error_since=peer.error_since,
        next_try=peer.next_try,
        agent=peer.agent,
        words=peer.words,
        removed_us=peer.removed_us,
        confirmed=peer.confirmed,
        mend=_mend(peer),
        server=peer.server,
        **more,
    )


def _mend(peer: PeerStatus) -> Mend:
    if peer.connected:
        return Mend.NOTHING
    return Mend.PAIR if peer.removed_us or peer.pair_again else Mend.TRY


def _state(peer: PeerStatus) -> State:
    if peer.connected:
        return State.UP_TO_DATE if peer.identical else State.SYNCING
    if peer.connecting:
        return State.CONNECTING
    if peer.refused:
        return State.REFUSED
    return State.AWAY if peer.next_try is None else State.WAITING


def set_aside(
    found: Iterable[Aside], rows: Mapping[str, NoteRow], name_of: Callable[[str], str]
) -> tuple[SetAside, ...]:
    """What was set aside, put together by who wrote it; ``rows`` are the notes, by oid."""
    by_device: dict[str, list[Aside]] = {}
    for one in found:
        by_device.setdefault(one.device, []).append(one)
    return tuple(
        SetAside(
            device=device,
            name=name_of(device),
            changes=len(ones),
            notes=tuple(dict.fromkeys(rows[one.oid].title for one in ones if one.oid in rows)),
            last=max(one.at for one in ones) / 1000,
            reason=ones[0].reason,
        )
        for device, ones in sorted(by_device.items())
    )
