"""Where this computer can be reached: its addresses, in the order in which people should try them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from liblim.net.address import Address, is_loopback

LAN, VPN, GLOBAL, LINK, LOOPBACK = "LAN", "VPN", "IPv6", "link-local", "this computer"
_ORDER = (LAN, VPN, GLOBAL, LINK, LOOPBACK)
MOST = 3
"""Addresses of one label; temporary IPv6 addresses can be many, and cannot be told apart."""

_HIDDEN = re.compile(r"(docker|br-|veth|virbr|lxc|lxd|podman|cni|flannel|cali|vmnet|vboxnet|vEthernet)")
"""Interfaces between this computer and what runs inside it."""
_PRIVATE = re.compile(r"(tun|tap|wg|utun|tailscale|zt|nordlynx|ppp|ipsec)", re.IGNORECASE)
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Carriers and overlay networks use it (RFC 6598); on an interface of one's own it is the latter."""


class OwnAddress(NamedTuple):
    """An address of this computer, and what kind it is, for people."""

    address: Address
    label: str


class Interface(NamedTuple):
    """A network interface: its name, and its addresses, those of IPv6 with zone where they need one."""

    name: str
    addresses: tuple[str, ...]


def own_addresses(port: int, host: str = "") -> list[OwnAddress]:
    """Where a program that listens on ``port`` of ``host`` can be reached; all addresses if empty."""
    if host:
        label = LOOPBACK if is_loopback(host) else _label("", host) or LAN
        return [OwnAddress(Address(host, port), label)]
    return rank(_interfaces(), port)


def rank(interfaces: Iterable[Interface], port: int) -> list[OwnAddress]:
    """The addresses of these interfaces, labelled, the likeliest first."""
    found: dict[str, list[str]] = {label: [] for label in _ORDER}
    for interface in interfaces:
        if _HIDDEN.match(interface.name):
            continue
        for text in interface.addresses:
            label = _label(interface.name, text)
            if label and text not in found[label]:
                found[label].append(text)
    return [
        OwnAddress(Address(text, port), label) for label in _ORDER for text in found[label][:MOST]
    ]


def _label(interface: str, text: str) -> str:
    """What kind of address it is; empty for one that is of no use to others."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        return ""
    if _PRIVATE.match(interface) or (address.version == 4 and address in _SHARED):
        return "" if address.is_link_local else VPN
    if address.is_link_local:
        return LINK if address.version == 6 else ""
    if address.version == 6:
        return GLOBAL if address.is_global else LAN
    return LAN


def _interfaces() -> list[Interface]:
    """The interfaces of this computer; none where the system does not tell."""
    import ifaddr

    try:
        adapters = ifaddr.get_adapters()
    except OSError:
        return []
    found = []
    for adapter in adapters:
        addresses = tuple(
            ip.ip if isinstance(ip.ip, str) else _with_zone(ip.ip[0], ip.ip[2], adapter.nice_name)
            for ip in adapter.ips
        )
        found.append(Interface(adapter.nice_name, addresses))
    return found


def _with_zone(text: str, scope: int, interface: str) -> str:
    return f"{text}%{interface}" if scope and text.startswith("fe80") else text
