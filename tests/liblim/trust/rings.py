"""Keyrings that behave in all the ways keyrings do."""

from __future__ import annotations

import threading

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError


class Ring(KeyringBackend):
    """What they have in common."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]


class GoodRing(Ring):
    """Keeps what it is given, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


class NullRing(Ring):
    """Keeps nothing, and says nothing about it."""

    def get_password(self, service: str, username: str) -> str | None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class ForgetfulRing(GoodRing):
    """Gives back something else than it was given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password[:20]


class FailingRing(Ring):
    """Fails each call, and blurts out what it was given."""

    def __init__(self, error: type[Exception] = NoKeyringError) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error("canary: no keyring")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error(f"canary: cannot keep {password}")


class LockedRing(GoodRing):
    """Locked, or its person refused."""

    locked = True

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("canary: dismissed")
        return super().get_password(service, username)


class SilentRing(GoodRing):
    """Waits for its person before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self.answered.wait()
        return super().get_password(service, username)
