"""Syncs: the children of a sync, and how its state is derived from theirs; pure.

The state of a sync with children:

    queued     none has been started yet, or none since a retry
    running    some have
    waiting    all unfinished ones wait for HubSpot; until the first of them resumes
    succeeded  all have succeeded
    failed     all are finished and at least one has failed
    cancelled  all are finished, at least one was cancelled, none has failed
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.estimate import Estimate
from worker.jobs.job import Job, Progress, child_id
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest, SyncRequest
from worker.jobs.status import JobError, JobKind, JobStatus
from worker.jobs.webhook import Webhook
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

PARTIAL_FAILURE = "partial_failure"

_NO_CALLS = ExportRequest(page_size=0)


def new_sync(  # noqa: PLR0913 - what there is to know of a sync
    job_id: str,
    *,
    account_id: str,
    owner: str,
    request: SyncRequest,
    at: datetime,
    label: str | None = None,
    webhook: Webhook | None = None,
) -> Job:
    """Return a new sync, not stored yet."""
    return Job(
        job_id=job_id,
        account_id=account_id,
        owner=owner,
        export_type=None,
        kind=JobKind.SYNC,
        sync=request,
        request=_NO_CALLS,
        label=label,
        webhook=webhook,
        progress=Progress(has_more=True),
        created_at=at,
        updated_at=at,
    )


def new_children(sync: Job, *, at: datetime) -> list[Job]:
    """Return the exports of a sync, not stored yet; their ids are always the same."""
    if sync.sync is None:
        return []
    copying = CopyProgress(
        mode=sync.sync.mode, full_every=sync.sync.full_every, confirms_deletions=sync.sync.confirm_deletions
    )
    return [replace(_child(sync, sync.sync, each, at=at), copying=copying) for each in sync.sync.types]


def follow(sync: Job, children: Sequence[Job]) -> Job:
    """Return a sync with the state derived from its children; without any it stays as it is."""
    if not children:
        return sync
    missing = [JobStatus.QUEUED] * (len(sync.children) - len(children))
    status = _status(sync.status, [*missing, *(child.status for child in children)])
    is_over = status.is_terminal
    waits = [child for child in children if child.status is JobStatus.WAITING and child.resume_at is not None]
    first = min(waits, key=_resumption, default=None) if status is JobStatus.WAITING else None
    return replace(
        sync,
        status=status,
        progress=_progress(children),
        patience=replace(sync.patience, attempts=max(child.attempts for child in children)),
        resumes=sum(child.resumes for child in children),
        error=_error(children) if status is JobStatus.FAILED else None,
        receipt=_receipt(children) if is_over else None,
        changes_by_type=_changes(children),
        estimate=_estimate(children),
        resume_at=first.resume_at if first is not None else None,
        reason=first.reason if first is not None else None,
        started_at=min((child.started_at for child in children if child.started_at is not None), default=None),
        updated_at=max(child.updated_at for child in children),
        finished_at=max((child.finished_at for child in children if child.finished_at is not None), default=None)
        if is_over
        else None,
        retention=sync.retention if is_over else sync.retention.of_job(None),
        deliver_at=sync.deliver_at if is_over else None,
    )


def is_left_over(sync: Job | None) -> bool:
    """Return whether a child of this sync is left over: the sync was removed or cancelled while it was expanded."""
    return sync is None or (sync.status.is_terminal and not sync.is_expanded)


def _child(sync: Job, request: SyncRequest, export_type: ExportType, *, at: datetime) -> Job:
    """Return a new child. It starts with the sync's resumes, since the sync's runs are counted from its children."""
    return Job(
        job_id=child_id(sync.job_id, export_type),
        account_id=sync.account_id,
        owner=sync.owner,
        export_type=export_type,
        kind=JobKind.EXPORT,
        parent_id=sync.job_id,
        sync_types=request.types,
        origin=sync.origin,
        request=ExportRequest(
            page_size=OBJECT_TYPES[export_type].page.most_records, properties=request.properties.get(export_type)
        ),
        label=sync.label,
        resumes=sync.resumes,
        created_at=at,
        updated_at=at,
    )


def _status(before: JobStatus, statuses: Collection[JobStatus]) -> JobStatus:
    """Return the state; `before` tells a sync that has not started from one of which some children are finished."""
    unfinished = {each for each in statuses if not each.is_terminal}
    if not unfinished:
        return next(each for each in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.SUCCEEDED) if each in statuses)
    if unfinished == {JobStatus.WAITING}:
        return JobStatus.WAITING
    is_to_be_started = before is JobStatus.QUEUED or before.is_terminal
    return JobStatus.QUEUED if unfinished == {JobStatus.QUEUED} and is_to_be_started else JobStatus.RUNNING


def _progress(children: Sequence[Job]) -> Progress:
    return Progress(
        pages=sum(child.progress.pages for child in children),
        records=sum(child.progress.records for child in children),
        has_more=any(child.progress.has_more for child in children),
    )


def _error(children: Sequence[Job]) -> JobError:
    """Return an error that names the types that failed; if all failed with one code, it has that code."""
    failed = [(child, child.error) for child in children if child.error is not None]
    codes = {error.code for _, error in failed}
    is_whole = len(failed) == len(children) and len(codes) == 1
    named = "; ".join(f"{child.records_type}: {error.message} ({error.code})" for child, error in failed)
    return JobError(
        code=codes.pop() if is_whole else PARTIAL_FAILURE,
        message=f"{len(failed)} of {len(children)} exports failed: {named}",
        retryable=any(error.retryable for _, error in failed),
        details="; ".join(f"{child.records_type}: {error.details}" for child, error in failed if error.details) or None,
    )


def _receipt(children: Sequence[Job]) -> Receipt | None:
    """Add up the receipts once all are there, which may take a minute after a cancel."""
    drawn_up: dict[str, Receipt] = {}
    for child in children:
        if child.receipt is not None:
            drawn_up[child.records_type] = child.receipt
    return Receipt.of_parts(drawn_up) if len(drawn_up) == len(children) else None


def _changes(children: Sequence[Job]) -> Mapping[ExportType, Changes] | None:
    return {child.records_type: child.changes for child in children if child.changes is not None} or None


def _estimate(children: Sequence[Job]) -> Estimate | None:
    known = [child.estimate for child in children if child.estimate is not None]
    return Estimate.together(known) if len(known) == len(children) else None


def _resumption(child: Job) -> datetime:
    assert child.resume_at is not None  # noqa: S101 - asked of those that wait alone
    return child.resume_at
