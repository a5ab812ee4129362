"""Where a device's key is kept: an encrypted file, and its passphrase in the system's keyring or beside it.

========================  ===============================================================================
``identity.pem``          the certificate, and the key as encrypted PKCS #8 (RFC 5958)
``identity.key``          the passphrase, only where no keyring keeps it
``identity.json``         the device's id, what keeps the passphrase, the mark of the computer
``identity-old-1.pem``    and so on: what was replaced, never deleted
========================  ===============================================================================

``identity.pem`` is written last, so it never stands there without the passphrase that opens it.
"""

from __future__ import annotations

import enum
import re
import ssl
from pathlib import Path

import msgspec

from liblim.errors import CertificateError, IdentityLocked, IdentityLost, LimError, StoreError
from liblim.trust.identity import Identity
from liblim.trust.keyrings import SystemKeyring
from liblim.trust.machine import flush_folder, machine_mark, write_private

__all__ = ["Keeping", "Vault", "machine_mark"]

_MAX_FILE = 64 * 1024
_NAMES = ("identity.pem", "identity.key", "identity.json")
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.S)
_KEY = re.compile(
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n.+?\n-----END ENCRYPTED PRIVATE KEY-----\n", re.S
)
_MEND = "Put it back from a backup, or give this device a new key and pair it again."


class Keeping(enum.Enum):
    """What keeps the passphrase of the key, in words for people."""

    KEYRING = "in the system's keyring"
    FILE = "in a file that only you can read"


class _Facts(msgspec.Struct, frozen=True):
    """What ``identity.json`` says."""

    device: str = ""
    keeping: str = ""
    machine: str = ""


class Vault:
    """The key of this device in a data folder.

    Its methods wait for the disk, and ``create``, ``replace`` and ``unlock`` for the keyring: call them on a
    thread.
    """

    def __init__(self, folder: Path, *, service: str, machine: str | None = None) -> None:
        """Use a folder that exists; ``service`` names the entries in the keyring.

        ``machine`` is the mark of this computer where it is not to be asked for.
        """
        self._folder = folder
        self._pem, self._key, self._json = (folder / name for name in _NAMES)
        self._keyring = SystemKeyring(service)
        self._machine = machine_mark() if machine is None else machine
        self._facts = self._read_facts()

    def __repr__(self) -> str:
        """Name the folder."""
        return f"<Vault in {self._folder}>"

    def _read_facts(self) -> _Facts:
        try:
            return msgspec.json.decode(_read(self._json), type=_Facts)
        except (OSError, ValueError, msgspec.DecodeError, RecursionError):
            return _Facts()  # the key can be found and used without

    # What there is

    @property
    def exists(self) -> bool:
        """Whether the folder holds a key."""
        return self._pem.exists()

    @property
    def keeping(self) -> Keeping | None:
        """What keeps the passphrase; ``None`` where there is no key."""
        if not self.exists:
            return None
        return (
            Keeping.FILE if self._key.exists() or self._facts.keeping == "file" else Keeping.KEYRING
        )

    @property
    def elsewhere(self) -> bool:
        """Whether the key was made on another computer, and nobody has said yet what this folder is."""
        made = self._facts.machine
        return self.exists and bool(made and self._machine) and made != self._machine

    def read(self) -> Identity:
        """The identity that is kept, locked; quick, without cryptography and without the keyring.

        Raises IdentityLost where the file is damaged, StoreError where it cannot be read.
        """
        certificate, _ = self._blocks(self._text())
        identity = Identity(ssl.PEM_cert_to_DER_cert(certificate))
        if self._facts.device not in ("", identity.device):
            raise self._damaged()
        return identity

    def _text(self) -> str:
        try:
            return _read(self._pem).decode("ascii").replace("\r\n", "\n")
        except FileNotFoundError:
            raise IdentityLost(
                f"The key of this device is gone: there is no {self._pem}."
            ) from None
        except UnicodeDecodeError:
            raise self._damaged() from None
        except OSError as error:
            raise StoreError(_failed("read", self._pem, error)) from error

    def _blocks(self, text: str) -> tuple[str, str]:
        certificate, key = _CERTIFICATE.search(text), _KEY.search(text)
        if certificate is None or key is None:
            raise self._damaged()
        try:
            ssl.PEM_cert_to_DER_cert(certificate.group())
        except ValueError:
            raise self._damaged() from None
        return certificate.group(), key.group()

    def _damaged(self) -> IdentityLost:
        return IdentityLost(f"The key of this device is damaged: {self._pem} cannot be understood.")

    # Making and changing

    def create(self) -> Identity:
        """Make a key, unlocked; it is on the disk when this returns.

        Raises LimError where there is one already, StoreError where it cannot be written.
        """
        if self.exists:
            raise LimError(
                f"There is a key already in {self._folder}, and it is never overwritten."
            )
        identity = Identity.generate()
        try:
            self._set_aside()  # a passphrase without its key: that may yet come back
            passphrase = _new_passphrase()
            in_keyring = self._keyring.keep(identity.device, passphrase)
            if not in_keyring:
                passphrase = _new_passphrase()  # who knows where the first one went
                write_private(self._key, passphrase.encode() + b"\n")
            self._write_facts(
                _Facts(identity.device, "keyring" if in_keyring else "file", self._machine)
            )
            write_private(self._pem, identity.to_pem(passphrase.encode()))
        except OSError as error:
            raise StoreError(_failed("written", self._pem, error)) from error
        return identity

    def replace(self) -> Identity:
        """Make a new key because a person said so; the old one is kept under another name.

        Raises StoreError.
        """
        try:
            self._set_aside()
        except OSError as error:
            raise StoreError(_failed("renamed", self._pem, error)) from error
        return self.create()

    def _set_aside(self) -> None:
        present = [path for path in (self._pem, self._key, self._json) if path.exists()]
        number = 1
        while any(self._folder.glob(f"identity-old-{number}.*")):
            number += 1
        for path in present:
            path.rename(path.with_stem(f"identity-old-{number}"))
        if present:
            flush_folder(self._folder)
        self._facts = _Facts()

    def stay(self) -> None:
        """Take this computer for the device's own from now on: its folder was moved here.

        Raises StoreError.
        """
        facts = msgspec.structs.replace(self._facts, machine=self._machine)
        try:
            self._write_facts(facts)
        except OSError as error:
            raise StoreError(_failed("written", self._json, error)) from error

    def _write_facts(self, facts: _Facts) -> None:
        write_private(self._json, msgspec.json.encode(facts) + b"\n")
        self._facts = facts

    def copy_to(self, folder: Path) -> None:
        """Copy the key for a library that is kept apart; a passphrase in the keyring serves both.

        Raises StoreError.
        """
        try:
            for path in (self._key, self._json, self._pem):
                if path.exists():
                    write_private(folder / path.name, _read(path))
        except OSError as error:
            raise StoreError(_failed("copied", self._pem, error)) from error

    # Using

    def unlock(self, identity: Identity) -> None:
        """Make the key of an identity that ``read`` gave usable; may wait for the keyring.

        Raises IdentityLocked with a sentence that says what to do.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            _, pem = self._blocks(self._text())
        except (IdentityLost, StoreError) as error:
            raise IdentityLocked(f"{error} {_MEND}") from None
        passphrase = self._passphrase(identity.device)
        try:
            key = load_pem_private_key(pem.encode(), passphrase.encode())
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError
            identity.unlock(key.private_bytes_raw())
        except (ValueError, TypeError, CertificateError, UnsupportedAlgorithm):
            kept = f"in {self._key}" if self._in_file else Keeping.KEYRING.value
            raise IdentityLocked(
                f"This device's key is locked: the passphrase {kept} does not open {self._pem}. {_MEND}"
            ) from None

    @property
    def _in_file(self) -> bool:
        return self.keeping is Keeping.FILE

    def _passphrase(self, device: str) -> str:
        if self._in_file:
            try:
                return _read(self._key).decode("ascii").strip()
            except (OSError, UnicodeDecodeError):
                raise IdentityLocked(
                    f"This device's key is locked: {self._key} is gone or cannot be read. {_MEND}"
                ) from None
        found = self._keyring.read(device)
        if not found:
            raise IdentityLocked(
                "This device's key is locked: its passphrase is not in the system's keyring. Bring back the "
                "keyring that was in use before, or give this device a new key and pair it again."
            )
        return found


def _new_passphrase() -> str:
    import secrets

    return secrets.token_urlsafe(32)


def _read(path: Path) -> bytes:
    """A small file.  Raises OSError."""
    with path.open("rb") as file:
        return file.read(_MAX_FILE)


def _failed(done: str, path: Path, error: OSError) -> str:
    return (
        f"The key of this device could not be {done}: {path}: {error.strerror or error}. "
        "Check that the disk has room and that the folder may be written."
    )
