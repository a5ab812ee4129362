"""PROTOCOL.rst is what another implementation is made from: it has to be true."""

from __future__ import annotations

import re
from hashlib import sha1, sha256
from importlib.resources import files

import msgspec
from cryptography import x509

from liblim.change import Change
from liblim.sync.codec import decode, encode
from liblim.sync.messages import VERBS, Message
from liblim.sync.refusals import REFUSALS
from liblim.trust import Grant, Granted, Identity, read_certificate
from liblim.trust.pairing_messages import PROBLEMS, About
from liblim.trust.pairing_messages import VERBS as PAIRING_VERBS
from tests.liblim.changes import make
from tests.liblim.sync.fakes import End, MemoryLog

DOCUMENT = files("liblim").joinpath("PROTOCOL.rst").read_text(encoding="utf-8")


def note(prev: Change | None, text: str) -> Change:
    body = b'\0{"oid":"%s","kind":"note","ops":[["body","+",%s,"%s"]]}' % (
        b"0" * 32,
        b"0" if prev is None else b"2",
        text.encode(),
    )
    return make("a", prev, body=body, n=len(text), at=1_700_000_000_000, clock=3 if prev else 1)


def transcript() -> str:
    """Lap, which is new, connects with Desk, which holds a note; then Desk types on, and leaves."""
    desk, lap = MemoryLog("d", "1" * 32), MemoryLog("e", "1" * 32)
    first = note(None, "hi")
    desk.receive([first])
    ends = {
        "Lap": End(lap, "d", name="Lap", agent="limnotes/0.1", port=4243),
        "Desk": End(desk, "e", name="Desk", agent="limnotes/0.1", port=4242),
    }
    lines: list[str] = []

    def talk() -> None:
        one, other = ends
        while data := ends[one].take(0) or ends[other].take(0):
            speaker = one if ends[one].sent.endswith(data) else other
            listener = other if speaker == one else one
            lines.extend(f"{speaker:<4}  {line}" for line in data.decode().splitlines())
            ends[listener].give(data)

    talk()
    second = note(first, "!")
    desk.receive([second])
    ends["Desk"].session.committed([second], 0)
    talk()
    ends["Desk"].session.leave("The program ends.")
    talk()
    assert lap.digest == desk.digest
    return "\n".join(lines)


def test_the_example_is_what_is_said() -> None:
    found = re.search(r"\.\. example\n.*?::\n\n(.*?)\n\n\S", DOCUMENT, re.DOTALL)
    assert found is not None
    example = "\n".join(line.strip() for line in found[1].splitlines())
    assert example == transcript(), "the example should be:\n" + transcript()


def test_the_example_can_be_read() -> None:
    lines = re.findall(r"^    (?:Lap|Desk) +(\S.*)$", DOCUMENT, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        message = decode(line.encode())
        assert isinstance(message, Message)
        assert encode(message).decode().rstrip("\n") == line


def test_every_verb_and_member_is_described() -> None:
    for verb, message in VERBS.items():
        section = re.search(rf"\n``{verb}``\n~+\n(.*?)\n~~~", DOCUMENT, re.DOTALL)
        assert section is not None, verb
        for field in msgspec.structs.fields(message):
            assert f"``{field.encode_name}``" in section[1], (verb, field.name)


def test_every_code_is_described() -> None:
    for code in (*REFUSALS, *PROBLEMS):
        assert f"``{code}``" in DOCUMENT, code


def test_every_member_of_pairing_is_described() -> None:
    section = DOCUMENT[
        DOCUMENT.index("\nPairing\n=") : DOCUMENT.index("\nAddresses and discovery\n=")
    ]
    structures: list[type[msgspec.Struct]] = [About, Grant, Granted, *PAIRING_VERBS.values()]
    for structure in structures:
        for field in msgspec.structs.fields(structure):
            assert f"``{field.encode_name}``" in section, (structure, field.name)
    for verb in PAIRING_VERBS:
        assert f"``{verb}``" in section, verb


def der(tag: int, data: bytes) -> bytes:
    """A value in DER."""
    size = b"" if len(data) < 128 else len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(size) if size else len(data)]) + size + data


def test_a_certificate_is_what_the_document_says() -> None:
    block = re.search(r"\n    a003020102 .*?\n\n", DOCUMENT, re.DOTALL)
    assert block is not None
    lines = [re.split(" {3,}", line.strip())[0] for line in block[0].strip().splitlines()]
    made = read_certificate(Identity.generate().certificate)
    serial = x509.load_der_x509_certificate(made.der).serial_number
    varying = {
        "<serial>": der(2, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
        "<signing>": made.signing,
        "<agreement>": made.agreement.hex().encode(),
        "<key id>": sha1(made.signing).digest(),
    }
    for name, value in varying.items():
        lines = [line.replace(name, value.hex()) for line in lines]
    body = der(0x30, bytes.fromhex("".join(lines)))
    signature = der(3, b"\0" + made.der[-64:])
    assert made.der == der(0x30, body + bytes.fromhex("300506032b6570") + signature)


def test_the_body_in_the_example_has_its_hash() -> None:
    assert note(None, "hi").header.body == sha256(note(None, "hi").body or b"").digest()
