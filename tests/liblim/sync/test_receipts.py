"""Receipts: when one is issued, which one counts, and who hears of it."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from liblim.errors import ChangeError, SignatureError
from liblim.receipt import MAX_FRONTIER, Receipt, bound_data
from liblim.sync.receipts import BUSY, MAX_EARLY, REST, Receipts, Verdict
from liblim.trust import Identity, LibraryKeys
from tests.liblim.changes import make
from tests.liblim.sync.fakes import LIBRARY, MemoryLog

EPOCH = bytes(range(32))


class Device:
    """A device with a log and its receipts."""

    def __init__(self, identity: Identity | None = None, key: bytes = EPOCH) -> None:
        self.identity = identity or Identity.generate()
        self.log = MemoryLog("a")
        self.log.device = self.identity.device
        self.keys = LibraryKeys(LIBRARY, self.identity, [key])
        self.keys.add_certificate(self.identity.certificate)
        self.keys.use(next(iter(self.keys.epochs)))
        self.receipts = Receipts(self.log, lambda: self.keys)
        self.members = {self.log.device}

    @property
    def id(self) -> str:
        return self.log.device

    def know(self, *others: Device) -> None:
        for other in others:
            self.keys.add_certificate(other.identity.certificate)
            self.members.add(other.id)

    def hear(self, receipt: Receipt, now: float = 0.0) -> Verdict:
        return self.receipts.hear(receipt, self.members, now)

    def issue(self, now: float) -> Receipt | None:
        return self.receipts.issue(now, 5)

    def issued(self, now: float = 0.0) -> Receipt:
        """A receipt for what the log holds, after a rest."""
        self.receipts.moved(now)
        receipt = self.issue(now + REST)
        assert receipt is not None
        return receipt


def two() -> tuple[Device, Device]:
    one, other = Device(), Device()
    one.know(other)
    other.know(one)
    return one, other


# When


def test_it_is_issued_once_at_rest() -> None:
    assert Device().receipts.timer is None
    desk = Device()
    desk.log.write("a")
    desk.receipts.moved(10.0)
    assert desk.receipts.timer == 10.0 + REST
    assert desk.issue(10.0 + REST - 0.01) is None
    receipt = desk.issue(10.0 + REST)
    assert receipt is not None
    assert (receipt.device, receipt.counter) == (desk.id, 1)
    said = desk.keys.read(receipt)
    assert (said.count, said.digest, said.at) == (1, desk.log.digest, 5)
    assert said.frontier == desk.log.frontier
    assert desk.issue(100.0) is None


def test_while_changes_go_on_it_is_issued_now_and_then() -> None:
    desk = Device()
    times = []
    for tenth in range(200):
        now = tenth / 10
        desk.log.write("a")
        desk.receipts.moved(now)
        if desk.issue(now):
            times.append(now)
    assert times == [BUSY, 2 * BUSY + 0.1, 3 * BUSY + 0.2]


def test_nothing_new_is_not_said_again() -> None:
    desk = Device()
    desk.issued(0.0)
    desk.receipts.moved(10.0)
    assert desk.issue(20.0) is None
    again = Device(desk.identity)
    again.receipts.restore(desk.receipts.latest.values())
    assert again.issued(0.0).counter == 2  # but once after a start


def test_a_frontier_that_is_too_wide_is_left_out() -> None:
    desk = Device()
    heads = [make("a", replica=f"{number:016x}") for number in range(MAX_FRONTIER + 1)]
    desk.log.receive(heads[:-1])
    assert len(desk.keys.read(desk.issued(0.0)).frontier or ()) == MAX_FRONTIER
    desk.log.receive(heads[-1:])
    assert desk.keys.read(desk.issued(10.0)).frontier is None


# Which


def test_a_newer_one_is_news_and_an_older_one_is_answered() -> None:
    desk, lap = two()
    first = desk.issued(0.0)
    desk.log.write("a")
    second = desk.issued(10.0)
    assert lap.hear(first) is Verdict.NEWS
    assert lap.hear(first) is Verdict.NOTHING
    assert lap.hear(second) is Verdict.NEWS
    assert lap.hear(first) is Verdict.OLD
    assert lap.receipts.latest[desk.id] == second


def test_of_two_with_one_counter_everybody_keeps_the_same(seed: int) -> None:
    """As a copied folder makes them; else two devices would tell each other for ever."""
    rng = Random(seed)
    desk, lap = two()
    copy = Device(desk.identity)
    desk.log.write("a")
    copy.log.write("b")
    both = [desk.issued(0.0), copy.issued(0.0)]
    kept = set()
    for _ in range(4):
        lap.receipts.latest.clear()
        for receipt in rng.sample(both, 2):
            lap.hear(receipt)
        kept.add(lap.receipts.latest[desk.id])
    assert len({receipt.counter for receipt in both}) == 1
    assert kept == {max(both, key=lambda receipt: receipt.signature)}


def test_one_that_says_less_is_believed_as_it_is_newer() -> None:
    desk, lap = two()
    desk.log.write("a")
    desk.log.write("a")
    lap.hear(desk.issued(0.0))
    desk.log = MemoryLog("a")
    restored = Device(desk.identity)
    restored.receipts.restore(desk.receipts.latest.values())
    receipt = restored.issued(0.0)
    assert lap.hear(receipt) is Verdict.NEWS
    assert lap.keys.read(receipt).count == 0


def test_a_restored_device_hears_how_far_it_had_counted() -> None:
    desk, lap = two()
    for number in range(5):
        desk.log.write("a")
        lap.hear(desk.issued(10.0 * number))
    restored = Device(desk.identity)
    restored.know(lap)
    restored.log.write("a")
    receipt = restored.issued(0.0)
    assert lap.hear(receipt) is Verdict.OLD
    assert restored.hear(lap.receipts.latest[desk.id], 20.0) is Verdict.NOTHING
    anew = restored.issue(20.0 + REST)
    assert anew is not None
    assert anew.counter == 6
    assert lap.hear(anew) is Verdict.NEWS
    assert lap.keys.read(anew).count == 1


def test_two_copies_of_a_device_come_to_rest_once_they_hold_the_same() -> None:
    desk = Device()
    copy = Device(desk.identity)
    for device in (desk, copy):
        device.log.receive([make("a")])
    now = 0.0
    said = desk.issued(now)
    for _ in range(5):
        copy.hear(said, now)
        answer = copy.issue(now + REST)
        if answer is None:
            break
        said = answer
        now += 10
        desk.hear(said, now)
        answer = desk.issue(now + REST)
        if answer is None:
            break
        said = answer
    else:
        raise AssertionError("they go on for ever")


# Who


def test_only_members_are_kept() -> None:
    desk, lap = two()
    stranger = Device()
    assert lap.hear(stranger.issued(0.0)) is Verdict.NOTHING
    lap.hear(desk.issued(0.0))
    assert lap.receipts.keep_only({lap.id}) == [desk.id]
    assert lap.receipts.latest == {}


def test_one_that_is_ahead_of_its_devices_introduction_is_heard_after_it() -> None:
    _desk, lap = two()
    newcomer = Device()
    early = newcomer.issued(0.0)
    newcomer.log.write("a")
    last = newcomer.issued(5.0)
    for receipt in (last, early):
        assert lap.hear(receipt) is Verdict.NOTHING
    assert lap.receipts.let_in(lap.members, 1.0) == []
    lap.know(newcomer)
    assert lap.receipts.let_in(lap.members, 1.0) == [last]
    assert lap.receipts.latest == {newcomer.id: last}
    assert lap.receipts.let_in(lap.members, 1.0) == []


def test_so_many_strangers_receipts_are_put_by_and_no_forged_one_is_heard_later() -> None:
    _desk, lap = two()
    strangers = [Device() for _ in range(MAX_EARLY + 1)]
    for stranger in strangers:
        lap.hear(stranger.issued(0.0))
    lap.hear(replace(strangers[-1].receipts.latest[strangers[-1].id], counter=9))
    lap.know(*strangers)
    heard = {receipt.device for receipt in lap.receipts.let_in(lap.members, 1.0)}
    assert heard == {stranger.id for stranger in strangers[1:-1]}


def test_nobody_can_make_alter_or_advance_one(seed: int) -> None:
    rng = Random(seed)
    desk, lap = two()
    server = Device()
    lap.know(server)
    desk.log.write("a")
    receipt = desk.issued(0.0)
    others = server.issued(0.0)
    body = bytearray(receipt.body)
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    forged = [
        replace(receipt, counter=receipt.counter + 1),
        replace(receipt, body=bytes(body)),
        replace(receipt, body=b""),
        replace(receipt, epoch="0" * 32),
        replace(receipt, signature=bytes(64)),
        replace(receipt, signature=others.signature),
        replace(others, device=desk.id, counter=9),
    ]
    for bad in forged:
        with pytest.raises(SignatureError):
            lap.hear(bad)
        with pytest.raises(SignatureError):
            desk.receipts.hear(replace(bad, counter=bad.counter + 1), desk.members, 0.0)
    assert lap.receipts.latest == {}
    assert desk.receipts.latest == {desk.id: receipt}


def test_one_of_another_library_is_refused() -> None:
    desk, lap = two()
    lap.keys = LibraryKeys("2" * 32, lap.identity, [EPOCH], [desk.identity.certificate])
    lap.receipts = Receipts(lap.log, lambda: lap.keys)
    with pytest.raises(SignatureError):
        lap.hear(desk.issued(0.0))


def test_who_has_no_key_hands_on_what_it_cannot_read() -> None:
    desk = Device()
    server = Device(key=bytes(32))
    server.know(desk)
    desk.log.write("a")
    receipt = desk.issued(0.0)
    assert server.hear(receipt) is Verdict.NEWS
    with pytest.raises(ChangeError):
        server.keys.read(receipt)
    assert desk.log.digest.encode() not in receipt.body


def test_what_makes_no_sense_under_a_good_seal_is_an_error_of_its_own(seed: int) -> None:
    rng = Random(seed)
    desk = Device()
    good = desk.keys.read(desk.issued(0.0))
    assert good.count == 0
    for plain in (b"", b"{", b"[]", b'{"count":-1}', b"\xff", b"[" * 5000, rng.randbytes(100)):
        epoch = next(iter(desk.keys.epochs.values()))
        bound = bound_data(LIBRARY, desk.id, 1, epoch.name)
        body = epoch.seal_bound(plain, bound)
        with pytest.raises(ChangeError):
            desk.keys.read(Receipt(desk.id, 1, epoch.name, body, bytes(64)))
