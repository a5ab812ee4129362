"""A library whose devices have a server: what befalls them, and who is let in and put out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from liblim.change import Range
from liblim.errors import LimError
from liblim.net.vouching import vouching
from liblim.server.stores import Standing
from liblim.trust import device_of
from tests.simulation.checks import check_receipts
from tests.simulation.device import Device, Page
from tests.simulation.network import Link, World
from tests.simulation.receipts import check_holdings
from tests.simulation.server.client import Client
from tests.simulation.server.wire import Seat, Wire
from tests.simulation.shell import at_once

if TYPE_CHECKING:
    from tests.simulation.server.town import Town

CANARY = "The canary sings at midnight"
MOST = 5
"""Devices of a library, those that were removed not counted."""
HOUR = 3600.0
FOR_EVER = 1 << 60


class Branch(World):
    """One library; time is that of the town."""

    pace = 8.0

    def __init__(self, town: Town, seed: int, folder: Path, *, links: bool) -> None:
        self.town = town
        folder.mkdir()
        super().__init__(seed, str(folder), 2 + seed % 2)
        self.trace = town.trace
        self.founder = cast(Client, self.devices[0])
        self.library = self.founder.database.library
        self.gone: list[Client] = []
        self._links = links
        """Whether its devices speak with each other, too."""
        self._write_canary()
        self.seat: Seat
        self.acts += [
            (5, lambda device, link: self.rng.choice(self.links).connect()),
            (1, lambda device, link: device.tend()),
            (0.4, lambda device, link: self.put_away(device)),
            (0.4, lambda device, link: self.stall(link)),
            (0.2, lambda device, link: self.part(device)),
            (0.15, lambda device, link: self.join(device)),
            (0.12, lambda device, link: self.leave(device)),
            (0.03, lambda device, link: self.pair_anew()),
        ]

    @property
    def now(self) -> float:
        """The time of the town."""
        return self.town.now

    @now.setter
    def now(self, time: float) -> None:
        self.town.now = time

    def device(self) -> Client:
        """One more device, in a library of its own."""
        self.devices.append(Client(self, f"{self.folder}/{len(self.devices)}.db"))
        return cast(Client, self.devices[-1])

    def pair(self) -> None:
        """Pair with the server, let all devices hear of it, and give them a way there."""
        self._record()
        certificate = self.town.host.identity.certificate
        at_once(self.founder.membership.add_server(certificate, "Server", ["server:1"]))
        self.seat = Seat(self)
        if not self._links or self.rng.random() < 0.5:
            self.settle()
        if not self._links:
            for link in self.links:
                link.cut()
            self.links = []
        self.host_all()

    def _record(self) -> None:
        """Let the server serve this library, as at the end of pairing: the founder says who is in it."""
        host = self.town.host
        said, *_ = vouching(self.founder.database.ledger)
        members = {device_of(der): der for der in said.members}
        host.run(host.server.shelf.record(self.library, members, {}, said.withdrawn))
        host.note_log_of(self.library)

    def pair_anew(self) -> None:
        """Let whoever runs the server remove the library there, and pair with it once more."""
        host = self.town.host
        if not host.is_up or host.trouble.any:
            return
        self.lose_seat()
        self.seat.removed = True
        host.remove(self.library)
        self.seat.removed = False
        self._record()
        self.town.saw("pairs anew")

    def lose_seat(self) -> None:
        """Take note that what the server holds is lost to it."""
        for link in self.links:
            if isinstance(link, Wire):
                link.cut()
        self.seat.lives.append({r: head.seq for r, head in self.seat.heads.items()})
        self.accounts.disks_lost += 1

    def host_all(self) -> None:
        """Give every device a way to the server."""
        wired = [link.device for link in self.links if isinstance(link, Wire)]
        for device in self.devices:
            if device not in wired:
                self.links.append(Wire(self, cast(Client, device)))
        near = [set(link.ends) for link in self.links]
        for device in self.devices[1:]:
            # Who does not know of the server yet has to hear of it.
            first = self.devices[0]
            if not self.knows_server(device) and {first, device} not in near:
                self.links.append(Link(self, (first, device)))

    def knows_server(self, device: Device) -> bool:
        """Whether a device has heard of the server."""
        return self.town.host.identity.device in device.database.ledger.servers

    def _write_canary(self) -> None:
        database = self.founder.database
        page = database.create(Page)
        page.body.insert(0, CANARY)
        database.release(page)
        self.founder.finish()
        self.secrets = [CANARY.encode(), page.oid.encode(), b'"kind"', b'"certificate"']

    # What happens

    def carry(self, link: Link) -> None:
        """Let something come through: what the ends then take each other to hold, they hold."""
        super().carry(link)
        if isinstance(link, Wire):
            check_holdings(link.device)
            return
        check_receipts(link)
        for end in link.ends:
            check_holdings(end)

    def put_away(self, device: Device) -> None:
        """Close a document."""
        if device.pages:
            device.put_away(self.rng.choice(list(device.pages)))

    def stall(self, link: Link) -> None:
        """Let a link deliver nothing for some seconds."""
        link.stalled = self.now + self.rng.expovariate(0.3)

    def part(self, device: Device) -> None:
        """Take a device off the network for seconds or for long."""
        time = self.rng.choice([3, 20, HOUR])
        for link in self.links:
            if device in link.ends:
                link.part(time)

    def join(self, device: Device) -> None:
        """Let a device bring in a new one, which mostly hears of the library at once."""
        if len(self.devices) - len(self.gone) >= MOST:
            return
        newcomer = self.device()
        try:
            device.introduce(newcomer)
        except LimError:  # it is no member, or has not read its own introduction yet
            newcomer.stop()
            self.devices.remove(newcomer)
            return
        meeting = Link(self, (device, newcomer))
        self.links += [meeting, Wire(self, newcomer)]
        self.town.saw("joins")
        if self.rng.random() < 0.7:
            self._meet(meeting)

    def _meet(self, link: Link) -> None:
        link.connect()
        for _ in range(20):
            link.carry(1 << 20)
            for end in link.ends:
                end.go_on()

    def leave(self, device: Device) -> None:
        """Let a device remove another; that one does not know, and goes on."""
        other = self.rng.choice(self.devices)
        if other is self.founder:
            return  # else nobody might be left whom a restored server knows
        try:
            device.remove(other)
        except LimError:
            return
        self.town.saw("removes")

    # How it ends

    def is_locked_out(self) -> bool:
        """Whether the server took a member for removed, by the word of a device that is itself no member.

        What that device wrote of it was cut off, so nobody else has heard of this removal.
        """
        shelf, members = self.town.host.server.shelf, self.founder.database.ledger.members
        return any(shelf.standing(self.library, name) is Standing.WITHDRAWN for name in members)

    def bury(self) -> None:
        """Take those for gone who are no members as the founder sees it: what only they had is lost."""
        gone = [cast(Client, d) for d in self.devices if not self.founder.trusts(d)]
        if not gone:
            return
        for device in gone:
            self.devices.remove(device)
            for link in [link for link in self.links if device in link.ends]:
                link.cut()
                self.links.remove(link)
        self.gone += gone
        names = {device.identity.device for device in self.gone}
        logs = [
            {replica: row.end for replica, row in device.database.store.replicas().items()}
            for device in self.devices
        ]
        self.accounts.lose([*logs, self._of_members(names)])

    def _of_members(self, gone: set[str]) -> dict[str, int]:
        """An entry for each replica that somebody who has stayed wrote in, and nobody else's."""
        found: dict[str, int] = {}
        for ids in self.accounts.saved.values():
            for _, replica in ids:
                author = self._author(replica)
                if author not in gone:
                    found[replica] = FOR_EVER
        return found

    def _author(self, replica: str) -> str:
        for device in (*self.devices, *self.gone):
            found = device.database.authors.get(replica)
            if found is not None:
                return found.device
        return ""

    def at_rest(self) -> bool:
        """Whether every session has proof that both ends hold the same, and nobody waits to come again."""
        wires = [link for link in self.links if isinstance(link, Wire) and link.down]
        waiting = [wire for wire in wires if wire.allowed and self.founder.trusts(wire.device)]
        return not waiting and super().at_rest()

    def everything(self) -> list[Range]:
        """All that the founder's log holds."""
        heads = self.founder.database.heads
        return [Range(replica, 1, head.seq) for replica, head in heads.items()]
