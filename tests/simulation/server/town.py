"""Two libraries on one server, and all that befalls them and it in some hundred steps from one seed."""

from __future__ import annotations

import hashlib
import logging
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from liblim.change import digest
from liblim.server.shelf import IDLE
from liblim.sync import encode
from liblim.sync.messages import PROTOCOL, Icanhaz, Ihaz, Ohai
from liblim.trust import Identity
from tests.simulation.checks import check as check_devices
from tests.simulation.keys import without_chance
from tests.simulation.life import Found
from tests.simulation.network import WHOLE, Link
from tests.simulation.server.branch import HOUR, Branch
from tests.simulation.server.checks import check_files, check_gone, check_host
from tests.simulation.server.host import Host
from tests.simulation.server.pipe import Pipe
from tests.simulation.server.tap import NoTap

STEPS = 900
"""Things that happen in one world."""


class Lived(NamedTuple):
    """What a world went through: simulated seconds, its trace, and how often what happened."""

    seconds: float
    trace: str
    seen: Counter[str]


class Guest(NamedTuple):
    """Somebody at the server's door who should not be let in."""

    pipe: Pipe
    tap: NoTap


class Town:
    """A server, the libraries that it serves, strangers, and one time."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.trace = hashlib.sha256()
        self.steps = 0
        self.seen: Counter[str] = Counter()
        """What happened, and how often."""
        self.host = Host(self, folder)
        logging.getLogger("liblim").addHandler(self.host.mistakes)
        self.stranger = Identity.generate(self.rng.randbytes)
        links = self.rng.random() < 0.5
        self.branches: list[Branch] = []
        for number in range(1 if self.rng.random() < 0.15 else 2):
            branch = Branch(self, self.rng.randrange(1 << 32), folder / str(number), links=links)
            self.branches.append(branch)
            branch.pair()
        self._copies: list[Path] = []
        self._guests: list[Guest] = []
        self._acts: list[tuple[float, Callable[[], object]]] = [
            (6, lambda: self.host.serve(60)),
            (6, self.host.start),
            (0.7, self.kill),
            (0.2, self.host.stop),
            (0.3, lambda: self._copies.append(self.host.back_up())),
            (0.2, self.restore),
            (0.4, self.trouble),
            (4, self.mend),
            (0.3, self.night),
            (0.4, self.rest),
            (0.1, self.close_libraries),
            (0.6, self.intrude),
        ]

    @property
    def links(self) -> list[Link]:
        """All links of all libraries."""
        return [link for branch in self.branches for link in branch.links]

    def saw(self, what: str) -> None:
        """Take note that something happened."""
        self.seen[what] += 1

    def step(self) -> None:
        """Let something happen somewhere."""
        self.steps += 1
        if self.rng.random() < 0.2:
            self.now += self.rng.expovariate(Branch.pace)
            weights, acts = zip(*self._acts, strict=True)
            [act] = self.rng.choices(acts, weights)
            act()
        else:
            self.rng.choice(self.branches).step()
        self.host.serve()
        self.carry_some()
        self.host.check_mistakes()

    # What happens to the server

    def kill(self) -> None:
        """Kill the server, mostly while it is at work."""
        if self.rng.random() < 0.8:
            branch = self.rng.choice(self.branches)
            device = self.rng.choice(branch.devices)
            branch.type(device)
            device.finish()
            for _ in range(2):
                for link in branch.links:
                    link.carry(WHOLE)
                self.host.serve(3)
        self.host.kill()

    def restore(self) -> None:
        """Put an old backup in the place of the server's files."""
        if not self._copies:
            return
        for branch in self.branches:
            branch.lose_seat()
        self.saw("restores")
        self.host.restore(self.rng.choice(self._copies))

    def trouble(self) -> None:
        """Let the disk be full, or fail altogether."""
        if self.rng.random() < 0.7:
            self.host.trouble.full = True
        else:
            self.host.trouble.broken = True

    def mend(self) -> None:
        """Let the disk be well again."""
        self.host.trouble.full = self.host.trouble.broken = False

    def night(self) -> None:
        """Let hours pass; some devices sleep, so that their monotonic clocks stand still."""
        time = self.rng.choice([120.0, HOUR, 10 * HOUR])
        for branch in self.branches:
            for device in self.rng.sample(branch.devices, len(branch.devices) // 2):
                device.slept += time
        self._pass(time)

    def rest(self) -> None:
        """Let seconds pass, in which nobody does anything."""
        for _ in range(self.rng.randint(2, 12)):
            self._pass(self.rng.expovariate(0.3))

    def close_libraries(self) -> None:
        """Let so much time pass, with nobody connected, that the server closes its libraries."""
        for link in self.links:
            link.part(2.5 * IDLE)
        for _ in range(10):
            self._pass(IDLE / 4)
        if self.host.is_up and not self.host.server.shelf.circles:
            self.saw("closes all libraries")

    def _pass(self, time: float) -> None:
        self.now += time
        self.host.settle()
        for link in self.links:
            link.tick()
        self.host.serve()

    def intrude(self) -> None:
        """Ask for a library: as a stranger, or as a member of another library."""
        while self._guests:
            pipe, tap = self._guests.pop()
            assert set(tap.codes) <= {"not-served"}, "a stranger learns something"
            pipe.leave()
        if not self.host.is_up:
            return
        branch = self.rng.choice(self.branches)
        others = [d.identity for one in self.branches if one is not branch for d in one.devices]
        who = self.rng.choice([self.stranger, *others])
        tap = NoTap()
        pipe = self.host.knock(who.certificate, WHOLE, tap.hear)
        hello = Ohai(protocol=PROTOCOL, library=branch.library, device=who.device)
        pipe.hear(b"".join(map(encode, (hello, Ihaz(0, digest({})), Icanhaz(1)))))
        self._guests.append(Guest(pipe, tap))
        self.saw("intrudes")

    def carry_some(self) -> None:
        """Let something come through here and there."""
        for branch in self.branches:
            branch.carry(self.rng.choice(branch.links))

    # How it ends

    def end(self) -> None:
        """Let all meet and do what they owe each other, until nothing is left to do."""
        self.mend()
        self.host.start()
        for _ in range(20):
            for branch in self.branches:
                branch.host_all()
            for link in self.links:
                link.parted = link.stalled = 0.0
            rests = self.comes_to_rest()
            devices = [device for branch in self.branches for device in branch.devices]
            before = [device.database.count for device in devices]
            for branch in self.branches:
                branch.bury()
                if branch.is_locked_out():
                    branch.pair_anew()
                    rests = False
                for device in branch.devices:
                    device.tend()
            after = [d.database.count for branch in self.branches for d in branch.devices]
            if rests and before == after:
                return
        assert rests, "it does not come to rest"
        raise AssertionError("there is no end to what they owe each other")

    def comes_to_rest(self, turns: int = 600) -> bool:
        """Whether all is at rest in so many turns."""
        for branch in self.branches:
            for device in branch.devices:
                device.finish()
        for _ in range(turns):
            for link in self.links:
                link.connect()
            self.now += 0.05
            self.host.settle()
            moved = [link.carry(WHOLE) for link in self.links]
            self.host.settle()
            worked = [device.go_on() for branch in self.branches for device in branch.devices]
            if not any(moved) and not any(worked):
                if self._is_at_rest():
                    return True
                self.now += 1
                for link in self.links:
                    link.tick()
        return False

    def _is_at_rest(self) -> bool:
        timers = [d.loop.timers for branch in self.branches for d in branch.devices]
        return (
            not any(timers)
            and not self.host.owes_receipts
            and all(branch.at_rest() for branch in self.branches)
        )

    def check(self) -> None:
        """All that has to hold at the end."""
        for branch in self.branches:
            check_host(branch)
        for branch in self.branches:
            check_devices(branch)
        for branch in self.branches:
            for device in branch.gone:
                check_gone(branch, device)
        self.host.check_mistakes()
        self.host.stop()
        check_files(self.host.folder, self.branches)

    def close(self) -> None:
        """End everything."""
        for branch in self.branches:
            branch.close()
            for device in branch.gone:
                device.stop()
            if hasattr(branch, "seat"):
                branch.seat.close()
        self.host.close()
        logging.getLogger("liblim").removeHandler(self.host.mistakes)


def live(seed: int) -> Lived:
    """One world, from its seed to its end.

    Raises Found, whose text says how to replay it.
    """
    memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    short_walks = patch("liblim.holdings.STEP", 5)  # so that a log grows while they go on
    with TemporaryDirectory(prefix="lim-", dir=memory) as folder, without_chance(), short_walks:
        town = Town(seed, Path(folder))
        try:
            for _ in range(STEPS):
                town.step()
            town.end()
            town.check()
        except Exception as error:
            raise Found(
                f"world {seed}, step {town.steps}: {error!r}; replay it alone with "
                f"tests/simulation/server/test_serving_life.py --seed {seed} --seeds 1"
            ) from error
        finally:
            town.close()
        return Lived(town.now, town.trace.hexdigest(), town.seen)
