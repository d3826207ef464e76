"""Estimate: how many records an export will bring, in how many calls, and how long that takes; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from worker.jobs.call_costs import Reading
from worker.rate_limit.quota import SEARCH_RATE, Rate
from worker.records.conversion import convert
from worker.records.findings import CallKind

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
    """What is requested of a type: at most `limit` records (None: all), read in this way."""

    limit: int | None
    reading: Reading
    is_from_start: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The expected size of an export. `as_of` is when its basis was counted; None for a limit.

    `calls_by_kind` are the `calls` by CallKind; of an estimate that an older version stored they are not known.
    """

    records: int
    calls: int
    seconds: float
    basis: Basis
    as_of: datetime | None
    calls_by_kind: Mapping[str, int] = field(default_factory=dict)

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
        by_kind = {kind.value: number for kind, number in extent.reading.calls(records).items()}
        calls = sum(by_kind.values())
        return cls(
            records=records,
            calls=calls,
            calls_by_kind=by_kind,
            seconds=round(max(calls * (call_s or _USUAL_CALL_S), least_seconds(by_kind, rate)), 1),
            basis=known.basis if known is not None else Basis.LIMIT,
            as_of=known.as_of if known is not None else None,
        )

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Add up estimates of exports that run concurrently; there is at least one."""
        return cls(
            records=sum(part.records for part in parts),
            calls=sum(part.calls for part in parts),
            calls_by_kind=_added_up(parts),
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


def least_seconds(by_kind: Mapping[str, int], rate: Rate | None) -> float:
    """Return the least time for so many calls: a window's worth of them may go at once, then one window later.

    Searches have a limit of their own.
    """
    searches = by_kind.get(CallKind.SEARCH, 0)
    return max(_least_s(sum(by_kind.values()) - searches, rate), _least_s(searches, SEARCH_RATE))


def _least_s(calls: int, rate: Rate | None) -> float:
    return max(0, calls - 1) // rate.calls * rate.seconds if rate is not None else 0.0


def seconds_together(estimates: Sequence[Estimate], rate: Rate | None) -> float:
    """Return how long exports take that run concurrently and share the rate limit."""
    longest_s = max((each.seconds for each in estimates), default=0.0)
    return max(longest_s, least_seconds(_added_up(estimates), rate))


def _added_up(estimates: Iterable[Estimate]) -> Mapping[str, int]:
    """Add up the calls; those of which no kind is known are calls of lists."""
    total: Counter[str] = Counter()
    for each in estimates:
        total.update(each.calls_by_kind or {CallKind.LIST.value: each.calls})
    return dict(total)
