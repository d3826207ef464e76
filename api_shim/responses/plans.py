"""The answer to a dry run, for all routes that accept one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from api_shim.responses.errors import JobFailedError
from api_shim.responses.plan_schemas import PlanAnswer
from api_shim.responses.schemas import JobAnswer
from worker.jobs.status import JobError
from worker.records.types import ExportType
from worker.rpc.requests import Answer, Plan

REPEATED_OR_PLANNED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": JobAnswer | PlanAnswer,
        "description": "A repeated request: the job of the first one. With `dry_run`: the plan",
    }
}


def plan_answer(answer: Answer, types: Collection[ExportType]) -> Response:
    """Answer 200 with a plan, and the scopes that the connection lacks for these types.

    Raises JobFailedError if HubSpot could not be asked.
    """
    if isinstance(answer, JobError):
        raise JobFailedError(answer)
    assert isinstance(answer, Plan)  # noqa: S101 - the answer to a request for a plan
    return JSONResponse(PlanAnswer.of(answer, types).model_dump(mode="json"))
