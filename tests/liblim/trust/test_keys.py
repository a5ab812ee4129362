"""A library's keys: what is sealed with which, and what is learnt from what others write."""

from __future__ import annotations

import base64
import os
from random import Random
from typing import Any

import msgspec
import pytest

from liblim.change import Body, Change, Header
from liblim.crdt.ops import width
from liblim.errors import ChangeError, IdentityLocked, OperationError
from liblim.trust.documents import MAX_OPS
from liblim.trust.epochs import epoch_name
from liblim.trust.identity import Identity
from liblim.trust.keys import LibraryKeys
from liblim.trust.sealing import Learned, Sealer, Unsealed
from tests.liblim.trust.sealed import EPOCH, LIBRARY, library_keys

NEXT = b"n" * 32
HEADER = Header("ab" * 8, 1, b"", (), 1, 1, 0, epoch_name(EPOCH), "d" * 32, b"")
NOTHING = Learned([], [])


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def device_body(identity: Identity, value: Any = None) -> Body:
    value = text(identity.certificate) if value is None else value
    return Body(identity.device, "device", [["certificate", "=", value]])


def epoch_body(keys: dict[str, Any], name: Any = None, oid: str = LIBRARY) -> Body:
    said = {"epoch": epoch_name(NEXT) if name is None else name, "keys": keys}
    return Body(oid, "library", [["epochs", "add", said]])


def learn(keys: Sealer, body: Body) -> Learned:
    """What keys learn from a change with this body."""
    n = sum(_width(op) for op in body.ops)
    return keys.learn(Change(msgspec.structs.replace(HEADER, n=max(1, n)), b"", b""), body)


def _width(op: list[Any]) -> int:
    try:
        return width(op[1:])
    except OperationError:
        return 1


def test_both_are_sealers() -> None:
    sealers: list[Sealer] = [library_keys(), Unsealed()]
    assert [sealer.epoch for sealer in sealers] == [epoch_name(EPOCH), ""]


def test_unsealed_takes_what_nobody_signed() -> None:
    unsealed = Unsealed()
    assert unsealed.knows("d" * 32)
    assert unsealed.open(unsealed.seal(b"x", HEADER), HEADER) == b"x"
    unsealed.verify("d" * 32, bytes(32), unsealed.sign(bytes(32)))
    with pytest.raises(ChangeError):
        unsealed.verify("d" * 32, bytes(32), b"s" * 64)
    assert learn(unsealed, device_body(Identity.generate())) == NOTHING


def test_the_epoch_in_use_seals_and_all_open() -> None:
    keys = library_keys(epochs=[EPOCH, NEXT])
    first = keys.seal(b"x", HEADER)
    keys.use(epoch_name(NEXT))
    assert keys.epoch == epoch_name(NEXT)
    assert keys.open(first, HEADER) == b"x"
    with pytest.raises(ChangeError):
        keys.use("0" * 32)
    assert keys.epoch == epoch_name(NEXT)


def test_without_the_key_nothing_opens() -> None:
    sealed = library_keys().seal(b"x", HEADER)
    for epoch in ("", "0" * 32):
        header = Header("ab" * 8, 1, b"", (), 1, 1, 0, epoch, "d" * 32, b"")
        with pytest.raises(ChangeError, match="missing"):
            library_keys().open(sealed, header)


def test_signatures_are_for_one_device_and_one_library() -> None:
    identity, other = Identity.generate(), Identity.generate()
    keys = library_keys(identity, certificates=[other.certificate])
    signature = keys.sign(b"h" * 32)
    keys.verify(identity.device, b"h" * 32, signature)
    elsewhere = library_keys(identity, library="2c" * 16)
    for checker, device, digest, bad in [
        (keys, other.device, b"h" * 32, signature),
        (keys, identity.device, b"i" * 32, signature),
        (keys, identity.device, b"h" * 32, b""),
        (keys, identity.device, b"h" * 32, identity.sign(b"h" * 32)),
        (elsewhere, identity.device, b"h" * 32, signature),
    ]:
        with pytest.raises(ChangeError, match="not signed"):
            checker.verify(device, digest, bad)


def test_a_certificate_that_is_none_checks_nothing() -> None:
    keys = library_keys(certificates=[b"rubbish"])
    (rubbish,) = keys.certificates.keys() - {keys.device}
    with pytest.raises(ChangeError):
        keys.verify(rubbish, b"h" * 32, bytes(64))


def test_a_locked_key_seals_and_does_not_sign() -> None:
    identity = Identity(Identity.generate().certificate)
    keys = library_keys(identity)
    assert keys.open(keys.seal(b"x", HEADER), HEADER) == b"x"
    with pytest.raises(IdentityLocked):
        keys.sign(b"h" * 32)


def test_certificates_are_learnt_from_device_documents() -> None:
    keys, newcomer = library_keys(), Identity.generate()
    assert not keys.knows(newcomer.device)
    assert learn(keys, device_body(newcomer)) == Learned([newcomer.certificate], [])
    assert keys.knows(newcomer.device)
    keys.verify(
        newcomer.device,
        b"h" * 32,
        LibraryKeys(LIBRARY, newcomer).sign(b"h" * 32),
    )
    learn(keys, device_body(newcomer))
    assert len(keys.certificates) == 2


def test_epochs_are_learnt_where_they_are_wrapped_for_this_device() -> None:
    giver, taker, third = library_keys(), library_keys(), library_keys()
    giver.add_epoch(NEXT)
    giver.add_certificate(taker.identity.certificate)
    body = epoch_body({taker.device: text(giver.wrap_for(taker.device, epoch_name(NEXT)))})
    assert learn(third, body) == NOTHING
    assert learn(taker, body) == Learned([], [NEXT])
    assert taker.epochs[epoch_name(NEXT)].key == NEXT
    assert taker.epoch == epoch_name(EPOCH)


def wrapped(keys: LibraryKeys, name: str, key: bytes = NEXT, library: str = LIBRARY) -> str:
    """A key wrapped for a device under any name and for any library, as a member could."""
    from liblim.trust.identity import wrap

    info = b"lim/1 wrap" + bytes.fromhex(library) + bytes.fromhex(name)
    return text(wrap(keys.identity.certificate, key, info))


def test_odd_trust_documents_teach_nothing() -> None:
    keys, other = library_keys(), Identity.generate()
    me, name = keys.device, epoch_name(NEXT)
    good = wrapped(keys, name)
    odd_values: list[Any] = ["", "!", "AAAA", "\ud800", 5, [], {}]
    odd = [
        Body(me, "device", device_body(other).ops),  # the certificate of another device
        Body(other.device, "note", device_body(other).ops),
        *(device_body(other, value) for value in odd_values),
        Body(other.device, "device", [["name", "=", text(other.certificate)]]),
        Body(other.device, "device", [["certificate"], [], [1, 2, 3]]),
        epoch_body({me: good}, oid="2c" * 16),
        epoch_body({me: good}, name="0" * 32),  # wrapped under its name
        epoch_body({me: wrapped(keys, "0" * 32)}, name="0" * 32),  # named for another key
        epoch_body({me: wrapped(keys, name, library="2c" * 16)}),
        epoch_body({me: wrapped(keys, name, key=b"short")}),
        epoch_body({other.device: good}),
        *(epoch_body({me: value}) for value in (*odd_values, None)),
        *(epoch_body({me: good}, name=odd_name) for odd_name in ("", "no hex", "00 " * 16, 5)),
        Body(LIBRARY, "library", [["epochs", "add", {"epoch": name, "keys": [good]}]]),
        Body(LIBRARY, "library", [["epochs", "add", good], ["epochs", "add"], []]),
    ]
    for body in odd:
        assert learn(keys, body) == NOTHING, body
    assert list(keys.certificates) == [me]
    assert list(keys.epochs) == [epoch_name(EPOCH)]


def test_a_locked_key_learns_certificates_only() -> None:
    keys = library_keys(Identity(Identity.generate().certificate))
    newcomer = Identity.generate()
    assert learn(keys, epoch_body({keys.device: wrapped(keys, epoch_name(NEXT))})) == NOTHING
    assert learn(keys, device_body(newcomer)).certificates == [newcomer.certificate]


def test_what_the_ledger_passes_over_teaches_nothing_either() -> None:
    """Else one device's log would take changes that another's has to refuse."""
    keys, newcomer = library_keys(), Identity.generate()
    (op,) = device_body(newcomer).ops
    many = Body(newcomer.device, "device", [["name", "=", "x"]] * MAX_OPS + [op])
    assert learn(keys, many) == NOTHING
    beyond = Change(HEADER, b"", b"")  # it has one counter only
    assert keys.learn(beyond, Body(newcomer.device, "device", [["name", "=", "x"], op])) == NOTHING


def test_noise_teaches_nothing_and_raises_nothing(seed: int) -> None:
    keys, rng = library_keys(), Random(seed)
    good = wrapped(keys, epoch_name(NEXT))
    values: list[Any] = [None, 1, 1e300, "", "x", good, [], [good], {}, {"epoch": "x"}, True]

    def value(depth: int = 0) -> Any:
        match rng.randrange(4 if depth < 3 else 1):
            case 1:
                return [value(depth + 1) for _ in range(rng.randrange(4))]
            case 2:
                names = rng.sample(["epoch", "keys", keys.device, "other"], rng.randrange(4))
                return {name: value(depth + 1) for name in names}
            case _:
                return rng.choice(values)

    for _ in range(2000):
        field, verb = rng.choice(["epochs", "certificate", 5]), rng.choice(["add", "=", None])
        body = Body(LIBRARY, rng.choice(["library", "device"]), [[field, verb, value()], [value()]])
        assert learn(keys, body) == NOTHING


def test_keys_stand_in_no_repr() -> None:
    keys = library_keys(epochs=[os.urandom(32)])
    assert repr(keys) == f"<LibraryKeys of {LIBRARY} on {keys.device}>"
