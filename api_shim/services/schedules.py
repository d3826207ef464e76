"""ScheduleService: an account's schedule, and what keeps it from running."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from api_shim.auth.jwt import Caller
from api_shim.requests.schemas import ScheduleBody
from worker.accounts.interfaces import TokenStore
from worker.errors import ScheduleNotFoundError, TokenNotFoundError
from worker.jobs.copy_progress import SyncMode
from worker.jobs.webhook import Webhook
from worker.records.types import ExportType
from worker.schedules.interfaces import ConnectionObstacles, ScheduleStore
from worker.schedules.schedule import Schedule, jitter_of
from worker.schedules.timetable import Timetable

_MOST_NAMED = 5
_NEVER_SEEN = (
    "HubSpot calculates {names} of {type}, which is no modification: incremental runs do not see such changes; "
    "full_every lets a run read all records every so often"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A schedule, why it does not run (None: it does), and what its owner may not expect of it."""

    schedule: Schedule
    stopped_reason: str | None
    warnings: tuple[str, ...] = ()


CalculatedProperties: TypeAlias = Callable[[Schedule], Mapping[ExportType, Sequence[str]]]
"""Returns which of the properties that a schedule asks for HubSpot calculates, by type, as far as that is known."""


def none_known(_: Schedule) -> Mapping[ExportType, Sequence[str]]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleService:
    """Reads, stores and removes schedules, for routes that run in a thread: every method blocks."""

    schedules: ScheduleStore
    tokens: TokenStore
    connections: ConnectionObstacles
    jitter_window_s: int
    clock: Callable[[], datetime]
    calculated: CalculatedProperties = none_known

    def find(self, caller: Caller) -> Standing:
        """Return the schedule of the caller's account and user. Raises ScheduleNotFoundError."""
        schedule = self.schedules.get(caller.account_id, caller.uid)
        if schedule is None:
            raise ScheduleNotFoundError
        return self._standing(schedule)

    def put(self, caller: Caller, wanted: ScheduleBody, *, webhook: Webhook | None) -> tuple[Standing, bool]:
        """Store a schedule; return it, and whether there was none before.

        Raises InvalidRequestError for a wrong cron or time zone, TokenNotFoundError, TokenUnreadableError.
        """
        schedule = self._schedule(caller, wanted, webhook)
        if self.tokens.find(caller.account_id, caller.uid) is None:
            raise TokenNotFoundError
        stored, is_new = self.schedules.put(schedule)
        return self._standing(stored), is_new

    def remove(self, caller: Caller) -> None:
        """Remove the schedule; a sync that it has started continues. Raises ScheduleNotFoundError."""
        if not self.schedules.remove(caller.account_id, caller.uid):
            raise ScheduleNotFoundError

    def _schedule(self, caller: Caller, wanted: ScheduleBody, webhook: Webhook | None) -> Schedule:
        timetable, now = Timetable.parse(wanted.cron, wanted.timezone), self.clock()
        jitter_s = jitter_of(caller.account_id, caller.uid, window_s=self.jitter_window_s, timetable=timetable)
        schedule = Schedule(
            schedule_id=str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            timetable=timetable,
            types=wanted.types,
            properties={ExportType(each): names for each, names in wanted.properties.items() if names is not None},
            mode=wanted.mode,
            full_every=wanted.full_every,
            is_enabled=wanted.enabled,
            overlap=wanted.overlap,
            webhook=webhook,
            jitter_s=jitter_s,
            created_at=now,
            updated_at=now,
        )
        return schedule.planned(at=now)

    def _standing(self, schedule: Schedule) -> Standing:
        key = (schedule.account_id, schedule.owner)
        return Standing(
            schedule=schedule,
            stopped_reason=self.connections.obstacles([key]).get(key),
            warnings=tuple(self._warnings(schedule)),
        )

    def _warnings(self, schedule: Schedule) -> Iterator[str]:
        if schedule.mode is SyncMode.FULL or schedule.full_every is not None:
            return
        for export_type, names in self.calculated(schedule).items():
            if names:
                yield _NEVER_SEEN.format(type=export_type, names=_named(names))


def _named(names: Sequence[str]) -> str:
    first, more = names[:_MOST_NAMED], len(names) - _MOST_NAMED
    return ", ".join(first) if more <= 0 else f"{', '.join(first)} and {more} more properties"
