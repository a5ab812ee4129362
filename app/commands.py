"""What the command line can ask for; a running process answers, or this one does."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from app.notes import NoteRow
from app.pairing import Joining
from app.synclog import matches
from liblim.errors import LimError

if TYPE_CHECKING:
    from app.service import Service

LONGEST_WAIT = 20.0
"""Seconds for which one look at pairing waits for something new."""
NEW_KEY = "This device has a new key. If it was paired with other devices, pair it with one of them again."

Arguments = dict[str, Any]
Command = Callable[["Service", Arguments], Awaitable[Any]]


async def run(service: Service, command: str, arguments: Arguments) -> Any:
    """Carry out a command; the result is JSON-able.

    Raises LimError with a sentence for people.
    """
    if command not in COMMANDS:
        raise LimError(f"Lim Notes does not know the command {command!r}. Is one of them newer?")
    return await COMMANDS[command](service, arguments)


async def _raise(service: Service, arguments: Arguments) -> Any:
    return service.raise_window()


async def _status(service: Service, arguments: Arguments) -> Any:
    await service.look()
    await service.look_into()
    return plain(service.status())


async def _list(service: Service, arguments: Arguments) -> Any:
    await service.notes.complete()
    trashed = bool(arguments.get("trash"))
    rows = [row for row in service.notes.rows.values() if row.trashed == trashed]
    return [asdict(row) for row in sorted(rows, key=lambda row: -row.changed)]


async def _new(service: Service, arguments: Arguments) -> Any:
    text = _text(arguments)
    if not text:
        raise LimError("An empty note is not kept: give it some text.")
    await service.look(to_write=True)
    note = await service.notes.create()
    try:
        note.body.insert(0, text)
    finally:
        await service.notes.close(note)
    return note.oid


async def _show(service: Service, arguments: Arguments) -> Any:
    """The text of a note; where ``facts`` are wanted, the row with the text and where the note is."""
    row = await find(service, arguments)
    if not arguments.get("facts"):
        return await service.notes.text(row.oid)
    await service.look()
    note = await service.notes.open(row.oid)
    try:
        text, saved = str(note.body), service.notes.saved(note)
    finally:
        await service.notes.close(note)
    where = await service.whereabouts(row.oid)
    facts = {"text": text, "saved": saved, "where": where.line}
    for name, devices in (("on", where.on), ("not_yet", where.not_yet)):
        facts[name] = [{"device": one.device, "name": one.name} for one in devices]
    return asdict(row) | facts


async def _append(service: Service, arguments: Arguments) -> Any:
    row = await find(service, arguments)
    await service.look(to_write=True)
    await service.notes.append(row.oid, _text(arguments))
    return row.oid


async def _pair_show(service: Service, arguments: Arguments) -> Any:
    service.pairing.show()


async def _pair_dial(service: Service, arguments: Arguments) -> Any:
    service.pairing.dial(str(arguments.get("address", "")), str(arguments.get("code", "")))


async def _pair_accept(service: Service, arguments: Arguments) -> Any:
    apart = bool(arguments.get("keep_apart"))
    service.pairing.accept(Joining.KEEP_APART if apart else Joining.ADD_MINE)


async def _pair_refuse(service: Service, arguments: Arguments) -> Any:
    service.pairing.refuse()


async def _pair_cancel(service: Service, arguments: Arguments) -> Any:
    service.pairing.cancel()


async def _pair_view(service: Service, arguments: Arguments) -> Any:
    """Where pairing stands: as soon as that is not what was ``seen``, or ``wait`` seconds have gone."""
    changed = asyncio.Event()
    stop = service.subscribe(changed.set)
    try:
        async with asyncio.timeout(min(float(arguments.get("wait", 0)), LONGEST_WAIT)):
            while plain(service.pairing.view) == arguments.get("seen"):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    finally:
        stop()
    return plain(service.pairing.view)


async def _remove(service: Service, arguments: Arguments) -> Any:
    await service.look()
    device, name = find_device(service, arguments)
    await service.remove(device)
    return f"{name or device} was removed. It keeps what it has, and gets no more."


async def _rename(service: Service, arguments: Arguments) -> Any:
    await service.look()
    device, _ = find_device(service, arguments)
    await service.rename_device(device, str(arguments.get("name", "")))


async def _identity(service: Service, arguments: Arguments) -> Any:
    if arguments.get("what") == "new":
        await service.renew()
        return NEW_KEY
    if not service.status().elsewhere:
        return "This data folder belongs on this computer already."
    await service.answer_moved(stay=True)
    return "This is the same device as before, on this computer now."


async def _sync(service: Service, arguments: Arguments) -> Any:
    service.sync_now()
    return None


async def _log(service: Service, arguments: Arguments) -> Any:
    level, text = str(arguments.get("level", "")), str(arguments.get("text", ""))
    return [plain(event) for event in service.events if matches(event, level, text)]


async def _issue_again(service: Service, arguments: Arguments) -> Any:
    return await service.issue_again()


COMMANDS: dict[str, Command] = {
    "raise": _raise,
    "status": _status,
    "list": _list,
    "new": _new,
    "show": _show,
    "append": _append,
    "pair-show": _pair_show,
    "pair-dial": _pair_dial,
    "pair-accept": _pair_accept,
    "pair-refuse": _pair_refuse,
    "pair-cancel": _pair_cancel,
    "pair-view": _pair_view,
    "remove": _remove,
    "rename": _rename,
    "identity": _identity,
    "sync": _sync,
    "log": _log,
    "issue-again": _issue_again,
}


async def find(service: Service, arguments: Arguments) -> NoteRow:
    """The note meant by the beginning of its id, or by its whole title.

    Raises LimError where there is none, or more than one.
    """
    wanted = str(arguments.get("note", ""))
    await service.notes.complete()
    rows = service.notes.rows.values()
    found = [row for row in rows if wanted and row.oid.startswith(wanted)]
    found = found or [row for row in rows if row.title == wanted]
    if not found:
        raise LimError(f"There is no note {wanted!r}. 'limnotes list' shows them with their ids.")
    if len(found) > 1:
        raise LimError(f"{len(found)} notes are meant by {wanted!r}. Give more of the id.")
    return found[0]


def find_device(service: Service, arguments: Arguments) -> tuple[str, str]:
    """The id and name of the device meant by the beginning of its id, or by its whole name.

    This device is one of them.  Raises LimError where there is none, or more than one.
    """
    wanted = str(arguments.get("device", ""))
    status = service.status()
    devices = [(status.device, status.name)]
    devices += [(device.device, device.name) for device in status.devices]
    found = [found for found in devices if wanted and found[0].startswith(wanted)]
    found = found or [found for found in devices if wanted and found[1] == wanted]
    if not found:
        raise LimError(
            f"There is no device {wanted!r}. 'limnotes status' shows them with their ids."
        )
    if len(found) > 1:
        raise LimError(f"{len(found)} devices are meant by {wanted!r}. Give more of the id.")
    return found[0]


def _text(arguments: Arguments) -> str:
    """The text given, without what is no text: halves of surrogate pairs."""
    text = str(arguments.get("text", ""))
    return text.encode("utf-8", "replace").decode()


def plain(facts: Any) -> Any:
    """Dataclasses as JSON-able data."""
    return dataclasses.asdict(
        facts,
        dict_factory=lambda items: {
            name: value.value if isinstance(value, enum.Enum) else value for name, value in items
        },
    )
