"""Job: one export or sync that someone asked for, and the legal changes of its state; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from worker.errors import ExportError
from worker.jobs.job_reading import JobReading
from worker.jobs.job_record import JobSortKey, child_id
from worker.jobs.lanes import Lanes
from worker.jobs.progress import Lease, Progress, Retention
from worker.jobs.selection import Selection
from worker.jobs.status import LEGAL_CHANGES, IllegalChangeError, JobError, JobStatus
from worker.records.findings import PLAIN_PAGE, PageFindings
from worker.records.page import Page
from worker.records.types import is_start

__all__ = ["Job", "JobSortKey", "Lease", "Progress", "child_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobReading):
    """A job; each change returns a new one. Changes of the status raise IllegalChangeError where they are illegal."""

    def starting(self, *, ids_before: int) -> Self:
        """Begin so many ids before the requested offset; a job that has pages stays as it is."""
        offset = self.request.offset
        if self.progress.pages or not isinstance(offset, int) or is_start(offset):
            return self
        return replace(self, progress=replace(self.progress, offset=max(0, offset - ids_before)))

    def ask_for_less(self, *, records: int | None, query: int | None) -> Self:
        """Cap the records, or the characters of the query, of each further call."""
        return replace(self, patience=self.patience.asking_for_less(records=records, query=query))

    def advance(self, page: Page, *, api: str | None = None, at: datetime) -> Self:
        """Count a stored page."""
        return self._with_progress(self.progress.after(page, api=api, most=self.remaining), at=at)

    def with_page(  # noqa: PLR0913 - what there is to know of a page
        self,
        page: Page,
        ids: Sequence[int | None],
        *,
        api: str,
        properties: Sequence[str],
        findings: PageFindings = PLAIN_PAGE,
        at: datetime,
    ) -> Self:
        """Count a page that is to be stored, in the totals as well, by the ids of its records."""
        most = self.remaining
        totals = self.totals.after_page(
            ids,
            most=most,
            says_more=page.says_more,
            api=api,
            properties=properties,
            mended=page.mended_in(most),
            size=len(page.body),
            findings=findings,
        )
        return replace(self.advance(page, api=api, at=at), totals=totals)

    def with_selection(self, selection: Selection | None, *, calls: int) -> Self:
        """Note which properties are asked for, and how many calls the decision took."""
        totals = self.totals.after_definitions(calls)
        return replace(self, selection=selection, totals=totals, further_calls=self.further_calls + calls)

    def in_lanes(self, lanes: Lanes, *, at: datetime) -> Self:
        """Continue in lanes, as far as these have come."""
        first, totals = lanes.first, self.totals if self.lanes is not None else self.totals.start_over()
        offset = first.read_through if first.offset is None else first.offset
        moved = replace(self.progress, pages=lanes.pages, records=lanes.records, offset=offset, api=first.api)
        has_pages = moved.pages > self.progress.pages
        job = self._with_progress(moved, at=at) if has_pages else replace(self, progress=moved, updated_at=at)
        return replace(job, lanes=lanes, totals=totals, patience=replace(job.patience, attempts=lanes.attempts))

    def out_of_lanes(self) -> Self:
        """Complete a job whose lanes are all merged into the first one."""
        read = self.as_read
        return replace(read, progress=replace(read.progress, has_more=False))

    @property
    def as_read(self) -> Self:
        """The job as its results show it: without what lanes behind the first one have read ahead."""
        if self.lanes is None:
            return self
        first = self.lanes.first
        totals = self.totals.merged_with(first.totals)
        offset = first.read_through if totals.last_id is None else totals.last_id
        progress = replace(self.progress, pages=first.pages, records=first.records, offset=offset, api=None)
        return replace(self, progress=progress, totals=totals, page_runs=first.page_runs, lanes=None)

    def start_over(self, *, because: str | None = None) -> Self:
        """Forget all pages: some were removed, or, `because` of something, the job may not be read in lanes."""
        return replace(
            self,
            progress=Progress(offset=self.request.offset),
            lanes=None,
            page_runs=(),
            unsplit_because=because or self.unsplit_because,
            totals=self.totals.start_over(),
            copying=self.copying.start_over() if self.copying is not None else None,
            patience=replace(self.patience, attempts=1),
        )

    def pause(self, delay_s: float, *, reason: str, at: datetime) -> Self:
        """Park the job for moments: it stays `running`, and its worker is free."""
        return replace(self, resume_at=at + timedelta(seconds=delay_s), reason=reason, updated_at=at)

    def wait(self, delay_s: float, *, reason: str, at: datetime) -> Self:
        """Park the job as `waiting` until HubSpot may be called again."""
        return self._change(JobStatus.WAITING, at=at).pause(delay_s, reason=reason, at=at)

    def succeed(self, *, at: datetime) -> Self:
        return self._change(JobStatus.SUCCEEDED, at=at)

    def fail(self, error: ExportError, *, at: datetime) -> Self:
        return replace(self._change(JobStatus.FAILED, at=at), error=JobError.of(error, at=at))

    def cancel(self, *, at: datetime) -> Self:
        return replace(self._change(JobStatus.CANCELLED, at=at), cancel_requested=False)

    def retry(self, *, at: datetime) -> Self:
        """Continue from the last stored page, with all tries and back-offs forgotten."""
        queued = self._change(JobStatus.QUEUED, at=at)
        return replace(
            queued,
            patience=self.patience.renewed(),
            resumes=self.resumes + 1,
            totals=self.totals.before_retry(),
            lanes=self.lanes.before_retry() if self.lanes is not None else None,
            cancel_requested=False,
            error=None,
            receipt=None,
            retention=self.retention.of_job(None),
            deliver_at=None,
        )

    def expire(self, *, after: timedelta) -> Self:
        """Set when a finished job and its pages are removed, and let its webhook be called: the run is final.

        Changes nothing for a job that is not finished, nor for the child of a sync, which expires with its sync.
        """
        if self.finished_at is None or self.parent_id is not None:
            return self
        return replace(self, retention=Retention.until(self.finished_at + after), deliver_at=self.first_delivery_at)

    def with_pages_kept(self) -> Self:
        """Note that the stored pages carry no expiry any more."""
        return replace(self, retention=self.retention.with_pages_kept())

    def _with_progress(self, progress: Progress, *, at: datetime) -> Self:
        patience = self.patience.after_pages(self.progress, progress, page_size=self.request.page_size)
        return replace(self, progress=progress, patience=patience, updated_at=at)

    def _change(self, status: JobStatus, *, at: datetime) -> Self:
        if status not in LEGAL_CHANGES[self.status]:
            raise IllegalChangeError(f"The job is {self.status} and cannot become {status}")
        finished_at = at if status.is_terminal else None
        return replace(self, status=status, updated_at=at, finished_at=finished_at, resume_at=None, reason=None)
