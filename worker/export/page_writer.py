"""PageWriter: stores a slice's pages, each while the next one is being fetched, and compares the copy with them."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import partial

from worker.export.interfaces import FetchedPage
from worker.export.leased_job import LeasedJob
from worker.export.leases import StoredPage
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.records.page import Ids, Page


class PageWriter:
    """Writes under the lease that the job is held by; of a job in lanes LaneWriter does."""

    def __init__(self, leased: LeasedJob) -> None:
        self._leased = leased
        self._tools = leased.tools
        self._storing: tuple[Job, Future[Job]] | None = None  # the job before the page, and as it is with it
        self._stored: dict[int, Collection[int]] = {}  # what the comparison need not read again, by the pages' numbers

    @property
    def is_storing(self) -> bool:
        return self._storing is not None

    def store(self, fetched: FetchedPage, ids: Ids, *, asked_at: float) -> None:
        """Store a page: while the next one is being fetched, if one is wanted."""
        job, page = self._leased.job, fetched.page
        moved = job.with_page(
            page,
            ids,
            api=fetched.api,
            properties=fetched.properties,
            findings=fetched.findings,
            at=self._tools.clock(),
        )
        if moved.copying is not None:
            moved = replace(moved, copying=replace(moved.copying, feed_total=fetched.total))
        write = partial(self._write, job, moved, page, ids, asked_at=asked_at)
        if self._leased.wants_more(moved):
            self._storing = job, self._tools.storing.submit(copy_context().run, write)
            self._leased.apply(moved)
        else:
            self._leased.apply(write())

    def await_write(self) -> None:
        """Continue with the job as it is stored, once it is. Raises what kept the page from being stored."""
        if self._storing is not None:
            (before, writing), self._storing = self._storing, None
            try:
                self._leased.apply(writing.result())
            except BaseException:
                self._leased.apply(before)  # without the page that was not stored
                raise

    def close(self) -> None:
        """Wait for the last write under the lease, which is released after it; its outcome no longer matters."""
        if self._storing is not None:
            self._tools.wait_for([self._storing[1]])

    def compare(self) -> None:
        """Compare a portion of the copy; the last one is written with the end of the job."""
        leased, lease = self._leased, self._leased.lease
        lease.require()
        leased.apply(self._tools.copy.compare(leased.job, seen=self._stored))
        if leased.job.has_copy_to_compare:
            leased.apply(lease.count(leased.job, [], eraser=self._tools.eraser))

    def _write(self, job: Job, moved: Job, page: Page, ids: Ids, *, asked_at: float) -> Job:
        """Store a page, then the cursor behind it; the last page's cursor is written with the end of the job."""
        tools, lease = self._tools, self._leased.lease
        lease.require()
        was_there = tools.pages.add(job, page, ids=ids, expires_at=self._end_of_page(moved, moved.updated_at))
        stored = replace(moved, totals=moved.totals.after_refetch()) if was_there else moved
        if stored.copying is not None:
            stored = tools.copy.apply_page(stored, page, asked_at=asked_at)
            self._stored[job.progress.pages] = frozenset(each for each in ids if each is not None)
        # The only page of a sync is counted with the comparison: whoever finds it uncounted begins both anew.
        if not stored.is_complete or (stored.has_copy_to_compare and job.progress.pages > 0):
            return lease.count(stored, [StoredPage(number=job.progress.pages, ids=ids)], eraser=tools.eraser)
        tools.eraser.screen_page(job, job.progress.pages, ids)
        if job.kind is JobKind.PAGE:
            tools.notifier.notify_page(job)  # who waits for it need not wait for the job's end to be stored
        return stored

    def _end_of_page(self, job: Job, at: datetime) -> datetime | None:
        """Return the end of the only page there will be; an export's pages get theirs together."""
        if job.kind is not JobKind.PAGE:
            return None
        return job.succeed(at=at).expire(after=self._tools.result_ttl).expires_at
