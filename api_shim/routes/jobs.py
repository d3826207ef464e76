"""`/jobs`: list jobs; show, cancel, retry, delete one; read its results."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from api_shim.dependencies import (
    Actions,
    AskedJob,
    AskedPreferences,
    Authenticated,
    AuthenticCaller,
    Exports,
    OnceOnly,
    Types,
    caller_of,
    once_only,
)
from api_shim.requests.cursors import CursorFormat, KeyInstant
from api_shim.requests.preferences import Preferences, read_preferences
from api_shim.requests.schemas import JobTypes, ListNumber, OffsetNumber, ResultsNumber, Statuses
from api_shim.requests.type_lists import job_types
from api_shim.responses.errors import CONFLICT_ANSWER, ERROR_ANSWERS
from api_shim.responses.jobs import accepted, job_answer, list_answer
from api_shim.responses.pages import results_answer
from api_shim.responses.schemas import JobAnswer, JobListAnswer, PageAnswer
from worker.jobs.interfaces import JobQuery
from worker.jobs.status import JOB_TYPES, JobKind, JobStatus
from worker.records.enabled_types import EnabledTypes
from worker.records.registry import OBJECT_TYPES

router = APIRouter(tags=["jobs"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_LONGEST_WAIT_S = 60
_DEFAULT_LIMIT = 10
_CURSORS = CursorFormat(TypeAdapter(tuple[KeyInstant, str]))


@router.get("/jobs", summary="List jobs", response_model=JobListAnswer, dependencies=[once_only("limit", "cursor")])
def jobs(
    caller: AuthenticCaller,
    actions: Actions,
    names: Types,
    status: Annotated[Statuses, Query(description="Only these states, repeated or separated by commas")] = [],  # noqa: B006 - FastAPI copies it
    type: Annotated[JobTypes, Query(description="Only these types, repeated or separated by commas")] = [],  # noqa: A002, B006 - the documented name
    limit: Annotated[ListNumber, Query(description="The maximum number of jobs; default 10")] = None,
    cursor: Annotated[str, Query(description="`pagination.cursor` of the previous list")] = "",
) -> Response:
    """List the account's jobs, newest first."""
    most = limit or _DEFAULT_LIMIT
    wanted = JobQuery(
        account_id=caller.account_id,
        statuses=frozenset(status),
        types=job_types(type, names.enabled) or _any_type(names.enabled),
        has_custom=names.enabled.has_custom and not type,
        after=_CURSORS.read(cursor) if cursor else None,
        limit=most + 1,
    )
    found, further = _CURSORS.page(actions.newest(wanted), limit=most, key=lambda job: job.sort_key)
    return list_answer(found, cursor=further)


def _any_type(enabled: EnabledTypes) -> frozenset[str]:
    """Return the types of a list that is not narrowed down: jobs of a type that was enabled before are still shown."""
    return frozenset(JOB_TYPES if enabled.are_documented else [*OBJECT_TYPES, JobKind.SYNC])


@router.get("/jobs/{job_id}", summary="Show a job", response_model=JobAnswer)
async def job(
    job_id: AskedJob, caller: AuthenticCaller, preferences: AskedPreferences, service: Exports, actions: Actions
) -> Response:
    """Show a job. With `Prefer: wait=N` the answer comes when its state changes, within N seconds (at most 60)."""
    if preferences.wait_s is None:
        found = await run_in_threadpool(actions.show, job_id, account_id=caller.account_id)
    else:
        wait_s = preferences.wait_within(_LONGEST_WAIT_S)
        found = await service.wait_for_change(job_id, caller=caller, wait_s=wait_s)
    applied = Preferences(wait_s=preferences.wait_s).applied(longest_s=_LONGEST_WAIT_S)
    return job_answer(found, message="Job found", applied=applied)


async def answer_job(request: Request) -> Response:
    """Answer `GET /jobs/{job_id}` as FastAPI would: the arguments are read in the same order."""
    caller = await caller_of(request)
    preferences = read_preferences(request.headers.getlist("prefer"))
    state = request.app.state
    return await job(request.path_params["job_id"], caller, preferences, state.exports, state.actions)


@router.get("/jobs/{job_id}/results", summary="Read results", response_model=PageAnswer, dependencies=[OnceOnly])
def results(
    job_id: AskedJob,
    caller: AuthenticCaller,
    service: Exports,
    limit: Annotated[ResultsNumber, Query(description="The maximum number of records; default 10")] = None,
    offset: Annotated[OffsetNumber, Query(description="`pagination.offset` of the previous answer")] = None,
) -> Response:
    """Read what has been exported so far. `hasMore` stays true until the job has ended and its last record is read."""
    found = service.control.find(job_id, account_id=caller.account_id)
    records = service.records(found, start=offset or 0, limit=limit or _DEFAULT_LIMIT)
    has_more = records.end < found.readable or not found.status.is_terminal
    return results_answer(found.records_type, records, has_more=has_more)


@router.post(
    "/jobs/{job_id}/retry", summary="Retry a job", status_code=202, response_model=JobAnswer, responses=CONFLICT_ANSWER
)
def retry(job_id: AskedJob, caller: AuthenticCaller, actions: Actions) -> Response:
    """Resume a failed or cancelled job from its last stored page.

    409 `portal_changed` if the account is connected to another HubSpot portal than the one that the job has read.
    """
    return accepted(actions.retry(job_id, account_id=caller.account_id), message="Retry accepted")


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel a job",
    status_code=202,
    response_model=JobAnswer,
    responses=CONFLICT_ANSWER,
)
def cancel(job_id: AskedJob, caller: AuthenticCaller, actions: Actions) -> Response:
    """Stop a job: at once if no worker holds it, otherwise at its next page. Stored records stay readable."""
    found = actions.cancel(job_id, account_id=caller.account_id)
    is_over = found.status is JobStatus.CANCELLED
    return accepted(found, message="Job cancelled" if is_over else "Cancel accepted: the job stops at its next page")


@router.delete("/jobs/{job_id}", summary="Delete a job", status_code=204, responses=CONFLICT_ANSWER)
def delete(job_id: AskedJob, caller: AuthenticCaller, actions: Actions) -> Response:
    """Remove a job and its results. A running job has to be cancelled first."""
    actions.delete(job_id, account_id=caller.account_id)
    return Response(status_code=204)
