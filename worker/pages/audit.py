"""The receipt of a job, from its stored pages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from worker.definitions.names import ALL
from worker.errors import SpoiledPageError
from worker.jobs.job import Job
from worker.jobs.receipt import Receipt
from worker.jobs.receipt_inputs import Outcome, ReceiptInputs
from worker.jobs.status import JobKind
from worker.pages.interfaces import StoredPages
from worker.records.envelope import PageUnreadableError
from worker.records.page import Page, record_ids
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

_MOST_COUNTED = 1_000_000  # ids that are held in memory at once, in some 100 MB


def receipt_of(job: Job, pages: StoredPages, *, counts_ids: bool = True, stored_pages: int | None = None) -> Receipt:
    """Return the receipt of a finished job, about what its results hold.

    The stored pages are counted, except where the caller knows their number since it has just stored each of them.
    """
    read = job.as_read
    progress = read.progress
    is_page = job.kind is JobKind.PAGE  # its only page has just been stored, and someone is waiting
    if stored_pages is None:
        stored_pages = progress.pages if is_page else pages.count(job.job_id)
    inputs = ReceiptInputs(
        totals=read.totals,
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
        deletions_unknown=job.copying.deletions_unknown if job.copying is not None else None,
        withheld=job.copying.withheld if job.copying is not None else 0,
        chosen=_chosen(job),
        properties_missing=job.selection.missing if job.selection is not None else (),
        is_of_two_lists=_is_of_two_lists(read),
    )
    return Receipt.of(inputs)


def _chosen(job: Job) -> tuple[str, ...]:
    selection = job.selection
    selected = () if selection is None else (ALL,) if selection.is_all else selection.properties
    return (*selected, *job.request.history)


def _is_of_two_lists(job: Job) -> bool:
    """Return whether both APIs were asked for engagements; the last one may have given no page."""
    asked = {*job.totals.apis, *([job.api] if job.api is not None else [])}
    return bool(OBJECT_TYPES[job.records_type].dated.kinds) and len(asked) > 1


def _needs_counting(job: Job) -> bool:
    return not job.totals.proves_distinct and job.progress.records <= _MOST_COUNTED


def _count_distinct(job: Job, pages: StoredPages) -> int | None:
    """Count distinct ids from the stored pages; None where one of them cannot be read any more."""
    stored = pages.all(job.job_id, counted=job.counted_pages)
    ids = (each for page in stored for each in _ids_or_erasures(job.records_type, page))
    try:
        return len(set(islice(ids, job.progress.records)) - {None})
    except (SpoiledPageError, PageUnreadableError):
        return None


def _ids_or_erasures(export_type: ExportType, page: Page) -> Iterator[int | str | None]:
    """Yield the id at each position of a page; for an erased one the id of its erasure, which is as distinct."""
    erased, ids = {gap.place: gap.erasure_id for gap in page.gaps}, record_ids(export_type, page.body)
    if len(erased) + len(ids) != page.records:
        raise PageUnreadableError("The page has another number of records than it says")
    left = iter(ids)
    return (erased[place] if place in erased else next(left) for place in range(page.records))
