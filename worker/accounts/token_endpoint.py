"""GoneEndpoint: HubSpot no longer serves the configured token endpoint. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

APART_S = 60.0
"""Two answers, so many seconds apart, have to say so before it is remembered for longer than one call."""
TOGETHER_S = 86_400.0
"""An answer older than this does not count as the first of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneEndpoint:
    """HubSpot answered 404 or 410 at `url`, the configured token endpoint; `reason` is its text.

    Since `moved_at` the endpoint's other version is asked first; None: a second answer has not confirmed it yet.
    """

    url: str
    status: int
    reason: str
    first_at: datetime
    last_at: datetime
    moved_at: datetime | None = None


def without_secrets(url: str) -> str:
    """Return a URL without user info and query, which may hold a secret, to store and to show."""
    address = urlsplit(url)
    return urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2], query=""))
