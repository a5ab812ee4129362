"""The status, put together from what a library and its node tell."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from app.folder import Folder, default_folder
from app.network import NAME_LENGTH, Network
from app.opening import Opened
from app.status import DeviceStatus, State, Status
from liblim.aio import AsyncDatabase
from liblim.net import PeerStatus

REMOVED_US = (
    "It says that this device was removed from the library. The notes here stay, and sync no more. "
    "To come back, pair this device again."
)


def usual_name(folder: Folder) -> str:
    """The computer's name; with the folder's, where it is not the usual one, to tell two apart."""
    name = socket.gethostname() or "This device"
    path = folder.path.resolve()
    return name if path == default_folder().resolve() else f"{name} ({path.name})"[:NAME_LENGTH]


def status_of(opened: Opened, network: Network, name: str, adding: str) -> Status:
    """The facts of an open library, which is called ``name`` and where ``adding`` goes on."""
    database, vault = opened.database, opened.vault
    listening, peers = network.node.listening, network.node.status()
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
        devices=tuple(device_status(peer) for peer in peers),
        words=network.words,
        addresses=network.addresses,
        keeping=vault.keeping.value if vault.keeping else "",
        locked=network.locked,
        elsewhere=vault.elsewhere,
        removed_by=removed_by,
        outside=bool(members) and database.device not in members and not removed_by,
        adding=adding,
        unknown=database.unknown,
        discovery=network.discovery is not None,
        discovery_problem=network.discovery.problem if network.discovery else "",
    )


def _removed_by(database: AsyncDatabase, peers: Iterable[PeerStatus]) -> str:
    """Who removed this device, by what the ledger says, or what another device told it."""
    removal = database.ledger.removed.get(database.device)
    names = {peer.device: peer.name for peer in peers}
    if removal is not None:
        return names.get(removal.by) or "Another device"
    told = [peer.name for peer in peers if peer.removed_us]
    if not told:
        return ""
    # With several, who says so need not be who did it.
    return (told[0] if len(names) == 1 else "") or "Another device"


def device_status(peer: PeerStatus) -> DeviceStatus:
    """One paired device as the views show it."""
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
    )


def _state(peer: PeerStatus) -> State:
    if peer.connected:
        return State.UP_TO_DATE if peer.identical else State.SYNCING
    if peer.connecting:
        return State.CONNECTING
    if peer.refused:
        return State.REFUSED
    return State.AWAY if peer.next_try is None else State.WAITING
