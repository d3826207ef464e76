"""The addresses that webhooks may use."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.address_policy import why_refused

PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.3.1", "2606:4700:4700::1111", "2a00:1450:4001::1"]
TRANSLATED = ["64:ff9b::101:101", "2002:101:101::", "::ffff:1.1.1.1"]  # all of them are 1.1.1.1 in truth
OWN = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "shared",
    "::1": "loopback",
    "fd12:3456::1": "private",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:7f00:1": "loopback",
    "::ffff:10.1.2.3": "private",
    "64:ff9b::10.0.0.1": "private",
    "2002:7f00:1::": "loopback",
    "2002:c0a8:101::1": "private",
}
NEVER = {
    "169.254.169.254": "link-local",
    "100.100.100.200": "a cloud's own",
    "168.63.129.16": "a cloud's own",
    "fd00:ec2::254": "a cloud's own",
    "fd00:ec2::23": "a cloud's own",
    "64:ff9b::a9fe:a9fe": "link-local",
    "::ffff:169.254.169.254": "link-local",
    "2002:a9fe:a9fe::": "link-local",
    "0.0.0.0": "unspecified",  # noqa: S104 - an address to refuse
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "::ffff:0.0.0.0": "unspecified",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "255.255.255.255": "reserved",
    "240.0.0.1": "reserved",
    "192.0.0.192": "reserved",
    "192.0.2.1": "reserved",
    "198.18.0.1": "reserved",
    "198.51.100.7": "reserved",
    "203.0.113.7": "reserved",
    "2001:db8::1": "reserved",
    "2001:0:101:101::1": "reserved",  # Teredo
    "3fff::1": "reserved",
    "64:ff9b:1::7f00:1": "reserved",  # a network's own translation
    "::127.0.0.1": "reserved",
    "4000::1": "reserved",
    "fec0::1": "reserved",
}


@pytest.mark.parametrize("address", [*PUBLIC, *TRANSLATED])
@pytest.mark.parametrize("allow_private", [False, True])
def test_a_public_address_is_let_through_however_it_is_written(address: str, *, allow_private: bool) -> None:
    assert why_refused(address, allow_private=allow_private) is None


@pytest.mark.parametrize(("address", "reason"), OWN.items())
def test_the_own_network_is_refused_unless_it_is_allowed(address: str, reason: str) -> None:
    assert why_refused(address, allow_private=False) == reason
    assert why_refused(address, allow_private=True) is None


@pytest.mark.parametrize(("address", "reason"), NEVER.items())
def test_special_addresses_are_always_refused(address: str, reason: str) -> None:
    assert why_refused(address, allow_private=False) == reason
    assert why_refused(address, allow_private=True) == reason


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_let_through_that_pythons_own_table_takes_for_special(address: IPv4Address | IPv6Address) -> None:
    if why_refused(str(address), allow_private=False) is None:
        embedded = address.ipv4_mapped or address.sixtofour if isinstance(address, IPv6Address) else None
        assert (embedded or address).is_global
        assert not (embedded or address).is_multicast


def test_what_is_no_address_is_no_question() -> None:
    with pytest.raises(ValueError, match=r"hooks\.example"):
        why_refused("hooks.example", allow_private=True)
