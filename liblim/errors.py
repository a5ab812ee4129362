"""What can go wrong in liblim, as one tree.

::

    LimError
     ├── OperationError (ValueError)     an operation or argument that a CRDT refuses; nothing was touched
     ├── ChangeError                     a change that fails a bound or a check; its sender is to blame
     ├── ProtocolError                   what the other end said is not the protocol; goes out as ``NOWAI``
     ├── StoreError                      the database file cannot be read or written
     │    ├── StoreTooNew                it was written by a newer version
     │    ├── StoreReadOnly              it may not be written
     │    ├── StoreBusy                  another process has it open
     │    ├── StoreFull                  there is no room for what is to be written
     │    ├── StoreUnsealed              it was written before changes were sealed
     │    └── IdentityLocked             this device's key cannot be used right now, so nothing can be signed
     ├── IdentityLost                    this device's key is damaged, or gone for good
     ├── CertificateError                what should be a device's certificate is none
     ├── PairingError                    two devices could not be paired
     └── DefinitionError (TypeError)     a document type that is declared or used wrongly

``str(error)`` is a sentence that can be shown to people.
"""

from __future__ import annotations

from collections.abc import Sequence


class LimError(Exception):
    """The root of everything that liblim raises on purpose."""


class OperationError(LimError, ValueError):
    """An operation or argument was refused; the CRDT is as it was before it.

    Where a list of operations was being applied, ``effects`` holds what those before the refused one did.
    """

    effects: Sequence[object] = ()


class ChangeError(LimError):
    """A change fails a bound or a check."""


class SignatureError(ChangeError):
    """A change is not signed by the device that it names; one that continues it may yet prove it."""


class ProtocolError(LimError):
    """The other end broke the protocol: ``code`` for machines, ``mend`` says what would help."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.mend = mend


class StoreError(LimError):
    """The database file cannot be read or written."""


class StoreTooNew(StoreError):
    """The database was written by a newer version of the program."""


class StoreReadOnly(StoreError):
    """The database may be read and not written."""


class StoreBusy(StoreError):
    """Another process has the database open."""


class StoreFull(StoreError):
    """There is no room for what is to be written."""


class StoreUnsealed(StoreError):
    """The database holds changes of protocol version 0, which were neither sealed nor signed."""


class IdentityLocked(StoreError):
    """This device's key cannot be used right now; what was written is kept, and tried again."""


class IdentityLost(LimError):
    """This device's key is damaged, or gone for good: only a person may say what to do."""


class CertificateError(LimError):
    """Something that should be a device's certificate is none."""


class PairingError(LimError):
    """Two devices could not be paired: ``code`` for machines, ``mend`` says what would help."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.mend = mend


class DefinitionError(LimError, TypeError):
    """A document type is declared wrongly, or its declaration is used as if it were a document."""
