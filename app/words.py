"""Facts in words: counts, sizes, times and durations, the same in every view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

UNKNOWN = "not known now"
_BARS = "▁▂▃▄▅▆▇█"


def changes_in_words(changes: int | None) -> str:
    """Count changes: ``0 changes``, ``1 change``, ``12,345 changes``, ``not known now``."""
    if changes is None:
        return UNKNOWN
    return "1 change" if changes == 1 else f"{changes:,} changes"


def names_in_words(names: Iterable[str], most: int = 3) -> str:
    """Names in a sentence: ``Desk``, ``Desk and Laptop``, ``Desk, Laptop and 3 more``; of none nothing."""
    *first, last = list(names) or [""]
    if len(first) >= most:
        first, last = first[: most - 1], f"{len(first) + 2 - most} more"
    return f"{', '.join(first)} and {last}" if first else last


def bars_in_words(numbers: Sequence[int], width: int, least: int = 1) -> str:
    """A little graph of at most ``width`` letters, ``▁▁▅█▁``; the highest is the largest number.

    That counts as ``least`` at least.  Numbers are added up where there are more of them, and a letter's
    height goes with the square root, so that little is seen beside much.
    """
    share = max(1, -(-len(numbers) // width))
    sums = [sum(numbers[at : at + share]) for at in range(0, len(numbers), share)]
    top = max([*sums, least * share])
    return "".join(_BARS[math.ceil(math.sqrt(one / top) * (len(_BARS) - 1))] for one in sums)


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
