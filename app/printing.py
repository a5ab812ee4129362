"""What the command line prints: the same facts in the same words as the window."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec

from app.notes import NoteRow
from app.pairing import PairingView
from app.status import (
    SHORT,
    UNKNOWN,
    DeviceStatus,
    Event,
    Status,
    changes_in_words,
    clock_in_words,
    since_in_words,
    size_in_words,
    time_in_words,
    trip_in_words,
    wait_in_words,
)

# What would turn round, overwrite or colour the rest of a terminal's line.
_UNPRINTED = dict.fromkeys(
    [*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " "
)


def print_event(event: Event) -> None:
    """A line of the sync log, as it happens."""
    with contextlib.suppress(OSError):  # nobody reads it any more; sync goes on
        print(f"{clock_in_words(event.at, time.time())} {event.text}", flush=True)


def plainly(text: str) -> str:
    """Text from elsewhere, without what would turn round or overwrite the rest of its line."""
    return text.translate(_UNPRINTED)


def _text(text: str) -> None:
    print(text, end="" if text.endswith("\n") else "\n")


def _nothing(result: object) -> None:
    pass


def _list(result: list[Any]) -> None:
    now = time.time()
    for row in msgspec.convert(result, list[NoteRow]):
        changed = time_in_words(row.changed / 1000, now)
        title = plainly(row.title) or "New note"
        print(f"{row.oid[:SHORT]}  {title}  ({changed})")


def print_paired(view: PairingView) -> None:
    """What came of pairing."""
    name = plainly(view.peer_name) or "the device"
    joined = "Its notes arrive now." if view.we_join else "It gets the notes from here now."
    print(f"Paired with {name}. {joined}", flush=True)


def _status(result: dict[str, Any]) -> None:
    status = msgspec.convert(result, Status)
    print(f"{status.name}: {changes_in_words(status.changes)}, digest {status.short_digest}")
    print(f"This device: {status.device[:SHORT]}, {status.words}")
    print(f"Listening at {status.place}" if status.place else "Not listening")
    for own in status.addresses:
        print(f"  {own.address}  {own.label}")
    if status.keeping:
        print(f"The key of this device is kept {status.keeping}")
    if status.newer:
        print(status.newer)
    print(status.line())
    if not status.devices:
        print("Paired with no device. 'limnotes pair --show' begins.")
    for device in status.devices:
        _device(device, time.time())


def _device(device: DeviceStatus, now: float) -> None:
    print(f"\n{device.label}: {device.state.value}")
    facts = {
        "id": device.device[:SHORT],
        "words": device.words or UNKNOWN,
        "address": device.route,
        "last seen": "right now" if device.connected else time_in_words(device.last_seen, now),
        "they lack": changes_in_words(device.they_lack),
        "we lack": changes_in_words(device.we_lack),
        "received": f"{changes_in_words(device.changes_in)}, {size_in_words(device.bytes_in)}",
        "sent": f"{changes_in_words(device.changes_out)}, {size_in_words(device.bytes_out)}",
        "round trip": trip_in_words(device.round_trip),
        "contents": device.contents,
    }
    if device.error:
        since = f" ({since_in_words(device.error_since, now)})" if device.error_since else ""
        facts["last error"] = device.error + since
    if device.next_try is not None:
        facts["next try"] = wait_in_words(device.next_try, now)
    for name, words in facts.items():
        print(f"  {name:<11} {words}")


PRINT: dict[str, Callable[[Any], None]] = {
    "status": _status,
    "new": _text,
    "list": _list,
    "show": _text,
    "append": _nothing,
    "remove": _text,
    "rename": _nothing,
    "identity": _text,
    "sync": _nothing,
}
"""How the result of each subcommand is printed."""
