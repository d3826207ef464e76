"""The answer to a dry run, for every route that takes one."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from api_shim.responses.errors import JobFailedError
from api_shim.responses.plan_schemas import PlanAnswer
from api_shim.responses.schemas import JobAnswer
from worker.jobs.status import JobError
from worker.rpc.requests import Answer, Plan

REPEATED_OR_PLANNED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": JobAnswer | PlanAnswer,
        "description": "A repeated request, with the job of the first; with `dry_run`: what it would come to",
    }
}


def plan_answer(answer: Answer) -> Response:
    """Answer 200 with a plan. Raises JobFailedError where HubSpot could not be asked."""
    if isinstance(answer, JobError):
        raise JobFailedError(answer)
    assert isinstance(answer, Plan)  # noqa: S101 - what this question is answered with
    return JSONResponse(PlanAnswer.of(answer).model_dump(mode="json"))
