"""Schedule: when an account is synced without a request, and which of its due runs are started; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from typing import Self
from uuid import UUID, uuid5

from worker.jobs.copy_progress import SyncMode
from worker.jobs.webhook import Webhook
from worker.records.types import ExportType
from worker.schedules.timetable import Timetable

CATCH_UP = timedelta(hours=12)
"""A run that was missed by no more than this is started late."""

_MOST_MISSED = 1000  # counted after an outage
_JITTER_DIVISOR = 4  # the jitter is at most this part of the time between two runs
_RUNS = UUID("0701f714-2320-4436-bad3-f38f2a01f519")  # an arbitrary namespace; changing it would start runs twice


class Overlap(StrEnum):
    """What happens to a run that is due while the previous sync is still running."""

    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The schedule of one (account, owner).

    `types` may be `*`, of which each run decides anew what these are; `properties` are those of a type's export.
    Its runs come `jitter_s` after the instants of its timetable, so that not all accounts are synced on the hour.
    An incremental one reads all records of a type where no sync has for `full_every`, as `7d`; None: never for that.
    `hub_id` is the HubSpot portal of its last run; a run syncs whichever portal is connected then. `next_run_at`
    includes the jitter; None: switched off. `queued_for` is a run that waits for the previous sync, `last_job_id`.
    `skipped_runs` were due while the previous sync was running or no token was valid; `missed_runs` were due while
    nothing dispatched them.
    """

    schedule_id: str
    account_id: str
    owner: str
    timetable: Timetable
    types: tuple[ExportType, ...]
    properties: Mapping[ExportType, tuple[str, ...]] = field(default_factory=dict)
    mode: SyncMode = SyncMode.FULL
    full_every: str | None = None
    is_enabled: bool = True
    overlap: Overlap = Overlap.SKIP
    webhook: Webhook | None = None
    jitter_s: int = 0
    created_at: datetime
    updated_at: datetime
    next_run_at: datetime | None = None
    queued_for: datetime | None = None
    last_run_at: datetime | None = None
    last_job_id: str | None = None
    hub_id: int | None = None
    skipped_runs: int = 0
    missed_runs: int = 0

    @property
    def jitter(self) -> timedelta:
        return timedelta(seconds=self.jitter_s)

    def planned(self, *, at: datetime) -> Self:
        """Return it with the first run after `at` as the next one."""
        if not self.is_enabled:
            return replace(self, next_run_at=None, queued_for=None)
        instant = self.timetable.next_after(at - self.jitter)
        return replace(self, next_run_at=instant + self.jitter if instant is not None else None)

    def take_turn(self, *, at: datetime, is_busy: bool, is_stopped: bool) -> Turn:
        """Return the outcome for a schedule that is due or has a queued run.

        `is_busy`: the previous sync is still running. `is_stopped`: no token is valid. Of all the runs that have passed
        at most one is started, and none that is older than CATCH_UP.
        """
        due = self._due(at)
        wanted = due.latest or self.queued_for
        missed_runs = self.missed_runs + due.missed
        moved = replace(self, next_run_at=due.next_run_at, queued_for=None, missed_runs=missed_runs)
        # A queued run is dropped in favour of a later one.
        surplus = 1 if due.latest is not None and self.queued_for is not None else 0
        if wanted is None:
            return Turn(schedule=moved)
        if is_busy and self.overlap is Overlap.QUEUE and not is_stopped:
            return Turn(schedule=replace(moved, queued_for=wanted, skipped_runs=self.skipped_runs + surplus))
        if is_busy or is_stopped:
            return Turn(schedule=replace(moved, skipped_runs=self.skipped_runs + surplus + 1))
        started = replace(
            moved, last_run_at=at, last_job_id=self.run_id(wanted), skipped_runs=self.skipped_runs + surplus
        )
        return Turn(schedule=started, run_for=wanted)

    def run_id(self, scheduled_for: datetime) -> str:
        """Return the id of a run's sync, which is always the same, so that it is started once."""
        return str(uuid5(_RUNS, f"{self.schedule_id}/{scheduled_for.isoformat()}"))

    def _due(self, at: datetime) -> _Due:
        # Mostly the next run is the only one that has passed; the others are computed only where it is not.
        if self.next_run_at is None or self.next_run_at > at:
            return _Due(next_run_at=self.next_run_at)
        first, now = self.next_run_at - self.jitter, at - self.jitter
        following, passed, latest = self.timetable.next_after(first), 1, first
        if following is not None and following <= now:
            passed += sum(1 for _ in islice(self._between(first, now), _MOST_MISSED))
            latest = max(self._between(max(first, now - CATCH_UP), now), default=first)
            following = self.timetable.next_after(now)
        is_recent = latest >= now - CATCH_UP
        return _Due(
            latest=latest if is_recent else None,
            missed=passed - is_recent,
            next_run_at=following + self.jitter if following is not None else None,
        )

    def _between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        return takewhile(lambda instant: instant <= until, self.timetable.after(after))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The outcome of a due schedule: what it is from then on, and the run to start a sync for, if any."""

    schedule: Schedule
    run_for: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """Runs of many schedules by outcome."""

    started: int = 0
    skipped: int = 0
    missed: int = 0

    def after(self, before: Schedule, turn: Turn) -> Self:
        return replace(
            self,
            started=self.started + (turn.run_for is not None),
            skipped=self.skipped + turn.schedule.skipped_runs - before.skipped_runs,
            missed=self.missed + turn.schedule.missed_runs - before.missed_runs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """The last run that has passed, unless it is too old, how many others have, and the next one."""

    latest: datetime | None = None
    missed: int = 0
    next_run_at: datetime | None


def jitter_of(account_id: str, owner: str, *, window_s: int, timetable: Timetable) -> int:
    """Return the seconds by which runs are delayed: stable for an account, and evenly spread over the window.

    It is never more than a quarter of the time between two runs.
    """
    most = min(window_s, int(timetable.shortest_gap.total_seconds()) // _JITTER_DIVISOR)
    digest = hashlib.sha256(f"{account_id}\n{owner}".encode()).digest()
    return int.from_bytes(digest[:8]) % (most + 1)
