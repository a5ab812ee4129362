"""All that befalls the devices of a library in years, in some hundred steps from one seed."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from liblim.change import Range
from liblim.errors import LimError
from liblim.writer import CLOCK_JUMP
from tests.simulation.checks import check, check_receipts
from tests.simulation.device import Device, Memory
from tests.simulation.keyless import Keyless
from tests.simulation.keys import without_chance
from tests.simulation.network import Link, World
from tests.simulation.receipts import check_holdings

MOST = 8
"""Devices with keys."""
HOUR = 3600.0
STEPS = 600
"""Things that happen in one world."""


class Copy(NamedTuple):
    """A copy of a device's data folder, as it was at some moment."""

    device: Device
    path: Path


class Life(World):
    """Two to eight devices, most times with a peer without keys, and everything that can happen to them."""

    def __init__(self, seed: int, folder: str) -> None:
        super().__init__(seed, folder, 2 + seed % 5)
        self.copies: list[Copy] = []
        self.memories: list[tuple[Device, Memory]] = []
        self.files = 0
        self.steps = 0
        if self.rng.random() < 0.8:
            self.place_keyless()
        self.acts += [
            (1, lambda device, link: self.tend(device)),
            (0.5, lambda device, link: self.put_away(device)),
            (0.5, lambda device, link: self.hand_over(device)),
            (0.3, lambda device, link: self.stall(link)),
            (0.15, lambda device, link: self.part(device)),
            (0.15, lambda device, link: self.night()),
            (0.15, lambda device, link: self.set_clock(device)),
            (0.25, lambda device, link: self.back_up(device)),
            (0.12, lambda device, link: self.restore()),
            (0.06, lambda device, link: self.clone()),
            (0.12, lambda device, link: self.suspend(device)),
            (0.12, lambda device, link: self.resume()),
            (0.12, lambda device, link: self.join(device)),
            (0.08, lambda device, link: self.leave(device)),
        ]

    def place_keyless(self) -> None:
        """Add a peer that stores and forwards; every device knows it."""
        library = self.devices[0].database.library
        box = Keyless(self, f"{self.folder}/keyless.db", library)
        self.links += [Link(self, (device, box)) for device in self.devices]
        self.devices.append(box)

    def step(self) -> None:
        """Let something happen somewhere."""
        self.steps += 1
        super().step()

    def file(self) -> Path:
        """A name for a file."""
        self.files += 1
        return Path(f"{self.folder}/copy-{self.files}.db")

    # What happens

    def type(self, device: Device) -> None:
        """Edit, where there is somebody who can read."""
        if not device.keyless:
            super().type(device)

    def carry(self, link: Link) -> None:
        """Let something come through: what the ends then take each other to hold, they hold."""
        super().carry(link)
        check_receipts(link)
        for end in link.ends:
            check_holdings(end)

    def tend(self, device: Device) -> None:
        """Do what is owed."""
        device.tend()

    def put_away(self, device: Device) -> None:
        """Close a document."""
        if device.pages:
            device.put_away(self.rng.choice(list(device.pages)))

    def hand_over(self, device: Device) -> None:
        """Bring changes of another log: anywhere from its middle, some of them twice, in any order."""
        log = self.rng.choice(self.devices).database
        if not log.heads:
            return
        replica, head = self.rng.choice(list(log.heads.items()))
        first = self.rng.randint(1, head.seq)
        changes = log.read([Range(replica, first, head.seq)], 20, 1 << 20)
        changes += self.rng.sample(changes, len(changes) // 3)
        self.rng.shuffle(changes)
        device.take_in(changes)

    def stall(self, link: Link) -> None:
        """Let a link deliver nothing for some seconds."""
        link.stalled = self.now + self.rng.expovariate(0.2)

    def part(self, device: Device) -> None:
        """Take a device, or half of all, off the network for minutes or days."""
        some = [device] if self.rng.random() < 0.5 else self.sample()
        time = self.rng.choice([60, HOUR, 100 * HOUR])
        for link in self.links:
            if sum(end in some for end in link.ends) == 1:
                link.part(time)

    def sample(self) -> list[Device]:
        """Half of the devices."""
        return self.rng.sample(self.devices, len(self.devices) // 2)

    def night(self) -> None:
        """Let hours pass; some devices sleep, so that their monotonic clocks stand still."""
        time = self.rng.choice([120.0, HOUR, 10 * HOUR])
        for device in self.sample():
            device.slept += time
        self.now += time
        for link in self.links:
            link.tick()

    def set_clock(self, device: Device) -> None:
        """Set a wall clock wrong, or right again."""
        device.wrong = self.rng.choice([0.0, 5.0, -5.0, HOUR, -1000 * HOUR])

    def back_up(self, device: Device) -> None:
        """Copy a data folder."""
        path = self.file()
        device.copy_to(path)
        self.copies.append(Copy(device, path))

    def restore(self) -> None:
        """Put a copy back over what is there: what only that disk had is lost."""
        if self.copies:
            device, path = self.rng.choice(self.copies)
            device.restore(path)
            self.write_off()

    def clone(self) -> None:
        """Open a copy of a data folder as one more device, while the first goes on."""
        copies = [copy for copy in self.copies if not copy.device.keyless]
        if not copies or len(self.keyed) == MOST:
            return
        device, path = self.rng.choice(copies)
        twin = Device(self, str(path), device.identity)
        self.copies = [copy for copy in self.copies if copy.path != path]
        self.meet(twin)

    def suspend(self, device: Device) -> None:
        """Keep a machine as it runs."""
        if not device.keyless:
            self.memories.append((device, device.suspend(self.file())))

    def resume(self) -> None:
        """Let a machine run again as it was kept: what only its disk had since then is lost."""
        if not self.memories:
            return
        device, memory = self.rng.choice(self.memories)
        # A jump that its clocks do not show cannot be noticed.
        if abs(device.wall() - memory.monotonic - memory.drift) > 2 * CLOCK_JUMP:
            device.resume(memory)
            self.write_off()

    def join(self, device: Device) -> None:
        """Let a device bring in a new one."""
        if device.keyless or len(self.keyed) == MOST:
            return
        newcomer = Device(self, str(self.file()))
        try:
            device.introduce(newcomer)
        except LimError:  # it has not read its own introduction yet
            newcomer.stop()
            return
        self.meet(newcomer, device)

    def meet(self, newcomer: Device, *sure: Device) -> None:
        """Link a new device with some of the others."""
        self.links += [
            Link(self, (other, newcomer))
            for other in self.devices
            if other in sure or other.keyless or self.rng.random() < 0.5
            if other.identity.device != newcomer.identity.device
        ]
        self.devices.append(newcomer)

    def leave(self, device: Device) -> None:
        """Let a device be removed, and never be seen again: what only its disk had is lost."""
        name = device.identity.device
        others = [d for d in self.keyed if d.identity.device != name]
        gone = [d for d in self.devices if d.identity.device == name]
        if device.keyless or len({d.identity.device for d in others}) < 2:
            return
        if name == device.database.ledger.founder:
            return  # its word is lost with it where disks are lost, too: then nobody may introduce anybody
        try:
            self.rng.choice(others).remove(device)
        except LimError:
            return
        for one in gone:
            one.stop()
            self.devices.remove(one)
            self.links = [link for link in self.links if one not in link.ends]
            self.copies = [copy for copy in self.copies if copy.device is not one]
            self.memories = [kept for kept in self.memories if kept[0] is not one]
        self.join_up()
        self.write_off()

    # Disks that are lost

    def write_off(self) -> None:
        """Take note that a disk was lost."""
        self.accounts.lose(
            {replica: row.end for replica, row in device.database.store.replicas().items()}
            for device in self.devices
        )

    # How it ends

    def end(self) -> None:
        """Let all meet and do what they owe each other, until nothing is left to do."""
        for link in self.links:
            link.parted = link.stalled = 0.0
        for _ in range(20):
            self.join_up()
            rests = self.comes_to_rest()
            before = [device.database.count for device in self.devices]
            for device in self.devices:
                device.tend()
            strangers = [device for device in self.keyed if not self.known(device)]
            for device in strangers:
                self.pair_again(device)
            assert rests or strangers, "it does not come to rest"
            if not strangers and before == [device.database.count for device in self.devices]:
                return
        raise AssertionError("there is no end to what they owe each other")

    def join_up(self) -> None:
        """See to it that every device has a way to every other."""
        first = self.devices[0]
        other = next(d for d in self.devices if d.identity.device != first.identity.device)
        linked = [frozenset(link.ends) for link in self.links]
        for device in self.devices:
            hub = other if device.identity.device == first.identity.device else first
            if frozenset((hub, device)) not in linked:
                self.links.append(Link(self, (hub, device)))

    def known(self, device: Device) -> bool:
        """Whether it is a member for all: the disk with its introduction may have been lost."""
        return all(d.trusts(device) and device.trusts(d) for d in self.keyed)

    def pair_again(self, device: Device) -> None:
        """Introduce a device once more, first of all to one that does not know it."""
        for oid in list(device.pages):
            device.put_away(oid)
        for member in sorted(self.keyed, key=lambda member: member.trusts(device)):
            if member is not device and member.trusts(member):
                try:
                    member.introduce(device)
                except LimError:
                    continue
                return


class Lived(NamedTuple):
    """What a world went through: simulated seconds, steps, changes that were written, and its trace."""

    seconds: float
    steps: int
    changes: int
    trace: str


class Found(AssertionError):
    """A world has not ended as it should."""


def live(seed: int) -> Lived:
    """One world, from its seed to its end.

    Raises Found, whose text says how to replay it.
    """
    memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    short_walks = patch("liblim.holdings.STEP", 5)  # so that a log grows while they go on
    with TemporaryDirectory(prefix="lim-", dir=memory) as folder, without_chance(), short_walks:
        world = Life(seed, folder)
        try:
            for _ in range(STEPS):
                world.step()
            world.end()
            check(world)
        except Exception as error:
            raise Found(
                f"world {seed}, step {world.steps}: {error!r}; replay it alone with "
                f"tests/simulation/test_life.py --seed {seed} --seeds 1"
            ) from error
        finally:
            world.close()
        changes = world.keyed[0].database.count
        return Lived(world.now, world.steps, changes, world.trace.hexdigest())
