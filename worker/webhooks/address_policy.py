"""Which addresses a webhook may use: the registries of special addresses (RFC 6890, IANA) as one table; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_LAST_32_BITS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class _Block:
    """A range of addresses that are not public; those of private networks may be allowed."""

    network: IPv4Network | IPv6Network
    kind: str
    may_be_allowed: bool


def _blocks(kind: str, *networks: str, may_be_allowed: bool = False) -> Iterable[_Block]:
    return (_Block(ip_network(network), kind, may_be_allowed) for network in networks)


# The first block that holds an address decides: clouds serve metadata, secrets among it, at addresses of all kinds.
_BLOCKS = (
    *_blocks("a cloud's own", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::254/128"),
    *_blocks("loopback", "127.0.0.0/8", "::1/128", may_be_allowed=True),
    *_blocks("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", may_be_allowed=True),
    *_blocks("shared", "100.64.0.0/10", may_be_allowed=True),  # behind a carrier's translation
    *_blocks("unspecified", "0.0.0.0/8", "::/128"),
    *_blocks("link-local", "169.254.0.0/16", "fe80::/10"),
    *_blocks("multicast", "224.0.0.0/4", "ff00::/8"),
    *_blocks("reserved", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
    *_blocks("reserved", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20"),
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")  # no other IPv6 range is allocated
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the IPv4 address is in the last 32 bits


def why_refused(address: str, *, allow_private: bool) -> str | None:
    """Return the kind of address that forbids a webhook, None where it is allowed. Raises ValueError for no address.

    An IPv4 address inside an IPv6 one is where the packets go, so that one is checked. `allow_private` allows loopback,
    private and shared addresses, and never those of a cloud's metadata service.
    """
    real = _real(ip_address(address))
    block = next((each for each in _BLOCKS if real in each.network), None)
    if block is not None:
        return None if block.may_be_allowed and allow_private else block.kind
    return None if isinstance(real, IPv4Address) or real in _PUBLIC_IPV6 else "reserved"


def _real(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & _LAST_32_BITS)
    return address.ipv4_mapped or address.sixtofour or address
