"""Estimate: how many records an export will bring, in how many calls, and how long that takes; pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from worker.rate_limit.quota import Rate
from worker.records.conversion import convert

_USUAL_CALL_S = 0.5  # of a list, where nothing was measured


class Basis(StrEnum):
    """Where a number of records comes from."""

    HUBSPOT = "hubspot"
    """HubSpot's own total."""
    LAST_EXPORT = "last_export"
    """The last complete export of the type."""
    LIMIT = "limit"
    """What was asked for, and no more than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many records of a type there are, as of an instant."""

    records: int
    basis: Basis
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a type is wanted: at most `limit` records (None: all), so many a call, from the start or not."""

    limit: int | None
    page_size: int
    is_from_start: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an export will come to. `as_of` is when its basis was counted; None for a limit, which holds always."""

    records: int
    calls: int
    seconds: float
    basis: Basis
    as_of: datetime | None

    @classmethod
    def of(cls, extent: Extent, *, count: Count | None, call_s: float | None, rate: Rate | None) -> Self | None:
        """Estimate; None where nobody can say.

        `call_s` is what a call has taken lately. What is left after an offset is not known, only the limit is.
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
        """Add estimates up, of exports that run side by side; there is at least one."""
        return cls(
            records=sum(part.records for part in parts),
            calls=sum(part.calls for part in parts),
            seconds=seconds_together(parts, rate=None),
            basis=parts[0].basis,
            as_of=min((part.as_of for part in parts if part.as_of is not None), default=None),
        )

    def seconds_for(self, records: int) -> float:
        """Return the part of the time that so many of the records take."""
        return self.seconds * records / self.records if self.records else self.seconds

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Read back what `asdict` gave and a database kept."""
        return convert(stored, cls)


def least_seconds(calls: int, rate: Rate | None) -> float:
    """Return how long so many calls take at the least: the first may go at once, a window later as many again."""
    return max(0, calls - 1) // rate.calls * rate.seconds if rate is not None else 0.0


def seconds_together(estimates: Sequence[Estimate], rate: Rate | None) -> float:
    """Return how long exports take that run side by side and share the limit."""
    longest_s = max((each.seconds for each in estimates), default=0.0)
    return max(longest_s, least_seconds(sum(each.calls for each in estimates), rate))
