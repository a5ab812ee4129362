"""Sessions fed with damaged recordings: a refusal comes out, nothing else."""

from __future__ import annotations

from random import Random

import pytest

from liblim.change import Range
from liblim.receipt import MAX_RECEIPT, Receipt
from liblim.sync import State, encode
from liblim.sync.messages import (
    MAX_HEADS,
    MAX_LINE,
    PROTOCOL,
    Entry,
    Icanhaz,
    Igotz,
    Ihaz,
    Kthx,
    Message,
    Nm,
    Ohai,
    Sup,
    Ucanhaz,
)
from liblim.sync.outbox import ROOM
from liblim.sync.refusals import REFUSALS
from tests.liblim.changes import make, replica
from tests.liblim.sync.fakes import LIBRARY, End, MemoryLog, paired, run
from tests.liblim.sync.test_codec import mutated

NUMBERS = [1, 1, 2, 3, 7, 255, 2**31, 2**53 - 1]
CHUNK = 4000


def recording() -> tuple[bytes, MemoryLog]:
    log = MemoryLog("a")
    for letter in "acacac":
        log.write(letter)
    other = MemoryLog("b")
    other.write("b")
    a, b = paired(log, other)
    run((a, b))
    a.session.hand_on(Receipt("a" * 32, 1, "e" * 32, bytes(60), bytes(64)))
    a.write("a")
    b.write("b")
    run((a, b))
    a.session.leave("enough")
    a.take(0)
    return bytes(a.sent), log


def test_damaged_recordings(seed: int) -> None:
    feed_damaged(seed, 2000)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_damaged_recordings(seed: int) -> None:
    feed_damaged(seed, 100_000)


def feed_damaged(seed: int, times: int) -> None:
    data, log = recording()
    codes = set()
    rng = Random(seed)
    for _ in range(times):
        end = End(MemoryLog("b"), log.device)
        bad = mutated(rng, data)
        while bad and end.session.state is not State.CLOSED:
            size = rng.randrange(1, CHUNK)
            end.give(bad[:size])
            bad = bad[size:]
            end.take(0)
            assert end.session.buffered <= MAX_LINE + CHUNK
        end.session.eof(0)
        end.work(0)
        end.take(0)
        codes.add(end.closed.code)
        assert end.closed.code in {*REFUSALS, "left", "lost"}
        assert end.sent.count(b"NOWAI") <= 1
    assert {"garbage", "bad-message", "left"} <= codes


def test_noise(seed: int) -> None:
    rng = Random(seed)
    for _ in range(1000):
        end = End(MemoryLog("b"), "a")
        end.take(0)
        noise = rng.randbytes(rng.randrange(1, 6000))
        end.give(noise)
        end.session.eof(0)
        end.work(0)
        assert end.closed.error
        assert end.take(0).startswith(b"NOWAI ")


def random_message(rng: Random, digest: str) -> Message:
    """What keeps to every bound, and makes sense by chance only."""

    def number() -> int:
        return rng.choice(NUMBERS)

    def heads() -> tuple[Entry, ...]:
        length = MAX_HEADS if rng.random() < 0.01 else rng.randrange(5)
        names = (
            f"{rng.randrange(5000):016x}" if length > 4 else rng.choice("abcd") * 16
            for _ in range(length)
        )
        return tuple(Entry(name, number(), rng.randbytes(32)) for name in names)

    def state() -> tuple[int, str]:
        return rng.choice([0, *NUMBERS]), rng.choice([digest, rng.randbytes(32).hex()])

    kind = rng.randrange(8)
    if kind == 0:
        page = rng.choice([0, 0, 1, 1, 2, 3])
        return Ihaz(*state(), page=page, more=rng.random() < 0.3, heads=heads())
    if kind == 1:
        return Kthx(*state(), heads=heads())
    if kind == 2:
        first = number()
        ranges = tuple(
            Range(replica(rng.choice("abcd")), first, number()) for _ in range(rng.randrange(4))
        )
        return Icanhaz(number(), ranges, rng.choice([1, 2, 256]), rng.choice([1, 1000, 2**20]))
    if kind in (3, 4):
        change = make(
            rng.choice("abcd"), deps=[make(rng.choice("efg"))] if rng.random() < 0.5 else []
        )
        return Ucanhaz(change, rng.choice([0, 1, 2, 9]), rng.choice([0, 1, 256]))
    if kind == 7:
        names = rng.choice("abf") * 32, rng.choice("ef") * 32
        body = rng.randbytes(rng.choice([0, 40, MAX_RECEIPT]))
        return Igotz(Receipt(names[0], number(), names[1], body, rng.randbytes(64)))
    return (Sup if kind == 5 else Nm)(number())


def converse(rng: Random) -> None:
    """A peer that greets and then says anything: it is borne, or refused, and always ends."""
    log = MemoryLog("b", room=20)
    for letter in "bdb":
        log.write(letter)
    end = End(log, "a")
    now = 0.0
    end.give(encode(Ohai(PROTOCOL, LIBRARY, "a" * 32)), now)
    for _ in range(rng.randrange(1, 30)):
        now += rng.choice([0.0, 0.0, 0.5, 3.0])
        end.give(encode(random_message(rng, log.digest)), now)
        if rng.random() < 0.2:
            end.write("b", now)
        end.session.tick(now)
        end.work(now)
        for data in iter(end.session.data_to_send, b""):
            assert len(data) <= ROOM + MAX_LINE
    for _ in range(50):
        timer = end.session.next_timer()
        if timer is None:
            break
        assert timer > now - 1
        now = max(now, timer)
        end.session.tick(now)
        end.work(now)
        end.take(now)
    assert end.closed.code in {"silent", "too-late", "bad-message", "bad-change"}


def test_any_messages_in_any_order(seed: int) -> None:
    for number in range(1000):
        converse(Random(f"{seed} {number}"))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_conversations(seed: int) -> None:
    for number in range(100_000):
        converse(Random(f"{seed} {number}"))
