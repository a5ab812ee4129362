"""The command line: ``limnotes``, its options and subcommands."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app import VERSION, control, printing
from app.folder import AlreadyRunning, Folder, default_folder
from app.synclog import LEVELS
from liblim.errors import IdentityLost, LimError

if TYPE_CHECKING:
    from app.conversation import Lines, Wanted
    from app.service import Service


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    data_dir: Path
    listen: str
    discovery: bool = True

    def make_service(self, *, offline: bool = False) -> Service:
        """The service for these options, not started yet."""
        from app.service import Service

        return Service(self.data_dir, listen=self.listen, offline=offline, discovery=self.discovery)


OpenWindow = Callable[[Options], int]


def main(argv: Sequence[str] | None = None, open_window: OpenWindow | None = None) -> int:
    """Run the program; returns the exit code: 0, 1 for an error, 2 for wrong usage.

    ``open_window`` opens the window; without it there is only ``--headless`` and the subcommands.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know every character
    parser = _parser()
    arguments = parser.parse_args(argv)
    options = Options(arguments.data_dir.expanduser(), arguments.listen, arguments.discovery)
    try:
        if arguments.command is not None:
            return _run_command(options, arguments)
        if arguments.headless:
            return _run_headless(options)
        return _launch(options, open_window)
    except LimError as error:
        print(f"limnotes: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    except OSError as error:
        return _lost_output(error)


def _lost_output(error: OSError) -> int:
    """Standard output is closed or full: end without Python trying to write there once more."""
    if not isinstance(error, BrokenPipeError):
        print(f"limnotes: {error.strerror or error}", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="limnotes",
        description="Notes on all your computers: offline first, private, without an account.",
        epilog="Without a subcommand the window opens; a second launch raises the first window.",
    )
    parser.add_argument("--version", action="version", version=f"limnotes {VERSION}")
    _add_common(parser, default_folder())
    parser.add_argument("--headless", action="store_true", help="sync without a window")
    _add_network(parser, listen="", discovery=True)
    commands = parser.add_subparsers(dest="command", metavar="SUBCOMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        _add_common(command, argparse.SUPPRESS)
        return command

    status = add("status", "show how sync stands")
    status.add_argument("--json", action="store_true", help="print the facts as JSON")
    new = add("new", "write a new note; prints its id")
    new.add_argument("text", nargs="*", help="the text; standard input where it is left out")
    listing = add("list", "list the notes, newest first")
    listing.add_argument("--trash", action="store_true", help="those in the trash")
    listing.add_argument("--json", action="store_true", help="print the facts as JSON")
    show = add("show", "print a note")
    show.add_argument("note", help="the beginning of its id, or its whole title")
    show.add_argument(
        "--json", action="store_true", help="print the facts as JSON, with where it is"
    )
    append = add("append", "add a line at the end of a note")
    append.add_argument("note", help="the beginning of its id, or its whole title")
    append.add_argument("text", nargs="*", help="the text; standard input where it is left out")
    _add_device_commands(add)
    add("sync", "try all devices now")
    log = add("log", "show the sync log, oldest first")
    log.add_argument("words", nargs="*", help="only events that hold all of these")
    log.add_argument("--level", choices=LEVELS, default="", help="only from this level on")
    log.add_argument("--json", action="store_true", help="print the facts as JSON")
    add("issue-again", "write what was set aside once more, as new changes")
    return parser


def _add_device_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    pair = add("pair", "pair with another device")
    how = pair.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--show", action="store_true", help="show a code for the other device to enter"
    )
    how.add_argument(
        "address",
        metavar="HOST:PORT",
        nargs="?",
        help="the address that the other device shows; its code is read from standard input",
    )
    _add_network(pair, listen=argparse.SUPPRESS, discovery=argparse.SUPPRESS)
    pair.add_argument("--yes", action="store_true", help="accept without a question, for scripts")
    pair.add_argument(
        "--keep-apart",
        action="store_true",
        help="where this device joins, do not add its notes: keep them in a library of their own",
    )
    remove = add("remove", "remove a device: it keeps its notes, and gets no more")
    remove.add_argument("device", help="the beginning of its id, or its whole name")
    rename = add("rename", "give a device, also this one, another name")
    rename.add_argument("device", help="the beginning of its id, or its whole name")
    rename.add_argument("name", help="the name, for all devices to see")
    identity = add("identity", "say whose key this device has, where that is in doubt")
    identity.add_argument(
        "what",
        choices=["keep", "new"],
        help="keep: the data folder was moved to this computer; new: make a new key",
    )


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=default,
        metavar="FOLDER",
        help="where the notes are kept (default: the system's place for it)",
    )


def _add_network(parser: argparse.ArgumentParser, *, listen: str, discovery: bool | str) -> None:
    """Options that count where this very process goes on the network."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=listen,
        help="where to listen (default: port 4242 of all interfaces, or the next free one), or 'off'",
    )
    parser.add_argument(
        "--no-discovery",
        dest="discovery",
        action="store_false",
        default=discovery,
        help="neither look for devices on the local network, nor be found there",
    )


# Starting


def _launch(options: Options, open_window: OpenWindow | None) -> int:
    if open_window is None:
        raise LimError(
            "The window is not installed here. Install limnotes[gui], or start with --headless."
        )
    try:
        raised = control.ask(Folder(options.data_dir), "raise")
    except control.NotRunning:
        return open_window(options)
    if not raised:
        raise LimError(
            "Lim Notes runs with this data folder already, without a window. End it to open one."
        )
    print("Lim Notes is running already; its window was raised.")
    return 0


def _run_headless(options: Options) -> int:
    try:
        asyncio.run(_serve(options))
    except AlreadyRunning as error:
        raise LimError(f"{error} It syncs already.") from None
    return 0


async def _serve(options: Options) -> None:
    service = options.make_service()
    service.on_event = printing.print_event
    await service.start()
    try:
        await _go_online(service)
        place = service.status().place or "no address"
        print(f"Lim Notes syncs without a window, listening at {place}.")
        print(f"Notes are kept in {options.data_dir}. Stop with Ctrl+C.", flush=True)
        await _until_stopped()
    finally:
        await service.stop()


async def _go_online(service: Service) -> None:
    """Go on the network; a locked key is said, and waited for.

    Raises LimError where a person has to say something first.
    """
    from app.service import MOVED

    await service.online()
    status = service.status()
    if status.elsewhere:
        raise LimError(MOVED)
    if status.locked:
        print(f"{status.locked} Until then nothing is synced.", flush=True)


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; there Ctrl+C cancels this task.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


# Subcommands


def _run_command(options: Options, arguments: argparse.Namespace) -> int:
    if arguments.command == "pair":
        asyncio.run(_pair(options, arguments))
        return 0
    known = {"command", "data_dir", "listen", "headless", "json", "discovery"}
    wanted = {name: value for name, value in vars(arguments).items() if name not in known}
    if "words" in wanted:
        wanted["text"] = " ".join(wanted.pop("words"))
    elif "text" in wanted:
        wanted["text"] = " ".join(wanted["text"]) or _read_input()
    if arguments.command == "show" and arguments.json:
        wanted["facts"] = True
    result = _ask_or_do(options, arguments.command, wanted)
    if getattr(arguments, "json", False):
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        printing.PRINT[arguments.command](result)
    sys.stdout.flush()
    return 0


_RUNNING_ONLY = {"sync"}
"""Subcommands that mean nothing where nobody runs."""
_STARTING = 5.0
"""Seconds that another process may take from holding the folder to answering."""


def _ask_or_do(options: Options, command: str, arguments: dict[str, Any]) -> Any:
    """Have the running process carry out a command; where there is none, do it here."""
    until = time.monotonic() + _STARTING
    while True:
        try:
            return control.ask(Folder(options.data_dir), command, arguments)
        except control.NotRunning:
            if command in _RUNNING_ONLY:
                raise
        try:
            return asyncio.run(_run_here(options, command, arguments))
        except AlreadyRunning:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _read_input() -> str:
    if sys.stdin.isatty():
        print("Type the text, then Ctrl+D.", file=sys.stderr)
    return sys.stdin.read()


async def _run_here(options: Options, command: str, arguments: dict[str, Any]) -> Any:
    from app import commands

    service = options.make_service(offline=True)
    try:
        await service.start()
    except IdentityLost:
        if (command, arguments) != ("identity", {"what": "new"}):
            raise
        await service.renew()
        return commands.NEW_KEY
    try:
        return await commands.run(service, command, arguments)
    finally:
        await service.stop()


# Pairing


async def _pair(options: Options, arguments: argparse.Namespace) -> None:
    """Pair through the running process, or where there is none, go online for it."""
    from app.conversation import Conversation, Lines, Wanted

    wanted = Wanted(arguments.address or "", arguments.yes, arguments.keep_apart)
    folder, lines = Folder(options.data_dir), Lines()

    def there(command: str, given: dict[str, Any]) -> Awaitable[Any]:
        return asyncio.to_thread(control.ask, folder, command, given)

    until = time.monotonic() + _STARTING
    while True:
        try:
            await there("pair-view", {})
        except control.NotRunning:
            pass
        else:
            printing.print_paired(await Conversation(there, wanted, lines).run())
            return
        try:
            await _pair_here(options, wanted, lines)
            return
        except AlreadyRunning:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)


async def _pair_here(options: Options, wanted: Wanted, lines: Lines) -> None:
    from app import commands
    from app.conversation import Conversation, first_sync

    service = options.make_service()
    await service.start()
    try:
        await _go_online(service)
        talk = Conversation(lambda name, given: commands.run(service, name, given), wanted, lines)
        view = await talk.run()
        printing.print_paired(view)
        await first_sync(service, view.peer)
    finally:
        await service.stop()
