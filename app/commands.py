"""What the command line can ask for; a running process answers, or this one does."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from app.notes import NoteRow
from liblim.errors import LimError

if TYPE_CHECKING:
    from app.service import Service

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
    return plain(service.status())


async def _list(service: Service, arguments: Arguments) -> Any:
    trashed = bool(arguments.get("trash"))
    rows = [row for row in service.notes.rows.values() if row.trashed == trashed]
    return [plain(row) for row in sorted(rows, key=lambda row: -row.changed)]


async def _new(service: Service, arguments: Arguments) -> Any:
    text = _text(arguments)
    if not text:
        raise LimError("An empty note is not kept: give it some text.")
    note = await service.notes.create()
    try:
        note.body.insert(0, text)
    finally:
        await service.notes.close(note)
    return note.oid


async def _show(service: Service, arguments: Arguments) -> Any:
    return await service.notes.text(find(service, arguments).oid)


async def _append(service: Service, arguments: Arguments) -> Any:
    row = find(service, arguments)
    await service.notes.append(row.oid, _text(arguments))
    return row.oid


async def _pair(service: Service, arguments: Arguments) -> Any:
    return await service.pair(str(arguments.get("address", "")))


async def _sync(service: Service, arguments: Arguments) -> Any:
    service.sync_now()
    return None


COMMANDS: dict[str, Command] = {
    "raise": _raise,
    "status": _status,
    "list": _list,
    "new": _new,
    "show": _show,
    "append": _append,
    "pair": _pair,
    "sync": _sync,
}


def find(service: Service, arguments: Arguments) -> NoteRow:
    """The note meant by the beginning of its id, or by its whole title.

    Raises LimError where there is none, or more than one.
    """
    wanted = str(arguments.get("note", ""))
    rows = service.notes.rows.values()
    found = [row for row in rows if wanted and row.oid.startswith(wanted)]
    found = found or [row for row in rows if row.title == wanted]
    if not found:
        raise LimError(f"There is no note {wanted!r}. 'limnotes list' shows them with their ids.")
    if len(found) > 1:
        raise LimError(f"{len(found)} notes are meant by {wanted!r}. Give more of the id.")
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
