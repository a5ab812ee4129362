"""What a server does, as numbers for Prometheus, and whether it is well, on a port of their own.

``/metrics`` has the numbers.  ``/healthz`` is 200 while the server listens, reads its storage, and finds room
on the disk, else 503; what goes wrong with one library is counted, and does not make the whole server unwell.
Both are answered by the loop that serves devices: where it does not get to it, that shows, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from liblim.errors import LimError
from liblim.net.address import Address
from liblim.sync import Session

if TYPE_CHECKING:
    from liblim.server.server import Server

PATIENCE = 5.0
"""Seconds for a request to come."""
MAX_REQUEST = 4096
"""Bytes of a request."""


class Counts:
    """What is over: of connections that are under way their sessions tell."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.ended: Counter[str] = Counter()
        """Connections that ended, by code: one of ``NOWAI``'s, or left, lost, silent."""
        self.commits = 0
        self.commit_seconds = 0.0
        """From having read changes to having them durable, of all commits together."""
        self.failures = 0
        """Reads and commits that the storage failed at."""
        self.full = ""
        """That the disk is full, as a sentence; empty since a commit that found room."""
        self.traffic: Counter[str] = Counter()

    def end(self, session: Session, code: str) -> None:
        """Take note that a session is over."""
        self.ended[code] += 1
        self.traffic += traffic_of([session])


def traffic_of(sessions: Iterable[Session]) -> Counter[str]:
    """What went over these connections."""
    found: Counter[str] = Counter()
    for session in sessions:
        found["bytes received"] += session.bytes_in
        found["bytes sent"] += session.bytes_out
        found["changes received"] += session.changes_in
        found["changes sent"] += session.changes_out
    return found


class Collector:
    """Reads the numbers of a server whenever somebody asks."""

    def __init__(self, server: Server) -> None:
        """Raises ImportError without prometheus-client."""
        from prometheus_client import core

        self._server = server
        self._core = core

    def collect(self) -> Iterator[Any]:
        """All numbers, as prometheus-client wants them."""
        server, gauge = self._server, self._core.GaugeMetricFamily
        counts, circles = server.terms.counts, server.shelf.circles
        yield gauge("limserver_connections", "Devices that are connected.", server.door.connections)
        yield gauge(
            "limserver_libraries", "Libraries that are served.", len(server.shelf.libraries)
        )
        yield gauge("limserver_libraries_open", "Libraries that are in use.", len(circles))
        live = traffic_of(link.session for circle in circles.values() for link in circle.links)
        for kind in ("bytes", "changes"):
            family = self._core.CounterMetricFamily(
                f"limserver_{kind}", f"{kind.capitalize()} from and to devices.", labels=["way"]
            )
            for way in ("received", "sent"):
                name = f"{kind} {way}"
                family.add_metric([way], counts.traffic[name] + live[name])
            yield family
        ended = self._core.CounterMetricFamily(
            "limserver_connections_ended", "Connections that are over.", labels=["code"]
        )
        for code, number in sorted(counts.ended.items()):
            ended.add_metric([code], number)
        yield ended
        yield self._core.SummaryMetricFamily(
            "limserver_commit_seconds",
            "From having read changes to having them durable.",
            counts.commits,
            counts.commit_seconds,
        )
        yield self._core.CounterMetricFamily(
            "limserver_storage_failures",
            "Reads and commits that the storage failed at.",
            counts.failures,
        )


class Monitor:
    """Answers HTTP for whoever watches a server."""

    def __init__(self, server: Server) -> None:
        """Watch a server.  Raises LimError where prometheus-client is not installed."""
        try:
            from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        except ImportError:
            raise LimError(
                "For --metrics a library is missing. Install limnotes[server]."
            ) from None
        self._server = server
        self._registry = CollectorRegistry()
        self._registry.register(Collector(server))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._listening: asyncio.Server | None = None

    async def open(self, where: Address) -> Address:
        """Listen; returns where.  Raises LimError."""
        try:
            self._listening = await asyncio.start_server(
                self._answer, where.host, where.port, limit=MAX_REQUEST
            )
        except OSError as error:
            raise LimError(f"Cannot listen on {where}: {error.strerror}.") from error
        host, port = self._listening.sockets[0].getsockname()[:2]
        return Address(str(host), int(port))

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.close()
            await self._listening.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.split(b"\r\n", 1)[0]))
                await writer.drain()
        writer.close()

    def _response(self, request: bytes) -> bytes:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        plain = "text/plain; charset=utf-8"
        verb, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if verb != b"GET":
            return _http("405 Method Not Allowed", plain, b"Only GET is answered.\n")
        if path == b"/metrics":
            return _http("200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry))
        if path != b"/healthz":
            return _http("404 Not Found", plain, b"There are /metrics and /healthz.\n")
        trouble = self._trouble()
        if trouble:
            return _http("503 Service Unavailable", plain, f"{trouble}\n".encode())
        return _http("200 OK", plain, b"ok\n")

    def _trouble(self) -> str:
        """Why the server is not well, as a sentence; empty where it is."""
        if self._server.listening is None:
            return "The server does not listen."
        return self._server.shelf.trouble or self._server.terms.counts.full


def _http(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
