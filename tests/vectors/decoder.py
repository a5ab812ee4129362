"""A reader of lim/1 changes, written from ``PROTOCOL.rst`` alone: it shares no code with liblim.

It takes everything apart by hand; of ``cryptography`` it uses Ed25519, X25519 and ChaCha20-Poly1305.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


class Refused(Exception):
    """What was read breaks the protocol."""


class Unreadable(Exception):
    """A change that is to be taken, and forwarded, with a body that cannot be read."""


# Hashes (RFC 2104, RFC 5869)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def expand(key: bytes, info: bytes, length: int) -> bytes:
    found, block, number = b"", b"", 0
    while len(found) < length:
        number += 1
        block = hmac_sha256(key, block + info + bytes([number]))
        found += block
    return found[:length]


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return expand(hmac_sha256(salt or bytes(32), secret), info, length)


# Devices


class Keys(NamedTuple):
    """Public keys of a device, raw."""

    signing: bytes
    agreement: bytes


_BEFORE_KEY = (
    "300506032b6570"
    "30153113301106035504030c0a4c696d20646576696365"
    "3020170d3730303130323030303030305a180f39393939313233313030303030305a"
    "30153113301106035504030c0a4c696d20646576696365"
    "302a300506032b6570032100"
)
_BEFORE_AGREEMENT = (
    "a381dc3081d9"
    "300c0603551d130101ff04023000"
    "300e0603551d0f0101ff040403020780"
    "301d0603551d250416301406082b0601050507030206082b06010505070301"
    "305a0603551d1104533051864f75726e3a6c696d3a7832353531393a"
)
_BEFORE_KEY_ID = "301d0603551d0e04160414"
_BEFORE_KEY_ID_AGAIN = "301f0603551d23041830168014"


def element(tag: int, content: bytes) -> bytes:
    """DER: a tag, the length, the content."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(digits)]) + digits + content


def to_be_signed(serial: int, keys: Keys) -> bytes:
    """The tbsCertificate of a device."""
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    key_id = hashlib.sha1(keys.signing).digest()
    content = (
        bytes.fromhex("a003020102")
        + element(2, number)
        + bytes.fromhex(_BEFORE_KEY)
        + keys.signing
        + bytes.fromhex(_BEFORE_AGREEMENT)
        + keys.agreement.hex().encode()
        + bytes.fromhex(_BEFORE_KEY_ID)
        + key_id
        + bytes.fromhex(_BEFORE_KEY_ID_AGAIN)
        + key_id
    )
    return element(0x30, content)


def certificate(tbs: bytes, signature: bytes) -> bytes:
    """The certificate with a tbsCertificate and its signature."""
    return element(0x30, tbs + bytes.fromhex("300506032b6570") + element(3, b"\0" + signature))


def private_keys(seed: bytes) -> tuple[Ed25519PrivateKey, X25519PrivateKey]:
    """Both private keys of a device."""
    agreement = hkdf(seed, b"", b"lim/1 x25519", 32)
    return Ed25519PrivateKey.from_private_bytes(seed), X25519PrivateKey.from_private_bytes(
        agreement
    )


def make_certificate(seed: bytes, serial: int) -> bytes:
    """The certificate that a device makes of its seed and a serial number."""
    signing, agreement = private_keys(seed)
    keys = Keys(signing.public_key().public_bytes_raw(), agreement.public_key().public_bytes_raw())
    tbs = to_be_signed(serial, keys)
    return certificate(tbs, signing.sign(tbs))


def read_certificate(der: bytes) -> Keys:
    """The keys in a certificate, found by where they stand."""
    try:
        at = der.index(bytes.fromhex("a00302010202")) + 6
        serial = int.from_bytes(der[at + 1 : at + 1 + der[at]], "big")
        at = der.index(bytes.fromhex("302a300506032b6570032100")) + 12
        signing = der[at : at + 32]
        at = der.index(b"urn:lim:x25519:") + 15
        agreement = bytes.fromhex(der[at : at + 64].decode("ascii"))
    except (ValueError, IndexError) as error:
        raise Refused("no certificate") from error
    keys = Keys(signing, agreement)
    tbs = to_be_signed(serial, keys)
    if der != certificate(tbs, der[-64:]) or not is_signed(keys, der[-64:], tbs):
        raise Refused("no certificate of a device")
    return keys


def is_signed(keys: Keys, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(keys.signing).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def device_id(der: bytes) -> str:
    return sha256(der).hex()[:32]


def words(der: bytes, word_list: list[str]) -> str:
    bits = "".join(f"{octet:08b}" for octet in sha256(der))
    return " ".join(word_list[int(bits[at : at + 11], 2)] for at in range(0, 44, 11))


def replica_id(device: str, salt: bytes) -> str:
    return sha256(b"lim/1 replica" + bytes.fromhex(device) + salt).hex()[:16]


# Epochs (HPKE: RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305)


def epoch_name(key: bytes) -> str:
    return sha256(b"lim/1 epoch name" + key).hex()[:32]


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + label + secret)


def _labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def hpke_open(private: X25519PrivateKey, message: bytes, info: bytes) -> bytes:
    encapsulated, ciphertext = message[:32], message[32:]
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x03"
    agreed = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + private.public_key().public_bytes_raw()
    secret = _labeled_extract(kem, b"", b"eae_prk", agreed)
    shared = _labeled_expand(kem, secret, b"shared_secret", context, 32)
    schedule = (
        b"\x00"
        + _labeled_extract(suite, b"", b"psk_id_hash", b"")
        + _labeled_extract(suite, b"", b"info_hash", info)
    )
    secret = _labeled_extract(suite, shared, b"secret", b"")
    key = _labeled_expand(suite, secret, b"key", schedule, 32)
    nonce = _labeled_expand(suite, secret, b"base_nonce", schedule, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, b"")


def unwrap(seed: bytes, library: str, epoch: str, wrapped: bytes) -> bytes:
    """The key of an epoch, which has to have that name."""
    info = b"lim/1 wrap" + bytes.fromhex(library) + bytes.fromhex(epoch)
    try:
        key = hpke_open(private_keys(seed)[1], wrapped, info)
    except (InvalidTag, ValueError) as error:
        raise Refused("not for this device") from error
    if epoch_name(key) != epoch:
        raise Refused("another key")
    return key


# Changes


def canonical(header: dict[str, Any]) -> bytes:
    """RFC 8785, as far as a header needs it."""
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")


def change_hash(header: dict[str, Any]) -> bytes:
    return sha256(canonical(header))


def bound_data(header: dict[str, Any], library: str) -> bytes:
    rest = {name: value for name, value in header.items() if name != "body"}
    return bytes.fromhex(library) + canonical(rest)


def salt_of(key: bytes, bound: bytes, packed: bytes) -> bytes:
    salt_key = hkdf(key, b"", b"lim/1 salt", 32)
    return hmac_sha256(salt_key, len(bound).to_bytes(8, "big") + bound + packed)[:24]


def open_body(key: bytes, bound: bytes, sealed: bytes) -> bytes:
    material = hkdf(key, sealed[:24], b"lim/1 seal", 44)
    try:
        return ChaCha20Poly1305(material[:32]).decrypt(material[32:], sealed[24:], bound)
    except (InvalidTag, ValueError) as error:
        raise Unreadable("the body does not open") from error


DICTIONARY = (
    b'"],["body","-",[,1],1],["body","=","add","rm","on","off"'
    b'{"oid":"","kind":"note","ops":[["body","+",0," the "]]}'
)


def unpack(packed: bytes) -> dict[str, Any]:
    flag, payload = packed[0], packed[1:]
    if flag == 2:
        inflater = zlib.decompressobj(-15, DICTIONARY)
        plain = inflater.decompress(payload) + inflater.flush()
    else:
        plain = zlib.decompress(payload) if flag else payload
    body: dict[str, Any] = json.loads(plain)
    return body


def receipt_bound_data(receipt: dict[str, Any], library: str) -> bytes:
    counter: int = receipt["counter"]
    ids = [bytes.fromhex(name) for name in (library, receipt["device"], receipt["epoch"])]
    return b"lim/1 receipt\0" + ids[0] + ids[1] + counter.to_bytes(8, "big") + ids[2]


class Reader:
    """Reads the changes of a library, in an order in which none comes early."""

    def __init__(self, library: str, certificates: list[bytes], epochs: list[bytes]) -> None:
        self.library = library
        self.devices = {device_id(der): read_certificate(der) for der in certificates}
        self.epochs = {epoch_name(key): key for key in epochs}
        self.authors: dict[str, str] = {}
        self.known: dict[tuple[str, int], tuple[bytes, int]] = {}

    def read(self, change: dict[str, Any]) -> dict[str, Any]:
        """The body of a change.  Raises Refused or Unreadable."""
        header = change["header"]
        sealed = base64.b64decode(change["body"], validate=True)
        if base64.b64decode(header["body"], validate=True) != sha256(sealed):
            raise Refused("another body")
        self._check_place(header)
        author = self._author(header)
        self._check_signature(author, header, change["signature"])
        replica, seq = header["replica"], header["seq"]
        self.authors[replica] = author
        self.known[replica, seq] = change_hash(header), header["clock"] + header["n"] - 1
        return unpack(self._open(header, sealed))

    def read_receipt(self, receipt: dict[str, Any]) -> dict[str, Any]:
        """What a receipt says.  Raises Refused or Unreadable."""
        bound = receipt_bound_data(receipt, self.library)
        sealed = base64.b64decode(receipt["body"], validate=True)
        device, signature = receipt["device"], base64.b64decode(receipt["signature"], validate=True)
        if device not in self.devices:
            raise Refused("unknown device")
        if not is_signed(self.devices[device], signature, bound + sha256(sealed)):
            raise Refused("not signed")
        statement: dict[str, Any] = json.loads(self._unseal(receipt["epoch"], bound, sealed))
        return statement

    def _open(self, header: dict[str, Any], sealed: bytes) -> bytes:
        return self._unseal(header["epoch"], bound_data(header, self.library), sealed)

    def _unseal(self, epoch: str, bound: bytes, sealed: bytes) -> bytes:
        key = self.epochs.get(epoch)
        if key is None:
            raise Unreadable("no key")
        packed = open_body(key, bound, sealed)
        # Who opens need not look at the salt; here it shows that it is made as laid down.
        if salt_of(key, bound, packed) != sealed[:24]:
            raise Unreadable("another salt")
        return packed

    def _check_place(self, header: dict[str, Any]) -> None:
        past = [tuple(dep) for dep in header["deps"]]
        if header["seq"] > 1:
            past.append((header["replica"], header["seq"] - 1, header["prev"]))
        last = 0
        for replica, seq, digest in past:
            found, end = self.known.get((replica, seq), (b"", 0))
            if base64.b64decode(digest, validate=True) != found:
                raise Refused("another past")
            last = max(last, end)
        if header["clock"] != last + 1:
            raise Refused("another clock")

    def _author(self, header: dict[str, Any]) -> str:
        replica, device = header["replica"], header["device"]
        if header["seq"] > 1:
            if device:
                raise Refused("a device where none is named")
            return self.authors[replica]
        salt = base64.b64decode(header["prev"], validate=True)
        if len(salt) != 32 or replica_id(device, salt) != replica:
            raise Refused("another device's replica")
        return str(device)

    def _check_signature(self, author: str, header: dict[str, Any], signature: str) -> None:
        if author not in self.devices:
            raise Refused("unknown device")
        signed = b"lim/1 change\0" + bytes.fromhex(self.library) + change_hash(header)
        if not is_signed(self.devices[author], base64.b64decode(signature), signed):
            raise Refused("not signed")
