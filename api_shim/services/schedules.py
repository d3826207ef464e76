"""ScheduleService: keeps an account's schedule as its user wants it, and says how it stands."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from api_shim.requests.schemas import ScheduleBody
from worker.accounts.interfaces import TokenStore
from worker.errors import ScheduleNotFoundError, TokenNotFoundError
from worker.jobs.webhook import Webhook
from worker.schedules.interfaces import ConnectionObstacles, ScheduleStore
from worker.schedules.schedule import Schedule, jitter_of
from worker.schedules.timetable import Timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A schedule, and why its runs do not come about; None: they do."""

    schedule: Schedule
    stopped_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleService:
    """What the routes of schedules call. Stores block, so they are called in threads."""

    schedules: ScheduleStore
    tokens: TokenStore
    connections: ConnectionObstacles
    jitter_window_s: int
    clock: Callable[[], datetime]

    async def find(self, caller: Caller) -> Standing:
        """Read the schedule of the caller's account and user. Raises ScheduleNotFoundError."""
        return await run_in_threadpool(self._find, caller)

    async def put(self, caller: Caller, wanted: ScheduleBody, *, webhook: Webhook | None) -> tuple[Standing, bool]:
        """Store a schedule; gives also whether there was none before.

        Raises InvalidRequestError for a cron or a zone that is no good, TokenNotFoundError, TokenUnreadableError.
        """
        return await run_in_threadpool(self._put, caller, wanted, webhook)

    async def remove(self, caller: Caller) -> None:
        """Forget the schedule; a sync that it has started goes on. Raises ScheduleNotFoundError."""
        if not await run_in_threadpool(self.schedules.remove, caller.account_id, caller.uid):
            raise ScheduleNotFoundError

    def _find(self, caller: Caller) -> Standing:
        schedule = self.schedules.get(caller.account_id, caller.uid)
        if schedule is None:
            raise ScheduleNotFoundError
        return self._standing(schedule)

    def _put(self, caller: Caller, wanted: ScheduleBody, webhook: Webhook | None) -> tuple[Standing, bool]:
        schedule = self._schedule(caller, wanted, webhook)
        if self.tokens.find(caller.account_id, caller.uid) is None:
            raise TokenNotFoundError
        stored, is_new = self.schedules.put(schedule)
        return self._standing(stored), is_new

    def _schedule(self, caller: Caller, wanted: ScheduleBody, webhook: Webhook | None) -> Schedule:
        timetable, now = Timetable.parse(wanted.cron, wanted.timezone), self.clock()
        jitter_s = jitter_of(caller.account_id, caller.uid, window_s=self.jitter_window_s, timetable=timetable)
        schedule = Schedule(
            schedule_id=str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            timetable=timetable,
            types=wanted.types,
            mode=wanted.mode,
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
        return Standing(schedule=schedule, stopped_reason=self.connections.obstacles([key]).get(key))
