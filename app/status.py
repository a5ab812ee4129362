"""The sync status facts, as plain data: what the panel, the CLI and ``--json`` all show.

Nothing here knows Qt, sockets or SQL.  The facts come from what is committed and acknowledged; this
module only puts them into words, in one place, so that no two views can disagree.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import datetime

UNKNOWN = "not known now"
SHORT = 8
"""Digits of a digest or an id that are shown."""


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
    words: str = ""
    """Its fingerprint as four words, to compare with those on its own screen."""
    removed_us: bool = False
    """Whether it says that this device was removed from the library."""

    @property
    def connected(self) -> bool:
        """Whether a session with the device is up right now."""
        return self.state in (State.UP_TO_DATE, State.SYNCING)

    @property
    def label(self) -> str:
        """What to call it, also before it has said its name."""
        return self.name or f"Device {self.device[:SHORT]}"

    @property
    def route(self) -> str:
        """How it is reached: its address, and who connects to whom."""
        if not self.connected:
            return self.address or f"address {UNKNOWN}"
        direction = "it connects to us" if self.incoming else "we connect to it"
        return f"{self.address}, {direction}" if self.address else direction

    @property
    def contents(self) -> str:
        """Whether it holds the same changes as this device, with the digest that proves it."""
        if self.identical is None:
            return UNKNOWN
        return f"identical, {self.digest[:SHORT]}" if self.identical else "not identical yet"


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """Where other devices may reach this one: ``host:port``, and what kind of network that is."""

    address: str
    label: str


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
    words: str = ""
    """This device's fingerprint as four words."""
    addresses: tuple[OwnAddress, ...] = ()
    """Where others may reach this device, the likeliest first."""
    keeping: str = ""
    """Where the passphrase of this device's key is kept, in words."""
    locked: str = ""
    """Why this device's key cannot be used right now, as a sentence; empty where it can."""
    elsewhere: bool = False
    """Whether the data folder came from another computer; ``answer_moved`` says what that means."""
    removed_by: str = ""
    """The name of the device that removed this one from the library; empty where none did."""
    outside: bool = False
    """Whether this device's key is new to its library: it has to be paired again."""
    adding: str = ""
    """What is being done with the notes of a library from before, as a sentence."""
    unknown: int = 0
    """How many documents are here of kinds that only a newer version of the program knows."""
    discovery: bool = True
    """Whether devices nearby are looked for, and may find this one."""
    discovery_problem: str = ""
    """Why devices nearby cannot be found, as a sentence."""

    @property
    def place(self) -> str:
        """Where this device listens, in words; empty where it does not."""
        return f"port {self.listening[1:]}" if self.listening[:1] == ":" else self.listening

    @property
    def short_digest(self) -> str:
        """The beginning of the digest: enough to compare two screens by eye."""
        return self.digest[:SHORT]

    @property
    def newer(self) -> str:
        """What is said of documents that this version cannot show; empty where there are none."""
        if not self.unknown:
            return ""
        one = self.unknown == 1
        return (
            f"{'1 document' if one else f'{self.unknown:,} documents'} here "
            f"{'was' if one else 'were'} written by a newer version of Lim Notes, which this one cannot "
            f"show. {'It is' if one else 'They are'} kept and passed on; an update shows "
            f"{'it' if one else 'them'}."
        )

    def mood(self) -> State | None:
        """The one state that stands for all, the most telling first; ``None`` without devices."""
        states = {device.state for device in self.devices}
        if self.unsaved and State.UP_TO_DATE in states:
            return State.SYNCING
        return next((state for state in _TELLING if state in states), None)

    def line(self) -> str:
        """The one always-true sentence of the status bar."""
        trouble = self._trouble()
        if trouble:
            return trouble
        if not self.devices:
            return "On this device only"
        connected = [device for device in self.devices if device.connected]
        away = [device for device in self.devices if not device.connected]
        if not connected and self.mood() is State.REFUSED:
            return f"{_are(away)} not connected; edits are kept here. The sync status says why"
        if not connected:
            return f"{_are(away)} not connected; edits are kept here and sync later"
        behind = [device for device in connected if self.unsaved or not device.identical]
        if behind:
            to_go = sum((d.they_lack or 0) + (d.we_lack or 0) for d in behind)
            return f"Syncing with {_names(behind)}" + (
                f": {changes_in_words(to_go)} to go" if to_go else ""
            )
        line = f"Identical with {_names(connected)}"
        return f"{line}; {_are(away)} not connected" if away else line

    def _trouble(self) -> str:
        """What keeps this device from syncing at all, the worst first."""
        if self.problem:
            return self.problem
        if self.elsewhere:
            return "These notes came from another computer; they sync once you say what they are"
        if self.locked:
            return self.locked
        if self.removed_by:
            return f"{self.removed_by} removed this device; its notes stay here and sync no more"
        if self.outside:
            return "This device has a new key; pair it again, and it syncs"
        return self.adding


_TELLING = (
    State.SYNCING,
    State.UP_TO_DATE,
    State.CONNECTING,
    State.REFUSED,
    State.WAITING,
    State.AWAY,
)


def _names(devices: list[DeviceStatus]) -> str:
    names = [device.label for device in devices]
    if len(names) > 2:
        return f"{len(names)} devices"
    return " and ".join(names)


def _are(devices: list[DeviceStatus]) -> str:
    return f"{_names(devices)} {'is' if len(devices) == 1 else 'are'}"


def changes_in_words(changes: int | None) -> str:
    """Count changes: ``0 changes``, ``1 change``, ``12,345 changes``, ``not known now``."""
    if changes is None:
        return UNKNOWN
    return "1 change" if changes == 1 else f"{changes:,} changes"


def size_in_words(octets: int) -> str:
    """Write a number of bytes the way people read it: ``812 B``, ``3.4 kB``, ``1.2 MB``."""
    if octets < 1000:
        return f"{octets} B"
    value = float(octets)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
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
        return f"{int(gone)} s ago"
    if 0 <= gone < 3600:
        return f"{int(gone / 60)} min ago"
    moment = _local(then)
    if moment.date() == _local(now).date():
        return f"at {moment:%H:%M}"
    return f"on {moment:%Y-%m-%d at %H:%M}"


def _local(moment: float) -> datetime:
    """A moment by the local clock; the first or last there is for one beyond the calendar."""
    try:
        return datetime.fromtimestamp(moment)
    except (ValueError, OverflowError, OSError):
        return datetime.max if moment > 0 else datetime.min


def wait_in_words(until: float, now: float) -> str:
    """Say how long it is until then: ``now``, ``in 12 s``, ``in 4 min``; Unix seconds."""
    left = math.ceil(until - now)
    if left <= 0:
        return "now"
    return f"in {left} s" if left < 120 else f"in {left // 60} min"


def since_in_words(then: float, now: float) -> str:
    """Say how long something has been so: ``for 20 s``, ``for 4 min``, ``since 14:02``, a date."""
    gone = now - then
    if 0 <= gone < 60:
        return f"for {int(gone)} s"
    if 0 <= gone < 3600:
        return f"for {int(gone / 60)} min"
    moment = _local(then)
    if moment.date() == _local(now).date():
        return f"since {moment:%H:%M}"
    return f"since {moment:%Y-%m-%d at %H:%M}"


def clock_in_words(then: float, now: float) -> str:
    """The local time to the second, ``14:02:11``, with the date where it is another day."""
    moment = _local(then)
    same = moment.date() == _local(now).date()
    return f"{moment:%H:%M:%S}" if same else f"{moment:%Y-%m-%d %H:%M:%S}"


def trip_in_words(seconds: float | None) -> str:
    """Write a round-trip time: ``0.4 ms``, ``23 ms``, ``1.2 s``, ``not known now``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s"
