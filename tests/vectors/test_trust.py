"""The vectors of devices, epochs and changes, read by the decoder and made again by liblim."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liblim.change import Body, Change, Header, pack_body, unpack_body
from liblim.errors import ChangeError, SignatureError
from liblim.reading import ReadingAdmission
from liblim.receipt import Receipt, unpack_statement
from liblim.store import Store
from liblim.trust.epochs import associated_data
from liblim.trust.identity import Identity, device_of, words_of
from liblim.trust.identity import read_certificate as liblims_certificate
from liblim.trust.keys import LibraryKeys
from tests.vectors import decoder
from tests.vectors.decoder import Reader, Refused, Unreadable

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("trust.json").read_text("utf-8"))
LIBRARY: str = VECTORS["library"]
DEVICES: list[dict[str, str]] = VECTORS["devices"]
SEEDS = {device["id"]: bytes.fromhex(device["seed"]) for device in DEVICES}
CERTIFICATES = [bytes.fromhex(device["certificate"]) for device in DEVICES]
EPOCHS = [bytes.fromhex(epoch["key"]) for epoch in VECTORS["epochs"]]


def reader() -> Reader:
    return Reader(LIBRARY, CERTIFICATES, EPOCHS)


def identity(device: dict[str, str]) -> Identity:
    found = Identity(bytes.fromhex(device["certificate"]))
    found.unlock(bytes.fromhex(device["seed"]))
    return found


def keys(device: dict[str, str]) -> LibraryKeys:
    return LibraryKeys(LIBRARY, identity(device), EPOCHS, CERTIFICATES)


def change_of(row: dict[str, Any]) -> Change:
    return msgspec.json.decode(json.dumps(row["change"]), type=Change)


# The decoder


def test_the_decoder_shares_no_code() -> None:
    source = Path(decoder.__file__).read_text("utf-8")
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not any("liblim." in line or "import liblim" in line for line in imports)


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device["id"][:4])
def test_devices(device: dict[str, str]) -> None:
    from mnemonic import Mnemonic

    seed, der = bytes.fromhex(device["seed"]), bytes.fromhex(device["certificate"])
    assert decoder.make_certificate(seed, int(device["serial"], 16)) == der
    signing, agreement = decoder.private_keys(seed)
    assert agreement.private_bytes_raw().hex() == device["x25519 private key"]
    read = decoder.read_certificate(der)
    assert read.signing == signing.public_key().public_bytes_raw()
    assert read.agreement == agreement.public_key().public_bytes_raw()
    assert decoder.device_id(der) == device["id"]
    assert decoder.words(der, Mnemonic("english").wordlist) == device["words"]
    with pytest.raises(Refused):
        decoder.read_certificate(der[:-1] + b"\0")


def test_epochs_and_replicas() -> None:
    for epoch in VECTORS["epochs"]:
        key = bytes.fromhex(epoch["key"])
        assert decoder.epoch_name(key) == epoch["name"]
        assert decoder.hkdf(key, b"", b"lim/1 salt", 32).hex() == epoch["salt key"]
    for replica in VECTORS["replicas"]:
        salt = bytes.fromhex(replica["salt"])
        assert decoder.replica_id(replica["device"], salt) == replica["id"]


def test_wraps() -> None:
    for wrap in VECTORS["wraps"]:
        wrapped = bytes.fromhex(wrap["wrapped"])
        for device, seed in SEEDS.items():
            if device == wrap["device"]:
                key = decoder.unwrap(seed, LIBRARY, wrap["epoch"], wrapped)
                assert decoder.epoch_name(key) == wrap["epoch"]
            else:
                with pytest.raises(Refused):
                    decoder.unwrap(seed, LIBRARY, wrap["epoch"], wrapped)


def test_changes() -> None:
    reads = reader()
    for row in VECTORS["changes"]:
        header = row["change"]["header"]
        assert decoder.bound_data(header, LIBRARY).hex() == row["bound data"]
        assert reads.read(row["change"]) == row["body"]
        assert decoder.change_hash(header).hex() == row["hash"]
    assert len(reads.known) == len(VECTORS["changes"])


def test_refused_changes() -> None:
    for row in VECTORS["refused"]:
        for before in range(len(VECTORS["changes"])):
            reads = reader()
            for earlier in VECTORS["changes"][:before]:
                reads.read(earlier["change"])
            with pytest.raises(Refused):
                reads.read(row["change"])


def test_unreadable_changes() -> None:
    for row in VECTORS["unreadable"]:
        reads = reader()
        with pytest.raises(Unreadable):
            reads.read(row["change"])
        assert len(reads.known) == 1
    without = Reader(LIBRARY, CERTIFICATES, [])
    for row in VECTORS["changes"]:
        with pytest.raises(Unreadable):
            without.read(row["change"])


def test_receipts() -> None:
    for row in VECTORS["receipts"]:
        receipt = row["receipt"]
        assert decoder.receipt_bound_data(receipt, LIBRARY).hex() == row["bound data"]
        assert reader().read_receipt(receipt) == row["statement"]
    for row in VECTORS["refused receipts"]:
        with pytest.raises(Refused):
            reader().read_receipt(row["receipt"])
    for row in VECTORS["unreadable receipts"]:
        with pytest.raises(Unreadable):
            reader().read_receipt(row["receipt"])


# liblim


def test_liblim_makes_the_same_devices() -> None:
    for device, der in zip(DEVICES, CERTIFICATES, strict=True):
        assert (device_of(der), words_of(der)) == (device["id"], device["words"])
        read = liblims_certificate(der)
        assert decoder.Keys(read.signing, read.agreement) == decoder.read_certificate(der)
        assert not identity(device).locked


def test_liblim_takes_the_wraps() -> None:
    for wrap in VECTORS["wraps"]:
        (device,) = [found for found in DEVICES if found["id"] == wrap["device"]]
        empty = LibraryKeys(LIBRARY, identity(device))
        text = base64.b64encode(bytes.fromhex(wrap["wrapped"])).decode()
        said = {"epoch": wrap["epoch"], "keys": {device["id"]: text}}
        body = Body(LIBRARY, "library", [["epochs", "add", said]])
        header = Header("ab" * 8, 1, b"", (), 1, 1, 0, "", "", b"")
        empty.learn(Change(header, b"", b""), body)
        assert list(empty.epochs) == [wrap["epoch"]]


def test_the_decoder_takes_what_liblim_wraps() -> None:
    giver = keys(DEVICES[0])
    for device, seed in SEEDS.items():
        for epoch, held in giver.epochs.items():
            wrapped = giver.wrap_for(device, epoch)
            assert decoder.unwrap(seed, LIBRARY, epoch, wrapped) == held.key


def test_liblim_makes_the_same_replicas_seals_and_signatures() -> None:
    by_device = {device["id"]: keys(device) for device in DEVICES}
    authors = {row["id"]: row["device"] for row in VECTORS["replicas"]}
    for row in VECTORS["replicas"]:
        made = by_device[row["device"]].replica(row["device"], bytes.fromhex(row["salt"]))
        assert made == row["id"]
    for row in VECTORS["changes"]:
        change = change_of(row)
        author = by_device[authors[change.replica]]
        packed = bytes.fromhex(row["packed body"])
        assert unpack_body(packed) == Body(**row["body"])
        assert unpack_body(pack_body(Body(**row["body"]))) == Body(**row["body"])
        assert associated_data(change.header, LIBRARY).hex() == row["bound data"]
        assert author.seal(packed, change.header) == change.body
        assert change.hash.hex() == row["hash"]
        assert author.sign(change.hash) == change.signature


@pytest.fixture
def gate() -> Iterator[ReadingAdmission]:
    """An empty log of the library on the first device."""
    store = Store(":memory:")
    yield ReadingAdmission(store, keys(DEVICES[0]))
    store.close()


def test_liblim_takes_the_changes_and_refuses_the_others(gate: ReadingAdmission) -> None:
    for row in VECTORS["changes"]:
        for bad in VECTORS["refused"]:
            outcome = gate.admit([change_of(bad)])
            assert not outcome.entered, bad["why"]
            assert any((outcome.refused, outcome.waiting, outcome.aside, outcome.duplicates))
        (new,) = gate.admit([change_of(row)]).entered
        assert new.body == Body(**row["body"])


@pytest.mark.parametrize("row", VECTORS["unreadable"], ids=lambda row: row["why"])
def test_liblim_takes_what_a_device_signed_and_does_not_read_it(
    gate: ReadingAdmission, row: dict[str, Any]
) -> None:
    (new,) = gate.admit([change_of(row)]).entered
    assert new.body is None


def receipt_of(row: dict[str, Any]) -> Receipt:
    return msgspec.json.decode(json.dumps(row["receipt"]), type=Receipt)


def test_liblim_makes_and_reads_the_same_receipts() -> None:
    by_device = {device["id"]: keys(device) for device in DEVICES}
    for row in VECTORS["receipts"]:
        receipt, plain = receipt_of(row), bytes.fromhex(row["plain"])
        issuer = by_device[receipt.device]
        issuer.use(receipt.epoch)
        statement = unpack_statement(plain)
        assert json.loads(plain) == row["statement"]
        assert issuer.issue(receipt.counter, statement) == receipt
        for other in by_device.values():
            other.check(receipt)
            assert other.read(receipt) == statement


def test_liblim_refuses_the_other_receipts() -> None:
    held = keys(DEVICES[0])
    for row in VECTORS["refused receipts"]:
        with pytest.raises(SignatureError):
            held.check(receipt_of(row))
    for row in VECTORS["unreadable receipts"]:
        held.check(receipt_of(row))
        with pytest.raises(ChangeError):
            held.read(receipt_of(row))
