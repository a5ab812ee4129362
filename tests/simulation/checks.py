"""What has to hold: of receipts at any moment, and of everything once all have met."""

from __future__ import annotations

from typing import Any

from liblim.change import Range
from liblim.holdings import load
from liblim.net.confirmations import SAVE_AFTER
from liblim.sync.belief import NONE
from tests.simulation.device import Device, Page
from tests.simulation.network import Link, World

LOTS = 1 << 30


def check_receipts(link: Link) -> None:
    """No end of a link takes the other to hold more than that one has committed."""
    one, other = link.ends
    for end, peer in ((one, other), (other, one)):
        session = end.sessions.get(link)
        if session is not None:
            assert (session.we_lack or 0) >= 0, "less than nothing is lacking"
            assert (session.they_lack or 0) >= 0, "less than nothing is lacking"
            said = session.belief.heads if session.belief else {}
            for replica, head in said.items():
                held = peer.database.heads.get(replica, NONE)
                assert held.seq >= head.seq, "a receipt says more than the device has"


def check(world: World) -> None:
    """All hold the same, show the same, and miss nothing."""
    first = world.keyed[0]
    database = first.database
    for device in world.devices:
        assert device.database.digest == database.digest, "the digests differ"
        check_order(device)
        check_waiting(device, world)
    entries, elements = sorted(database.entries()), elements_of(first, world)
    for device in world.keyed:
        assert device.database.ledger.members == database.ledger.members, "members differ"
        assert sorted(device.database.entries()) == entries, "the lists differ"
        assert elements_of(device, world) == elements, "the elements differ"
        assert {oid: stored(device, oid) for oid in elements} == elements, "a file differs"
    database.rebuild()
    assert sorted(database.entries()) == entries, "the list is not what the log says"
    for oid in world.accounts.saved:
        page = first.page(oid)
        missing = world.accounts.missing(oid, page.body if page else None)
        assert not missing, f"{len(missing)} characters that were shown as saved are missing"
    check_known(world)


def check_known(world: World) -> None:
    """Each knows that all others hold everything: connected, parted, and started again alone."""
    for device in world.keyed:
        check_knows(device, world)
    for link in world.links:
        link.cut()
    for device in world.devices:
        device.finish()
    world.now += 2 * SAVE_AFTER
    for device in world.keyed:
        device.finish()
        check_knows(device, world)
        device.crash()
        check_knows(device, world)
        assert {kept.device for kept in load(device.database.store)} <= peers(device)


def check_knows(device: Device, world: World) -> None:
    """It knows of all others that they hold all of its log, and of nobody who is no member."""
    holdings, heads = device.shell.holdings, device.database.heads
    for name in {other.identity.device for other in world.keyed} - {device.identity.device}:
        if name in device.ends:
            belief = device.ends[name].session.belief
            assert belief is not None, "nothing is known of a neighbour"
            assert not belief.lacks(), "a neighbour is believed to lack something"
        else:
            assert holdings.lacking(name, heads) == 0, "a device is believed to lack something"
    kept = holdings.kept.keys() | device.confirmations.known
    assert kept <= peers(device), "something is remembered of a device that is no member"


def peers(device: Device) -> set[str]:
    """Who belongs to the library, as a device sees it."""
    return set(device.database.ledger.peers)


def check_order(device: Device) -> None:
    """A log holds all that a change depends on before it."""
    log = device.database
    ends: dict[str, int] = {}
    ranges = [Range(replica, 1, head.seq) for replica, head in log.heads.items()]
    for change in log.read(ranges, LOTS, LOTS):
        header = change.header
        past = [(header.replica, header.seq - 1), *((dep.replica, dep.seq) for dep in header.deps)]
        assert all(ends.get(r, 0) >= seq for r, seq in past), "a change stands before its causes"
        ends[header.replica] = header.seq


def check_waiting(device: Device, world: World) -> None:
    """Nothing waits, but for changes that went with the only disk that had them."""
    wanted = device.database._admission._room._rooms
    assert world.accounts.disks_lost or not wanted, "changes wait though no disk was lost"
    for replica, seq in wanted:
        held = device.database.heads.get(replica, NONE).seq
        assert held < seq, "changes wait for what is there"


Elements = list[tuple[int, str, str]]


def elements_of(device: Device, world: World) -> dict[str, Elements]:
    """Every element of every document, tombstones too, as the device shows it."""
    pages = {oid: device.page(oid) for oid in world.oids}
    return {oid: list(page.body.elements()) for oid, page in pages.items() if page is not None}


def stored(device: Device, oid: str) -> Elements:
    """The same of one document, as it is read anew."""
    page: Any = device.database.load(oid).document
    assert isinstance(page, Page)
    return list(page.body.elements())
