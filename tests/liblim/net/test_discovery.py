"""Finding devices by mDNS, for real, on the loopback interface alone; and networks that lie or fail."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from liblim.net import discovery
from liblim.net.address import Address
from liblim.net.discovery import MAX_ADDRESSES, MAX_FOUND, MAX_NAME, Discovery, Found, read
from liblim.net.interfaces import LAN, LOOPBACK, OwnAddress
from tests.liblim.net.devices import Test, both_loops, device, new_database

HERE = "127.0.0.1"
GROUP = ("224.0.0.251", 5353)
A, B = "a" * 32, "b" * 32


def multicast_works() -> bool:
    """Whether this machine carries multicast on its loopback interface."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        hears = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        hears.settimeout(1)
        hears.bind(("", 0))
        member = socket.inet_aton(GROUP[0]) + socket.inet_aton(HERE)
        hears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sends = stack.enter_context(loopback_socket())
        sends.sendto(b"x", (GROUP[0], hears.getsockname()[1]))
        return hears.recv(9) == b"x"
    return False


def loopback_socket() -> socket.socket:
    sends = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sends.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
    return sends


real = pytest.mark.skipif(
    not multicast_works(), reason="this machine carries no multicast on its loopback interface"
)


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of each test's own, as all tests on this machine share one network."""
    monkeypatch.setattr(discovery, "SERVICE", f"_lim-{secrets.token_hex(4)}._tcp.local.")
    # Milliseconds between two times that the library says the same; most of a test would go there.
    for name in ("_CHECK_TIME", "_REGISTER_TIME", "_UNREGISTER_TIME"):
        monkeypatch.setattr(f"zeroconf._core.{name}", 30)


class Finder(Discovery):
    """Waits for what it tells."""

    def __init__(self, interfaces: list[str] | None) -> None:
        super().__init__(interfaces=interfaces)
        self._something = asyncio.Event()
        self.on_change = self._something.set

    async def ready(self) -> None:
        """Wait until it looks for others."""
        async with asyncio.timeout(15):
            while self._browser is None:  # noqa: ASYNC110 (nobody is told)
                await asyncio.sleep(0)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(15):
            while not holds():
                await self._something.wait()
                self._something.clear()


def on_asyncio(test: Test) -> Callable[[], None]:
    """Run a test on plain asyncio only, where Qt's loop makes no difference."""

    def run() -> None:
        asyncio.run(test())

    return run


@asynccontextmanager
async def finder(
    device: str, name: str = "", port: int = 4242, interfaces: list[str] | None = None
) -> AsyncIterator[Finder]:
    before = asyncio.all_tasks()
    found = Finder([HERE] if interfaces is None else interfaces or None)
    await found.start(device, name, port)
    try:
        yield found
    finally:
        async with asyncio.timeout(5):
            await found.stop()
        await asyncio.sleep(0)
        if len(before) == 1:
            assert asyncio.all_tasks() == before, "tasks are left behind"
        assert (found.found, found.problem) == ({}, "")


# Two that find each other


@real
@both_loops
async def test_two_find_each_other_and_not_themselves() -> None:
    async with finder(A, "Desk", 4242) as desk, finder(B, "Läp\n\u202etop", 4243) as lap:
        await desk.until(lambda: desk.found)
        await lap.until(lambda: lap.found)
        assert desk.found == {B: Found(B, "Läp top", (Address(HERE, 4243),), pairing=False)}
        assert lap.found == {A: Found(A, "Desk", (Address(HERE, 4242),), pairing=False)}
        assert desk.problem == lap.problem == ""


@real
@both_loops
async def test_what_changes_is_told_and_so_is_leaving() -> None:
    async with finder(A) as desk:
        async with finder(B, "Lap") as lap:
            await desk.until(lambda: B in desk.found)
            await lap.update("Lap two", pairing=True)
            await desk.until(lambda: desk.found[B].pairing)
            assert desk.found[B].name == "Lap two"
            await lap.update("Lap two", pairing=False)
            await desk.until(lambda: not desk.found[B].pairing)
        await desk.until(lambda: not desk.found)


class Near(Discovery):
    """Announces what listens on the loopback interface, where alone these tests are."""

    def __init__(self) -> None:
        super().__init__(interfaces=[HERE])

    async def start(self, device: str, name: str, port: int, host: str = "") -> None:
        await super().start(device, name, port)


@real
@on_asyncio
async def test_a_paired_device_that_listens_elsewhere_now_is_found_and_synced_with() -> None:
    own = await new_database()
    async with device("Lap", unheard=True) as lap:  # so only it can dial
        async with device("Desk", database=own) as desk:
            await desk.invite(lap)
            await lap.identical(desk)
            before = desk.address
        with socket.socket() as taken:  # where nobody listens any more
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(tuple(before))
            async with device("Desk", database=own) as desk:
                note = await desk.write("moved house")
                await desk.node.set_discovery(Near())
                await lap.node.set_discovery(Near())
                await lap.identical(desk)
                assert await lap.read(note.oid) == "moved house"
                assert lap.node.status()[0].address == str(desk.address) != str(before)
    await own.close()


@real
@on_asyncio
async def test_one_who_listens_nowhere_looks_only() -> None:
    async with finder(A, port=4242), finder(B, port=0) as looks, finder("c" * 32) as sees:
        await looks.until(lambda: len(looks.found) == 2)
        await sees.until(lambda: A in sees.found)
        assert B not in sees.found


@real
@on_asyncio
async def test_it_can_be_turned_off_and_on_again() -> None:
    async with finder(A) as desk, finder(B) as lap:
        await desk.until(lambda: desk.found)
        await lap.stop()
        await lap.stop()
        await desk.until(lambda: not desk.found)
        await lap.start(B, "Back", 4244)
        await desk.until(lambda: desk.found)
        assert desk.found[B].name == "Back"


@real
@both_loops
async def test_stopping_in_the_middle_of_starting() -> None:
    for turns in range(6):
        found = Discovery(interfaces=[HERE])
        await found.start(A, "", 4242)
        for _ in range(turns**3):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await found.stop()


@real
def test_one_who_went_without_a_word_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    import zeroconf.asyncio as library

    class Silence(library.AsyncServiceInfo):
        async def async_request(self, *_: Any, **__: Any) -> bool:
            return False

    async def run() -> None:
        async with finder(A) as desk, finder(B):
            await desk.until(lambda: desk.found)
            monkeypatch.setattr(library, "AsyncServiceInfo", Silence)
            desk._wake.set()  # as the clock does
            await desk.until(lambda: not desk.found)

    asyncio.run(run())


# Networks that change and fail


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr("zeroconf.asyncio.AsyncZeroconf", fail)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, "in use"), "another program keeps the port for that (5353)"),
        (OSError(errno.ENODEV, "none"), "cannot be listened to (No such device)"),
        (RuntimeError("No interfaces"), "the local network cannot be listened to. Enter"),
        (AttributeError("a bug"), "the local network cannot be listened to. Enter"),
    ],
)
def test_failures_are_sentences(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, error)

    async def run() -> None:
        async with finder(A) as desk:
            await desk.until(lambda: desk.problem)
            assert said in desk.problem
            assert desk.problem.startswith("Devices nearby cannot be found")
            assert desk.problem.endswith("Enter the address of the other device instead.")
            await desk.update("x", pairing=True)  # raises nothing, and tries again

    asyncio.run(run())


@real
def test_it_works_once_the_network_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with finder(A) as desk:
            with monkeypatch.context() as patch:
                fail_with(patch, OSError(errno.ENETDOWN, "down"))
                await desk.until(lambda: desk.problem)
            desk._wake.set()  # as the clock does
            await desk.until(lambda: not desk.problem)
            async with finder(B) as lap:
                await lap.until(lambda: lap.found)

    asyncio.run(run())


@real
def test_it_follows_changes_of_the_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (Address(HERE, 4242), Address("::1", 4242))
    here = [OwnAddress(address, LAN) for address in both]

    async def run() -> None:
        own: list[OwnAddress] = []
        monkeypatch.setattr(discovery, "own_addresses", lambda *_: own)
        monkeypatch.setattr(discovery, "LOOK_AGAIN", 0.2)
        async with finder(A, interfaces=[]) as desk, finder(B) as lap:
            await desk.until(lambda: desk.problem)
            assert desk.problem.startswith("This computer is on no local network")
            for _ in range(2):
                own[:] = here
                await desk.until(lambda: desk.found and not desk.problem)
                await lap.until(lambda: A in lap.found and lap.found[A].addresses == both)
                own.clear()
                await desk.until(lambda: desk.problem)
                assert desk.found == {}
                await lap.until(lambda: not lap.found)

    asyncio.run(run())


@real
def test_who_listens_on_this_computer_alone_is_not_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def own_addresses(port: int, host: str = "") -> list[OwnAddress]:
        return [OwnAddress(Address(HERE, port), LOOPBACK if host else LAN)]

    monkeypatch.setattr(discovery, "own_addresses", own_addresses)

    async def run() -> None:
        sees = Finder([HERE])
        async with finder(A, interfaces=[]) as desk, finder(B) as lap:
            await desk.stop()
            await desk.start(A, "", 4242, HERE)
            await sees.start("c" * 32, "", 0)
            await sees.until(lambda: B in sees.found)
            await desk.until(lambda: B in desk.found)
            await lap.stop()
            await desk.until(lambda: not desk.found)
            assert A not in sees.found
            await sees.stop()

    asyncio.run(run())


@real
def test_a_library_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import zeroconf.asyncio as library

    hangs = asyncio.Event()

    async def hang(self: Any) -> None:
        await hangs.wait()
        self.zeroconf.close()

    monkeypatch.setattr(library.AsyncZeroconf, "async_close", hang)
    monkeypatch.setattr(discovery, "PATIENCE", 0.05)

    async def run() -> None:
        found = Finder([HERE])
        await found.start(A, "", 4242)
        await found.ready()
        async with asyncio.timeout(5):
            await found.stop()
        hangs.set()
        await asyncio.gather(*found._leaving)

    asyncio.run(run())


# Hostile announcements


def told(**members: bytes | None) -> dict[bytes, bytes | None]:
    whole = {"v": b"1", "d": A.encode(), "n": b"Desk", "p": b"0", **members}
    return {key.encode(): value for key, value in whole.items()}


def test_what_is_read() -> None:
    found = read(A, told(p=b"1"), ["192.168.1.5", "fd00::1", "fe80::1%3"], 4242)
    addresses = tuple(Address(host, 4242) for host in ("192.168.1.5", "fd00::1", "fe80::1%3"))
    assert found == Found(A, "Desk", addresses, pairing=True)


@pytest.mark.parametrize(
    ("members", "addresses", "port"),
    [
        ({"d": None}, [HERE], 4242),
        ({"d": b""}, [HERE], 4242),
        ({"d": B.encode()}, [HERE], 4242),
        ({"d": A.upper().encode()}, [HERE], 4242),
        ({}, [HERE], 0),
        ({}, [HERE], None),
        ({}, [], 4242),
        ({}, ["224.0.0.1", "0.0.0.0", "::", "ff02::1", "fe80::1", "desk", ""], 4242),
    ],
)
def test_what_makes_no_sense_is_passed_over(
    members: dict[str, bytes | None], addresses: list[str], port: int | None
) -> None:
    assert read(A, told(**members), addresses, port) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, ""),
        (b"\xff\xfe", ""),
        (b"x" * 10_000, "x" * MAX_NAME),
        (b"a\x00\x1b[31mb\r\nc\xe2\x80\xae", "a [31mb c"),
        ("ä".encode()[:1] + b"ok", "ok"),
    ],
)
def test_names_are_cleaned_and_bounded(name: bytes | None, shown: str) -> None:
    found = read(A, told(n=name, p=b"yes"), [HERE], 1)
    assert found == Found(A, shown, (Address(HERE, 1),), pairing=False)


def test_few_addresses_are_kept() -> None:
    found = read(A, told(), [f"10.0.0.{i}" for i in range(200)], 1)
    assert found is not None
    assert len(found.addresses) == MAX_ADDRESSES


def announcement(instances: list[str], *, whole: bool) -> list[bytes]:
    """Packets as a liar may send them."""
    from zeroconf._dns import DNSAddress, DNSPointer, DNSService, DNSText
    from zeroconf._protocol.outgoing import DNSOutgoing

    out = DNSOutgoing(0x8400)
    service = discovery.SERVICE
    for one in instances:
        name = f"{one}.{service}"
        out.add_answer_at_time(DNSPointer(service, 12, 1, 4500, name), 0)
        if whole:
            text = b"".join(bytes([len(t)]) + t for t in (b"d=" + one.encode(), b"n=liar"))
            out.add_answer_at_time(DNSText(name, 16, 1, 4500, text), 0)
            out.add_answer_at_time(DNSService(name, 33, 1, 120, 0, 0, 22, "liar.local."), 0)
            out.add_answer_at_time(DNSAddress("liar.local.", 1, 1, 120, b"\x0a\0\0\1"), 0)
    return out.packets()


async def lie(desk: Finder, ids: list[str]) -> None:
    """Send many announcements, some of them whole."""
    bad = ["x", "A" * 32, "0" * 31, "ä" * 16, "0" * 33]
    with loopback_socket() as sends:
        for start in range(0, len(ids), 10):
            for whole in (start % 20 == 0, False):
                for packet in announcement(ids[start : start + 10] + bad, whole=whole):
                    sends.sendto(packet, GROUP)
            await asyncio.sleep(0)
            assert len(desk._asking) <= MAX_FOUND


@real
def test_thousands_of_instances_are_bounded(seed: int) -> None:
    random = Random(seed)
    ids = [random.randbytes(16).hex() for _ in range(2000)]
    last = random.randbytes(16).hex()

    async def run() -> None:
        async with finder(A) as desk:
            await desk.ready()
            await lie(desk, ids)
            (packet,) = announcement([last], whole=True)
            with loopback_socket() as sends:
                while last not in desk.found:  # a crowded socket loses what comes
                    sends.sendto(packet, GROUP)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.2):
                            await desk.until(lambda: last in desk.found)
            liar = Found(last, "liar", (Address("10.0.0.1", 22),), pairing=False)
            assert desk.found[last] == liar
            assert len(desk.found) == MAX_FOUND
            async with finder(B) as lap:
                await desk.until(lambda: B in desk.found)
                await lap.until(lambda: A in lap.found)

    asyncio.run(run())


@real
def test_garbage_changes_nothing(seed: int) -> None:
    random = Random(seed)
    (good,) = announcement([B], whole=True)

    def garbage() -> Iterator[bytes | bytearray]:
        packet = bytearray(good)
        for _ in range(random.randint(1, 6)):
            packet[random.randrange(len(packet))] = random.randrange(256)
        yield packet[: random.randint(1, len(packet))]
        yield random.randbytes(random.randint(0, 200))
        yield struct.pack(">6H", 0, 0x8400, 0, 65535, 0, 0)

    async def run() -> None:
        async with finder(A) as desk:
            await desk.ready()
            with loopback_socket() as sends:
                for _ in range(500):
                    for packet in garbage():
                        sends.sendto(packet, GROUP)
                    await asyncio.sleep(0)
            async with finder("c" * 32) as lap:
                await desk.until(lambda: "c" * 32 in desk.found)
                await lap.until(lambda: A in lap.found)

    asyncio.run(run())


def test_what_is_sent_fits() -> None:
    """However long the name, the announcement is made."""
    info = discovery._info(
        discovery._Told(A, "ü" * 500, pairing=True, port=1, addresses=("10.0.0.1",))
    )
    assert info.properties[b"n"] == "ü".encode() * (MAX_NAME // 2)
    assert info.properties[b"p"] == b"1"
