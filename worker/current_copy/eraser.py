"""Eraser: removes a record from the current copy and from every stored page, and from pages stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

import structlog

from worker.current_copy.interfaces import ErasureStore, RecordStore, Transactions
from worker.errors import SpoiledPageError, StoreUnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.pages.interfaces import PageStore
from worker.records.erasure import Erasure, Rewrite
from worker.records.types import CopyId, PagePlace

_log = structlog.get_logger()

_WORK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """Runs erasures. Several processes may work on one and die at any moment: what is done stays done, counted once.

    A page is rewritten and counted in one transaction. The job is not part of it: what a job has lost follows from its
    pages, and a transaction whose client is killed locks what it has written. The leases of jobs are marked before each
    pass, so that their holders screen the pages that they store after it.
    """

    jobs: JobStore
    erasures: ErasureStore
    records: RecordStore
    pages: PageStore
    transactions: Transactions
    monotonic: Callable[[], float] = time.monotonic

    def erase(self, copy: CopyId, record_id: int, *, requested_by: str, within_s: float) -> bool:
        """Erase a record within a time; False: the erasure is recorded, and the sweeper does the rest.

        False as well where a stored page that may hold the record cannot be read. Raises StoreUnavailableError with
        nothing recorded.
        """
        erasure = self.erasures.add(copy, record_id, requested_by=requested_by)
        _log.info("erasure_requested", **_log_fields(erasure))
        try:
            return self._run_pass(erasure, ends_at=self.monotonic() + within_s)
        except StoreUnavailableError:
            return False

    def recover_interrupted(self) -> None:
        """Continue erasures that are due, one after the other, for some seconds. Raises StoreUnavailableError."""
        ends_at = self.monotonic() + _WORK_S
        while self.monotonic() < ends_at and (erasure := self.erasures.take_due()) is not None:
            self._run_pass(erasure, ends_at=ends_at)

    def is_at_work(self, job: Job) -> bool:
        """Whether any record of the job's account and type is being erased, in whatever portal."""
        return self.erasures.has_open(job.account_id, job.records_type)

    def screen_page(self, job: Job, number: int, record_ids: Collection[int | None]) -> None:
        """Remove records that are being erased from this page, which has just been stored."""
        for erasure in self.erasures.open_of(job.copy_id, [each for each in record_ids if each is not None]):
            self._erase_from(erasure, job.job_id, number)

    def _run_pass(self, erasure: Erasure, *, ends_at: float) -> bool:
        """Do the rest of the current pass; False where the time is over, or a page is unreadable."""
        for looked_through in self._steps(erasure):
            if self.monotonic() >= ends_at:
                self.erasures.release(erasure, looked_through=looked_through)
                return False
        passed = self.erasures.finish_pass(erasure)
        if passed.finished_at is not None:
            seen = {"in_copy": passed.was_in_copy, "pages": passed.pages, "jobs": passed.jobs}
            _log.info("record_erased", **_log_fields(passed), **seen)
        if passed.unreadable:
            _log.error(
                "erasure_incomplete", **_log_fields(passed), unreadable=[list(page) for page in passed.unreadable]
            )
        return not passed.unreadable

    def _steps(self, erasure: Erasure) -> Iterator[PagePlace | None]:
        """Do one step at a time; each yields the page that the pass has reached, from which it may be resumed."""
        self.jobs.mark_leases(erasure.copy_id)
        if erasure.was_in_copy is None:
            self.transactions.run(lambda: self._erase_from_copy(erasure))
            yield erasure.looked_through
        # Pages of older versions lack what `holding` finds records by.
        while self.pages.describe_some(erasure.copy_id.account_id):
            yield erasure.looked_through
        for job_id, number in self.pages.holding(erasure):
            try:
                self._erase_from(erasure, job_id, number)
            except SpoiledPageError:
                self.erasures.note_unreadable(erasure, (job_id, number))
            yield job_id, number

    def _erase_from_copy(self, erasure: Erasure) -> None:
        """Leave a tombstone. A page that is applied at the same time either commits before it, or sees the erasure."""
        moment = self.records.begin_change(erasure.copy_id)
        was_there = self.records.erase(erasure.copy_id, erasure.record_id, at=moment.at)
        self.erasures.note_copy(erasure, was_there=was_there)

    def _erase_from(self, erasure: Erasure, job_id: str, number: int) -> None:
        """Rewrite a page, and again where another writer has changed it meanwhile."""
        while (rewrite := self.pages.without(erasure, job_id, number)) is not None:
            if self.transactions.run(partial(self._write, erasure, rewrite)):
                return

    def _write(self, erasure: Erasure, rewrite: Rewrite) -> bool:
        if not self.pages.rewrite(rewrite):
            return False
        self.erasures.count_page(erasure, job_id=rewrite.job_id)
        return True


def _log_fields(erasure: Erasure) -> dict[str, object]:
    return {
        "erasure_id": erasure.erasure_id,
        "account_id": erasure.copy_id.account_id,
        "type": erasure.copy_id.export_type,
        "record_id": erasure.record_id,
        "uid": erasure.requested_by,
    }
