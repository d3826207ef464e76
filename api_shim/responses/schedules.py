"""Response schemas of schedules (pydantic)."""

from __future__ import annotations

from datetime import datetime
from operator import not_
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from api_shim.services.schedules import Standing
from worker.jobs.copy_progress import SyncMode
from worker.jobs.request_view import properties_view
from worker.records.types import ExportType
from worker.schedules.schedule import Overlap


class ScheduleWebhookView(BaseModel):
    """Where the end of every sync is reported."""

    url: str


class ScheduleView(BaseModel):
    """A schedule; docs/reference/syncs.md says what each field means."""

    schedule_id: str
    cron: str
    timezone: str
    types: list[ExportType]
    properties: Annotated[dict[str, list[str]], Field(exclude_if=not_)] = {}
    mode: SyncMode
    full_every: Annotated[str | None, Field(exclude_if=not_)] = None
    enabled: bool
    overlap: Overlap
    webhook: ScheduleWebhookView | None
    jitter_seconds: int
    next_run_at: datetime | None
    queued_for: datetime | None
    last_run_at: datetime | None
    last_job_id: str | None
    hub_id: int | None
    skipped_runs: int
    missed_runs: int
    stopped_reason: str | None
    warnings: Annotated[list[str], Field(exclude_if=not_)] = []
    created_at: datetime
    updated_at: datetime


class ScheduleAnswer(BaseModel):
    """The body of every answer that is a schedule."""

    success: Literal[True] = True
    message: str
    data: ScheduleView

    @classmethod
    def of(cls, standing: Standing, *, message: str) -> Self:
        schedule = standing.schedule
        view = ScheduleView(
            schedule_id=schedule.schedule_id,
            cron=schedule.timetable.cron,
            timezone=schedule.timetable.timezone,
            types=list(schedule.types),
            properties=properties_view(schedule.properties),
            mode=schedule.mode,
            full_every=schedule.full_every,
            enabled=schedule.is_enabled,
            overlap=schedule.overlap,
            webhook=ScheduleWebhookView(url=schedule.webhook.url) if schedule.webhook is not None else None,
            jitter_seconds=schedule.jitter_s,
            next_run_at=schedule.next_run_at,
            queued_for=schedule.queued_for,
            last_run_at=schedule.last_run_at,
            last_job_id=schedule.last_job_id,
            hub_id=schedule.hub_id,
            skipped_runs=schedule.skipped_runs,
            missed_runs=schedule.missed_runs,
            stopped_reason=standing.stopped_reason,
            warnings=list(standing.warnings),
            created_at=schedule.created_at,
            updated_at=schedule.updated_at,
        )
        return cls(message=message, data=view)
