"""Many devices in one process, for the server's bench: it reads tasks as ``sync_device`` does.

*Writers* are the real session and link over a log in memory.  *Receivers* are lighter, as a machine that
pretends to be 500 must not be what is measured: what one of them was told and has to answer holds for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from liblim.admission import Outcome
from liblim.change import Change, Head, Range
from liblim.net.address import parse_address
from liblim.net.dial import dial
from liblim.net.link import Link, Notice
from liblim.net.timing import Timing
from liblim.net.tls import SYNC, client_context
from liblim.sync import LineDecoder, Ohai, Ready, Session, Unknown, encode
from liblim.sync.messages import (
    MAX_LINE,
    PROTOCOL,
    Entry,
    Ihaz,
    Kthx,
    Message,
    Nm,
    Nowai,
    Sup,
    Ucanhaz,
)
from tests.bench.server_world import Hand, LightLog, identity_of, name_of, stamp_of
from tests.bench.sync_device import serve
from tests.liblim.server.floods import FLOODS, Flooder

AT_ONCE = 24
"""Connections that are being made at a time: fewer than handshakes that a server has under way."""
PATIENCE = 60.0
"""Seconds until the bench gives up."""


class Writer:
    """A device that writes: its link, and since when what it wrote is not acknowledged."""

    def __init__(self, library: int, device: int, run: str = "") -> None:
        self.log = LightLog(library, device)
        self.hand = Hand(library, device, run)
        self.ready = asyncio.Event()
        self.acknowledged = 0
        """Changes of its own that the server says it has committed."""
        self.waits: list[float] = []
        """Seconds from writing to acknowledgement, of each change that was waited for alone."""
        self.trouble = ""
        self._identity = identity_of(library, device)
        self._moved = asyncio.Event()
        self._link: Link | None = None
        self._run: asyncio.Task[None] | None = None

    async def connect(self, address: str, certificate: bytes) -> None:
        """Connect, and wait until both sides are ready.  Raises LimError, or OSError."""
        self.ready.clear()
        context = client_context(self._identity, certificate, SYNC)
        streams, _ = await dial([parse_address(address)], context, 10.0, certificate)
        now = asyncio.get_running_loop().time()
        session = Session(self.log, now=now, name="bench", agent="bench", peer=_device(certificate))
        self._link = Link(self, session, streams, self, Timing(), device=_device(certificate))
        self._run = asyncio.ensure_future(self._link.run())
        ready = asyncio.ensure_future(self.ready.wait())
        await asyncio.wait([self._run, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self.ready.is_set():
            raise ConnectionResetError(str(self._link.closed))

    async def close(self) -> None:
        """Leave."""
        if self._link is not None and self._run is not None:
            self._link.leave("The bench ends.")
            await self._run

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._run is None or self._run.done()

    # What a link wants

    async def receive(self, changes: Sequence[Change]) -> Outcome:
        """Take changes."""
        assert self._link is not None
        self._link.committed(self.log.add(changes))
        return Outcome([], 0, 0)

    async def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """Changes of the log."""
        return self.log.within(ranges, changes)

    def noticed(self, link: Link, notice: Notice) -> None:
        """Note that both sides are ready."""
        if isinstance(notice, Ready):
            self.ready.set()

    def changed(self) -> None:
        """See how far the server has come."""
        link = self._link
        belief = link.session.belief if link is not None else None
        if belief is not None and link is not None:
            # Not what was given: a belief takes only what the other end has said.
            seq = belief.seq(self.hand.replica)
            if seq > self.acknowledged:
                self.acknowledged = seq
                self._moved.set()

    # Writing

    def write(self, count: int = 1) -> None:
        """Write changes, and let the server have them."""
        assert self._link is not None
        self._link.committed(self.log.add([self.hand.write() for _ in range(count)]))

    async def taken(self, seq: int) -> None:
        """Wait until the server has acknowledged so many.  Raises ConnectionResetError, TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while self.acknowledged < seq:
                if self.over:
                    raise ConnectionResetError
                self._moved.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._moved.wait()

    async def go_on(self, until: Callable[[], bool], ahead: int = 1) -> None:
        """Write changes one by one, ``ahead`` of what is acknowledged, as fast as the server takes them."""
        while not until():
            began = perf_counter()
            self.write()
            await self.taken(self.hand.written - ahead + 1)
            if ahead == 1:
                self.waits.append(perf_counter() - began)


class Common:
    """What all receivers of a library know and say: they are told the same."""

    def __init__(self, library: int) -> None:
        self.log = LightLog(library, 0)
        self.delays: list[float] = []
        """Seconds from writing to arrival, of each change at each receiver."""
        self.unexpected: list[str] = []
        self._known: dict[bytes, tuple[bytes, float | None]] = {}

    def hear(self, line: bytes) -> bytes:
        """The answer to a line; empty for none."""
        known = self._known.get(line)
        if known is None:
            if len(self._known) > 1000:
                self._known.clear()
            known = self._known[line] = self._judge(_read(line))
        answer, written = known
        if written is not None:
            self.delays.append(perf_counter() - written)
        return answer

    def _judge(self, message: Message | Unknown) -> tuple[bytes, float | None]:
        log = self.log
        match message:
            case Ohai():
                return encode(Ihaz(log.count, log.digest)), None
            case Sup(ping=ping):
                return encode(Nm(ping)), None
            case Ucanhaz(change=change):
                log.add([change])
                entry = Entry(change.replica, *log.heads[change.replica])
                return encode(Kthx(log.count, log.digest, (entry,))), stamp_of(change)
            case Ihaz(heads=heads) if heads and not message.page:
                # Announced instead of pushed: it was not fast enough.
                self.unexpected.append("an announcement")
            case Nowai():
                self.unexpected.append(message.message)
        return b"", None


class Receiver(asyncio.Protocol):
    """A device that only gets."""

    def __init__(self, common: Common, hello: bytes) -> None:
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self._common, self._hello = common, hello
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Answer every line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers = b"".join(map(self._common.hear, lines))
        if any(line.startswith(b"IHAZ") for line in lines):
            self.ready.set()
        if answers:
            self.transport.write(answers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note."""
        self.lost.set()


class Load:
    """The devices of this process, and what the bench wants of them."""

    def __init__(self) -> None:
        self._writers: list[Writer] = []
        self._common: dict[int, Common] = {}
        self._receivers: list[Receiver] = []
        self._working: asyncio.Future[Any] | None = None
        self._pieces = 0

    async def at(self, address: str, certificate: str) -> None:
        """Where the server is, and its certificate (DER, as hex)."""
        self._address, self._certificate = address, bytes.fromhex(certificate)

    async def receivers(self, library: int, first: int, count: int) -> int:
        """Connect receivers; returns how many this process has."""
        common = self._common.setdefault(library, Common(library))
        await _few_at_a_time(
            [self._receive(common, library, first + number) for number in range(count)]
        )
        return sum(not receiver.lost.is_set() for receiver in self._receivers)

    async def _receive(self, common: Common, library: int, device: int) -> None:
        identity = identity_of(library, device)
        context = client_context(identity, self._certificate, SYNC)
        hello = Ohai(PROTOCOL, common.log.library, identity.device, "bench", "bench")
        host, port = parse_address(self._address)
        _bound_tls()
        loop = asyncio.get_running_loop()
        _, receiver = await loop.create_connection(
            lambda: Receiver(common, encode(hello)), host, port, ssl=context, server_hostname=""
        )
        async with asyncio.timeout(PATIENCE):
            await receiver.ready.wait()
        self._receivers.append(receiver)

    async def writers(
        self,
        places: Sequence[Sequence[int]],
        run: str = "",
        heads: Sequence[dict[str, Sequence[Any]]] = (),
    ) -> None:
        """Connect writers: library and device of each, and what they hold, as number and hash (hex)."""
        found = [Writer(library, device, run) for library, device in places]
        for writer, held in zip(found, heads, strict=False):
            writer.log.start_from({r: Head(n, bytes.fromhex(h)) for r, (n, h) in held.items()})
        await _few_at_a_time([one.connect(self._address, self._certificate) for one in found])
        self._writers += found

    async def paced(self, changes: int, pause: float) -> float:
        """Have the first writer write so many changes, one each ``pause`` seconds; returns the time."""
        writer, began = self._writers[0], perf_counter()
        for number in range(changes):
            await asyncio.sleep(max(0.0, began + number * pause - perf_counter()))
            writer.write()
        await writer.taken(writer.hand.written)
        return perf_counter() - began

    async def delays(self, count: int) -> list[float]:
        """Seconds from writing to arrival of so many arrivals; all receivers have to have been well."""
        [common] = self._common.values()
        async with asyncio.timeout(PATIENCE):
            while len(common.delays) < count:  # noqa: ASYNC110 - to be told of each would be measured, too
                await asyncio.sleep(0.05)
        if common.unexpected:
            raise RuntimeError(f"{len(common.unexpected)} times: {common.unexpected[0]}")
        found, common.delays = common.delays, []
        return found

    async def flood(
        self, seconds: float, ahead: int, only: int | None = None
    ) -> tuple[int, float, list[float]]:
        """Have all writers write, or one of them.

        Returns durable changes, seconds, and how long each waited.
        """
        began = perf_counter()
        writers = self._writers if only is None else [self._writers[only]]
        before = sum(writer.acknowledged for writer in writers)
        for writer in writers:
            writer.waits = []
        await asyncio.gather(
            *(w.go_on(lambda: perf_counter() >= began + seconds, ahead) for w in writers)
        )
        took = perf_counter() - began
        after = sum(writer.acknowledged for writer in writers)
        return after - before, took, [wait for writer in writers for wait in writer.waits]

    async def annoy(self, kind: str, library: int) -> None:
        """Have the first device of a library flood the server, until the end."""
        os.nice(15)  # it stands for another computer, which would leave this one's processors alone
        address, identity = parse_address(self._address), identity_of(library, 0)
        flooder = Flooder(address, self._certificate, name_of(library), identity)
        self._working = asyncio.ensure_future(FLOODS[kind](flooder, self._annoyed))

    def _annoyed(self) -> None:
        self._pieces += 1

    async def relent(self) -> int:
        """End that; returns how many pieces were said."""
        assert self._working is not None
        self._working.cancel()
        await asyncio.wait([self._working])
        return self._pieces

    async def begin(self, ahead: int) -> None:
        """Have all writers write until the server is gone."""
        work = [writer.go_on(lambda: False, ahead) for writer in self._writers]
        self._working = asyncio.gather(*work, return_exceptions=True)

    async def acknowledged(self) -> int:
        """Changes that the server has acknowledged by now."""
        return sum(writer.acknowledged for writer in self._writers)

    async def broken(self) -> dict[str, list[Any]]:
        """When the server is gone: what each writer was told to be durable, and forget the writers.

        By replica: library, number, hash (hex).
        """
        if self._working is not None:
            await self._working
        found = {}
        for writer in self._writers:
            if writer.acknowledged:
                last = writer.log.within(
                    [Range(writer.hand.replica, writer.acknowledged, writer.acknowledged)], 1
                )
                found[writer.hand.replica] = [
                    writer.log.library,
                    writer.acknowledged,
                    last[0].hash.hex(),
                ]
        self._writers = []
        return found

    async def close(self) -> None:
        """Leave."""
        for receiver in self._receivers:
            receiver.transport.abort()
        await asyncio.gather(*(writer.close() for writer in self._writers))
        self._writers, self._receivers = [], []
        self._common = {}


def _bound_tls() -> None:
    import asyncio.sslproto

    asyncio.sslproto.SSLProtocol.max_size = 16 * 1024


def _device(certificate: bytes) -> str:
    from liblim.trust import device_of

    return device_of(certificate)


def _read(line: bytes) -> Message | Unknown:
    decoder = LineDecoder(MAX_LINE)
    decoder.feed(line + b"\n")
    message = decoder.next()
    assert message is not None
    return message


async def _few_at_a_time(work: Iterable[Any]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(job: Any) -> None:
        async with turn:
            await job

    await asyncio.gather(*map(one, work))


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(Load())))
