"""What is remembered of the token endpoint that is set: that HubSpot has said it is gone. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

APART_S = 60.0
"""HubSpot has to say it twice, so far apart, before it is believed for longer than one call."""
TOGETHER_S = 86_400.0
"""What it said longer ago than that has nothing to do with what it says now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneEndpoint:
    """HubSpot has answered 404 or 410 at `url`, the token endpoint that is set; `reason` is in its words.

    `moved_at`: since then the endpoint's other version is asked first; None: HubSpot has not said it twice yet.
    """

    url: str
    status: int
    reason: str
    first_at: datetime
    last_at: datetime
    moved_at: datetime | None = None


def known_as(url: str) -> str:
    """Give what an address is stored and shown as: without what may be a secret in it."""
    address = urlsplit(url)
    return urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2], query=""))
