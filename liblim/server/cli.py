"""The command line of the server: ``limserver``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from liblim.errors import LimError, StoreError
from liblim.net.address import Address, parse_address
from liblim.net.interfaces import OwnAddress, own_addresses
from liblim.server.checking import Checked, check
from liblim.server.inviting import HOURS, TRIES, invite
from liblim.server.keyless import all_vouched
from liblim.server.limits import Limits
from liblim.server.logs import log_to_stderr
from liblim.server.metrics import Monitor
from liblim.server.resources import bound_buffers, raise_file_limit
from liblim.server.server import Server, identity_of
from liblim.server.stores import Standing, Storage
from liblim.server.trouble import in_words
from liblim.trust import words_of

PORT = 4241
"""Where a server listens unless another port is chosen: not where devices do, which may run beside it."""
GRACE = 4.8
"""Seconds after which a server that was asked to end has ended, whatever hangs."""
HANGS = "The storage does not answer."
_LISTENING = "listening"
_GONE = "its log is gone. Its devices bring it again, once they connect."

_log = logging.getLogger("limserver")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code: 0, 1 for an error, 2 for wrong usage."""
    arguments = _parser().parse_args(argv)
    command: Callable[[Storage, argparse.Namespace], int] = arguments.do
    try:
        opened = open_storage(arguments.data, arguments.database, makes=arguments.makes)
        with contextlib.closing(opened) as storage:
            return command(storage, arguments)
    except LimError as error:
        print(in_words(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def open_storage(folder: Path | None, database: str, *, makes: bool = True) -> Storage:
    """The storage in a folder, or in PostgreSQL where a database is named; ``makes`` a folder's if need be.

    Raises LimError.
    """
    if database:
        try:
            from liblim.server.postgres import PostgresStorage
        except ImportError:
            raise LimError(
                "For PostgreSQL its library is missing. Install limnotes[postgres]."
            ) from None
        return PostgresStorage(database)
    from liblim.server.sqlite import REGISTRY, SqliteStorage

    folder = folder or default_folder()
    if not makes and not (folder / REGISTRY).exists():
        raise LimError(
            f"There is no server in {folder}. Start one first (limserver run), or name its folder: --data."
        )
    return SqliteStorage(folder)


def default_folder() -> Path:
    """Where this system keeps the data of a person's programs.  Raises LimError where there is no place."""
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("limserver", appauthor=False))
    except RuntimeError:  # a user without a home, as services have
        raise LimError("This user has no home folder. Name a folder with --data.") from None


# Arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="limserver",
        description="Keeps the sealed changes of libraries for their devices, and can read none of them.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="where all is kept (default: a folder among this user's data)",
    )
    where.add_argument(
        "--database", default="", metavar="postgresql://…", help="keep all in PostgreSQL instead"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, text: str, do: Callable[[Storage, argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text)
        found.set_defaults(do=do, makes=False)
        return found

    add("init", "make the server's key and its storage, unless they are there", _init).set_defaults(
        makes=True
    )
    _add_run(add("run", "serve, until SIGTERM or Ctrl+C", _run))
    invitation = add("invite", "make a code with which one device may pair", _invite)
    invitation.add_argument(
        "--hours", type=float, default=HOURS, help="how long it counts (default: %(default)g)"
    )
    add("libraries", "list the libraries that are served", _libraries)
    remove = add("remove", "forget a library with all its changes", _remove)
    remove.add_argument("library", help="its id, as `libraries` prints it")
    add("check", "verify every hash chain and every signature", _check)
    backup = add("backup", "write a copy of everything into a new folder", _back_up)
    backup.add_argument("folder", type=Path)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(makes=True)
    standard = Limits()
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="",
        help=f"where to listen; without a host on all interfaces (default: :{PORT})",
    )
    parser.add_argument("--name", default="Server", help="what devices call it at first")
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        default="",
        help="answer /metrics (Prometheus) and /healthz there; 127.0.0.1:9241, say (default: not)",
    )
    parser.add_argument("--json-logs", action="store_true", help="log a JSON object a line")
    parser.add_argument(
        "--library-mib",
        type=int,
        default=standard.octets // 2**20,
        help="how much a library may take (default: %(default)d)",
    )
    parser.add_argument(
        "--library-connections",
        type=int,
        default=standard.connections,
        help="how many connections a library may have at a time (default: %(default)d)",
    )
    parser.add_argument(
        "--connections",
        type=int,
        default=standard.all_connections,
        help="how many connections there may be in all (default: %(default)d)",
    )
    parser.add_argument(
        "--changes-per-second",
        type=float,
        default=standard.changes,
        help="of one device, at least 50; what comes faster is taken later (default: %(default)g)",
    )


# Commands


def _init(storage: Storage, arguments: argparse.Namespace) -> int:
    print(f"This server's words: {words_of(identity_of(storage.registry).certificate)}")
    print("Start it with: limserver run. Then let a device pair: limserver invite.")
    return 0


def _run(storage: Storage, arguments: argparse.Namespace) -> int:
    log_to_stderr(as_json=arguments.json_logs)
    host, port = "", PORT
    if arguments.listen.startswith(":"):
        port = parse_address(f"localhost{arguments.listen}").port
    elif arguments.listen:
        host, port = parse_address(arguments.listen, PORT)
    limits = Limits()._replace(
        octets=arguments.library_mib * 2**20,
        connections=arguments.library_connections,
        all_connections=arguments.connections,
        changes=max(arguments.changes_per_second, 1.0),
    )
    lacking = raise_file_limit(limits.all_connections)
    if lacking:
        _log.warning("%s", lacking)
    # The threads of the storage run Python, too: the loop must not wait 5 ms for each of them.
    sys.setswitchinterval(0.002)
    with storage.writing(), bound_buffers():
        metrics = parse_address(arguments.metrics) if arguments.metrics else None
        asyncio.run(_serve(storage, arguments.name, Address(host, port), metrics, limits))
    return 0


async def _serve(
    storage: Storage, name: str, where: Address, metrics: Address | None, limits: Limits
) -> None:
    identity = await asyncio.to_thread(identity_of, storage.registry)
    agent = f"limserver/{version('limnotes')}"
    server = Server(storage, identity, name=name, agent=agent, limits=limits)
    monitor = Monitor(server) if metrics else None
    stopped = asyncio.Event()

    def end() -> None:
        if stopped.is_set():
            _leave("It was asked to end once more.")
        last = threading.Timer(GRACE, _leave, [HANGS])
        last.daemon = True
        last.start()
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; there Ctrl+C cancels this task.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, end)
    try:
        if monitor is not None and metrics is not None:
            print(f"Metrics: http://{await monitor.open(metrics)}/metrics")
        found = await server.start(*where)
        try:
            await asyncio.to_thread(storage.registry.set_fact, _LISTENING, str(found))
        except StoreError as error:
            _log.error("%s", in_words(error))  # what is there can be had all the same
        count = len(server.shelf.libraries)
        some = "1 library" if count == 1 else f"{count} libraries"
        print(f"limserver serves {some} at {_place(found)}.")
        print(f"Its words: {words_of(identity.certificate)}")
        print("To let a device pair: limserver invite. Stop with Ctrl+C.", flush=True)
        await stopped.wait()
    finally:
        if not await server.stop():
            _leave(HANGS)
        if monitor is not None:
            await monitor.close()


def _leave(why: str) -> None:
    """End now: threads that hang would be waited for without end."""
    _log.error("%s The server ends at once; what it has acknowledged is kept.", why)
    logging.shutdown()
    os._exit(1)


def _place(found: Address) -> str:
    return str(found) if found.host else f"port {found.port}"


def _invite(storage: Storage, arguments: argparse.Namespace) -> int:
    if not arguments.hours > 0:
        raise LimError("An invitation has to count for some time: give --hours a number above 0.")
    code = invite(storage.registry, arguments.hours).code
    words = words_of(identity_of(storage.registry).certificate)
    print(f"Code:     {code[:4]} {code[4:]}")
    print(f"          for one device, {arguments.hours:g} h, {TRIES} tries")
    for own in _reachable(storage):
        print(f"Address:  {own.address}  {own.label}")
    print(f"Words:    {words}")
    print("On the device choose to pair, and enter address and code there; compare the words.")
    return 0


def _reachable(storage: Storage) -> list[OwnAddress]:
    """Where the server can be dialled, as far as this computer can tell; nothing where it never ran."""
    said = storage.registry.fact(_LISTENING)
    if said is None:
        return []
    host, _, port = said.rpartition(":")
    return own_addresses(int(port), host.strip("[]"))


def _libraries(storage: Storage, arguments: argparse.Namespace) -> int:
    vouched = all_vouched(storage.registry)
    if not vouched:
        print("No library is served yet. `limserver invite` lets a device come with one.")
    for library, known in vouched.items():
        if not storage.has_log(library):
            print(f"{library}  {_GONE}")
            continue
        log = storage.open(library)
        try:
            changes = sum(row.head.seq for row in log.replicas().values())
            octets = log.octets()
        finally:
            log.close()
        gone = sum(known.standing(one) is Standing.WITHDRAWN for one in known.devices)
        print(
            f"{library}  {len(known.members)} devices, {gone} removed, {changes} changes, "
            f"{octets / 2**20:.1f} MiB"
        )
    return 0


def _remove(storage: Storage, arguments: argparse.Namespace) -> int:
    if not storage.registry.remove(arguments.library):
        raise LimError("No such library is served here. `limserver libraries` lists them.")
    print("It was removed. Its devices keep all their notes, and are told that it is not served.")
    return 0


def _check(storage: Storage, arguments: argparse.Namespace) -> int:
    bad = False
    for library, vouched in all_vouched(storage.registry).items():
        if not storage.has_log(library):
            print(f"{library}  {_GONE}")
            bad = True
            continue
        log = storage.open(library)
        try:
            found = check(log, vouched)
        finally:
            log.close()
        print(_in_words(found), flush=True)
        bad |= bool(found.faults)
    return int(bad)


def _in_words(found: Checked) -> str:
    size = f"{found.changes} changes of {found.replicas} replicas by {found.devices} devices"
    verdict = " ".join(found.faults) or "all is well"
    return f"{found.library}  {size}: {verdict}"


def _back_up(storage: Storage, arguments: argparse.Namespace) -> int:
    storage.back_up(arguments.folder)
    print(
        f"Everything is in {arguments.folder}, the server's key too: keep it where nobody reads it."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
