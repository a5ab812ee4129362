"""Where one note is: on this device's disk, and on which others."""

from __future__ import annotations

from dataclasses import dataclass

from app.status import DeviceStatus, Status
from app.words import changes_in_words, names_in_words, time_in_words
from liblim.aio import AsyncDatabase


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the committed changes of one note are.

    ``on`` are the devices that have confirmed every one of them; ``not_yet`` the others.
    """

    on: tuple[DeviceStatus, ...] = ()
    not_yet: tuple[DeviceStatus, ...] = ()

    @property
    def line(self) -> str:
        """One quiet line: ``on Desk and Server``, ``on no other device yet``; empty without others."""
        if self.on:
            return f"on {names_in_words(one.label for one in self.on)}"
        return "on no other device yet" if self.not_yet else ""

    def more(self, now: float) -> str:
        """A line for each device: since when it is known to have the note, or what is known instead."""
        there = [f"{one.label} has it: confirmed {_when(one, now)}." for one in self.on]
        return "\n".join([*there, *(_missing(one, now) for one in self.not_yet)])


def _when(device: DeviceStatus, now: float) -> str:
    return time_in_words(device.confirmed, now) if device.confirmed is not None else "before"


def _missing(device: DeviceStatus, now: float) -> str:
    if device.they_lack is None:
        return f"{device.label} has not confirmed it; nothing was heard of what it holds."
    lacking = f"It lacks {changes_in_words(device.they_lack)}"
    if not device.connected:
        lacking = f"It lacked {changes_in_words(device.they_lack)}, by what it confirmed"
        return f"{device.label} has not confirmed it. {lacking} {_when(device, now)}."
    return f"{device.label} has not confirmed it. {lacking}."


async def whereabouts(database: AsyncDatabase, status: Status, oid: str) -> Whereabouts:
    """Where the note ``oid`` is, by what the devices in ``status`` have confirmed; a new one is nowhere.

    Raises StoreError.
    """
    holders = await database.holders(oid)
    if holders is None:
        return Whereabouts()
    on = tuple(one for one in status.devices if one.device in holders)
    return Whereabouts(on, tuple(one for one in status.devices if one.device not in holders))
