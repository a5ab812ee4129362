"""What has to hold of a server at the end, when all have met."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from liblim.server.checking import check
from liblim.server.stores import Standing
from tests.simulation.network import WHOLE
from tests.simulation.server.branch import Branch
from tests.simulation.server.client import Client
from tests.simulation.server.wire import Wire


def check_host(branch: Branch) -> None:
    """The server holds what the devices hold, lets in who is a member, and nobody else."""
    host, database = branch.town.host, branch.founder.database
    served = host.server.shelf.circles[branch.library].served
    assert branch.seat.heads == database.heads, "the server's files hold something else"
    assert served.heads == database.heads, "the server takes itself to hold something else"
    assert (served.count, served.digest) == (database.count, database.digest), "its digest differs"
    links = {link._writer: link for link in host.server.shelf.circles[branch.library].links}
    for wire in branch.links:
        if isinstance(wire, Wire) and wire.pipe is not None:
            assert links[wire.pipe.streams[1]].ready, "the server waits for a device's first word"
    log = host.storage.open(branch.library)
    try:
        found = check(log, host.server.shelf.libraries[branch.library])
    finally:
        log.close()
    assert not found.faults, f"the server's log: {found.faults[0]}"
    assert found.changes == database.count, "the server's log holds another number of changes"
    members = database.ledger.members
    for device in (*branch.devices, *branch.gone):
        name = device.identity.device
        standing = host.server.shelf.standing(branch.library, name)
        let_in = standing is Standing.MEMBER
        assert let_in == (name in members), f"the server takes a device for a {standing}"
        if name in database.ledger.removed:
            assert standing is Standing.WITHDRAWN, "a removal did not reach the server"


def check_gone(branch: Branch, device: Client) -> None:
    """Who does not belong to the library any more is told so by the server, and no more."""
    device.finish()
    held = dict(device.database.heads)
    wire = Wire(branch, device)
    for _ in range(20):
        wire.connect()
        branch.town.host.settle()
        wire.carry(WHOLE)
        branch.town.now += 0.5
    if wire.code:  # else TLS did not take it: after a start it takes members only
        shelf = branch.town.host.server.shelf
        gone = shelf.standing(branch.library, device.identity.device) is Standing.WITHDRAWN
        assert wire.code == ("removed" if gone else "not-served"), f"it is told: {wire.code}"
    device.finish()
    grown = {r for r, head in device.database.heads.items() if head != held.get(r)}
    own = {r for r in grown if device.database.authors[r].device == device.identity.device}
    assert grown == own, "a device that was put out got something"


def check_files(folder: Path, branches: Sequence[Branch]) -> None:
    """Nothing that was written in a library can be read in the server's files."""
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    for branch in branches:
        secrets = [*branch.secrets, *(e.key for e in branch.founder.database.keys.epochs.values())]
        for path, data in files.items():
            assert not [s for s in secrets if s in data], f"{path.name} can be read"
        for change in branch.founder.database.read(branch.everything(), WHOLE, WHOLE)[:20]:
            assert not _unpacked(change.body or b""), "a change is packed, and not sealed"


def _unpacked(body: bytes) -> bool:
    for start in range(min(len(body), 32)):
        try:
            if len(zlib.decompressobj().decompress(body[start:], 1000)) > 10:
                return True
        except zlib.error:
            continue
    return False
