"""The interface of the store of pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.lanes import Block, Lane
from worker.records.erasure import Erased, Erasure, Rewrite
from worker.records.page import Page
from worker.records.types import ExportType, PagePlace


@dataclass(frozen=True, slots=True)
class RecordSlice:
    """The records of consecutive places of a job, each as HubSpot's bytes; `erased` of the places are empty.

    `start` is the first place, counted from the start of the job.
    """

    start: int
    records: list[bytes]
    erased: int = 0

    @property
    def end(self) -> int:
        """The place after the last one."""
        return self.start + len(self.records) + self.erased


class PageStore(Protocol):
    """Pages of jobs, each stored once and never changed."""

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        """Store the job's next page; one with an `expires_at` is removed then. Says whether it was there before.

        With a lane it is that lane's next page; those of the first lane can be read at once, others when they are
        sealed. `ids` are those of its records, where they are known already.

        Storing it again under the same or a newer epoch is safe, an older one is refused.

        Raises LeaseLostError when a newer holder of the job has stored this page.
        """

    def seal(self, job: Job, lane: Lane, *, before: int) -> None:
        """Have the pages of a lane read after the job's first `before` records, but for those of a newer epoch."""

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Remove the job's pages with these numbers, `end` not among them, but for those of a newer epoch."""

    def keep_only(self, job: Job, counted: Sequence[Block]) -> None:
        """Remove the job's pages of all numbers but these, but for those of a newer epoch."""

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        """Have all pages of a job removed at that instant; None: not at all."""

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:
        """Have all pages of these jobs, some `pages` in all, removed at that instant."""

    def remove(self, job_id: str) -> None:
        """Remove all pages of a job now."""

    def count(self, job_id: str) -> int:
        """Count a job's whole pages."""

    def get(self, job_id: str, number: int) -> Page:
        """Return one page. Raises JobNotFoundError when it is not there."""

    def all(self, job_id: str, *, counted: Sequence[Block] | None = None) -> Iterator[Page]:
        """Return all pages that are there, in order, of `counted` numbers only if that is given."""

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Return these pages in this order; nothing stays open until they are taken.

        Raises JobNotFoundError when one of them is missing.
        """

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Keep what it took all pages of a finished job to find out, until they are removed."""

    def summary(self, job: Job) -> bytes | None:
        """Return what was kept, unless the job has been retried since."""

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[Block] | None = None,
    ) -> RecordSlice:
        """Return what is in at most `limit` places from `start` on, in order, over page borders.

        Pages of other numbers than those `counted`, if that is given, are passed over.
        """

    def describe_some(self, account_id: str) -> bool:
        """Note what is needed to find records in some pages of older versions; False when there are none left."""

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Return the pages that may hold a record, in an order that stays, those behind `erasure.looked_through`."""

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        """Return a page as it is to be without a record, whose places become empty; None where it does not hold it.

        Nothing is written yet: making a page anew takes time that a transaction does not have. Raises SpoiledPageError.
        """

    def rewrite(self, rewrite: Rewrite) -> bool:
        """Write a page that was made anew; False where it has changed since: make it once more. Part of a transaction.

        A page that is stored anew has lost nothing.
        """

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        """Return the ids of jobs that have pages, in the order of ids, behind one; None: from the first one on."""

    def orphaned_for(self, job_ids: Sequence[str], *, seconds: float) -> list[str]:
        """Note of jobs that they are gone, and return those of which that was noted so long ago."""

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Say what those of these exports that have lost anything have lost, of what can be read of them."""
