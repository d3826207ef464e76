"""`GET` and `POST /export/{type}`: one page synchronously, or a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api_shim.dependencies import (
    AskedKey,
    AskedPreferences,
    AskedType,
    Authenticated,
    AuthenticCaller,
    BodyWithNames,
    Exports,
    OnceOnly,
    Plans,
    Types,
    bounded_body_with_names,
    caller_of,
)
from api_shim.requests.bodies import body_schema, read_body_as
from api_shim.requests.idempotency import keyed_request, read_key
from api_shim.requests.schemas import MOST_PARAMS, ExportBody, OffsetNumber, PositiveNumber
from api_shim.responses.errors import CONFLICT_ANSWER, ERROR_ANSWERS, HUBSPOT_ANSWERS, KEY_ANSWERS, JobFailedError
from api_shim.responses.jobs import accepted, submitted
from api_shim.responses.pages import page_answer
from api_shim.responses.plans import REPEATED_OR_PLANNED, plan_answer
from api_shim.responses.schemas import JobAnswer, PageAnswer
from worker.errors import InvalidRequestError
from worker.jobs.request import ExportRequest
from worker.jobs.status import IllegalChangeError, JobKind, JobStatus
from worker.records.crm_api import CrmApi
from worker.records.page import Page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType
from worker.rpc.requests import PlannedExport

router = APIRouter(tags=["exports"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_DEFAULT_LIMIT = 10
_ACCEPTED = "Export accepted"


@router.get(
    "/export/{type}",
    summary="Export one page",
    response_model=PageAnswer,
    responses={202: {"model": JobAnswer}, **CONFLICT_ANSWER, **HUBSPOT_ANSWERS},
    dependencies=[OnceOnly],
)
async def export_page(
    request: Request,
    caller: AuthenticCaller,
    export_type: AskedType,
    preferences: AskedPreferences,
    service: Exports,
    limit: Annotated[
        PositiveNumber, Query(description="The maximum number of records, at most one page; default 10")
    ] = None,
    offset: Annotated[OffsetNumber, Query(description="`pagination.offset` of the previous page")] = None,
) -> Response:
    """Export one page and wait for it: HubSpot's own body, and its cursor in a normalised form.

    A worker fetches the page; if it takes longer than `Prefer: wait=N`, the answer is 202 with the job. For `deals`,
    all further query parameters are passed to HubSpot, repeated ones repeatedly.
    """
    pairs = request.query_params.multi_items()
    count = min(limit or _DEFAULT_LIMIT, OBJECT_TYPES[export_type].page.most_records)
    job = service.new_job(
        caller,
        export_type,
        JobKind.PAGE,
        ExportRequest(limit=count, page_size=count, offset=offset, params=_passed_through(export_type, pairs)),
    )
    longest_s: float = request.app.state.export_wait_s
    applied = preferences.applied(longest_s=longest_s)
    if preferences.is_for_no_wait:
        await service.submit(job)
        return accepted(job, message=_ACCEPTED, applied=applied)
    outcome = await service.export_page(job, wait_s=preferences.wait_within(longest_s))
    if isinstance(outcome, Page):
        return page_answer(outcome.body, has_more=outcome.has_more, offset=outcome.offset, applied=applied)
    if outcome.error is not None:
        raise JobFailedError(outcome.error)
    if outcome.status is JobStatus.CANCELLED:
        raise IllegalChangeError("The job is cancelled: it was stopped before it had its page")
    return accepted(outcome, message=_ACCEPTED, applied=applied)


@router.post(
    "/export/{type}",
    summary="Export everything",
    status_code=202,
    response_model=JobAnswer,
    responses={**REPEATED_OR_PLANNED, **KEY_ANSWERS, **HUBSPOT_ANSWERS},
    openapi_extra=body_schema(ExportBody),
)
async def export_all(
    caller: AuthenticCaller,
    export_type: AskedType,
    key: AskedKey,
    sent: BodyWithNames,
    service: Exports,
    plans: Plans,
    types: Types,
) -> Response:
    """Start an export job. With an `Idempotency-Key`, a repeated request returns the first job and starts no other.

    With `"dry_run": true` nothing is started or stored, under a key either: the answer is a plan.
    """
    body = read_body_as(ExportBody, sent)
    most = OBJECT_TYPES[export_type].page.most_records
    if body.page_size is not None and body.page_size > most:
        raise InvalidRequestError(f"page_size: must be at most {most} for {export_type}")
    if body.api is CrmApi.LEGACY:
        _require_legacy_list(export_type, body)
    page_size = body.page_size or most
    body = await types.check_export(caller, export_type, body)
    asked = _asked_of(body, page_size=page_size)
    webhook = service.webhooks.accept(body.webhook) if body.webhook is not None else None
    if body.dry_run:
        planned = await plans.plan(caller, [PlannedExport(export_type=export_type, request=asked)])
        return plan_answer(planned, types.enabled.kinds)
    job = service.new_job(caller, export_type, JobKind.EXPORT, asked, label=body.label, webhook=webhook)
    meant = body.model_copy(update={"page_size": page_size})
    once = keyed_request(caller, key, route=f"POST /export/{export_type}", body=meant)
    return submitted(await service.submit(job, once), message=_ACCEPTED)


async def answer_export_all(request: Request) -> Response:
    """Answer `POST /export/{type}` as FastAPI would: the arguments are read in the same order."""
    caller = await caller_of(request)
    state = request.app.state
    return await export_all(
        caller=caller,
        export_type=await state.type_names.resolve(caller, request.path_params["type"]),
        key=read_key(request.headers.getlist("idempotency-key")),
        sent=await bounded_body_with_names(request),
        service=state.exports,
        plans=state.plans,
        types=state.type_names,
    )


def _require_legacy_list(export_type: ExportType, body: ExportBody) -> None:
    """Raise InvalidRequestError where HubSpot's legacy API has no list of what is asked for, or gives no choice."""
    legacy = OBJECT_TYPES[export_type].legacy
    if legacy is None or not OBJECT_TYPES[export_type].has_legacy(archived=body.archived):
        what = f"archived {export_type}" if body.archived else export_type
        raise InvalidRequestError(f"api: HubSpot's legacy API has no list of {what}")
    chosen = [name for name in body.fields_of_records if name in {"properties", "history"}]
    if chosen and legacy.properties_parameter is None:
        raise InvalidRequestError(f"{', '.join(chosen)}: HubSpot's legacy list of {export_type} takes no choice")


def _asked_of(body: ExportBody, *, page_size: int) -> ExportRequest:
    return ExportRequest(
        limit=body.limit,
        page_size=page_size,
        offset=body.offset,
        params=body.pairs,
        properties=body.properties,
        associations=body.associations,
        history=body.history,
        archived=body.archived,
        api=body.api,
    )


def _passed_through(export_type: ExportType, pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the parameters that go through to HubSpot: every further one, but none for contacts, companies, notes."""
    legacy = OBJECT_TYPES[export_type].legacy
    if legacy is not None and not legacy.takes_any_parameter:
        return ()
    further = tuple((name, value) for name, value in pairs if name not in {"limit", "offset"})
    if len(further) > MOST_PARAMS:
        raise InvalidRequestError(f"query: must hold at most {MOST_PARAMS} parameters for HubSpot")
    return further
