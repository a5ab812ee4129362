"""``Node``: a database on the network, syncing with every device that it is paired with."""

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
from liblim.net.address import DEFAULT_PORT, Address, parse_address
from liblim.net.dial import Streams, dial
from liblim.net.facts import LogLine, Paired, PeerStatus
from liblim.net.link import Forked, Link, Notice
from liblim.net.listener import listen
from liblim.net.peer import Peer
from liblim.net.timing import Timing
from liblim.peers import PeerRecord
from liblim.sync import AdoptLibrary, Closed, Ohai, Ready, Session, Unknown, Welcomed, refusal
from liblim.sync.messages import on_one_line
from liblim.sync.refusals import REFUSALS

MAX_STRANGERS = 32
"""Connections to us that have not said a good ``ØHAI`` yet; one more, and the oldest has to go."""
GATHER = 0.05
"""Seconds for which changes of the status are gathered before they are told."""

SUPERSEDED = "Another connection between the two devices is used instead."


class Node:
    """Listens, connects, and keeps one link to each paired device."""

    def __init__(
        self,
        database: AsyncDatabase,
        *,
        name: str,
        agent: str = "",
        timing: Timing | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Put ``database`` on the network under a name for people; ``start`` begins.

        ``clock`` gives Unix seconds, for people only.
        """
        self.name = name
        self.agent = agent
        self.listening: Address | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called soon after anything that ``status`` tells has changed."""
        self.on_event: Callable[[LogLine], None] = lambda line: None
        """Called with each line for the sync log."""
        self._database = database
        self._timing = timing or Timing()
        self._random = random or SystemRandom()
        self._clock = clock
        self._peers: dict[str, Peer] = {}
        self._connectors: dict[str, asyncio.Task[None]] = {}
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._strangers: dict[Link, None] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._telling: asyncio.Handle | None = None

    # From start to stop

    async def load(self) -> None:
        """Read which devices are paired, for ``status``; ``start`` does so by itself.

        Raises StoreError.
        """
        for record in await self._database.load_peers():
            self._peers.setdefault(record.device, Peer(record, self._timing, self._random))

    async def start(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> Address:
        """Listen on ``port`` or the next free one (0: any), and connect; returns where it listens.

        Raises LimError.
        """
        await self.load()
        self._server, self.listening = await listen(self._accept, host, port)
        self._say("info", "", f"Listening at {self.listening}.")
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
        self._unsubscribe = self._database.subscribe(self._committed)
        for peer in self._peers.values():
            self._keep_connected(peer)

    async def stop(self, reason: str = "The program ends.") -> None:
        """Say goodbye to all, and end."""
        if self._server is not None:
            self._server.close()
        self.listening = None
        self._unsubscribe()
        self._unsubscribe = lambda: None
        await _cancelled(self._connectors.values())
        self._connectors.clear()
        for link in list(self._links):
            link.leave(reason)
        await _ended(self._links.values())
        await _ended(self._chores)
        if self._telling is not None:
            self._telling.cancel()
            self._tell()

    def sync_now(self) -> None:
        """Try all devices at once: the network is back, the computer woke, somebody asked."""
        for peer in self._peers.values():
            peer.nudge()

    # Pairing

    async def pair(self, host: str, port: int) -> Paired:
        """Pair with the device that listens there; an empty log takes on the other's library.

        Raises LimError with a sentence that says what to do.
        """
        target = Address(host, port)
        before = set(self._peers)
        link = self._open(await dial(target, self._timing.connect), target=target, pair=True)
        try:
            await link.decided.wait()
        except asyncio.CancelledError:
            link.leave("Pairing was given up.")
            raise
        peer = self._peer_of(link)
        if peer is None or not (link.ready or peer.linked):  # by a better link, in that case
            assert link.closed is not None
            raise LimError(_sentence(link.closed))
        return Paired(peer.record, peer.record.device in before)

    async def unpair(self, device: str) -> None:
        """Forget a device; what both hold stays on both."""
        peer = self._peers.pop(device, None)
        if peer is None:
            return
        if device in self._connectors:
            await _cancelled([self._connectors.pop(device)])
        for link in list(self._links):
            if device in (link.expected, link.session.hello and link.session.hello.device):
                link.leave("The two devices are no longer paired.")
        await self._database.forget_peer(device)
        self._say("info", device, f"{peer.label} is no longer paired with this device.")
        self.changed()

    def _keep_connected(self, peer: Peer) -> None:
        connecting = peer.keep_connected(self._connect, self._clock)
        self._connectors[peer.record.device] = asyncio.ensure_future(connecting)
        self.changed()

    # Connections

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._strangers[self._open((reader, writer))] = None
        waiting = [link for link in self._strangers if link.closed is None]
        if len(waiting) > MAX_STRANGERS:
            waiting[0].refuse(refusal("too-many"))
        if len(self._strangers) > 2 * MAX_STRANGERS:
            next(iter(self._strangers)).drop()  # it may not have heard why, but others want in

    async def _connect(self, peer: Peer) -> None:
        """Make a connection to a peer and wait for its end."""
        self.changed()
        try:
            target = parse_address(peer.record.address)
            streams = await dial(target, self._timing.connect)
        except LimError as error:
            self._failed(peer, str(error))
            return
        link = self._open(streams, target=target, expected=peer.record.device)
        await link.over.wait()

    def _open(
        self,
        streams: Streams,
        *,
        target: Address | None = None,
        expected: str = "",
        pair: bool = False,
    ) -> Link:
        session = Session(
            self._database,
            now=asyncio.get_running_loop().time(),
            name=self.name,
            agent=self.agent,
            port=self.listening.port if self.listening else 0,
            pair=pair,
            known=self._peers,
            patience=self._timing.greeting,
        )
        link = Link(
            self._database, session, streams, self, self._timing, target=target, expected=expected
        )
        task = asyncio.ensure_future(link.run())
        self._links[link] = task
        task.add_done_callback(lambda _: self._forget(link))
        return link

    def _forget(self, link: Link) -> None:
        del self._links[link]
        self._strangers.pop(link, None)

    def _committed(self, changes: Sequence[Change]) -> None:
        for link in list(self._links):
            link.committed(changes)

    # What links tell

    def noticed(self, link: Link, notice: Notice) -> None:
        """Deal with what happened on a link."""
        match notice:
            case Welcomed(hello):
                self._welcomed(link, hello)
            case AdoptLibrary():
                self.adopted(link)
            case Ready():
                assert link.session.hello is not None
                self._ready(link, link.session.hello)
            case Closed():
                self._closed(link, notice)
            case Unknown(verb):
                self._tell_of(
                    link,
                    "info",
                    f"said {verb}, which this version does not know. It was passed "
                    "over; an update of this program may know it.",
                )
            case Forked() if not link.forked:
                link.forked = True  # the same changes come again and again
                self._tell_of(
                    link,
                    "error",
                    "sent changes that contradict others with the same number, as happens after a "
                    "backup was restored. They are kept aside; nothing is lost.",
                )

    def adopted(self, link: Link) -> None:
        """Part from all but the one whose library this is now: also from who came meanwhile."""
        for other in list(self._links):
            if other is not link:
                other.leave("This device takes on another library.")

    def _welcomed(self, link: Link, hello: Ohai) -> None:
        self._strangers.pop(link, None)
        if link.expected not in ("", hello.device):
            peer = self._peers.get(link.expected)
            if peer is not None:
                self._failed(peer, f"Another device answers at {link.target}. Pair again.")
            link.leave("Another device was expected at this address.")

    def _ready(self, link: Link, hello: Ohai) -> None:
        """Both sides accepted each other: this is a paired device's link, if it has no better."""
        peer = self._peers.get(hello.device)
        if peer is None:
            peer = Peer(PeerRecord(hello.device), self._timing, self._random)
            self._peers[hello.device] = peer
            self._keep_connected(peer)
            self._say("info", hello.device, f"Paired with {_called(hello)}.")
        rival = peer.link
        if rival is not None and not self._outranks(link, rival, hello.device):
            link.leave(SUPERSEDED)
            return
        peer.accept(link, self._updated(peer.record, link, hello))
        peer.left = False
        if rival is not None:
            rival.leave(SUPERSEDED)
        else:
            how = f"at {link.target}" if link.target else "it connected to us"
            self._say("info", hello.device, f"Connected with {peer.label}: {how}.")
        if link.target is None:
            peer.nudge()
        self._save(peer)
        self._set_pause()

    def _outranks(self, link: Link, rival: Link, device: str) -> bool:
        """Which of two links to a device stays; both ends decide alike."""
        if (link.target is None) == (rival.target is None):
            return True  # the dialler gave up the older one
        ours_stays = self._database.device < device
        return (link.target is not None) == ours_stays

    def _updated(self, record: PeerRecord, link: Link, hello: Ohai) -> PeerRecord:
        """A record after a meeting: how the device is called, and where it can be dialled."""
        address = record.address
        if link.target is not None:
            address = str(link.target)
        elif hello.port and (not address or parse_address(address).host == link.host):
            # Its port may have moved; an address that a person gave for another host stays.
            address = str(Address(link.host, hello.port))
        return replace(
            record, name=on_one_line(hello.name), address=address, last_seen=self._clock()
        )

    def _closed(self, link: Link, closed: Closed) -> None:
        peer = self._peer_of(link)
        if peer is None:
            # Pairing says itself what failed; a device that was just unpaired left in good order.
            if closed.error and link.target is None:
                self._say_of_stranger(link, closed)
            return
        superseded = peer.link not in (None, link)
        if link.ready:
            peer.lose(link, closed, self._clock())
            self._save(peer)
            self._set_pause()
        if superseded:
            return
        if closed.error:
            self._failed(peer, _sentence(closed), refused=closed.code in REFUSED)
        elif link.ready:
            peer.left = True
            self._say("info", peer.record.device, f"{peer.label} left. {closed.reason}".strip())

    def _say_of_stranger(self, link: Link, closed: Closed) -> None:
        """Say why; what would mend it only where that may be for a person here to do."""
        level = "info" if closed.code == "lost" else "warning"
        said = _sentence(closed) if closed.code in BETWEEN_DEVICES else closed.reason
        self._say(level, "", f"{link.address} connected. {said}")

    def _peer_of(self, link: Link) -> Peer | None:
        hello = link.session.hello
        return self._peers.get(hello.device if hello else link.expected)

    def _failed(self, peer: Peer, text: str, *, refused: bool = False) -> None:
        if peer.failed(text, self._clock(), refused=refused):
            level = "info" if peer.left and not refused else "warning"
            self._say(level, peer.record.device, f"{peer.label}: {text}")
        self.changed()

    def _set_pause(self) -> None:
        connected = any(peer.linked for peer in self._peers.values())
        self._database.set_pause(SHORT_PAUSE if connected else LONG_PAUSE)

    # What others are told

    def status(self) -> list[PeerStatus]:
        """The facts about each paired device, in order of their names."""
        now = self._clock()
        found = [peer.status(now) for peer in self._peers.values()]
        return sorted(found, key=lambda status: (status.name, status.device))

    def changed(self) -> None:
        """Tell, soon and once, that ``status`` has changed."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self.on_change()

    def _tell_of(self, link: Link, level: str, text: str) -> None:
        hello = link.session.hello
        assert hello is not None
        self._say(level, hello.device, f"{_called(hello)} {text}")

    def _say(self, level: str, device: str, text: str) -> None:
        self.on_event(LogLine(self._clock(), level, device, text))

    def _save(self, peer: Peer) -> None:
        if peer.record.device in self._peers:
            self._do(self._database.save_peer(peer.record))

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._try(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _try(self, chore: Coroutine[Any, Any, None]) -> None:
        try:
            await chore
        except StoreError as error:
            self._say("error", "", str(error))


BETWEEN_DEVICES = frozenset({"wrong-version", "not-paired", "another-library"})
"""Reasons that only a program like this one can give cause for."""
REFUSED = REFUSALS.keys() - {"half-line", "too-late", "too-slow", "too-many", "trouble"}
"""Reasons to close that will not go away by themselves."""


def _called(hello: Ohai) -> str:
    return on_one_line(hello.name) or "A device without a name"


def _sentence(closed: Closed) -> str:
    return f"{closed.reason} {closed.mend}".strip()


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait for tasks to end, however they do."""
    waiting = list(tasks)
    if waiting:
        await asyncio.wait(waiting)


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await _ended(cancelled)
