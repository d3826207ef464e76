"""Job <-> the document it is stored as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from worker.jobs.copy_progress import Changes, CopyProgress, SyncMode
from worker.jobs.estimate import Estimate
from worker.jobs.job import Job, Lease, Progress, child_id
from worker.jobs.lanes import Lanes
from worker.jobs.mongo.webhooks import webhook_from_document, webhook_to_document
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.status import HubSpotAnswer, JobError, JobKind, JobStatus
from worker.jobs.totals import ExportTotals
from worker.mongo.database import Document
from worker.records.crm_api import CrmApi
from worker.records.types import ExportType

COLLECTION = "integrations.hubspot.jobs"
REMOVED = "removed"
"""A status of the document alone: to everyone else such a job does not exist."""

FINISHED = [each.value for each in JobStatus if each.is_terminal]
"""A job that is being removed is not among these."""

_MUTABLE = (
    "status",
    "attempts",
    "resumes",
    "lapses",
    "waited_s",
    "most_a_page",
    "longest_query",
    "further_calls",
    "resume_at",
    "reason",
    "started_at",
    "updated_at",
    "finished_at",
    "expires_at",
    "pages_expire_at",
)


def to_document(job: Job) -> Document:
    """Return a new job's document. Query parameters are stored as pairs: they repeat, and names may hold dots."""
    request = {**asdict(job.request), "params": [list(pair) for pair in job.request.params]}
    return {
        "_id": job.job_id,
        "account_id": job.account_id,
        "owner": job.owner,
        "type": job.type_name,
        "kind": job.kind.value,
        "line": job.line.value,
        "label": job.label,
        "origin": asdict(job.origin),
        "request": request,
        "created_at": job.created_at,
        "epoch": job.epoch,
        "lease": None,
        "cancel_requested": job.cancel_requested,
        **_place_of(job),
        **({"webhook": webhook_to_document(job.webhook)} if job.webhook is not None else {}),
        **state_of(job),
    }


def _place_of(job: Job) -> Document:
    """Return what only syncs and their children have; no other document holds any of it."""
    place: Document = {"parent_id": job.parent_id} if job.parent_id is not None else {}
    if job.sync is not None:
        types = [each.value for each in job.sync.types]
        place["sync"] = asdict(job.sync) | {"types": types, "mode": job.sync.mode.value}
    return place


def state_of(job: Job) -> Document:
    """Return the fields that change while a job is worked on; its lease and what callers ask for meanwhile apart."""
    plain = {name: getattr(job, name) for name in _MUTABLE}
    return {
        **plain,
        "status": job.status.value,
        "api": job.api.value if job.api is not None else None,
        "progress": _fields_of(job.progress),
        "estimate": asdict(job.estimate) if job.estimate is not None else None,
        "lanes": asdict(job.lanes) if job.lanes is not None else None,
        "blocks": [list(block) for block in job.blocks],
        "unsplit_because": job.unsplit_because,
        "tally": _fields_of(job.tally),
        "receipt": asdict(job.receipt) if job.receipt is not None else None,
        "error": error_to_document(job.error) if job.error is not None else None,
        **({"hub_id": job.hub_id} if job.hub_id is not None else {}),  # never taken back
        **_changes_of(job),
        **({"deliver_at": job.deliver_at} if job.webhook is not None else {}),
        **({"stored_bytes": job.stored_bytes} if job.status.is_terminal and job.sync is None else {}),
    }


def _fields_of(value: Progress | ExportTotals) -> Document:
    """Return what `asdict` would, without a copy of everything in it: each page of an export is counted by this."""
    return {each: getattr(value, each) for each in value.__slots__}


def _changes_of(job: Job) -> Document:
    """Return what only those have that keep the current copy: an export its account, a sync the sums of its exports."""
    changes: Document = {"copying": asdict(job.copying)} if job.copying is not None else {}
    if job.changes_by_type is not None:
        changes["changes"] = {each.value: asdict(found) for each, found in job.changes_by_type.items()}
    return changes


def from_document(document: Document) -> Job:
    """Read a job back."""
    lease, sync, webhook = document["lease"], document.get("sync"), document.get("webhook")
    return Job(
        job_id=document["_id"],
        account_id=document["account_id"],
        owner=document["owner"],
        export_type=ExportType(document["type"]) if sync is None else None,
        kind=JobKind(document["kind"]),
        sync=_sync(sync) if sync is not None else None,
        parent_id=document.get("parent_id"),
        is_expanded=document.get("is_expanded", False),
        hub_id=document.get("hub_id"),
        label=document["label"],
        origin=Origin(**document.get("origin") or {}),
        request=_request(document["request"]),
        created_at=document["created_at"],
        lease=Lease(owner=lease["owner"], epoch=document["epoch"]) if lease else None,
        progress=Progress(**document["progress"]),
        lanes=_lanes(document.get("lanes")),
        blocks=tuple((first, pages) for first, pages in document.get("blocks", ())),
        unsplit_because=document.get("unsplit_because"),
        api=CrmApi(document["api"]) if document.get("api") is not None else None,
        cancel_requested=document["cancel_requested"],
        estimate=_estimate(document.get("estimate")),
        tally=ExportTotals.from_stored(document["tally"]),
        copying=CopyProgress.from_stored(document["copying"]) if document.get("copying") is not None else None,
        changes_by_type=_changes(document.get("changes")),
        receipt=Receipt.from_stored(document["receipt"]) if document["receipt"] is not None else None,
        error=error_from_document(document["error"]) if document["error"] is not None else None,
        webhook=webhook_from_document(webhook) if webhook is not None else None,
        deliver_at=document.get("deliver_at"),
        **{name: document[name] for name in _MUTABLE if name in document} | {"status": JobStatus(document["status"])},
    )


def _changes(document: Document | None) -> Mapping[ExportType, Changes] | None:
    if document is None:
        return None
    return {ExportType(name): Changes(**found) for name, found in document.items()}


def children_in(document: Document) -> list[str]:
    """Return the ids of the children of whatever job a document holds, a removed one as well."""
    types = document["sync"]["types"] if document.get("is_expanded") else []
    return [child_id(document["_id"], ExportType(each)) for each in types]


def _lanes(document: Document | None) -> Lanes | None:
    return Lanes.from_stored(document) if document is not None else None


def error_to_document(error: JobError) -> Document:
    """Write an error down. HubSpot's body becomes JSON text: its keys and numbers need not be such as MongoDB takes."""
    answer = error.hubspot
    kept = {"status": answer.status, "body": json.dumps(answer.body)} if answer is not None else None
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "details": error.details,
        "retry_after_s": error.retry_after_s,
        "hubspot": kept,
    }


def error_from_document(document: Document) -> JobError:
    """Read an error back."""
    answer = document["hubspot"]
    kept = HubSpotAnswer(status=answer["status"], body=json.loads(answer["body"])) if answer is not None else None
    return JobError(**document | {"hubspot": kept})


def _estimate(document: Document | None) -> Estimate | None:
    return Estimate.from_stored(document) if document is not None else None


def _request(document: Document) -> ExportRequest:
    return ExportRequest(**document | {"params": tuple((name, value) for name, value in document["params"])})


def _sync(document: Document) -> SyncRequest:
    mode = SyncMode(document.get("mode", SyncMode.FULL))
    return SyncRequest(**document | {"types": tuple(map(ExportType, document["types"])), "mode": mode})
