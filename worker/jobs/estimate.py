"""Estimate: how many records an export will bring, in how many calls, and how long that takes; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from worker.rate_limit.quota import Rate
from worker.records.conversion import convert

_USUAL_CALL_S = 0.5  # of a list call, where none was measured


class Basis(StrEnum):
    HUBSPOT = "hubspot"
    """HubSpot's own total."""
    LAST_EXPORT = "last_export"
    """The last complete export of the type."""
    LIMIT = "limit"
    """The requested limit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many records of a type there were at an instant."""

    records: int
    basis: Basis
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What is requested of a type: at most `limit` records (None: all), in calls of `page_size`."""

    limit: int | None
    page_size: int
    is_from_start: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The expected size of an export. `as_of` is when its basis was counted; None for a limit."""

    records: int
    calls: int
    seconds: float
    basis: Basis
    as_of: datetime | None

    @classmethod
    def of(cls, extent: Extent, *, count: Count | None, call_s: float | None, rate: Rate | None) -> Self | None:
        """Estimate an export; None where nothing is known.

        `call_s` is the recent duration of a call. With an offset only the limit is known, not how much follows.
        """
        known = count if extent.is_from_start else None
        if extent.limit is None and known is None:
            return None
        counted = known is not None and (extent.limit is None or known.records < extent.limit)
        records = known.records if known is not None and counted else extent.limit or 0
        calls = max(1, math.ceil(records / extent.page_size))
        return cls(
            records=records,
            calls=calls,
            seconds=round(max(calls * (call_s or _USUAL_CALL_S), least_seconds(calls, rate)), 1),
            basis=known.basis if known is not None else Basis.LIMIT,
            as_of=known.as_of if known is not None else None,
        )

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Add up estimates of exports that run concurrently; there is at least one."""
        return cls(
            records=sum(part.records for part in parts),
            calls=sum(part.calls for part in parts),
            seconds=seconds_together(parts, rate=None),
            basis=parts[0].basis,
            as_of=min((part.as_of for part in parts if part.as_of is not None), default=None),
        )

    def seconds_for(self, records: int) -> float:
        """Return the share of the time that so many of the records take."""
        return self.seconds * records / self.records if self.records else self.seconds

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Convert a stored document. Raises ValueError."""
        return convert(stored, cls)


def least_seconds(calls: int, rate: Rate | None) -> float:
    """Return the least time for so many calls: a window's worth of them may go at once, then one window later."""
    return max(0, calls - 1) // rate.calls * rate.seconds if rate is not None else 0.0


def seconds_together(estimates: Sequence[Estimate], rate: Rate | None) -> float:
    """Return how long exports take that run concurrently and share the rate limit."""
    longest_s = max((each.seconds for each in estimates), default=0.0)
    return max(longest_s, least_seconds(sum(each.calls for each in estimates), rate))
