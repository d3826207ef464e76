"""Closing a job: its receipt is drawn up, and it and its pages get their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from worker.erasures import Erased
from worker.errors import SpoiledPageError
from worker.interfaces import JobAnnouncer, JobStore, PageStore
from worker.jobs import Job, JobKind
from worker.pages import ExportType, Page, PageUnreadableError, record_ids
from worker.receipts import Facts, Outcome, Receipt
from worker.syncs import is_left_over

_MOST_COUNTED = 1_000_000  # ids that are held in memory at once, in some 100 MB


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


def receipt_of(job: Job, pages: PageStore, *, counts_ids: bool = True, stored_pages: int | None = None) -> Receipt:
    """Draw up the receipt of a finished job, about what its results hold.

    The stored pages are counted unless the caller knows them, as one who has just stored each of them does.
    """
    read = job.as_read
    progress = read.progress
    is_page = job.kind is JobKind.PAGE  # its only page has just been stored, and someone is waiting
    if stored_pages is None:
        stored_pages = progress.pages if is_page else pages.count(job.job_id)
    facts = Facts(
        tally=read.tally,
        outcome=Outcome(job.status.value),
        pages=progress.pages,
        records=progress.records,
        start=job.request.offset,
        end=progress.offset,
        has_more=progress.has_more,
        limit=job.request.limit,
        stored_pages=stored_pages,
        distinct=_count_distinct(read, pages) if counts_ids and _needs_counting(read) else None,
        changed_since=job.copying.feed_since if job.copying is not None else None,
        withheld=job.copying.withheld if job.copying is not None else 0,
        is_of_two_lists=_is_of_two_lists(read),
    )
    return Receipt.of(facts)


def _is_of_two_lists(job: Job) -> bool:
    """Whether legacy engagements and dated notes were asked for; what was asked last may have had nothing to give."""
    asked = {*job.tally.apis, *([job.api] if job.api is not None else [])}
    return job.records_type is ExportType.NOTES and len(asked) > 1


def _needs_counting(job: Job) -> bool:
    return not job.tally.proves_distinct and job.progress.records <= _MOST_COUNTED


def _count_distinct(job: Job, pages: PageStore) -> int | None:
    """Count the ids one by one, from the stored pages, when their order does not prove them distinct.

    None where a page cannot be read any more: the receipt then says that they were not counted.
    """
    stored = pages.all(job.job_id, counted=job.counted_pages)
    ids = (each for page in stored for each in _ids_or_erasures(job.records_type, page))
    try:
        return len(set(islice(ids, job.progress.records)) - {None})
    except (SpoiledPageError, PageUnreadableError):
        return None


def _ids_or_erasures(export_type: ExportType, page: Page) -> Iterator[int | str | None]:
    """Return the id at each place of a page, and in its gaps what has erased it, which tells ids apart as well."""
    erased, ids = {gap.place: gap.erasure_id for gap in page.gaps}, record_ids(export_type, page.body)
    if len(erased) + len(ids) != page.records:
        raise PageUnreadableError("The page has another number of records than it says")
    left = iter(ids)
    return (erased[place] if place in erased else next(left) for place in range(page.records))


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


def tell_sync(  # noqa: PLR0913 - everything it works with, each by name
    job: Job,
    *,
    jobs: JobStore,
    pages: PageStore,
    announcer: JobAnnouncer | None,
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
    if announcer is not None:
        announcer.announce(sync)


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
