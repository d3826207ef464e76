"""`/jobs`: list jobs, look at one, read its results, cancel, retry, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from api_shim.dependencies import (
    AskedJob,
    AskedPreferences,
    Authenticated,
    AuthenticCaller,
    Exports,
    OnceOnly,
    caller_of,
    once_only,
)
from api_shim.requests.cursors import CursorFormat, PlaceInstant
from api_shim.requests.preferences import Preferences, read_preferences
from api_shim.requests.schemas import ListNumber, OffsetNumber, ResultsNumber, Statuses, Types
from api_shim.responses.errors import CONFLICT_ANSWER, ERROR_ANSWERS
from api_shim.responses.jobs import accepted, job_answer, list_answer
from api_shim.responses.pages import results_answer
from api_shim.responses.schemas import JobAnswer, JobListAnswer, PageAnswer
from worker.jobs.interfaces import JobQuery
from worker.jobs.status import JobStatus

router = APIRouter(tags=["jobs"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_LONGEST_WAIT_S = 60
_DEFAULT_LIMIT = 10
_CURSORS = CursorFormat(TypeAdapter(tuple[PlaceInstant, str]))


@router.get("/jobs", summary="List jobs", response_model=JobListAnswer, dependencies=[once_only("limit", "cursor")])
async def jobs(
    caller: AuthenticCaller,
    service: Exports,
    status: Annotated[Statuses, Query(description="Only these states, repeated or separated by commas")] = [],  # noqa: B006 - FastAPI copies it
    type: Annotated[Types, Query(description="Only these types, likewise")] = [],  # noqa: A002, B006 - the documented name
    limit: Annotated[ListNumber, Query(description="Most jobs, 10 unless given")] = None,
    cursor: Annotated[str, Query(description="`pagination.cursor` of the list before")] = "",
) -> Response:
    """List the account's jobs, newest first."""
    most = limit or _DEFAULT_LIMIT
    wanted = JobQuery(
        account_id=caller.account_id,
        statuses=frozenset(status),
        types=frozenset(type),
        after=_CURSORS.read(cursor) if cursor else None,
        limit=most + 1,
    )
    found, further = _CURSORS.page(await service.newest(wanted), limit=most, place=lambda job: job.place)
    return list_answer(found, cursor=further)


@router.get("/jobs/{job_id}", summary="Show a job", response_model=JobAnswer)
async def job(job_id: AskedJob, caller: AuthenticCaller, preferences: AskedPreferences, service: Exports) -> Response:
    """Show a job; with `Prefer: wait=N` as soon as its state changes, at the latest after N seconds (at most 60)."""
    if preferences.wait_s is None:
        found = await service.get(job_id, account_id=caller.account_id)
    else:
        wait_s = preferences.wait_within(_LONGEST_WAIT_S)
        found = await service.wait_for_change(job_id, caller=caller, wait_s=wait_s)
    applied = Preferences(wait_s=preferences.wait_s).applied(longest_s=_LONGEST_WAIT_S)
    return job_answer(found, message="Job found", applied=applied)


async def answer_job(request: Request) -> Response:
    """Answer `GET /jobs/{job_id}` as FastAPI would: the arguments are read in the same order."""
    caller = await caller_of(request)
    preferences = read_preferences(request.headers.getlist("prefer"))
    return await job(request.path_params["job_id"], caller, preferences, request.app.state.exports)


@router.get("/jobs/{job_id}/results", summary="Read results", response_model=PageAnswer, dependencies=[OnceOnly])
async def results(
    job_id: AskedJob,
    caller: AuthenticCaller,
    service: Exports,
    limit: Annotated[ResultsNumber, Query(description="Most records, 10 unless given")] = None,
    offset: Annotated[OffsetNumber, Query(description="`pagination.offset` of the body before")] = None,
) -> Response:
    """Read what was exported so far. There is more while records are left, or the job still brings some."""
    found = await service.find(job_id, account_id=caller.account_id)
    records = await service.records(found, start=offset or 0, limit=limit or _DEFAULT_LIMIT)
    has_more = records.end < found.readable or not found.status.is_terminal
    return results_answer(found.records_type, records, has_more=has_more)


@router.post(
    "/jobs/{job_id}/retry", summary="Retry a job", status_code=202, response_model=JobAnswer, responses=CONFLICT_ANSWER
)
async def retry(job_id: AskedJob, caller: AuthenticCaller, service: Exports) -> Response:
    """Resume a failed or cancelled job from its last stored page.

    409 `portal_changed` where the account is connected to another HubSpot portal than the one that the job has read.
    """
    queued = await service.retry(job_id, account_id=caller.account_id)
    return accepted(queued, message="Retry accepted")


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel a job",
    status_code=202,
    response_model=JobAnswer,
    responses=CONFLICT_ANSWER,
)
async def cancel(job_id: AskedJob, caller: AuthenticCaller, service: Exports) -> Response:
    """Stop a job: at once while nobody works on it, otherwise at its next page. What is stored stays."""
    found = await service.cancel(job_id, account_id=caller.account_id)
    is_over = found.status is JobStatus.CANCELLED
    return accepted(found, message="Job cancelled" if is_over else "Cancel accepted: the job stops at its next page")


@router.delete("/jobs/{job_id}", summary="Delete a job", status_code=204, responses=CONFLICT_ANSWER)
async def delete(job_id: AskedJob, caller: AuthenticCaller, service: Exports) -> Response:
    """Remove a job and its results. A running one has to be cancelled first."""
    await service.delete(job_id, account_id=caller.account_id)
    return Response(status_code=204)
