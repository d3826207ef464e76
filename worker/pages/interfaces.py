"""The store of pages, in parts by who needs them. Every method raises StoreUnavailableError when MongoDB is away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.lanes import Lane
from worker.jobs.page_runs import PageRun
from worker.records.erasure import Erased, Erasure, Rewrite
from worker.records.page import Page
from worker.records.types import ExportType, PagePlace


@dataclass(frozen=True, slots=True)
class RecordSlice:
    """The records at consecutive positions of a job, each as HubSpot's bytes; `erased` of the positions are empty.

    `start` is the first position, counted from the start of the job.
    """

    start: int
    records: list[bytes]
    erased: int = 0

    @property
    def end(self) -> int:
        """The position after the last one."""
        return self.start + len(self.records) + self.erased


class PageWriter(Protocol):
    """Stores pages, each once. A write under an older epoch than the stored page's changes nothing."""

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        """Store the job's next page, or its lane's, and return whether it was there before.

        Pages of the first lane can be read at once, those of others once they are closed. `ids` are those of the
        records, where the caller knows them; a page with `expires_at` is removed then. Storing it again under the same
        or a newer epoch is safe.

        Raises LeaseLostError when a newer holder of the job has stored this page.
        """

    def close_lane(self, job: Job, lane: Lane, *, before: int) -> None:
        """Close a lane: its pages are read behind the job's first `before` records, and no older epoch adds any."""

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Remove the pages numbered from `first` to before `end`."""

    def keep_only(self, job: Job, counted: Sequence[PageRun]) -> None:
        """Remove all pages outside these runs."""


class StoredPages(Protocol):
    """Reads pages. Where `counted` is given, pages outside these runs are skipped."""

    def count(self, job_id: str) -> int:
        """Count pages that have all their parts."""

    def get(self, job_id: str, number: int) -> Page:
        """Return one page. Raises JobNotFoundError when it is missing."""

    def all(self, job_id: str, *, counted: Sequence[PageRun] | None = None) -> Iterator[Page]:
        """Yield the pages in order."""

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Yield these pages in this order, without keeping anything open meanwhile.

        Raises JobNotFoundError when one of them is missing.
        """

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[PageRun] | None = None,
    ) -> RecordSlice:
        """Return the records at up to `limit` positions from `start` on, across pages.

        Raises JobNotFoundError when a page is missing.
        """

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Keep what took all pages of a finished job to compute, for as long as they are stored."""

    def summary(self, job: Job) -> bytes | None:
        """Return what was kept, unless the job has been retried since."""

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Return what these exports have lost to erasures, without those that lost nothing."""


class PageRetention(Protocol):
    """Decides when pages are removed."""

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        """Let all pages of a job be removed at that instant; None: not at all."""

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:
        """Let all pages of these jobs, about `pages` in all, be removed at that instant."""

    def remove(self, job_id: str) -> None:
        """Remove all pages of a job now."""

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        """Return the ids of jobs that have pages, sorted, behind this one; None: from the first one on."""

    def orphaned_for(self, job_ids: Sequence[str], *, seconds: float) -> list[str]:
        """Note that these jobs are gone, and return those of which that was first noted so long ago."""


class ErasablePages(Protocol):
    """Erases single records from pages."""

    def describe_some(self, account_id: str) -> bool:
        """Index the ids of some pages of older versions; False when there are none left."""

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Return the pages that may hold the record, in a stable order, behind `erasure.looked_through`."""

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        """Prepare a page without the record, whose positions become empty; None where the page does not hold it.

        Nothing is written: this takes longer than a transaction may. Raises SpoiledPageError.
        """

    def rewrite(self, rewrite: Rewrite) -> bool:
        """Write a prepared page within a transaction; False where it has changed meanwhile: prepare it again."""


class PageStore(PageWriter, StoredPages, PageRetention, ErasablePages, Protocol):
    """All parts, for those that need most of them."""
