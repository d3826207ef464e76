"""The job as JSON shows it (pydantic), in responses of the shim and in webhook events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from worker.jobs.copy_progress import SyncMode
from worker.jobs.job import Job
from worker.jobs.receipt_view import ReceiptView
from worker.jobs.request_view import JobRequestView, SyncRequestView, asked_view
from worker.jobs.status import JOB_TYPES, JobStatus
from worker.jobs.webhook import AT_ONCE
from worker.records.crm_api import CrmApi
from worker.records.types import ExportType, Offset

BASE_PATH = "/v1/integrations/hubspot"


class ProgressView(BaseModel):
    """How far the job has come. Its results hold the first `readable` records; the others have been read ahead.

    `unsplit_because` is the reason why an export was started over, to be read page after page.
    """

    pages: int
    records: int
    readable: int
    offset: Offset | None
    has_more: bool
    records_per_second: float | None
    unsplit_because: str | None


class HubSpotView(BaseModel):
    """HubSpot's own response."""

    status: int | None
    body: Any


class JobErrorView(BaseModel):
    """Why the job failed."""

    code: str
    message: str
    retryable: bool
    details: str | None
    hubspot: HubSpotView | None


class ChangesView(BaseModel):
    """The changes that a sync has found, compared with the current copy as it was before.

    `withheld` records were not found, and are not marked as deleted before there is proof that they are gone.
    """

    model_config = ConfigDict(from_attributes=True)

    created: int
    changed: int
    unchanged: int
    deleted: int
    withheld: int


class DeliveryView(BaseModel):
    """One attempt to deliver an event to a webhook. Without an error it was accepted; `seconds` is its duration."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    event_id: str
    attempt: int
    status: int | None
    seconds: float
    error: str | None


class WebhookView(BaseModel):
    """The destination of the job's end, and the last attempts to deliver it, the newest at the end."""

    url: str
    status: str
    next_attempt_at: datetime | None
    deliveries: list[DeliveryView]


class SyncModeView(BaseModel):
    """How a sync's export finds changes: `used` is null before that is decided, `reason` tells why it differs."""

    model_config = ConfigDict(from_attributes=True)

    asked: SyncMode
    used: SyncMode | None
    changed_since: datetime | None
    reason: str | None


class LinksView(BaseModel):
    """Paths of the job. A sync has no results of its own: its children have."""

    self: str
    results: str | None
    download: str | None


class JobView(BaseModel):
    """A job: an export, or a sync, whose `children` are exports with it as their `parent_id`.

    `queued` leads to `running`, and that to `succeeded`, `failed` or `cancelled`. `waiting`: HubSpot may not be called
    before `resume_at`, for the `reason`. A retry leads from `failed` or `cancelled` back to `queued`.
    `hub_id` is the HubSpot portal that is read, null before HubSpot has told: with another one connected the job fails.
    `attempts` is the number of the current try of the call for the next page, `resumes` how often the job continued
    after it had stopped. `api` is the one of HubSpot's APIs that it reads; null before it has begun, and of a sync.
    `receipt` and `changes` come with the end; from `expires_at` on the job and its results are gone.
    """

    job_id: str
    type: Annotated[str, Field(json_schema_extra={"enum": list(JOB_TYPES)})]
    status: JobStatus
    label: str | None
    parent_id: str | None
    children: list[str]
    hub_id: int | None
    request: JobRequestView | SyncRequestView
    progress: ProgressView
    eta_seconds: float | None
    attempts: int
    resumes: int
    api: CrmApi | None
    error: JobErrorView | None
    receipt: ReceiptView | None
    changes: ChangesView | dict[ExportType, ChangesView] | None
    sync_mode: SyncModeView | None
    resume_at: datetime | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    webhook: WebhookView | None
    links: LinksView


def job_path(job_id: str) -> str:
    return f"{BASE_PATH}/jobs/{job_id}"


def records_per_second(job: Job) -> float | None:
    """Return records over the time since the job was first started; None before there is anything to measure."""
    if job.started_at is None:
        return None
    seconds = ((job.finished_at or job.updated_at) - job.started_at).total_seconds()
    return round(job.progress.records / seconds, 1) if seconds > 0 else None


def eta_s(job: Job) -> float | None:
    """Return the seconds from `updated_at` to the expected end; None where there is none, or nobody knows.

    Its own pace tells more than the estimate, except after a retry: the time between the runs counts in it.
    """
    if job.estimate is None or job.status.is_terminal or job.status is JobStatus.QUEUED:
        return None
    left = job.estimate.records - job.progress.records
    if left <= 0:
        return None
    pace = records_per_second(job) if job.resumes == 0 else None
    waits_s = max(0.0, (job.resume_at - job.updated_at).total_seconds()) if job.resume_at is not None else 0.0
    return round(waits_s + (left / pace if pace else job.estimate.seconds_for(left)), 1)


def view_of(job: Job) -> JobView:
    """Return the job as the documented body has it."""
    return JobView(
        job_id=job.job_id,
        type=job.type_name,
        status=job.status,
        label=job.label,
        parent_id=job.parent_id,
        children=list(job.children),
        hub_id=job.hub_id,
        request=asked_view(job),
        progress=_progress_view(job),
        eta_seconds=eta_s(job),
        attempts=job.attempts,
        resumes=job.resumes,
        api=job.api,
        error=_error_view(job),
        receipt=ReceiptView.model_validate(job.receipt.without(job.erased)) if job.receipt is not None else None,
        changes=_changes_view(job),
        sync_mode=_sync_mode_view(job),
        resume_at=job.resume_at,
        reason=job.reason,
        created_at=job.created_at,
        started_at=job.started_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
        webhook=_webhook_view(job),
        links=_links(job),
    )


def _changes_view(job: Job) -> ChangesView | dict[ExportType, ChangesView] | None:
    """Return the changes of an export, or those of each export of a sync by its type."""
    if job.changes_by_type is not None:
        return {each: ChangesView.model_validate(found) for each, found in job.changes_by_type.items()}
    return ChangesView.model_validate(job.changes) if job.changes is not None else None


def _sync_mode_view(job: Job) -> SyncModeView | None:
    copying = job.copying
    if copying is None:
        return None
    return SyncModeView(
        asked=copying.mode,
        used=copying.mode_used,
        changed_since=copying.feed_since,
        reason=copying.full_because,
    )


def _links(job: Job) -> LinksView:
    path = job_path(job.job_id)
    if job.sync is not None:
        return LinksView(self=path, results=None, download=None)
    return LinksView(self=path, results=f"{path}/results", download=f"{path}/download")


def _progress_view(job: Job) -> ProgressView:
    progress = job.progress
    return ProgressView(
        pages=progress.pages,
        records=progress.records,
        readable=job.readable,
        offset=progress.offset,
        has_more=progress.has_more,
        records_per_second=records_per_second(job),
        unsplit_because=job.unsplit_because,
    )


def _error_view(job: Job) -> JobErrorView | None:
    error = job.error
    if error is None:
        return None
    answer = error.hubspot
    hubspot = HubSpotView(status=answer.status, body=answer.body) if answer is not None else None
    return JobErrorView(
        code=error.code, message=error.message, retryable=error.retryable, details=error.details, hubspot=hubspot
    )


def _webhook_view(job: Job) -> WebhookView | None:
    webhook = job.webhook
    if webhook is None:
        return None
    return WebhookView(
        url=webhook.url,
        status=job.webhook_status,
        next_attempt_at=job.deliver_at if job.deliver_at != AT_ONCE else None,
        deliveries=[DeliveryView.model_validate(each) for each in webhook.deliveries],
    )
