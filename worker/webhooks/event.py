"""Event: the message to a webhook that a job has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import BaseModel

from worker.jobs.job import Job
from worker.jobs.view import JobView, view_of


class EventView(BaseModel):
    """The body; `data` is the job as the API shows it, without its webhook."""

    id: str
    type: str
    timestamp: datetime
    data: JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One end of one job: always the same id, and the same body but for what was erased meanwhile."""

    event_id: str
    body: bytes

    @classmethod
    def of(cls, job: Job) -> Self:
        event_id = f"evt_{job.job_id}_{job.run_number}"
        view = EventView(
            id=event_id, type=f"job.{job.status}", timestamp=job.finished_at or job.updated_at, data=view_of(job)
        )
        return cls(event_id=event_id, body=view.model_dump_json(exclude={"data": {"webhook"}}).encode())
