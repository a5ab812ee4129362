"""Where this computer can be reached: its addresses, in the order in which people should try them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from liblim.net.address import Address, is_loopback

LAN, VPN, INTERNET, GLOBAL, LINK = "LAN", "VPN", "Internet", "IPv6", "LAN, IPv6"
LOOPBACK = "this computer"
MOST = 3
"""Addresses of one kind: temporary ones of IPv6 can be many, and nothing tells them apart."""
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened at)
"""What to listen at for all addresses of this computer."""

_HIDDEN = re.compile(
    r"docker|br-|veth|virbr|lxc|lxd|podman|cni|flannel|cali|vmnet|vnet|vboxnet|vEthernet|bridge1\d\d"
    r"|awdl|llw|anpi"  # between Apple's devices only
    r"|Hyper-V|VMware|VirtualBox"
)
"""Names of interfaces that lead to what runs inside this computer (Windows tells what they are)."""
_VPN = re.compile(
    r"tun|tap|wg|utun|tailscale|zt|nordlynx|ppp|ipsec|wireguard|zerotier|openvpn|wintun",
    re.IGNORECASE,
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: carriers use it, and so do overlay networks; on an interface it is mostly the latter."""
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class OwnAddress(NamedTuple):
    """An address of this computer, and what kind it is, for people."""

    address: Address
    label: str


class Interface(NamedTuple):
    """A network interface: its name, and its addresses, link-local ones of IPv6 with their zone."""

    name: str
    addresses: Sequence[str]


def own_addresses(port: int, host: str = "") -> list[OwnAddress]:
    """Where a program that listens on ``port`` of ``host`` can be reached; all addresses if empty."""
    return rank(_interfaces() if host in EVERYWHERE else [], port, host)


def rank(interfaces: Iterable[Interface], port: int, host: str = "") -> list[OwnAddress]:
    """Pure part of ``own_addresses``: the likeliest address first.

    Addresses of bridges to containers and virtual machines are told where there are no others: a
    virtual switch may hold the only address that a computer has.
    """
    if host not in EVERYWHERE:
        label = LOOPBACK if is_loopback(host) else _kind("", host)[1]
        return [OwnAddress(Address(host, port), label or LAN)]
    known = list(interfaces)
    found = _ranked(known, hidden=False) or _ranked(known, hidden=True)
    return [
        OwnAddress(Address(text, port), label)
        for label, text in found
        if host != "0.0.0.0" or ":" not in text  # noqa: S104
    ]


def zoned(address: Address, interfaces: Iterable[Interface] | None = None) -> list[Address]:
    """The ways to an address from here: one, unless it is link-local and its zone is not one of ours.

    The zone that another device tells with its address is a name of its own (RFC 4007, section 6).
    """
    bare, _, zone = address.host.partition("%")
    if _kind("", bare)[1] != LINK:
        return [address]
    known = _interfaces() if interfaces is None else interfaces
    ours = [own.address.host.partition("%")[2] for own in rank(known, 0) if own.label == LINK]
    if not ours or zone in ours:
        return [address]
    return [Address(f"{bare}%{own}", address.port) for own in dict.fromkeys(ours)]


def _ranked(interfaces: Iterable[Interface], *, hidden: bool) -> list[tuple[str, str]]:
    """Labels and addresses of those interfaces that are, or are not, usually hidden."""
    kinds: dict[tuple[int, str], list[str]] = {}
    for interface in interfaces:
        if bool(_HIDDEN.match(interface.name)) is hidden:
            for text in interface.addresses:
                same = kinds.setdefault(_kind(interface.name, text), [])
                if text not in same:
                    same.append(text)
    return [(kind[1], text) for kind in sorted(kinds) if kind[1] for text in kinds[kind][:MOST]]


def _kind(interface: str, text: str) -> tuple[int, str]:
    """The rank and the label of an address; the label is empty if it is of no use to others."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0, ""
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        return 0, ""
    vpn = bool(_VPN.match(interface))
    if address.is_link_local:
        # One of IPv4 (169.254/16) is what a computer gives itself for want of a network.
        return (9, LINK) if address.version == 6 and not vpn else (0, "")
    if isinstance(address, ipaddress.IPv4Address):
        if vpn or address in _SHARED:
            return 3, VPN
        return (5, INTERNET) if address.is_global else (1, LAN)
    if address in _UNIQUE_LOCAL:
        return (4, VPN) if vpn else (2, LAN)
    if address in _GLOBAL_UNICAST:
        return (4, VPN) if vpn else (6, GLOBAL)
    return 0, ""


def _interfaces() -> list[Interface]:
    """The interfaces of this computer; none where the system does not tell."""
    import ifaddr

    try:
        return [
            Interface(adapter.nice_name, [_text(ip.ip, adapter.nice_name) for ip in adapter.ips])
            for adapter in ifaddr.get_adapters()
        ]
    except OSError:
        return []


def _text(ip: str | tuple[str, int, int], interface: str) -> str:
    """An address as ``ifaddr`` tells it, with its zone: a name, on Windows a number."""
    if isinstance(ip, str):
        return ip
    text, _, scope = ip
    if not scope:
        return text
    return f"{text}%{scope if os.name == 'nt' else interface}"
