"""Own addresses: which are shown, in which order, as what.  No test looks at the machine it runs on."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from liblim.net.address import Address, parse_address
from liblim.net.interfaces import MOST, Interface, own_addresses, rank, zoned

LAPTOP = [
    Interface("lo", ["127.0.0.1", "::1"]),
    Interface("tailscale0", ["fe80::9%tailscale0", "fd7a:115c:a1e0::1", "100.101.102.103"]),
    Interface("docker0", ["172.17.0.1", "fe80::42%docker0"]),
    Interface("br-0a1b2c3d", ["172.18.0.1"]),
    Interface("veth01", ["fe80::43%veth01"]),
    Interface("wlan0", ["fe80::1%wlan0", "2a02:810:1::7", "fd00:1::7", "192.168.1.20"]),
]


def told(*interfaces: Interface, host: str = "") -> list[tuple[str, str]]:
    return [(str(own.address), own.label) for own in rank(interfaces, 4242, host)]


def test_the_likeliest_address_comes_first_and_containers_are_hidden() -> None:
    assert told(*LAPTOP) == [
        ("192.168.1.20:4242", "LAN"),
        ("[fd00:1::7]:4242", "LAN"),
        ("100.101.102.103:4242", "VPN"),
        ("[fd7a:115c:a1e0::1]:4242", "VPN"),
        ("[2a02:810:1::7]:4242", "IPv6"),
        ("[fe80::1%wlan0]:4242", "LAN, IPv6"),
    ]


def test_what_is_shown_is_understood_where_it_is_entered() -> None:
    for own in rank(LAPTOP, 4243):
        assert parse_address(str(own.address)) == own.address


INSIDE = """
docker0 br-12 veth0 virbr0 lxcbr0 lxdbr0 podman1 cni0 flannel.1 cali1 vmnet8 vnet0 vboxnet0
vEthernet bridge100 awdl0 llw0 Hyper-V VMware
"""
TUNNELS = "tun0 tap3 wg0 utun4 tailscale0 zt12 nordlynx ppp0 ipsec0 WireGuard TAP-Windows Wintun"


@pytest.mark.parametrize("name", INSIDE.split())
def test_what_leads_into_this_computer_is_hidden(name: str) -> None:
    inside = Interface(name, ["172.17.0.1", "fd00:5::1", "fe80::1%x"])
    assert told(inside, Interface("eth0", ["10.0.0.5"])) == [("10.0.0.5:4242", "LAN")]


def test_a_virtual_switch_with_the_only_address_is_shown() -> None:
    switch = Interface("Hyper-V Virtual Ethernet Adapter #2", ["192.168.1.9"])
    assert told(switch, LAPTOP[0]) == [("192.168.1.9:4242", "LAN")]


@pytest.mark.parametrize("name", TUNNELS.split())
def test_a_vpn_is_known_by_its_name(name: str) -> None:
    tunnel = Interface(name, ["10.8.0.2", "fd00:8::2", "fe80::8%t"])
    assert told(tunnel) == [("10.8.0.2:4242", "VPN"), ("[fd00:8::2]:4242", "VPN")]


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("10.1.2.3", "LAN"),
        ("172.31.0.1", "LAN"),
        ("192.168.0.1", "LAN"),
        ("100.64.0.1", "VPN"),
        ("100.127.255.254", "VPN"),
        ("100.128.0.1", "Internet"),
        ("8.8.8.8", "Internet"),
        ("fd12::1", "LAN"),
        ("2a00::1", "IPv6"),
    ],
)
def test_labels(address: str, label: str) -> None:
    assert [found[1] for found in told(Interface("en0", [address]))] == [label]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.7.7", "0.0.0.0", "::", "224.0.0.251", "ff02::fb", "fec0::1", "x"],
)
def test_addresses_that_are_of_no_use_to_others(address: str) -> None:
    assert told(Interface("en0", [address])) == []


def test_temporary_addresses_do_not_fill_the_list() -> None:
    many = [f"2a02:810:1::{i:x}" for i in range(1, 20)] + ["192.168.1.20"]
    found = told(Interface("en0", many), Interface("en1", [*many, "192.168.2.20"]))
    assert [label for _, label in found] == ["LAN"] * 2 + ["IPv6"] * MOST
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("127.0.0.1", "this computer"),
        ("::1", "this computer"),
        ("localhost", "this computer"),
        ("192.168.1.20", "LAN"),
        ("100.64.0.3", "VPN"),
        ("fe80::1%wlan0", "LAN, IPv6"),
        ("2a02:810:1::7", "IPv6"),
        ("desk.home", "LAN"),
    ],
)
def test_a_program_that_listens_at_one_address_is_reached_there_only(host: str, label: str) -> None:
    assert rank(LAPTOP, 99, host) == [(Address(host, 99), label)]


def test_listening_at_all_addresses_by_number() -> None:
    assert told(*LAPTOP, host="::") == told(*LAPTOP)
    assert told(*LAPTOP, host="0.0.0.0") == [
        ("192.168.1.20:4242", "LAN"),
        ("100.101.102.103:4242", "VPN"),
    ]


def test_the_zone_of_another_device_is_replaced_by_our_own() -> None:
    two = [*LAPTOP, Interface("eth0", ["fe80::2%eth0"])]
    theirs = Address("fe80::77%en5", 4242)
    ways = [Address("fe80::77%wlan0", 4242), Address("fe80::77%eth0", 4242)]
    assert zoned(theirs, two) == ways
    assert zoned(Address("fe80::77", 4242), two) == ways
    ours = Address("fe80::77%eth0", 4242)
    assert zoned(ours, two) == [ours]
    assert zoned(theirs, []) == [theirs]


@pytest.mark.parametrize("host", ["192.168.1.5", "2a00::1", "fd00::1", "desk", "::1"])
def test_other_addresses_need_no_zone(host: str) -> None:
    assert zoned(Address(host, 1), LAPTOP) == [Address(host, 1)]


def adapter(name: str, *ips: Any) -> Any:
    return SimpleNamespace(nice_name=name, ips=[SimpleNamespace(ip=ip) for ip in ips])


def fake(monkeypatch: pytest.MonkeyPatch, *adapters: Any, system: str = "posix") -> None:
    monkeypatch.setitem(sys.modules, "ifaddr", SimpleNamespace(get_adapters=lambda: adapters))
    monkeypatch.setattr("liblim.net.interfaces.os", SimpleNamespace(name=system))


def test_zones_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, adapter("wlan0", "10.0.0.5", ("2a00::1", 0, 0), ("fe80::1", 0, 7)))
    hosts = [own.address.host for own in own_addresses(1)]
    assert hosts == ["10.0.0.5", "2a00::1", "fe80::1%wlan0"]


def test_zones_are_numbers_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, adapter("Intel(R) Wi-Fi", ("fe80::1", 0, 7)), system="nt")
    assert own_addresses(1)[0].address == Address("fe80::1%7", 1)


def test_a_system_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError

    monkeypatch.setitem(sys.modules, "ifaddr", SimpleNamespace(get_adapters=fail))
    assert own_addresses(1) == []
