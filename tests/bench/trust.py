"""What trust costs: ``python -m tests.bench.trust`` prints one table.

Figures depend on the machine, so none of this is a test.  Both ends of a connection run on one loop here,
which is the worst case: two computers would share the work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import resource
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from liblim.aio import AsyncDatabase
from liblim.change import Header
from liblim.net.dial import Streams, dial
from liblim.net.listener import listen
from liblim.net.timing import Timing
from liblim.net.tls import SYNC, client_context, server_context
from liblim.trust import Identity, LibraryKeys
from tests.liblim.net.devices import Device, device
from tests.liblim.things import Thing

BODY = 250
"""Bytes of a packed body, as a few words typed make."""
RATE = 500
"""Connections a second of the flood."""
HEAVY = ("cryptography", "ifaddr", "keyring", "mnemonic", "spake2", "zeroconf", "PySide6")
"""What a start with notes must not import."""


class Row(NamedTuple):
    """One line of the table; ``asked`` is the bound of the median, or of the worst where it says so."""

    name: str
    unit: str
    values: Sequence[float]
    asked: str = ""


# Sealing


def sealing(runs: int) -> Iterator[Row]:
    """A change of 250 bytes: made, opened, checked."""
    keys = LibraryKeys(secrets.token_hex(16), Identity.generate(), [secrets.token_bytes(32)])
    keys.add_certificate(keys.identity.certificate)
    keys.use(next(iter(keys.epochs)))
    replica = secrets.token_hex(16)
    header = Header(replica, 7, b"p" * 32, (), 70, 10, 0, keys.epoch, keys.device, b"b" * 32)
    packed = secrets.token_bytes(BODY)
    sealed = keys.seal(packed, header)
    digest = hashlib.sha256(sealed).digest()
    signature = keys.sign(digest)

    def make() -> None:
        keys.seal(packed, header)
        keys.sign(digest)

    yield Row("seal and sign, 250 B", "µs", timed(make, runs, 1e6), "median < 60")
    yield Row(
        "open, 250 B", "µs", timed(lambda: keys.open(sealed, header), runs, 1e6), "median < 20"
    )
    check = timed(lambda: keys.verify(keys.device, digest, signature), runs, 1e6)
    yield Row("check one signature (one a run of changes)", "µs", check)


def timed(work: Callable[[], object], runs: int, scale: float) -> list[float]:
    """How long ``work`` takes, each time."""
    for _ in range(50):
        work()
    found = []
    for _ in range(runs):
        began = perf_counter()
        work()
        found.append((perf_counter() - began) * scale)
    return found


# Connecting


@asynccontextmanager
async def two_devices(folder: str) -> AsyncIterator[tuple[Device, Device]]:
    """Two devices of one library, with databases on disk; the first listens, the second is offline."""
    async with contextlib.AsyncExitStack() as stack:
        databases = []
        for name in ("desk", "lap"):
            path = Path(folder) / f"{name}-{secrets.token_hex(4)}.db"
            opened = await AsyncDatabase.open(path, [Thing], identity=Identity.generate())
            stack.push_async_callback(opened.close)
            databases.append(opened)
        timing = Timing()
        desk = await stack.enter_async_context(device("Desk", database=databases[0], timing=timing))
        lap = Device(databases[1], "Lap", timing)
        await lap.database.load_trust()
        await desk.invite(lap)
        yield desk, lap


async def connect(desk: Device, lap: Device) -> float:
    """Seconds from being offline until what was written there meanwhile is committed and shown here."""
    await lap.write("a few words that were written offline " * 5)
    replica, head = next(
        (replica, head)
        for replica, head in lap.database.heads.items()
        if desk.database.heads.get(replica) != head
    )
    arrived = asyncio.Event()

    def look(_: Any) -> None:
        if desk.database.heads.get(replica) == head:
            arrived.set()

    stop = desk.database.subscribe(look)
    began = perf_counter()
    await lap.node.start_unheard()
    async with asyncio.timeout(60):
        await arrived.wait()
    took = perf_counter() - began
    stop()
    await lap.node.stop()
    await desk.until(lambda: not desk.connected(lap))
    return took


async def connecting(runs: int) -> AsyncIterator[Row]:
    """A paired device connects: alone, and while strangers flood the port."""
    with tempfile.TemporaryDirectory() as folder:
        async with two_devices(folder) as (desk, lap):
            await connect(desk, lap)  # brings what was there before
            alone = [await connect(desk, lap) * 1000 for _ in range(runs)]
            yield Row(
                "connect: TCP, TLS, ØHAI, IHAZ, first change committed", "ms", alone, "median < 50"
            )
            with flooded(desk.address.port) as opened:
                await opened.reached(RATE)
                before, began = opened.count, perf_counter()
                under = [await connect(desk, lap) * 1000 for _ in range(runs)]
                rate = (opened.count - before) / (perf_counter() - began)
            yield Row(
                f"the same under a flood of {rate:.0f} connections/s", "ms", under, "worst < 1000"
            )
        yield Row("TLS handshake alone", "ms", await handshakes(runs))


async def handshakes(runs: int) -> list[float]:
    """Milliseconds for TCP and mutual TLS, and nothing more."""
    server, client = Identity.generate(), Identity.generate()
    accepted = server_context(server, [client.certificate])
    taken: list[Streams] = []
    listener, where = await listen(lambda: accepted, taken.append, "127.0.0.1", 0)
    found = []
    for _ in range(runs):
        began = perf_counter()
        context = client_context(client, server.certificate, SYNC)
        dialled = await dial([where], context, 10.0)
        found.append((perf_counter() - began) * 1000)
        dialled.streams[1].transport.abort()
    await listener.close()
    for streams in taken:
        streams[1].transport.abort()
    return found


# A flood


class Opened:
    """How many connections the flood has opened so far."""

    def __init__(self, counter: Any) -> None:
        self._counter = counter

    @property
    def count(self) -> int:
        return int(self._counter.value)

    async def reached(self, number: int) -> None:
        """Wait until so many were opened."""
        while self.count < number:  # noqa: ASYNC110 (it happens in another process)
            await asyncio.sleep(0.05)


@contextmanager
def flooded(port: int) -> Iterator[Opened]:
    """Strangers come from another process as long as the block lasts."""
    processes = multiprocessing.get_context("spawn")
    counter = processes.Value("L", 0)
    process = processes.Process(target=flood, args=(port, counter), daemon=True)
    process.start()
    try:
        yield Opened(counter)
    finally:
        process.kill()
        process.join()


def flood(port: int, counter: Any) -> None:
    """Open ``RATE`` connections a second: a third idle, a third slow writers, a third slow readers."""
    asyncio.run(_flood(port, counter))


async def _flood(port: int, counter: Any) -> None:
    hello = client_hello()
    held: deque[socket.socket] = deque()
    began = perf_counter()
    while True:
        while counter.value < (perf_counter() - began) * RATE:
            held.append(_open(port, hello, counter.value % 3))
            counter.value += 1
        while len(held) > 4 * RATE:
            held.popleft().close()
        for number, one in enumerate(list(held)[-RATE:]):
            if number % 3 == 1:  # slow writers: a byte at a time
                with contextlib.suppress(OSError):
                    one.send(hello[:1])
        await asyncio.sleep(0.02)


def _open(port: int, hello: bytes, kind: int) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    if kind == 2:  # slow readers: they ask for an answer and never take it
        with contextlib.suppress(OSError):
            one.setblocking(True)
            one.settimeout(0.05)
            one.sendall(hello)
    return one


def client_hello() -> bytes:
    """The first words of TLS."""
    context = client_context(None, None, SYNC)
    inwards, outwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(inwards, outwards).do_handshake()
    return outwards.read()


# Memory


async def memory(number: int) -> Row:
    """KiB of this process for each idle connection that a member made to us."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    process = processes.Process(target=hold, args=(theirs, number), daemon=True)
    process.start()
    server = Identity.generate()
    context = server_context(server, [await asyncio.to_thread(ours.recv)])
    taken: list[Streams] = []
    listener, where = await listen(lambda: context, taken.append, "127.0.0.1", 0)
    ours.send((where, server.certificate))
    await asyncio.to_thread(ours.recv)  # one connection is there: all is loaded
    before = resident()
    ours.send("go on")
    await asyncio.to_thread(ours.recv)
    grown = (resident() - before) / number / 1024
    process.kill()
    process.join()
    await listener.close()
    for streams in taken:
        streams[1].transport.abort()
    return Row(f"memory of an idle TLS connection ({number} of them)", "KiB", [grown])


def hold(pipe: Any, number: int) -> None:
    """Be a member that connects many times and does nothing."""
    asyncio.run(_hold(pipe, number))


async def _hold(pipe: Any, number: int) -> None:
    client = Identity.generate()
    pipe.send(client.certificate)
    where, server = pipe.recv()
    context = client_context(client, server, SYNC)
    first = await dial([where], context, 10.0)
    pipe.send("one")
    pipe.recv()
    others = [await dial([where], context, 10.0) for _ in range(number)]
    pipe.send("all")
    await asyncio.Event().wait()
    del first, others  # held until here


def resident() -> int:
    """Bytes of memory that this process uses."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


# Starting

START = """
import asyncio, json, sys
from pathlib import Path
from time import perf_counter
began = perf_counter()
from app.service import Service
imported = perf_counter()

async def main():
    service = Service(Path(sys.argv[1]), listen="off", discovery=False)
    await service.start()
    started = perf_counter()
    heavy = sorted(set(sys.argv[2:]) & sys.modules.keys())
    if not service.notes.rows:
        for number in range(100):
            note = await service.notes.create()
            note.body.insert(0, f"Note {number}")
            await service.notes.close(note)
    await service.stop()
    print(json.dumps([imported - began, started - imported, heavy]))

asyncio.run(main())
"""


def starting(runs: int) -> Iterator[Row]:
    """The program without its window: imports, then a library of 100 notes until its list is there."""
    with tempfile.TemporaryDirectory() as folder:
        _start(folder)  # makes the library
        found = [_start(folder) for _ in range(runs)]
    yield Row("import app.service", "ms", [one[0] * 1000 for one in found])
    yield Row("Service.start(), 100 notes", "ms", [one[1] * 1000 for one in found])
    heavy = {name for one in found for name in one[2]}
    yield Row("heavy modules imported by then: " + (", ".join(sorted(heavy)) or "none"), "", [])


def _start(folder: str) -> list[Any]:
    said = subprocess.run(
        [sys.executable, "-c", START, str(Path(folder) / "data"), *HEAVY],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
    )
    found: list[Any] = json.loads(said.stdout.splitlines()[-1])
    return found


# The table


def show(row: Row) -> None:
    """Print a line of the table."""
    if not row.values:
        print(row.name)
        return
    values = sorted(row.values)
    middle, high = statistics.median(values), values[int(0.95 * (len(values) - 1))]
    figures = f"{middle:9.1f} {high:9.1f} {values[-1]:9.1f} {row.unit:>4} {len(values):6d}"
    print(f"{row.name:56}{figures}  {row.asked}", flush=True)


def machine() -> str:
    """On what this was measured."""
    import cryptography

    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{name}, {os.cpu_count()} cores, load {load} before; {platform.system()}; "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, cryptography {cryptography.__version__}"
    )


async def measured(runs: int) -> AsyncIterator[Row]:
    """All figures, one after another."""
    yield await memory(200)  # first: what is freed later would be taken again
    for row in sealing(runs * 100):
        yield row
    async for row in connecting(runs):
        yield row
    for row in starting(max(3, runs // 3)):
        yield row


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What trust costs.")
    parser.add_argument("--runs", type=int, default=50, help="connections made (default: 50)")
    options = parser.parse_args()
    print(machine())
    print(f"{'':56}{'median':>9} {'p95':>9} {'worst':>9} {'':>4} {'runs':>6}  asked")
    async for row in measured(options.runs):
        show(row)


if __name__ == "__main__":
    asyncio.run(main())
