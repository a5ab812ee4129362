"""The sync status facts, as plain data: what the panel, the CLI and ``--json`` all show.

Nothing here knows Qt, sockets or SQL.  The facts come from what is committed and acknowledged; this
module only puts them into words, in one place, so that no two views can disagree.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class State(enum.Enum):
    """How the connection to one device stands; the value is the wording shown to people."""

    UP_TO_DATE = "up to date"
    SYNCING = "syncing"
    CONNECTING = "connecting"
    WAITING = "waiting to try again"
    AWAY = "not connected"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What is known of one paired device.

    Times are Unix seconds, durations seconds, sizes bytes; ``None`` means "not known".
    ``they_lack`` and ``we_lack`` count changes.
    """

    device: str
    name: str
    state: State
    address: str
    incoming: bool
    last_seen: float | None
    they_lack: int | None
    we_lack: int | None
    changes_in: int
    changes_out: int
    bytes_in: int
    bytes_out: int
    round_trip: float | None
    digest: str
    identical: bool | None
    error: str
    error_since: float | None
    next_try: float | None
    agent: str = ""

    @property
    def connected(self) -> bool:
        """Whether a session with the device is up right now."""
        return self.state in (State.UP_TO_DATE, State.SYNCING)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the sync log: what happened, and where it helps, what to do."""

    at: float
    level: str
    device: str
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything the sync status panel shows, at one moment."""

    library: str
    device: str
    name: str
    listening: str
    changes: int
    digest: str
    unsaved: bool
    problem: str
    devices: tuple[DeviceStatus, ...]

    def line(self) -> str:
        """The one always-true sentence of the status bar."""
        if self.problem:
            return self.problem
        if not self.devices:
            return "On this device only"
        connected = [d for d in self.devices if d.connected]
        if not connected:
            return "Offline: edits are kept here and sync when a device is reached"
        behind = [d for d in connected if not d.identical]
        if behind:
            return "Syncing with " + _names(behind)
        if len(connected) == len(self.devices):
            return "Identical on " + _names(connected)
        away = [d for d in self.devices if not d.connected]
        return f"Identical on {_names(connected)}; {_names(away)} not connected"


def _names(devices: list[DeviceStatus]) -> str:
    names = [device.name or "a device" for device in devices]
    if len(names) > 2:
        return f"{len(names)} devices"
    return " and ".join(names)


def size_in_words(octets: int) -> str:
    """Write a number of bytes the way people read it: ``812 B``, ``3.4 kB``, ``1.2 MB``."""
    if octets < 1000:
        return f"{octets} B"
    value = float(octets)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def time_in_words(then: float | None, now: float) -> str:
    """Say when something was, as people do: ``just now``, ``4 min ago``, ``at 14:02``, a date.

    ``then`` and ``now`` are Unix seconds; the clock shown is the local one.
    """
    if then is None:
        return "never"
    gone = now - then
    if 0 <= gone < 10:
        return "just now"
    if 0 <= gone < 60:
        return f"{gone:.0f} s ago"
    if 0 <= gone < 3600:
        return f"{gone / 60:.0f} min ago"
    moment = datetime.fromtimestamp(then)
    if moment.date() == datetime.fromtimestamp(now).date():
        return f"at {moment:%H:%M}"
    return f"on {moment:%Y-%m-%d at %H:%M}"
