"""Answers that are jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import Response
from pydantic import BaseModel

from api_shim.responses.schemas import JobAnswer, JobListAnswer, ListPagination
from worker.jobs.job import Job
from worker.jobs.view import job_path, view_of
from worker.lifecycle.submit_once import Submission

_POLL_AFTER_S = 1


def job_answer(
    job: Job, *, message: str, applied: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a job; `applied` is the value of Preference-Applied, and may be empty."""
    return _json(
        JobAnswer(message=message, data=view_of(job)), status=status, headers={**(headers or {}), **_applied(applied)}
    )


def list_answer(jobs: Sequence[Job], *, cursor: str | None) -> Response:
    """`cursor` leads to the next page, if there is one."""
    return _json(JobListAnswer(data=[view_of(job) for job in jobs], pagination=ListPagination.to(cursor)))


def accepted(job: Job, *, message: str, applied: str = "", warnings: Sequence[str] = ()) -> Response:
    """Answer 202 with the job's location and when to ask again."""
    headers = {"Location": job_path(job.job_id), "Retry-After": str(_POLL_AFTER_S), **_applied(applied)}
    answer = JobAnswer(message=message, data=view_of(job), warnings=tuple(warnings))
    return _json(answer, status=202, headers=headers)


def submitted(submission: Submission, *, message: str) -> Response:
    """Answer 202; 200 for a repeated request, with the job as it is now."""
    job = submission.job
    if submission.is_repeat:
        return job_answer(job, message="Accepted before", headers={"Location": job_path(job.job_id)})
    return accepted(job, message=message, warnings=submission.warnings)


def _json(answer: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # Serialised directly: a dictionary in between, as FastAPI makes one, doubles the cost.
    return Response(answer.model_dump_json(), status_code=status, headers=headers, media_type="application/json")


def _applied(preferences: str) -> Mapping[str, str]:
    return {"Preference-Applied": preferences} if preferences else {}
