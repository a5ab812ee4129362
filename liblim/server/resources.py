"""What many connections need of the system: files, and memory for TLS."""

from __future__ import annotations

import contextlib
from asyncio import sslproto
from collections.abc import Iterator

SPARE = 200
"""Open files beside those of connections."""
TLS_BUFFER = 16 * 1024
"""Bytes that asyncio keeps for what each connection reads; by itself it takes 256 KiB."""


def raise_file_limit(connections: int) -> str:
    """Let this process have so many connections; returns what is missing, as a sentence."""
    try:
        import resource
    except ImportError:
        return ""  # Windows, where a process may have as many as there is memory for
    needed = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ""
    return (
        f"Only {soft} files may be open here, and {connections} connections need {needed}. "
        "Raise the limit (ulimit -n, or LimitNOFILE= for systemd), or choose fewer --connections."
    )


@contextlib.contextmanager
def bound_buffers() -> Iterator[None]:
    """Let each connection have a small buffer for TLS."""
    before = sslproto.SSLProtocol.max_size
    sslproto.SSLProtocol.max_size = TLS_BUFFER
    try:
        yield
    finally:
        sslproto.SSLProtocol.max_size = before
