"""InMemoryScheduleStore: schedules that are taken by one dispatcher at a time, by an injected clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from worker.errors import StoreUnavailableError
from worker.schedules.interfaces import DueSchedules
from worker.schedules.schedule import Schedule

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    schedule: Schedule
    due_at: datetime | None
    claim: str | None = None
    claimed_until: datetime | None = None


class InMemoryScheduleStore:
    """ScheduleStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._lock = threading.Lock()
        self._claims = count(1)
        self._stored: dict[_Key, _Stored] = {}

    def get(self, account_id: str, owner: str) -> Schedule | None:
        self._answer()
        stored = self._stored.get((account_id, owner))
        return stored.schedule if stored is not None else None

    def put(self, schedule: Schedule) -> tuple[Schedule, bool]:
        self._answer()
        key = (schedule.account_id, schedule.owner)
        with self._lock:
            before = self._stored.get(key)
            if before is None:
                self._stored[key] = _Stored(schedule=schedule, due_at=schedule.next_run_at)
                return schedule, True
            changed = _changed(before.schedule, schedule)
            keeps_its_plan = changed.next_run_at is not None and changed.next_run_at == before.schedule.next_run_at
            due_at = before.due_at if keeps_its_plan else changed.next_run_at
            self._stored[key] = _Stored(schedule=changed, due_at=due_at)
            return changed, False

    def remove(self, account_id: str, owner: str) -> bool:
        self._answer()
        return self._stored.pop((account_id, owner), None) is not None

    def note_portal(self, schedule_id: str, hub_id: int) -> None:
        self._answer()
        with self._lock:
            for key, stored in self._stored.items():
                if stored.schedule.schedule_id == schedule_id:
                    self._stored[key] = replace(stored, schedule=replace(stored.schedule, hub_id=hub_id))

    def take_due(self, *, limit: int, lease_s: float) -> DueSchedules:
        self._answer()
        with self._lock:
            now, claim = self._clock(), f"claim-{next(self._claims)}"
            due = [
                (stored.due_at, key) for key, stored in self._stored.items() if stored.due_at and _is_due(stored, now)
            ]
            taken = [key for _, key in sorted(due)[:limit]]
            for key in taken:
                until = now + timedelta(seconds=lease_s)
                self._stored[key] = replace(self._stored[key], claim=claim, claimed_until=until)
            return DueSchedules(claim=claim, at=now, schedules=tuple(self._stored[key].schedule for key in taken))

    def release(self, taken: DueSchedules, schedules: Sequence[Schedule], *, look_again_s: float) -> None:
        self._answer()
        soon = taken.at + timedelta(seconds=look_again_s)
        with self._lock:
            for schedule in schedules:
                self._give_back(taken, schedule, soon)

    def _give_back(self, taken: DueSchedules, schedule: Schedule, soon: datetime) -> None:
        key = (schedule.account_id, schedule.owner)
        stored = self._stored.get(key)
        if stored is None or stored.schedule.schedule_id != schedule.schedule_id:
            return
        if stored.claim == taken.claim:
            waits = schedule.next_run_at is not None and schedule.queued_for is not None
            due_at = min(schedule.next_run_at, soon) if waits and schedule.next_run_at else schedule.next_run_at
            written = _with_runs(stored.schedule, schedule)
            self._stored[key] = _Stored(schedule=replace(written, next_run_at=schedule.next_run_at), due_at=due_at)
        elif schedule.last_run_at == taken.at and (stored.schedule.last_run_at or taken.at) <= taken.at:
            noted = replace(stored.schedule, last_run_at=schedule.last_run_at, last_job_id=schedule.last_job_id)
            self._stored[key] = replace(stored, schedule=noted)

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


def _is_due(stored: _Stored, now: datetime) -> bool:
    is_free = stored.claimed_until is None or stored.claimed_until <= now
    return stored.due_at is not None and stored.due_at <= now and is_free


def _changed(before: Schedule, wished: Schedule) -> Schedule:
    same = (before.timetable, before.is_enabled, before.jitter_s) == (
        wished.timetable,
        wished.is_enabled,
        wished.jitter_s,
    )
    keeps_its_plan = same and before.next_run_at is not None
    return replace(
        _with_runs(wished, before),
        schedule_id=before.schedule_id,
        hub_id=before.hub_id,
        created_at=before.created_at,
        next_run_at=before.next_run_at if keeps_its_plan else wished.next_run_at,
        queued_for=before.queued_for if wished.is_enabled else None,
    )


def _with_runs(schedule: Schedule, known: Schedule) -> Schedule:
    return replace(
        schedule,
        queued_for=known.queued_for,
        last_run_at=known.last_run_at,
        last_job_id=known.last_job_id,
        skipped_runs=known.skipped_runs,
        missed_runs=known.missed_runs,
    )
