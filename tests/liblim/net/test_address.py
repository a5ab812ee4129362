from __future__ import annotations

import pytest

from liblim.errors import LimError
from liblim.net.address import Address, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 4242),
        (" 127.0.0.1:80 ", "127.0.0.1", 80),
        ("desk", "desk", 4242),
        ("desk.local:65535", "desk.local", 65535),
        ("::1", "::1", 4242),
        ("[::1]", "::1", 4242),
        ("[::1]:7000", "::1", 7000),
        ("[fe80::1%eth0]:7000", "fe80::1%eth0", 7000),
        ("fe80::1%eth0", "fe80::1%eth0", 4242),
        ("[fe80::1%12]:80", "fe80::1%12", 80),
        ("fe80::1%br0.100@eth0", "fe80::1%br0.100@eth0", 4242),
        ("fe80::1", "fe80::1", 4242),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Enter the address"),
        ("   ", "Enter the address"),
        (":4242", "no host"),
        ("desk:", "no port"),
        ("desk:0", "no port"),
        ("desk:65536", "no port"),
        ("desk:http", "no port"),
        ("desk:+42", "no port"),
        ("desk:٤٢", "no port"),
        ("desk:1:2", "is no address"),
        ("[desk]:1", "no IPv6 address"),
        ("[127.0.0.1]:1", "no IPv6 address"),
        ("[]:1", "no host"),
        ("[::1", "is no address"),
        ("fe80::1%eth0:4242", "is no address. Write host:port, or"),
        ("fe80::1%", "is no address"),
        ("[fe80::1%]:1", "no IPv6 address"),
        ("[fe80::1%a b]:1", "no IPv6 address"),
        ("[fe80::1%a\x1b[0m]:1", "is no address"),
        ("[fe80::1%" + "x" * 33 + "]", "no IPv6 address"),
        ("127.0.0.1%eth0", "no name of a host"),
        ("http://desk:1", "is no address"),
        ("my desk", "no name of a host"),
        ("-desk", "no name of a host"),
        ("1.2.3", "One looks like"),
        ("1.2.3.400", "One looks like"),
    ],
)
def test_what_is_no_address(text: str, said: str) -> None:
    with pytest.raises(LimError, match=said):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("desk", False),
    ],
)
def test_what_stays_on_this_computer(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
