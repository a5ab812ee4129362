"""What the command line prints: the same facts in the same words as the window."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.notes import NoteRow
from app.pairing import PairingView
from app.status import LITTLE, SHORT, DeviceStatus, Event, SetAside, Status
from app.words import (
    UNKNOWN,
    bars_in_words,
    changes_in_words,
    clock_in_words,
    size_in_words,
    time_in_words,
    trip_in_words,
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
    if view.server:
        joined = (
            "It gets the notes from here now, sealed. Your other devices find it by themselves."
        )
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
    print(plainly(status.line()))
    if status.log_problem:
        print(f"The sync log cannot be written: {status.log_problem}")
    if status.unshown:
        print(status.unshown_in_words)
    _aside(status.aside, time.time())
    if not status.devices:
        print("Paired with no device. 'limnotes pair --show' begins.")
    for device in status.devices:
        _device(device, time.time())


def _device(device: DeviceStatus, now: float) -> None:
    print(f"\n{device.label}{' (server)' if device.server else ''}: {device.state.value}")
    facts = {
        "id": device.device[:SHORT],
        "words": device.words or UNKNOWN,
        "path": device.route,
        "version": device.agent or UNKNOWN,
        "last seen": device.heard_in_words(now),
        "they lack": device.they_lack_in_words(now),
        "we lack": device.we_lack_in_words(now),
        "received": f"{changes_in_words(device.changes_in)}, {size_in_words(device.bytes_in)}",
        "sent": f"{changes_in_words(device.changes_out)}, {size_in_words(device.bytes_out)}",
        "round trip": trip_in_words(device.round_trip),
        "contents": device.contents,
    }
    if device.flow is not None and _prints("▁█"):
        into, out = map(_bars, (device.flow.bytes_in, device.flow.bytes_out))
        facts["lately"] = f"in {into}  out {out}, in {device.flow.step:.0f} s each"
    if device.error:
        facts["last error"] = device.error
    when = device.trouble_in_words(now)
    if when:
        facts["trouble"] = when
    for name, words in facts.items():
        print(f"  {name:<11} {plainly(words)}")


def _bars(octets: tuple[int, ...]) -> str:
    return bars_in_words(octets, len(octets), LITTLE)


def _prints(letters: str) -> bool:
    """Whether standard output can show these letters."""
    try:
        letters.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _aside(found: Sequence[SetAside], now: float) -> None:
    for one in found:
        print(plainly(one.in_words(now)))
    if found:
        print("'limnotes issue-again' writes them once more, as new changes.")


def _log(result: list[Any]) -> None:
    now = time.time()
    for event in msgspec.convert(result, list[Event]):
        print(f"{clock_in_words(event.at, now)}  {event.level:<7}  {plainly(event.text)}")


def _issued(result: int) -> None:
    print("Issued again. Read the notes through." if result else "Nothing is set aside.")


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
    "log": _log,
    "issue-again": _issued,
}
"""How the result of each subcommand is printed."""
