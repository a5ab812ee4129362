"""Sealed and signed changes under attack: refused at the gate, or not opened, and the others go on."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import msgspec
import pytest

from liblim.change import DICTIONARY, MAX_BODY, MAX_SEALED, Change, Header, pack_body, unpack_body
from liblim.errors import ChangeError
from liblim.trust.epochs import Epoch, epoch_name
from liblim.trust.identity import Identity
from tests.liblim.trust.sealed import (
    EPOCH,
    LIBRARY,
    Author,
    Receiver,
    flipped,
    library_keys,
    mutated,
    rehash,
    sign,
)

NEXT = b"n" * 32


@dataclass
class Scene:
    """A writer with two changes, another device of the library, and who receives."""

    writer: Author
    other: Author
    receiver: Receiver
    first: Change
    second: Change

    def refused(self, *changes: Change) -> ChangeError:
        """Give a batch that is refused: nothing of it enters, and afterwards others do."""
        receipt = self.receiver.take(*changes)
        assert receipt.refused is not None
        assert not receipt.entered
        return receipt.refused

    def unreadable(self, change: Change) -> None:
        """Give a change that enters, and that nobody can read."""
        receipt = self.receiver.take(change)
        assert receipt.refused is None
        assert [new.body for new in receipt.entered] == [None]


@pytest.fixture
def scene() -> Iterator[Scene]:
    writer, other = Identity.generate(), Identity.generate()
    certificates = [writer.certificate, other.certificate]
    epochs = [EPOCH, NEXT]
    author = Author(library_keys(writer, epochs=epochs))
    receiver = Receiver(library_keys(certificates=certificates, epochs=epochs))
    found = Scene(
        author,
        Author(library_keys(other, epochs=epochs)),
        receiver,
        author.write("one"),
        author.write("two"),
    )
    yield found
    # Whatever came before: the true changes, and those of others, go in.
    true = [found.first, found.second, Author(found.other.keys, "z").write("three")]
    assert receiver.take(*true).refused is None
    for change in true:
        assert receiver.bodies[change.hash] is not None
    receiver.close()


def replace(change: Change, **members: object) -> Change:
    return Change(msgspec.structs.replace(change.header, **members), change.signature, change.body)


def body_of(change: Change) -> bytes:
    assert change.body is not None
    return change.body


# By somebody who is no device of the library


def test_every_flip_in_a_body_or_signature_is_refused(scene: Scene) -> None:
    first = scene.first
    for at in range(len(body_of(first))):
        scene.refused(Change(first.header, first.signature, flipped(body_of(first), at)))
    for at in range(len(first.signature)):
        scene.refused(Change(first.header, flipped(first.signature, at), first.body))


def test_every_truncation_is_refused(scene: Scene) -> None:
    first = scene.first
    for size in range(len(body_of(first))):
        scene.refused(Change(first.header, first.signature, body_of(first)[:size]))
    for size in range(len(first.signature)):
        scene.refused(Change(first.header, first.signature[:size], first.body))


def test_a_body_with_its_hash_exchanged_is_refused(scene: Scene) -> None:
    """Whoever can compute a hash cannot sign it."""
    first = scene.first
    for at in range(0, len(body_of(first)), 7):
        bad = flipped(body_of(first), at)
        scene.refused(Change(rehash(first.header, bad), first.signature, bad))


@pytest.mark.parametrize(
    "members",
    [
        {"replica": "ac" * 8},
        {"at": 0},
        {"n": 4},
        {"epoch": epoch_name(NEXT)},
        {"epoch": "0" * 32},
        {"epoch": ""},
        {"device": ""},
        {"seq": 2},
        {"prev": b"p" * 32},
        {"prev": b""},
        {"clock": 2},
    ],
)
def test_an_altered_header_is_refused(scene: Scene, members: dict[str, object]) -> None:
    scene.refused(replace(scene.first, **members))


def test_a_header_that_names_another_device_is_refused(scene: Scene) -> None:
    scene.refused(replace(scene.first, device=scene.other.keys.device))


def test_the_signature_has_to_be_there_and_of_the_device(scene: Scene) -> None:
    first = scene.first
    other = scene.other.keys
    wrong = [
        b"",
        bytes(64),
        scene.second.signature,
        other.sign(first.hash),
        scene.writer.keys.identity.sign(first.hash),
        library_keys(scene.writer.keys.identity, library="2c" * 16).sign(first.hash),
    ]
    for signature in wrong:
        error = scene.refused(Change(first.header, signature, first.body))
        assert "not signed" in str(error)


def test_a_device_cannot_begin_a_replica_of_another(scene: Scene) -> None:
    """Else it could take the place of what that one is about to write."""
    thief = Author(scene.other.keys)
    thief.salt, thief.replica = scene.writer.salt, scene.writer.replica
    scene.refused(thief.write("mine"))
    scene.refused(Author(scene.other.keys, "t").write("mine", replica=scene.writer.replica))
    scene.refused(Author(scene.other.keys, "u").write("mine", prev=b""))


def test_a_stranger_is_not_believed(scene: Scene) -> None:
    """One without a certificate here waits, and is never let in."""
    stranger = Author(library_keys(), letter="b")
    receipt = scene.receiver.take(stranger.write("hello"))
    assert (len(receipt.entered), receipt.waiting) == (0, 1)
    scene.refused(
        stranger.write("hello", device=scene.writer.keys.device, seq=1, prev=stranger.salt)
    )


def test_the_last_of_a_run_signs_for_all_and_only_for_its_run(scene: Scene) -> None:
    first, second, third = scene.first, scene.second, scene.writer.write("three")
    unsigned = [Change(change.header, b"", change.body) for change in (first, second)]
    other = scene.other.write("elsewhere")
    scene.refused(*unsigned)
    scene.refused(unsigned[0], replace(second, at=5), third)
    scene.refused(unsigned[0], other)
    scene.refused(unsigned[0], replace(other, replica=first.replica, seq=2, prev=first.hash))
    receipt = scene.receiver.take(*unsigned, third)
    assert len(receipt.entered) == 3


def test_a_bad_signature_at_the_end_of_a_run_costs_that_change_only(scene: Scene) -> None:
    third = scene.writer.write("three")
    bad = Change(third.header, flipped(third.signature, 5), third.body)
    receipt = scene.receiver.take(scene.first, scene.second, bad)
    assert [new.change for new in receipt.entered] == [scene.first, scene.second]
    assert receipt.refused is not None


def test_a_reordered_chain_is_put_in_order_and_a_relinked_one_refused(scene: Scene) -> None:
    third = scene.writer.write("three")
    scene.refused(replace(third, seq=1, prev=scene.writer.salt, device=scene.writer.keys.device))
    second = scene.second.header
    relinked = replace(third, seq=second.seq, prev=second.prev, clock=second.clock)
    receipt = scene.receiver.take(scene.first, relinked)
    assert [new.change for new in receipt.entered] == [scene.first]
    assert "not signed" in str(receipt.refused)
    receipt = scene.receiver.take(third, scene.second, scene.first)
    assert [new.change for new in receipt.entered] == [scene.second, third]


def test_a_change_of_another_library_is_refused(scene: Scene) -> None:
    """The same device and the same epoch key, and yet neither signature nor seal fit."""
    writer = scene.writer.keys
    elsewhere = Author(library_keys(writer.identity, library="2c" * 16, epochs=[EPOCH, NEXT]))
    change = elsewhere.write("one")
    scene.refused(change)
    resigned = Author(scene.writer.keys, letter="b")
    scene.unreadable(
        resigned.write("one", sealed=elsewhere.keys.seal(b"x", change.header), at=change.header.at)
    )


# By a device of the library


def test_a_member_cannot_pass_off_anothers_body_as_its_own(scene: Scene) -> None:
    """Under another header a sealed body does not open."""
    thief = Author(scene.other.keys, letter="b")
    scene.unreadable(thief.write("one", sealed=scene.first.body))


def test_a_body_said_to_be_of_another_epoch_does_not_open(scene: Scene) -> None:
    keys = scene.other.keys
    author = Author(keys, letter="b")
    header = author.write("x").header
    sealed = Epoch(EPOCH).seal(b"\0{}", header, LIBRARY)
    author = Author(keys, letter="c")
    scene.unreadable(author.write("x", sealed=sealed, epoch=epoch_name(NEXT)))
    author = Author(keys, letter="d")
    scene.unreadable(author.write("x", sealed=sealed, epoch="0" * 32))
    author = Author(keys, letter="e")
    scene.unreadable(author.write("x", sealed=sealed, epoch=""))


def deflated(plain: bytes) -> bytes:
    deflater = zlib.compressobj(1, wbits=-zlib.MAX_WBITS, zdict=DICTIONARY)
    return deflater.compress(plain) + deflater.flush()


def bomb(size: int) -> bytes:
    return b"\x01" + zlib.compress(bytes(size), 9)


@pytest.mark.parametrize(
    "packed",
    [
        bomb(200 << 20),
        bomb(MAX_BODY + 1),
        b"\x02" + deflated(bytes(50 << 20)),
        b"\x01" + zlib.compress(b'{"oid":"' + b"0" * (9 << 20)),
        b"\x01" + zlib.compress(b"[" * MAX_BODY),
        b"\x00" + b"[" * 100_000,
    ],
    ids=["200 MiB", "one over", "after the dictionary", "in a string", "nested", "nested plain"],
)
def test_a_bomb_costs_no_more_than_a_body_may_have(scene: Scene, packed: bytes) -> None:
    assert len(packed) < MAX_SEALED
    bombing = scene.other.write("x", packed=packed)
    tracemalloc.start()
    scene.unreadable(bombing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_BODY


# Fuzz


def signed_mutant(rng: Random, change: Change) -> Change | None:
    """What a stranger makes of a change on its way, if it is a change still."""
    try:
        return msgspec.json.decode(mutated(rng, msgspec.json.encode(change)), type=Change)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def header_mutant(rng: Random, change: Change) -> Change | None:
    """The same, by one who leaves the form alone."""
    name = rng.choice(Header.__struct_fields__)
    value: object = getattr(change.header, name)
    match value:
        case int():
            value = rng.choice([value + 1, value ^ 1 << rng.randrange(50), 1, 2**53 - 1])
        case bytes() if value:
            value = flipped(value, rng.randrange(len(value)))
        case str() if value:
            value = f"{int(value, 16) ^ 1 << rng.randrange(len(value)):0{len(value)}x}"
        case _:
            value = rng.choice([b"", "", (), "0" * 32, rng.randbytes(32)])
    changed = replace(change, **{name: value})
    try:
        return msgspec.json.decode(msgspec.json.encode(changed), type=Change)
    except msgspec.DecodeError:
        return None


@pytest.mark.parametrize(
    "rounds",
    [3_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
@pytest.mark.parametrize("mutant", [signed_mutant, header_mutant])
def test_no_mutant_of_a_change_is_let_in(
    rounds: int,
    mutant: Callable[[Random, Change], Change | None],
    seed: int,
    scene: Scene,
) -> None:
    rng = Random(seed)
    scene.receiver.take(scene.first)
    tried = 0
    for _ in range(rounds):
        bad = mutant(rng, scene.second)
        if bad is None or bad == scene.second:
            continue
        tried += 1
        receipt = scene.receiver.take(bad)
        assert not receipt.entered
        assert not receipt.aside
        assert receipt.refused or receipt.waiting or receipt.duplicates or receipt.passed
    assert tried > rounds // 50
    assert scene.receiver.entered == [scene.first]


@pytest.mark.parametrize(
    "rounds",
    [3_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_no_mutant_of_a_sealed_or_packed_body_raises_anything_else(rounds: int, seed: int) -> None:
    rng = Random(seed)
    keys = library_keys()
    change = Author(keys).write("hello " * 40)
    sealed = body_of(change)
    packed = keys.open(sealed, change.header)
    plain = msgspec.json.encode(unpack_body(packed))
    assert packed[:1] == b"\x02"
    for _ in range(rounds):
        bad = mutated(rng, sealed)
        if bad != sealed:
            with pytest.raises(ChangeError):
                keys.open(bad, change.header)
        again = deflated(mutated(rng, plain))
        for body in (mutated(rng, packed), b"\x02" + again):
            # What a member seals does open; then it has to be bounded, and read or refused.
            try:
                read = unpack_body(keys.open(keys.seal(body, change.header), change.header))
            except ChangeError:
                continue
            assert len(pack_body(read)) <= MAX_BODY


def test_the_mutations_come_from_the_seed() -> None:
    change = Author(library_keys(Identity.generate())).write()
    data = msgspec.json.encode(change)
    assert [mutated(Random(7), data) for _ in range(3)] == [mutated(Random(7), data)] * 3
    assert sign(library_keys(), change).signature != change.signature
