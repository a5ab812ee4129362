"""``Node``: a database on the network, syncing with every other member of its library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from random import Random, SystemRandom
from typing import Any

from msgspec.structs import replace

from liblim.aio import LONG_PAUSE, SHORT_PAUSE, AsyncDatabase
from liblim.change import Change
from liblim.errors import LimError, StoreError
from liblim.membership import Membership
from liblim.net.address import DEFAULT_PORT, Address
from liblim.net.confirmations import Confirmations
from liblim.net.dial import Streams, dial
from liblim.net.discovery import Discovery
from liblim.net.door import Door
from liblim.net.facts import LogLine, PeerStatus
from liblim.net.link import Forked, Link, Notice
from liblim.net.pairing import PairingHost
from liblim.net.peer import Peer, read_address
from liblim.net.roster import Roster
from liblim.net.timing import Timing
from liblim.net.tls import SYNC, client_context
from liblim.net.upkeep import Upkeep
from liblim.net.vouching import vouching
from liblim.net.wake import WakeWatch
from liblim.peers import PeerRecord
from liblim.sync import (
    HANGING,
    Behind,
    Claims,
    Closed,
    Hangs,
    Heard,
    Ohai,
    Ready,
    Session,
    Unknown,
    refusal,
)
from liblim.sync.refusals import REFUSALS
from liblim.words import on_one_line

GATHER = 0.05
"""Seconds for which changes of the status are gathered before they are told."""
MAX_LINKS = 8
"""Connections with one device; for one more, the oldest that is not in use has to go."""

SUPERSEDED = "Another connection between the two devices is used instead."
ANOTHER_LIBRARY = "This device takes on another library."
UNHEARD = "It closed the connection without a word."
TURNED_AWAY = (
    f"{UNHEARD} If that stays so, it does not know this device any more: pair the two again."
)
REFUSED = REFUSALS.keys() - {"half-line", "too-late", "too-slow", "too-many", "trouble"}
"""Reasons to close that will not go away by themselves."""
PAIR_AGAIN = {"removed", "another-library", "not-served"}
"""Those of them that pairing once more ends."""


class Node:
    """Listens, connects, and keeps one link to each other member."""

    def __init__(
        self,
        database: AsyncDatabase,
        *,
        agent: str = "",
        timing: Timing | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.time,
        discovery: Discovery | None = None,
    ) -> None:
        """Put ``database``, which has keys, on the network; ``start`` begins.

        ``clock`` gives Unix seconds, for people only.
        """
        self.agent = agent
        self.listening: Address | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called soon after anything that ``status`` or ``pairing`` tells has changed."""
        self.on_event: Callable[[LogLine], None] = lambda line: None
        """Called with each line for the sync log."""
        self.membership = Membership(database)
        self._database = database
        self._library = database.library
        self._timing = timing = timing or Timing()
        self._clock = clock
        self._discovery = discovery
        random = random or SystemRandom()
        self._roster = Roster(database, timing, random, clock, connect=self._connect, do=self._do)
        self._confirmations = Confirmations(
            database,
            clock,
            links=lambda: [peer.link for peer in self._roster.peers.values() if peer.link],
            changed=self.changed,
            do=self._do,
        )
        self._upkeep = Upkeep(database, self.membership, timing, random, self._trouble)
        self._wake_watch = WakeWatch(clock, timing, self._woke)
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._claims = Claims()
        self._claims.on_free = self._freed
        self._chores: set[asyncio.Task[None]] = set()
        self._unsubscribe: list[Callable[[], None]] = []
        self._telling: asyncio.TimerHandle | None = None
        self._running = False
        self._announced = ("", False)
        """What is told on the local network: the name, and whether a code is shown."""
        self.pairing = PairingHost(
            database, self.membership, agent=agent, timing=timing, clock=clock
        )
        """Pairing with devices that are no members yet."""
        self.pairing.on_change = self.changed
        self.pairing.on_paired = self.remember
        self._door = Door(database, self.pairing, self._welcome, timing)

    @property
    def name(self) -> str:
        """What this device is called, empty where it has no name yet."""
        own = self._database.ledger.members.get(self._database.device)
        return own.name if own else ""

    # From start to stop

    async def load(self) -> None:
        """Read which devices there are, for ``status``; ``start`` does so by itself.

        Raises StoreError.
        """
        await self._roster.load()
        await self._confirmations.load()
        self.changed()

    async def start(self, host: str = "", port: int = DEFAULT_PORT) -> Address:
        """Listen on ``port`` or the next free one (0: any), and connect; returns where it listens.

        An empty ``host`` means all addresses of this computer.  Raises LimError.
        """
        await self.load()
        self.listening = await self._door.open(host, port)
        self.pairing.port = self.listening.port
        where = self.listening if host else f"port {self.listening.port}"
        self._say("info", "", f"Listening at {where}.")
        self._begin()
        return self.listening

    async def start_unheard(self) -> None:
        """Connect to others, and listen nowhere.

        Raises StoreError.
        """
        await self.load()
        self._say("info", "", "Listening nowhere: this device connects to the others.")
        self._begin()

    def _begin(self) -> None:
        self._running = True
        self._library = self._database.library
        self._unsubscribe = [
            self._database.subscribe(self._committed),
            self._database.subscribe_trust(self._trust_changed),
        ]
        self._database.on_well = self.sync_now
        self._confirmations.begin()
        self._roster.begin()
        self._upkeep.begin(self.listening)
        self._wake_watch.begin()
        self._look_around()
        self.changed()

    async def stop(self, reason: str = "The program ends.") -> None:
        """Say goodbye to all, and end."""
        self._running = False
        for stop in self._unsubscribe:
            stop()
        self._unsubscribe = []
        self._database.on_well = lambda: None
        await self._door.close()
        self.listening = None
        self.pairing.port = 0
        await self.pairing.stop()
        self._wake_watch.stop()
        await self._upkeep.stop()
        await self._roster.stop()
        for link in list(self._links):
            link.leave(reason)
        await _ended(self._links.values())
        await self._look_away()
        self._confirmations.stop()
        await _ended(self._chores)
        if self._telling is not None:
            self._telling.cancel()
            self._tell()

    def sync_now(self) -> None:
        """Try all devices at once: the network is back, the computer woke, somebody asked."""
        self._upkeep.ask()
        self._roster.nudge()
        for link in list(self._links):
            link.nudge()

    def _woke(self) -> None:
        self._say("info", "", "This computer woke from sleep: all devices are tried at once.")
        self.sync_now()

    def remember(self, device: str, address: Address) -> None:
        """Dial a device at this address from now on: it was there a moment ago."""
        self._roster.remember(device, address)

    # The local network

    async def set_discovery(self, discovery: Discovery | None) -> None:
        """Look for devices on the local network in this way, or not at all."""
        await self._look_away()
        self._discovery = discovery
        if self._running:
            self._look_around()

    async def _look_away(self) -> None:
        if self._discovery is not None:
            self._discovery.on_change = lambda: None
            await self._discovery.stop()

    def _look_around(self) -> None:
        if self._discovery is not None:
            self._discovery.on_change = self._found
            self._announced = (self.name, False)
            host, port = self.listening or ("", 0)
            self._do(self._discovery.start(self._database.device, self.name, port, host))
        self._found()

    def _found(self) -> None:
        self._roster.found(self._discovery.found if self._discovery else {})
        self.changed()

    # Connections

    def _welcome(self, streams: Streams, device: str) -> None:
        """Talk with a member that connected to us."""
        links = [link for link in self._links if link.device == device]
        if len(links) >= MAX_LINKS:
            next(link for link in links if not link.ready or link.closed is not None).drop()
        self._open(streams, device)

    async def _connect(self, peer: Peer) -> None:
        """Make a connection to a peer and wait for its end."""
        self.changed()
        device = peer.record.device
        try:
            pin = peer.member.certificate
            context = client_context(self._database.keys.identity, pin, SYNC)
            streams, target = await dial(peer.addresses, context, self._timing.connect, pin)
        except LimError as error:
            if not peer.linked:  # it may have connected to us meanwhile
                self._failed(peer, str(error))
            return
        if self._roster.peers.get(device) is not peer:
            streams[1].transport.abort()
            return
        await self._open(streams, device, target).over.wait()
        self.changed()

    def _open(self, streams: Streams, device: str, target: Address | None = None) -> Link:
        session = Session(
            self._database,
            now=asyncio.get_running_loop().time(),
            name=self.name,
            agent=self.agent,
            port=self.listening.port if self.listening else 0,
            peer=device,
            patience=self._timing.greeting,
            claims=self._claims,
        )
        session.recall = lambda: self._database.holdings.recall(device)
        link = Link(
            self._database, session, streams, self, self._timing, device=device, target=target
        )
        task = asyncio.ensure_future(link.run())
        self._links[link] = task
        task.add_done_callback(lambda _: self._links.pop(link, None))
        return link

    def _freed(self) -> None:
        """Some link may ask for what another was asked for until now."""
        loop = asyncio.get_running_loop()
        for link in self._links:
            loop.call_soon(link.look)

    def _committed(self, changes: Sequence[Change]) -> None:
        peers = self._database.ledger.peers
        for link in list(self._links):
            if link.device in peers:  # if not, this very batch may say so
                link.committed(changes)
        self._confirmations.committed(changes)

    # Who is a member

    def _trust_changed(self) -> None:
        """Part from those who are no members any more, and connect to those who are."""
        gone = self._roster.follow()
        peers = self._database.ledger.peers
        moved = self._library != self._database.library
        self._library = self._database.library
        for link in list(self._links):
            if moved:
                link.leave(ANOTHER_LIBRARY)
            elif link.device not in peers:
                link.refuse(refusal("removed"))
        for peer in self._roster.peers.values():
            self._vouch(peer)
        for peer in gone:
            what = "server" if peer.member.server else "device"
            text = f"{peer.label} is no longer a {what} of this library."
            self._say("info", peer.record.device, text)
        self._roster.found(self._discovery.found if self._discovery else {})  # for who is new
        self._confirmations.trust_changed(moved=moved)
        self._upkeep.ask()
        self._set_pause()
        self.changed()

    # What links tell

    def noticed(self, link: Link, notice: Notice) -> None:
        """Deal with what happened on a link."""
        peer = self._roster.peers.get(link.device)
        if peer is None:
            return  # it was removed a moment ago
        match notice:
            case Ready():
                assert link.session.hello is not None
                self._ready(peer, link, link.session.hello)
            case Closed():
                self._closed(peer, link, notice)
            case Heard(receipt):
                self._confirmations.heard(link, receipt)
            case Behind():
                text = (
                    "holds less than it did before, as happens after a backup was restored. It gets "
                    "back from this device what it lacks."
                )
                self._say("warning", link.device, f"{peer.label} {text}")
            case Hangs():
                text = (
                    f"has not acknowledged anything for {HANGING:.0f} seconds, though it answers."
                )
                mend = "If it does not go on, look at its disk, or restart the program there."
                self._say("warning", link.device, f"{peer.label} {text} {mend}")
            case Unknown(verb):
                text = (
                    f"said {verb}, which this version does not know. It was passed over; an "
                    "update of this program may know it."
                )
                self._say("info", link.device, f"{peer.label} {text}")
            case Forked() if not link.forked:
                link.forked = True  # the same changes come again and again
                text = (
                    "sent changes that contradict others with the same number, as happens after a "
                    "backup was restored. They are kept aside; nothing is lost. The sync status has a "
                    "button that issues them again."
                )
                self._say("error", link.device, f"{peer.label} {text}")

    def _ready(self, peer: Peer, link: Link, hello: Ohai) -> None:
        """Both sides accepted each other: this is the device's link, if it has no better."""
        rival = peer.link
        if rival is not None and not self._outranks(link, rival):
            link.leave(SUPERSEDED)
            return
        if rival is not None:
            self._confirmations.parted(rival)
        peer.accept(link, self._updated(peer.record, link, hello))
        self._confirmations.met(link)
        peer.left = False
        self._vouch(peer)
        if rival is not None:
            rival.leave(SUPERSEDED)
        else:
            how = f"at {link.target}" if link.target else "it connected to us"
            self._say("info", link.device, f"Connected with {peer.label}: {how}.")
        if link.target is None:
            peer.met()
        self._roster.save(peer)
        self._set_pause()

    def _vouch(self, peer: Peer) -> None:
        """Tell a server who is in the library, where this device has not told it yet."""
        if not peer.member.server or peer.link is None:
            return
        ledger = self._database.ledger
        said = vouching(ledger)
        if self._database.device in ledger.members and peer.vouched != (peer.link, said):
            peer.vouched = (peer.link, said)
            for message in said:
                peer.link.vouch(message)

    def _outranks(self, link: Link, rival: Link) -> bool:
        """Which of two links to a device stays; both ends decide alike."""
        if (link.target is None) == (rival.target is None):
            return True  # the dialler gave up the older one
        ours_stays = self._database.device < link.device
        return (link.target is not None) == ours_stays

    def _updated(self, record: PeerRecord, link: Link, hello: Ohai) -> PeerRecord:
        """A record after a meeting: how the device is called, and where it can be dialled."""
        address, host = record.address, link.address.host
        known = read_address(address)
        if link.target is not None:
            address = str(link.target)
        elif host and hello.port and (known is None or known.host == host):
            # Its port may have moved; an address that was good for another host stays.
            address = str(Address(host, hello.port))
        return replace(
            record, name=on_one_line(hello.name), address=address, last_seen=self._clock()
        )

    def _closed(self, peer: Peer, link: Link, closed: Closed) -> None:
        superseded = peer.link not in (None, link)
        if link.ready:
            if peer.link is link:
                self._confirmations.parted(link)
            peer.lose(link, closed, self._clock())
            self._roster.save(peer)
            self._set_pause()
        if superseded:
            return
        if closed.error:
            peer.told(removed=closed.code == "removed" and closed.by_peer)
            unheard = closed.code == "lost" and link.target and link.session.hello is None
            peer.unheard = peer.unheard + 1 if unheard else 0
            if peer.unheard == 1:
                # As happens to the first of two paired a moment ago: nothing to worry people with.
                peer.failed(UNHEARD, self._clock())
                self.changed()
                return
            said = TURNED_AWAY if unheard else f"{closed.reason} {closed.mend}".strip()
            pair_again = said == TURNED_AWAY or closed.code in PAIR_AGAIN
            self._failed(peer, said, refused=closed.code in REFUSED, pair_again=pair_again)
        elif link.ready:
            peer.left = True
            self._say("info", link.device, f"{peer.label} left. {closed.reason}".strip())

    def _failed(
        self, peer: Peer, text: str, *, refused: bool = False, pair_again: bool = False
    ) -> None:
        if peer.failed(text, self._clock(), refused=refused, pair_again=pair_again):
            level = "info" if peer.left and not refused else "warning"
            self._say(level, peer.record.device, f"{peer.label}: {text}")
        self.changed()

    def _set_pause(self) -> None:
        connected = any(peer.linked for peer in self._roster.peers.values())
        self._database.set_pause(SHORT_PAUSE if connected else LONG_PAUSE)

    # What others are told

    def status(self) -> list[PeerStatus]:
        """The facts about each other member, in order of their names."""
        now = self._clock()
        stand = self._confirmations.stand
        found = [p.status(now, stand(device, p.link)) for device, p in self._roster.peers.items()]
        return sorted(found, key=lambda status: (status.name, status.device))

    def changed(self) -> None:
        """Tell, soon and once, that ``status`` has changed."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER, self._tell)

    def _tell(self) -> None:
        self._telling = None
        announced = self.name, self.pairing.window_open
        if self._running and self._discovery is not None and announced != self._announced:
            self._announced = announced
            self._do(self._discovery.update(*announced))
        self.on_change()

    def _say(self, level: str, device: str, text: str) -> None:
        self.on_event(LogLine(self._clock(), level, device, text))

    def _trouble(self, text: str) -> None:
        self._say("error", "", text)

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._try(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _try(self, chore: Coroutine[Any, Any, None]) -> None:
        try:
            await chore
        except StoreError as error:
            self._trouble(str(error))


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait for tasks to end, however they do."""
    waiting = list(tasks)
    if waiting:
        await asyncio.wait(waiting)
