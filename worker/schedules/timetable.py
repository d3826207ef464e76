"""Timetable: a cron expression in a time zone, and the instants that it names; pure.

Daylight saving as in Debian's cron: a run at a fixed hour happens once on the days on which the clocks change, right
after an hour that is skipped, and in the first of an hour that occurs twice. A run at an interval (its minute or hour
begins with a star) follows elapsed time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import islice, pairwise, takewhile
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from worker.errors import InvalidRequestError

LONGEST_CRON = 200
LEAST_MINUTES = 5

_FIELDS = 5
_SPELLING = re.compile(r"[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+)*")
_NOT_ZONES = frozenset({"localtime", "Factory"})  # the machine's own zone, and a placeholder for "not set"
_EXAMINED, _EXAMINED_FOR = 300, timedelta(days=5 * 366)  # runs; the shortest gap shows among the first ones
_EXAMINED_FROM = datetime(2024, 1, 1, tzinfo=UTC)  # a leap year


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """`cron` has five fields, `timezone` is an IANA name."""

    cron: str
    timezone: str

    @classmethod
    def parse(cls, cron: str, timezone: str) -> Self:
        """Validate a caller's text. Raises InvalidRequestError, which names the field."""
        timetable = cls(cron=_cron(cron), timezone=_zone(timezone))
        if timetable.shortest_gap < timedelta(minutes=LEAST_MINUTES):
            raise InvalidRequestError(f"cron: must leave at least {LEAST_MINUTES} minutes between two runs")
        return timetable

    @property
    def shortest_gap(self) -> timedelta:
        """The least elapsed time between two runs; `timedelta.max` where there is only one."""
        return _shortest_gap(self.cron)

    def after(self, at: datetime) -> Iterator[datetime]:
        """Yield the instants after `at`, in order and in UTC."""
        found = (instant.astimezone(UTC) for instant in _instants(self.cron, at.astimezone(ZoneInfo(self.timezone))))
        last = at
        for instant in found:
            if instant > last:  # cronsim yields an hour that occurs twice again if it starts in the second one
                last = instant
                yield instant

    def next_after(self, at: datetime) -> datetime | None:
        """Return the first instant after `at`; None: there is none for 50 years."""
        return next(self.after(at), None)


def _instants(cron: str, start: datetime) -> Iterator[datetime]:
    """Yield what cronsim finds; it ends where there is nothing for 50 years."""
    yield from CronSim(cron, start)


@lru_cache(maxsize=256)
def _shortest_gap(cron: str) -> timedelta:
    found = islice(_instants(cron, _EXAMINED_FROM), _EXAMINED)
    near = takewhile(lambda at: at - _EXAMINED_FROM < _EXAMINED_FOR, found)
    return min((later - earlier for earlier, later in pairwise(near)), default=timedelta.max)


def _cron(text: str) -> str:
    cron = " ".join(text.split())
    if len(cron) > LONGEST_CRON:
        raise InvalidRequestError(f"cron: must have at most {LONGEST_CRON} characters")
    if not _SPELLING.fullmatch(cron) or len(cron.split()) != _FIELDS:
        raise InvalidRequestError("cron: must have five fields: minute, hour, day of month, month, day of week")
    try:
        first = next(_instants(cron, _EXAMINED_FROM), None)
    except CronSimError as error:
        raise InvalidRequestError(f"cron: {str(error)[:1].lower()}{str(error)[1:]}") from None
    if first is None:
        raise InvalidRequestError("cron: never fires")
    return cron


def _zone(name: str) -> str:
    if name not in _zones():
        raise InvalidRequestError("timezone: must be the name of a time zone, such as Europe/Berlin")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_ZONES
