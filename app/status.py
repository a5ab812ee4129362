"""The sync status facts, as plain data: what the panel, the CLI and ``--json`` all show.

Nothing here knows Qt, sockets or SQL.  The facts come from what is committed and acknowledged; this
module only puts them into words, in one place, so that no two views can disagree.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from app.words import (
    UNKNOWN,
    changes_in_words,
    names_in_words,
    since_in_words,
    time_in_words,
    wait_in_words,
)

SHORT = 8
"""Digits of a digest or an id that are shown."""
SAME_TIME = 2.0
"""Seconds that two moments may be apart and still count as one."""
LITTLE = 20_000
"""Bytes of one point that a graph's highest bar stands for at least, so that keep-alives stay low."""
LONG_BACKLOG = 50
"""Changes from which on a backlog is told with its total: fewer are gone before that is read."""


class State(enum.Enum):
    """How the connection to one device stands; the value is the wording shown to people."""

    UP_TO_DATE = "up to date"
    SYNCING = "syncing"
    CONNECTING = "connecting"
    WAITING = "waiting to try again"
    AWAY = "not connected"
    REFUSED = "refused"


class Mend(enum.Enum):
    """What a person can do about a device that fails, as the button says it."""

    NOTHING = ""
    TRY = "Try now"
    PAIR = "Pair again…"


@dataclass(frozen=True, slots=True)
class Flow:
    """What went in and out of late, a number for each ``step`` seconds, the last being now.

    It begins no earlier than anybody looked.
    """

    step: float
    changes_in: tuple[int, ...]
    changes_out: tuple[int, ...]
    bytes_in: tuple[int, ...]
    bytes_out: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """The time that it covers."""
        return self.step * len(self.bytes_in)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backlog is, in changes: of those that were lacking when it was at its longest."""

    received: int = 0
    to_receive: int = 0
    sent: int = 0
    to_send: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the changes that the device called ``name`` wrote: how many the other lacks, and how many we lack.

    With none of either, both hold other changes under the same numbers.
    """

    device: str
    name: str
    they_lack: int
    we_lack: int

    @property
    def in_words(self) -> str:
        """What is different, as a line."""
        if not (self.they_lack or self.we_lack):
            return f"Of {self.name}: other changes under the same numbers"
        they, we = changes_in_words(self.they_lack), changes_in_words(self.we_lack)
        found = [f"they lack {they}"] if self.they_lack else []
        return f"Of {self.name}: {', '.join(found + ([f'we lack {we}'] if self.we_lack else []))}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """Changes of one device that contradict others, and are kept aside.

    ``last`` is when the last of them was written, in Unix seconds; ``notes`` are the titles of the notes
    that they are about, as far as they can be read.
    """

    device: str
    name: str
    changes: int
    notes: tuple[str, ...]
    last: float
    reason: str

    def in_words(self, now: float) -> str:
        """Whose they are, how many, in which notes, and when they were written."""
        about = names_in_words((f"“{title or 'New note'}”" for title in self.notes), most=2)
        when = time_in_words(self.last, now)
        does = "contradicts others and is" if self.changes == 1 else "contradict others and are"
        what = f"{changes_in_words(self.changes)} by {self.name}{about and f' in {about}'}"
        last = "" if self.changes == 1 else "the last "
        return f"{what}, {last}written {when}, {does} kept aside."


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What is known of one paired device.

    Times are Unix seconds, durations seconds, sizes bytes; ``None`` means "not known".
    ``they_lack`` and ``we_lack`` count changes, by what the device said or had confirmed at ``confirmed``.
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
    confirmed: float | None = None
    """When it last said what it holds, be it to us or through others."""
    differing: tuple[Difference, ...] = ()
    """Whose changes the two hold differently."""
    mend: Mend = Mend.NOTHING
    flow: Flow | None = None
    progress: Progress = Progress()
    server: bool = False
    """Whether it is a server, that keeps what it cannot read."""

    @property
    def connected(self) -> bool:
        """Whether a session with the device is up right now."""
        return self.state in (State.UP_TO_DATE, State.SYNCING)

    @property
    def label(self) -> str:
        """What to call it, also before it has said its name."""
        return self.name or f"{'Server' if self.server else 'Device'} {self.device[:SHORT]}"

    @property
    def route(self) -> str:
        """How it is reached: directly or not, its address, and who connects to whom."""
        if self.connected:
            way = "it connects to us" if self.incoming else "we connect to it"
            kind = "a server that reads nothing" if self.server else "directly"
            return ", ".join(filter(None, (kind, self.address, "" if self.server else way)))
        where = self.address or f"address {UNKNOWN}"
        return f"a server, {where}" if self.server else where

    @property
    def through_others(self) -> bool:
        """Whether the last that was heard of it came through other devices."""
        if self.connected or self.confirmed is None:
            return False
        return self.last_seen is None or self.confirmed > self.last_seen + SAME_TIME

    @property
    def contents(self) -> str:
        """Whether it holds the same changes as this device, with the digest that proves it."""
        if self.identical:
            return f"identical, {self.digest[:SHORT]}"
        if self.differing:
            return f"differs in changes by {names_in_words((o.name for o in self.differing), 2)}"
        if not self.connected and self.confirmed is not None and self.they_lack == 0:
            return "held all that is here when it was last heard of"
        return UNKNOWN if self.identical is None else "not identical yet"

    @property
    def fetching(self) -> str:
        """How far fetching what we lack is: ``3,412 of 10,000 changes``; empty while there is no backlog."""
        return _of(self.progress.received, self.progress.to_receive)

    @property
    def giving(self) -> str:
        """How far giving what they lack is."""
        return _of(self.progress.sent, self.progress.to_send)

    def they_lack_in_words(self, now: float) -> str:
        """How many changes it lacks; for one that is away, by what it had confirmed, and when."""
        whose = [(one.name, one.they_lack) for one in self.differing if one.they_lack]
        return self._lack(self.they_lack, whose, self.progress.to_send, now)

    def we_lack_in_words(self, now: float) -> str:
        """How many of its changes we lack."""
        whose = [(one.name, one.we_lack) for one in self.differing if one.we_lack]
        return self._lack(self.we_lack, whose, self.progress.to_receive, now)

    def _lack(self, changes: int | None, whose: list[tuple[str, int]], of: int, now: float) -> str:
        if changes is None:
            return UNKNOWN
        long = self.connected and _of(of - changes, of)
        words = f"{changes:,} of {changes_in_words(of)}" if long else changes_in_words(changes)
        if len(whose) == 1 and whose[0][1] == changes:
            words += f" by {whose[0][0]}"
        elif whose:
            words += f" ({', '.join(f'{number:,} by {name}' for name, number in whose[:3])}"
            words += ", …)" if len(whose) > 3 else ")"
        if self.connected or self.confirmed is None:
            return words
        return f"{words}, heard {time_in_words(self.confirmed, now)}"

    def heard_in_words(self, now: float) -> str:
        """When it was last there, and where that was later, heard of through others."""
        if self.connected:
            return "right now"
        seen = UNKNOWN if self.last_seen is None else time_in_words(self.last_seen, now)
        if not self.through_others:
            return seen
        return f"{seen}; heard of through others {time_in_words(self.confirmed, now)}"

    def trouble_in_words(self, now: float) -> str:
        """Since when it fails and when it is tried again; empty where there is nothing to say."""
        found = []
        if self.error_since is not None:
            found.append(since_in_words(self.error_since, now))
        if self.state is State.CONNECTING:
            found.append("trying now")
        elif self.next_try is not None:
            found.append(f"next try {wait_in_words(self.next_try, now)}")
        elif self.removed_us:
            found.append("not tried again by itself")
        return ", ".join(found)


def _of(done: int, total: int) -> str:
    return (
        f"{done:,} of {changes_in_words(total)}" if total >= LONG_BACKLOG and done < total else ""
    )


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
    discovery: bool = True
    """Whether devices nearby are looked for, and may find this one."""
    discovery_problem: str = ""
    """Why devices nearby cannot be found, as a sentence."""
    aside: tuple[SetAside, ...] = ()
    """Changes that contradict others, by the device that wrote them: none of them is in any note."""
    unshown: int = 0
    """Changes that are kept and passed on, and that this version, or this device's keys, cannot read."""
    log_problem: str = ""
    """Why the sync log cannot be written to disk; empty if it can."""

    @property
    def place(self) -> str:
        """Where this device listens, in words; empty where it does not."""
        return f"port {self.listening[1:]}" if self.listening[:1] == ":" else self.listening

    @property
    def unshown_in_words(self) -> str:
        """What is not shown, and what to do; empty where all is."""
        if not self.unshown:
            return ""
        are, them = ("is", "it") if self.unshown == 1 else ("are", "them")
        return (
            f"{changes_in_words(self.unshown)} {are} kept and passed on, and cannot be shown here: an "
            f"update of this program, or a key that is still to come, shows {them}."
        )

    @property
    def short_digest(self) -> str:
        """The beginning of the digest: enough to compare two screens by eye."""
        return self.digest[:SHORT]

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
            return f"{_are(away)} not connected{_unconfirmed(away)}; edits are kept here and sync later"
        behind = [device for device in connected if self.unsaved or not device.identical]
        if behind:
            return f"Syncing with {_names(behind)}{_to_go(behind)}"
        line = f"Identical with {_names(connected)}"
        return f"{line}; {_are(away)} not connected{_unconfirmed(away)}" if away else line

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


def _to_go(devices: list[DeviceStatus]) -> str:
    """How far syncing with these is.  What we lack of several is mostly the same changes."""
    receiving = max(devices, key=lambda device: device.we_lack or 0)
    sending = sum(device.they_lack or 0 for device in devices)
    if receiving.fetching and not sending:
        return f": {receiving.fetching}"
    if len(devices) == 1 and receiving.giving and not receiving.we_lack:
        return f": {receiving.giving}"
    to_go = sending + (receiving.we_lack or 0)
    return f": {changes_in_words(to_go)} to go" if to_go else ""


def _unconfirmed(devices: list[DeviceStatus]) -> str:
    """What a device that is away has not confirmed, as far as that is known of it."""
    lacking = [device.they_lack for device in devices]
    if len(devices) != 1 or not lacking[0]:
        return ""
    return f" and has not confirmed {changes_in_words(lacking[0])}"


def _names(devices: list[DeviceStatus]) -> str:
    names = [device.label for device in devices]
    if len(names) > 2:
        return f"{len(names)} devices"
    return " and ".join(names)


def _are(devices: list[DeviceStatus]) -> str:
    return f"{_names(devices)} {'is' if len(devices) == 1 else 'are'}"
