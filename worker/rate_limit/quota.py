"""Rate: so many calls in so many seconds; Quota: what HubSpot says is left of one. Pure values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Self

# A window is not equally long by Redis' clock and by HubSpot's: NTP corrects a clock by 0.05 % at the most. And
# instants are whole milliseconds.
_CLOCKS_DIFFER, _ROUNDED_S = 1.001, 0.005


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` calls in any `seconds` seconds."""

    calls: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse `110/10`; `0`: None, no limit. Raises ValueError, with a text for the operator, on anything else."""
        if text.strip() == "0":
            return None
        match = re.fullmatch(r"\s*([1-9]\d{0,8})\s*/\s*([1-9]\d{0,4})\s*", text, re.ASCII)
        if match is None:
            raise ValueError("must be calls/seconds, such as 110/10, or 0 for no limit")
        return cls(calls=int(match[1]), seconds=int(match[2]))

    @property
    def per_second(self) -> float:
        """The mean rate."""
        return self.calls / self.seconds

    @property
    def measured_by_us(self) -> Rate:
        """The same rate, kept by clocks that differ from HubSpot's."""
        return Rate(self.calls, round(self.seconds * _CLOCKS_DIFFER + _ROUNDED_S, 3))

    def under(self, quota: Quota) -> Rate:
        """Return the fastest rate that keeps to both this one and the quota's.

        The windows may differ: at most N calls in any window are at most N times q calls in a longer one, where q is
        the quotient of the two windows, rounded up.
        """
        own = min(self.calls, quota.calls // math.ceil(quota.seconds / self.seconds))
        theirs = min(quota.calls, self.calls // math.ceil(self.seconds / quota.seconds))
        return max(Rate(own, self.seconds), Rate(theirs, quota.seconds), key=lambda rate: rate.per_second)


SEARCH_RATE = Rate(5, 1)
"""What HubSpot allows of searches, an account, beside its other calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What an answer of HubSpot says about the account's limit, in its `X-HubSpot-RateLimit-*` headers.

    `calls` are allowed in any `seconds`, of which `remaining` were left when the call was answered. `took_s` is how
    long that call took, None where it was not measured: then `remaining` says little about the present.
    """

    calls: int
    remaining: int
    seconds: float
    took_s: float | None = None

    @property
    def counted(self) -> int:
        """The calls that HubSpot has counted in the window, whoever made them."""
        return max(0, self.calls - self.remaining)
