"""Addresses as people write them: ``host``, ``host:port``, ``[v6]:port``, ``[v6%zone]:port``."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from liblim.errors import LimError

DEFAULT_PORT = 4242

_BRACKETED = re.compile(r"\[(?P<host>[^\[\]]*)\](?::(?P<port>.*))?")
_PLAIN = re.compile(r"(?P<host>[^:\[\]]*)(?::(?P<port>[^:]*))?")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_ZONE = re.compile(r"[A-Za-z0-9_.@~+-]{1,32}")
"""Names and numbers of interfaces; with a colon in it, a port behind it could be taken for a part of it."""


class Address(NamedTuple):
    """Where a device can be dialled."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, port: int = DEFAULT_PORT) -> Address:
    """Read an address; ``port`` where it names none.

    Raises LimError with a sentence that says what is wrong.
    """
    text = text.strip()
    if not text:
        raise LimError("Enter the address of the other device, for example 192.168.1.5:4242.")
    host = text
    if not _is_ip(text):
        match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
        if match is None:
            raise LimError(
                f"“{text}” is no address. Write host:port, or [address]:port where the address "
                "has colons of its own."
            )
        host, named = match["host"], match["port"]
        port = port if named is None else _port(named)
        _check_host(host, bracketed=text.startswith("["))
    return Address(host, port)


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise LimError(f"“{text}” is no port. A port is a number from 1 to 65535.")
    return int(text)


def _check_host(host: str, *, bracketed: bool) -> None:
    if not host:
        raise LimError("The address has no host. Write for example 192.168.1.5:4242.")
    if bracketed and not (_is_ip(host) and ":" in host):
        raise LimError(f"“{host}” is no IPv6 address; only those stand in brackets.")
    if not bracketed and not _HOST_NAME.fullmatch(host):
        raise LimError(f"“{host}” is no name of a host. Write for example 192.168.1.5:4242.")
    if not bracketed and re.fullmatch("[0-9.]+", host) and not _is_ip(host):
        raise LimError(f"“{host}” is no address. One looks like 192.168.1.5.")


def _is_ip(host: str) -> bool:
    try:
        zone = getattr(ipaddress.ip_address(host), "scope_id", None)
    except ValueError:
        return False
    return zone is None or _ZONE.fullmatch(zone) is not None


def is_loopback(host: str) -> bool:
    """Whether an IP address, or ``localhost``, stays on this computer."""
    if host.lower() == "localhost":
        return True
    return _is_ip(host) and ipaddress.ip_address(host).is_loopback
