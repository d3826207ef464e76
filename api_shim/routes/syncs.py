"""`POST /sync`: a full-account sync now, one export per type."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api_shim.dependencies import AskedKey, Authenticated, AuthenticCaller, BodyWithNames, Exports, Plans, Types
from api_shim.requests.bodies import body_schema, read_body_as
from api_shim.requests.idempotency import keyed_request
from api_shim.requests.schemas import SyncBody
from api_shim.responses.errors import ERROR_ANSWERS, HUBSPOT_ANSWERS, KEY_ANSWERS
from api_shim.responses.jobs import submitted
from api_shim.responses.plans import REPEATED_OR_PLANNED, plan_answer
from api_shim.responses.schemas import JobAnswer
from worker.jobs.request import SyncRequest
from worker.jobs.sync import new_children
from worker.rpc.requests import PlannedExport

router = APIRouter(tags=["syncs"], responses=ERROR_ANSWERS, dependencies=[Authenticated])


@router.post(
    "/sync",
    summary="Start a sync",
    status_code=202,
    response_model=JobAnswer,
    responses={**REPEATED_OR_PLANNED, **KEY_ANSWERS, **HUBSPOT_ANSWERS},
    openapi_extra=body_schema(SyncBody),
)
async def sync(
    caller: AuthenticCaller, key: AskedKey, sent: BodyWithNames, service: Exports, plans: Plans, names: Types
) -> Response:
    """Start a sync: a job with one child for each type, which exports all records, or those that have changed.

    With an `Idempotency-Key`, a repeated request returns the first sync and starts no other. With `"dry_run": true`
    nothing is started or stored, under a key either: the answer is a plan.

    If suspiciously many records of the copy are missing from a full sync, they are marked as deleted only when a later
    sync confirms it, or with `"confirm_deletions": true`.
    """
    body = read_body_as(SyncBody, sent, enabled=names.enabled)
    types, properties = await names.of_sync(caller, body)
    webhook = service.webhooks.accept(body.webhook) if body.webhook is not None else None
    asked = SyncRequest(
        types=types,
        properties=properties,
        mode=body.mode,
        confirm_deletions=body.confirm_deletions,
    )
    job = service.new_sync(caller, asked, label=body.label, webhook=webhook)
    if body.dry_run:
        exports = new_children(await names.decided(caller, job), at=job.created_at)
        planned = [PlannedExport(export_type=each.records_type, request=each.request) for each in exports]
        return plan_answer(await plans.plan(caller, planned), names.enabled.kinds)
    meant = body.model_copy(update={"types": types, "properties": dict(properties)})
    once = keyed_request(caller, key, route="POST /sync", body=meant)
    return submitted(await service.submit(job, once), message="Sync accepted")
