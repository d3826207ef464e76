"""Closing a job: its receipt is drawn up, and it and its pages get their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.jobs.sync import is_left_over
from worker.messaging.interfaces import JobNotifier
from worker.pages.audit import receipt_of
from worker.pages.interfaces import PageStore
from worker.records.erasure import Erased


def close(
    job: Job, *, pages: PageStore, result_ttl: timedelta, counts_ids: bool = True, stored_pages: int | None = None
) -> Job:
    """Return a finished job as it is to be stored. The end of its pages is stored first: they may not outlive it.

    Ids that came in no order are counted one by one, unless there are too many of them or `counts_ids` says no.
    """
    receipt = receipt_of(job, pages, counts_ids=counts_ids, stored_pages=stored_pages)
    closed = replace(job.expire(after=result_ttl), receipt=receipt)
    if closed.expires_at is not None and job.kind is JobKind.EXPORT:
        pages.expire(job.job_id, at=closed.expires_at)
    return closed


def with_erased(read: Sequence[Job], *, jobs: JobStore, pages: PageStore) -> list[Job]:
    """Return jobs as they were read, and of those that have their receipt what has been erased of them by now."""
    closed = [job for job in read if job.receipt is not None]
    if not closed:
        return list(read)
    exports = [*(job for job in closed if job.sync is None), *jobs.children_of(closed)]
    erased = pages.erased_of(exports)
    return [
        replace(job, erased=Erased.of_parts(erased[each] for each in (job.job_id, *job.children) if each in erased))
        for job in read
    ]


def propagate_to_sync(  # noqa: PLR0913 - everything it works with, each by name
    job: Job,
    *,
    jobs: JobStore,
    pages: PageStore,
    notifier: JobNotifier | None,
    result_ttl: timedelta,
    is_swept: bool = False,
) -> None:
    """Have the sync that a job is, or is a part of, follow its children, and tell who waits; if it is over it ends.

    A child that was left over goes. What is interrupted here is made up for by the sweeper, whose call `is_swept`.
    """
    sync_id = job.job_id if job.sync is not None else job.parent_id
    if sync_id is None:
        return
    sync = jobs.follow(sync_id, is_swept=is_swept)
    if sync is None or is_left_over(sync):
        remove(job, jobs=jobs, pages=pages)
        return
    end_sync(sync, jobs=jobs, pages=pages, result_ttl=result_ttl)
    if notifier is not None:
        notifier.notify(sync)


def remove(job: Job, *, jobs: JobStore, pages: PageStore) -> None:
    """Remove a job that nobody holds, and its pages."""
    if jobs.start_removal(job):
        pages.remove(job.job_id)
        jobs.finish_removal(job.job_id)


def end_sync(sync: Job, *, jobs: JobStore, pages: PageStore, result_ttl: timedelta) -> None:
    """Return a finished sync, its children and all their pages one end, the pages first: they may not outlive it.

    A sync without its receipt has a child without one, and gets its end after that has been made up for.
    """
    if sync.finished_at is None or sync.expires_at is not None or (sync.is_expanded and sync.receipt is None):
        return
    at = sync.finished_at + result_ttl
    if sync.children:
        pages.expire_all(sync.children, pages=sync.progress.pages, at=at)
    jobs.end_sync(sync, at=at)
