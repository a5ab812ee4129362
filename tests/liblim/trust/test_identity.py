"""Identities: what a certificate says, which are refused, what a locked key can do, TLS, and secrets."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from liblim.change import MAX_CERTIFICATE
from liblim.errors import CertificateError, ChangeError, IdentityLocked
from liblim.trust.identity import (
    Identity,
    device_of,
    read_certificate,
    verify,
    words_of,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
)


def made(
    build: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
    *,
    ca: bool = False,
    agreement: str = "ab" * 31 + "0b",
    uri: str = "urn:lim:x25519:",
    key: Ed25519PrivateKey | None = None,
    signer: Ed25519PrivateKey | None = None,
) -> bytes:
    """A certificate much like a device's."""
    key = key or Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Lim device")])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    public = key.public_key()
    template = x509.load_der_x509_certificate(Identity.generate().certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(4711)
        .not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri + agreement)]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return build(builder).sign(signer or key, None).public_bytes(Encoding.DER)


def flipped(data: bytes, at: int) -> bytes:
    """The data with one bit of one byte changed."""
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_a_certificate_says_who_and_both_keys() -> None:
    identity = Identity.generate()
    read = read_certificate(identity.certificate)
    assert read.der == identity.certificate
    assert read.device == identity.device == device_of(identity.certificate)
    assert identity.device == hashlib.sha256(identity.certificate).hexdigest()[:32]
    found = x509.load_der_x509_certificate(identity.certificate)
    assert f"urn:lim:x25519:{read.agreement.hex()}".encode() in identity.certificate
    public = found.public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert public.public_bytes_raw() == read.signing
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (found.not_valid_before_utc.year, found.not_valid_after_utc.year) == (1970, 9999)


def test_no_two_devices_are_the_same() -> None:
    assert len({Identity.generate().device for _ in range(20)}) == 20


def test_four_words_stand_for_the_first_44_bits() -> None:
    words = words_of(b"some certificate").split()
    bits = bin(int(hashlib.sha256(b"some certificate").hexdigest(), 16))[2:].zfill(256)
    from mnemonic import Mnemonic

    listed = Mnemonic("english").wordlist
    assert words == [listed[int(bits[at : at + 11], 2)] for at in (0, 11, 22, 33)]


def test_the_certificate_of_these_tests_is_as_a_device_makes_it() -> None:
    assert read_certificate(made()).agreement.hex() == "ab" * 31 + "0b"


def _extended(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.OCSPNoCheck(), critical=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: made(ca=True),
        lambda: made(agreement="ab" * 31),
        lambda: made(agreement="AB" * 32),
        lambda: made(agreement="no key"),
        lambda: made(uri="urn:x25519:"),
        lambda: made(signer=Ed25519PrivateKey.generate()),
        lambda: made(_extended),
        *[lambda key=key: made(agreement=key.hex()) for key in SMALL_ORDER],
        lambda: b"",
        lambda: b"\x30\x00",
        lambda: bytes(MAX_CERTIFICATE + 1),
        lambda: Identity.generate().certificate + b"\0",
    ],
)
def test_other_certificates_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(CertificateError):
        read_certificate(make())


def test_a_certificate_with_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.load_der_x509_certificate(Identity.generate().certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
    )
    with pytest.raises(CertificateError):
        read_certificate(builder.sign(key, SHA256()).public_bytes(Encoding.DER))


def test_every_flipped_bit_and_every_truncation_of_a_certificate_is_refused() -> None:
    der = Identity.generate().certificate
    for at in range(len(der)):
        for bad in (flipped(der, at), der[:at]):
            with pytest.raises(CertificateError):
                read_certificate(bad)


def test_signatures() -> None:
    one, other = Identity.generate(), Identity.generate()
    signature = one.sign(b"data")
    assert len(signature) == 64
    assert verify(one.certificate, signature, b"data")
    assert not verify(one.certificate, signature, b"date")
    assert not verify(other.certificate, signature, b"data")
    for bad in (b"", signature[:-1], signature + b"\0", bytes(64)):
        assert not verify(one.certificate, bad, b"data")


def test_wrapping_is_for_one_device_and_one_purpose() -> None:
    one, other = Identity.generate(), Identity.generate()
    wrapped = wrap(one.certificate, b"k" * 32, b"info")
    assert one.unwrap(wrapped, b"info") == b"k" * 32
    assert wrap(one.certificate, b"k" * 32, b"info") != wrapped
    for reader, data, info in [
        (other, wrapped, b"info"),
        (one, wrapped, b"other"),
        (one, wrapped + b"\0", b"info"),
        (one, bytes(len(wrapped)), b"info"),
    ]:
        with pytest.raises(ChangeError):
            reader.unwrap(data, info)


def test_damaged_wraps_are_refused(seed: int) -> None:
    identity, rng = Identity.generate(), Random(seed)
    wrapped = wrap(identity.certificate, b"k" * 32, b"info")
    damaged = [wrapped[:size] for size in range(len(wrapped))]
    damaged += [flipped(wrapped, at) for at in range(len(wrapped))]
    damaged += [rng.randbytes(rng.randrange(200)) for _ in range(200)]
    # The topmost bit of an X25519 key plays no part in the agreement (RFC 7748), but HPKE binds it.
    for bad in damaged:
        with pytest.raises(ChangeError):
            identity.unwrap(bad, b"info")


def test_a_locked_identity_says_so_and_unlocks_with_its_own_seed_only() -> None:
    seed = b"s" * 32
    from liblim.trust.identity import _make_certificate

    identity = Identity(_make_certificate(seed, bytes(20)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for use in (
        lambda: identity.sign(b""),
        lambda: identity.unwrap(b"", b""),
        lambda: identity.to_pem(b"p"),
        lambda: identity.load_into(context),
    ):
        with pytest.raises(IdentityLocked, match="locked"):
            use()
    for wrong in (b"t" * 32, b"", b"s" * 31):
        with pytest.raises(CertificateError):
            identity.unlock(wrong)
    assert repr(identity).endswith("locked>")
    identity.unlock(seed)
    assert not identity.locked
    assert verify(identity.certificate, identity.sign(b"x"), b"x")


def test_tls_shows_the_certificate_and_no_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server_identity, client_identity = Identity.generate(), Identity.generate()
    server, client = _context(True, client_identity), _context(False, server_identity)
    server_identity.load_into(server)
    client_identity.load_into(client)
    assert list(tmp_path.iterdir()) == []
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(one, two, server_side=True), client.wrap_bio(two, one)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].getpeercert(True) == client_identity.certificate
    assert ends[1].getpeercert(True) == server_identity.certificate


def _context(server: bool, peer: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    no_check_time = 0x200000
    strict = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags = ssl.VerifyFlags(strict | no_check_time)
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(peer.certificate))
    return context


def test_secrets_stand_in_no_repr() -> None:
    from liblim.trust.identity import _make_certificate

    identity = Identity(_make_certificate(b"s" * 32, bytes(20)))
    assert "locked" in repr(identity)
    identity.unlock(b"s" * 32)
    assert repr(identity) == f"<Identity {identity.device}>"


def test_nothing_slow_is_imported_with_the_package() -> None:
    slow = ["cryptography", "keyring", "mnemonic", "spake2", "zeroconf", "ifaddr"]
    program = (
        "import sys, liblim.trust, liblim.database\n"
        "from liblim.trust import Identity, Vault\n"
        f"print([name for name in {slow} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
