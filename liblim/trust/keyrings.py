"""The system's keyring, asked so that nothing it does can hurt: it may fail, forget, refuse or never answer.

Its backends are plug-ins that talk to other programs and may raise anything.  None of what they raise is
passed on: nobody knows what stands in it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from liblim.errors import IdentityLocked

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a keyring gets to answer; it may be asking a person for a password meanwhile."""

_UNREACHABLE = (
    "This device's key is locked, because the system's keyring cannot be reached. Start the keyring, or log "
    "in to your desktop, then try again."
)
_LOCKED = (
    "This device's key is locked, because the system's keyring is. Unlock the keyring, allow this program to "
    "read it, and try again."
)
_SILENT = (
    "This device's key is locked, because the system's keyring does not answer. It may be waiting for you in "
    "another window: look for a question about a password."
)


class _Question:
    """One call of the keyring, on a thread that the end of the program does not wait for."""

    def __init__(self, call: Callable[[], str | None]) -> None:
        self._call = call
        self._answer: str | None = None
        self._problem = ""
        self._thread = threading.Thread(target=self._ask, name="keyring", daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        try:
            answer = self._call()
            self._answer = answer if isinstance(answer, str) else None
        except Exception as error:
            log.info("the keyring failed with %s", type(error).__name__)
            kinds = [kind.__name__ for kind in type(error).__mro__]
            self._problem = _LOCKED if "KeyringLocked" in kinds else _UNREACHABLE

    def answer(self) -> str | None:
        """What the keyring said.  Raises IdentityLocked where it failed, or has not answered in time."""
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise IdentityLocked(_SILENT)
        if self._problem:
            raise IdentityLocked(self._problem)
        return self._answer

    @property
    def open(self) -> bool:
        """Whether the keyring has not answered yet."""
        return self._thread.is_alive()


class SystemKeyring:
    """The entries of one service."""

    def __init__(self, service: str) -> None:
        """Use entries under the name ``service``."""
        self._service = service
        self._asked: dict[str, _Question] = {}

    def read(self, name: str) -> str | None:
        """The entry of this name, ``None`` where there is none.

        Raises IdentityLocked.  While the keyring still asks a person, this waits on for that answer.
        """
        question = self._asked.get(name)
        if question is None or not question.open:
            question = self._asked[name] = _Question(lambda: _read(self._service, name))
        return question.answer()

    def keep(self, name: str, secret: str) -> bool:
        """Whether the keyring has taken an entry, and gives it back: there are some that keep nothing."""
        try:
            return _Question(lambda: _write(self._service, name, secret)).answer() == secret
        except IdentityLocked:
            return False


def _read(service: str, name: str) -> str | None:
    import keyring
    from keyring.backends.fail import Keyring as NoKeyring

    if isinstance(keyring.get_keyring(), NoKeyring):
        keyring.core.init_backend()  # one may have started since
    return keyring.get_password(service, name)


def _write(service: str, name: str, secret: str) -> str | None:
    import keyring

    keyring.set_password(service, name, secret)
    return keyring.get_password(service, name)
