"""The checks of a webhook's URL that need no look-up; pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

from worker.webhooks.address_policy import why_refused

LONGEST_URL = 2_000

_OWN_PORTS = {"https": 443, "http": 80}
_FIRST_FREE_PORT = 1024  # below are mail, shells and others that would take a POST for something else
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # ASCII without spaces, and without the backslash, which some read as a slash
_NETLOC = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|\d+")
_NO_HOST = "must be a URL with a host and a valid port"


def require_deliverable(url: str, *, allow_private: bool) -> None:
    """Raise ValueError, with a text for clients, where the URL alone shows that nothing may be delivered to it.

    What its host resolves to is checked on connection. `allow_private` allows plain http and private addresses.
    """
    if len(url) > LONGEST_URL or not _VISIBLE.fullmatch(url):
        raise ValueError(f"must be at most {LONGEST_URL} visible ASCII characters; encode all others")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_NO_HOST) from None
    _require_form(parts, schemes=("https", "http") if allow_private else ("https",))
    _require_host(parts.hostname or "", allow_private=allow_private)
    own_port = _OWN_PORTS[parts.scheme]
    if port is not None and port != own_port and port < _FIRST_FREE_PORT:
        raise ValueError(f"must name no port but {own_port} and those from {_FIRST_FREE_PORT} on")


def destination_of(url: str) -> str:
    """Return host and port: all of a URL that a log may hold, since the rest may be a secret."""
    return urlsplit(url).netloc.lower()


def _require_form(parts: SplitResult, *, schemes: tuple[str, ...]) -> None:
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.netloc:
        raise ValueError("must hold no user name and no password")
    if parts.fragment:
        raise ValueError("must hold no fragment")
    if not _NETLOC.fullmatch(parts.netloc):
        raise ValueError(_NO_HOST)


def _require_host(host: str, *, allow_private: bool) -> None:
    top = host.rstrip(".").rpartition(".")[2]
    address = _address(host, top)
    reason = why_refused(address, allow_private=allow_private) if address is not None else None
    if top == "localhost" and not allow_private:
        reason = "loopback"
    if reason is not None:
        raise ValueError(f"must lead to a public address; this one is {reason}")


def _address(host: str, top: str) -> str | None:
    # A host that ends in a number is no name: resolvers read `127.1` as 127.0.0.1.
    try:
        if ":" in host:
            return str(IPv6Address(host))
        return str(IPv4Address(host)) if _NUMBER.fullmatch(top) else None
    except ValueError:
        raise ValueError(_NO_HOST) from None
