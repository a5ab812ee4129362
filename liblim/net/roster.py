"""The roster: every other member of the library, and every server, as a peer that is kept connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

from msgspec.structs import replace

from liblim.aio import AsyncDatabase
from liblim.net.address import Address
from liblim.net.discovery import Found
from liblim.net.peer import Connect, Peer
from liblim.net.timing import Timing
from liblim.peers import GIVER, PeerRecord
from liblim.trust import Member


class Roster:
    """Follows the ledger: who is a member or a server has a peer here, and nobody else.

    ``connect`` makes a connection to a peer and returns at its end; ``do`` carries out what nobody waits
    for; ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        database: AsyncDatabase,
        timing: Timing,
        random: Random,
        clock: Callable[[], float],
        *,
        connect: Connect,
        do: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Begin empty; ``load`` fills it."""
        self.peers: dict[str, Peer] = {}
        self._database = database
        self._timing = timing
        self._random = random
        self._clock = clock
        self._connect = connect
        self._do = do
        self._records: dict[str, PeerRecord] = {}
        self._connectors: dict[str, asyncio.Task[None]] = {}
        self._running = False

    async def load(self) -> None:
        """Read who is a member, and what is remembered of them.

        Raises StoreError.
        """
        await self._database.load_trust()
        for record in await self._database.load_peers():
            self._records.setdefault(record.device, record)
        device, _, address = (await self._database.fact(GIVER) or "").partition(" ")
        if device and device not in self._records:
            self._records[device] = PeerRecord(device, address=address)
        self.follow()

    def begin(self) -> None:
        """Connect to all, from now on."""
        self._running = True
        self.follow()

    async def stop(self) -> None:
        """Connect to nobody any more."""
        self._running = False
        connectors = list(self._connectors.values())
        self._connectors.clear()
        for task in connectors:
            task.cancel()
        await asyncio.gather(*connectors, return_exceptions=True)

    def follow(self) -> list[Peer]:
        """Take over what the ledger says by now; returns those who are members no more."""
        members = self._database.ledger.peers
        gone = [self.peers.pop(device) for device in self.peers.keys() - members.keys()]
        for peer in gone:
            self._forget(peer.record.device)
        for device, member in members.items():
            if device != self._database.device:
                self._keep(device, member)
        return gone

    def _forget(self, device: str) -> None:
        self._records.pop(device, None)
        if device in self._connectors:
            self._connectors.pop(device).cancel()
        self._do(self._database.forget_peer(device))

    def _keep(self, device: str, member: Member) -> None:
        peer = self.peers.get(device)
        if peer is None:
            record = self._records.get(device) or PeerRecord(device)
            peer = self.peers[device] = Peer(member, record, self._timing, self._random)
        elif peer.member.addresses != member.addresses:
            peer.member = member
            peer.nudge()
        else:
            peer.member = member
        if self._running and device not in self._connectors:
            connecting = peer.keep_connected(self._connect, self._clock)
            self._connectors[device] = asyncio.ensure_future(connecting)

    def save(self, peer: Peer) -> None:
        """Keep what is known of a peer."""
        if peer.record.device in self.peers:
            self._records[peer.record.device] = peer.record
            self._do(self._database.save_peer(peer.record))

    def remember(self, device: str, address: Address) -> None:
        """Take note that a device was at this address a moment ago, also before it is a member."""
        record = self._records.get(device) or PeerRecord(device)
        self._records[device] = replace(record, address=str(address))
        peer = self.peers.get(device)
        if peer is not None:
            peer.record = replace(peer.record, address=str(address))
            peer.nudge()
            self.save(peer)

    def found(self, found: Mapping[str, Found]) -> None:
        """Try peers where they were found on the local network."""
        for device, peer in self.peers.items():
            near = found[device].addresses if device in found else ()
            if near != peer.near:
                peer.near = near
                if near and not peer.linked:
                    peer.nudge()

    def nudge(self) -> None:
        """Try all at once."""
        for peer in self.peers.values():
            peer.nudge()
