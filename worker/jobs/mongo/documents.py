"""Job <-> the document it is stored as; names that differ between the two are mapped here, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.estimate import Estimate
from worker.jobs.job import Job, child_id
from worker.jobs.mongo.lanes import lanes_from_document, lanes_to_document
from worker.jobs.mongo.progress import (
    patience_from_fields,
    patience_to_fields,
    progress_from_document,
    progress_to_document,
)
from worker.jobs.mongo.requests import (
    request_from_document,
    request_to_document,
    sync_from_document,
    sync_to_document,
)
from worker.jobs.mongo.selections import selection_from_document
from worker.jobs.progress import Lease, Retention
from worker.jobs.receipt import Receipt
from worker.jobs.request import Origin
from worker.jobs.status import HubSpotAnswer, JobError, JobKind, JobStatus
from worker.jobs.totals import ExportTotals
from worker.jobs.webhook import Delivery, Webhook, WebhookStatus
from worker.mongo.database import Document
from worker.records.crm_api import CrmApi
from worker.records.registry import is_type
from worker.records.types import DOCUMENTED_TYPES, ExportType

COLLECTION = "integrations.hubspot.jobs"
REMOVED = "removed"
"""A status that exists in documents only: to everyone else such a job does not exist."""

FINISHED = [each.value for each in JobStatus if each.is_terminal]
"""A job that is being removed has none of these."""

_MUTABLE = (
    "resumes",
    "further_calls",
    "resume_at",
    "reason",
    "started_at",
    "updated_at",
    "finished_at",
)
"""Fields that are stored under their own name, as they are."""


def to_document(job: Job) -> Document:
    """Return a new job's document."""
    return {
        "_id": job.job_id,
        "account_id": job.account_id,
        "owner": job.owner,
        "type": job.type_name,
        "kind": job.kind.value,
        "line": job.line.value,
        "label": job.label,
        "origin": asdict(job.origin),
        "request": request_to_document(job.request),
        "created_at": job.created_at,
        "epoch": job.epoch,
        "lease": None,
        "cancel_requested": job.cancel_requested,
        **_family_of(job),
        **({"webhook": webhook_to_document(job.webhook)} if job.webhook is not None else {}),
        **state_of(job),
    }


def _family_of(job: Job) -> Document:
    """Return the fields that only documents of syncs and their children have."""
    family: Document = {"parent_id": job.parent_id} if job.parent_id is not None else {}
    if job.sync_types != DOCUMENTED_TYPES:
        family["sync_types"] = list(job.sync_types)
    if job.sync is not None:
        family["sync"] = sync_to_document(job.sync)
    return family


def state_of(job: Job) -> Document:
    """Return the fields that the holder of the lease writes; without the lease, and what callers ask for meanwhile."""
    return {
        **{name: getattr(job, name) for name in _MUTABLE},
        **patience_to_fields(job.patience),
        "expires_at": job.retention.expires_at,
        "pages_expire_at": job.retention.pages_expire_at,
        "status": job.status.value,
        "api": job.api.value if job.api is not None else None,
        "progress": progress_to_document(job.progress),
        "estimate": asdict(job.estimate) if job.estimate is not None else None,
        "lanes": lanes_to_document(job.lanes) if job.lanes is not None else None,
        "blocks": [list(each) for each in job.page_runs],
        "unsplit_because": job.unsplit_because,
        "tally": job.totals.to_stored(),
        "receipt": asdict(job.receipt) if job.receipt is not None else None,
        "error": error_to_document(job.error) if job.error is not None else None,
        **({"hub_id": job.hub_id} if job.hub_id is not None else {}),  # never taken back
        **_changes_of(job),
        **({"deliver_at": job.deliver_at} if job.webhook is not None else {}),
        **({"stored_bytes": job.stored_bytes} if job.status.is_terminal and job.sync is None else {}),
    }


def _changes_of(job: Job) -> Document:
    """Return the fields of jobs that keep the current copy: of an export its progress, of a sync its exports' sums."""
    changes: Document = {"copying": asdict(job.copying)} if job.copying is not None else {}
    if job.changes_by_type is not None:
        changes["changes"] = {each: asdict(found) for each, found in job.changes_by_type.items()}
    return changes


def from_document(document: Document) -> Job:
    """Read a job back."""
    lease, sync, webhook = document["lease"], document.get("sync"), document.get("webhook")
    return Job(
        job_id=document["_id"],
        account_id=document["account_id"],
        owner=document["owner"],
        export_type=_known_type(document["type"]) if sync is None else None,
        kind=JobKind(document["kind"]),
        sync=sync_from_document(sync) if sync is not None else None,
        parent_id=document.get("parent_id"),
        sync_types=tuple(map(ExportType, document.get("sync_types", DOCUMENTED_TYPES))),
        is_expanded=document.get("is_expanded", False),
        hub_id=document.get("hub_id"),
        label=document["label"],
        origin=Origin(**document.get("origin") or {}),
        request=request_from_document(document["request"]),
        created_at=document["created_at"],
        lease=Lease(owner=lease["owner"], epoch=document["epoch"]) if lease else None,
        progress=progress_from_document(document["progress"]),
        patience=patience_from_fields(document),
        lanes=lanes_from_document(document["lanes"]) if document.get("lanes") is not None else None,
        page_runs=tuple((first, pages) for first, pages in document.get("blocks", ())),
        unsplit_because=document.get("unsplit_because"),
        api=CrmApi(document["api"]) if document.get("api") is not None else None,
        selection=selection_from_document(document["selection"]) if document.get("selection") is not None else None,
        cancel_requested=document["cancel_requested"],
        estimate=Estimate.from_stored(document["estimate"]) if document.get("estimate") is not None else None,
        totals=ExportTotals.from_stored(document["tally"]),
        copying=CopyProgress.from_stored(document["copying"]) if document.get("copying") is not None else None,
        changes_by_type=_changes(document.get("changes")),
        receipt=Receipt.from_stored(document["receipt"]) if document["receipt"] is not None else None,
        error=error_from_document(document["error"]) if document["error"] is not None else None,
        webhook=webhook_from_document(webhook) if webhook is not None else None,
        deliver_at=document.get("deliver_at"),
        status=JobStatus(document["status"]),
        retention=Retention(expires_at=document.get("expires_at"), pages_expire_at=document.get("pages_expire_at")),
        **{name: document[name] for name in _MUTABLE if name in document},
    )


def _known_type(name: str) -> ExportType:
    """Raise ValueError where there can be no such type."""
    if not is_type(name):
        raise ValueError("a type that nobody knows")
    return ExportType(name)


def _changes(document: Document | None) -> Mapping[ExportType, Changes] | None:
    if document is None:
        return None
    return {ExportType(name): Changes(**found) for name, found in document.items()}


def children_in(document: Document) -> list[str]:
    """Return the ids of a job's children, by its document alone: it may be one of a removed job."""
    types = document["sync"]["types"] if document.get("is_expanded") else []
    return [child_id(document["_id"], ExportType(each)) for each in types]


def error_to_document(error: JobError) -> Document:
    """Return an error's document. HubSpot's body becomes JSON text: BSON takes neither all keys nor all numbers."""
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
    answer = document["hubspot"]
    kept = HubSpotAnswer(status=answer["status"], body=json.loads(answer["body"])) if answer is not None else None
    return JobError(**document | {"hubspot": kept})


def webhook_to_document(webhook: Webhook) -> Document:
    return {
        "url": webhook.url,
        "ending": webhook.run_number,
        "attempts": webhook.attempts,
        "outcome": webhook.outcome.value,
        "deliveries": tuple(asdict(each) for each in webhook.deliveries),
    }


def webhook_from_document(document: Document) -> Webhook:
    """Read a webhook; its document has further fields, which are the delivery store's own."""
    return Webhook(
        url=document["url"],
        run_number=document["ending"],
        attempts=document["attempts"],
        outcome=WebhookStatus(document["outcome"]),
        deliveries=tuple(Delivery(**each) for each in document["deliveries"]),
    )
