"""How a slice ends: a job that is finished or has to wait is stored, and whoever waits for it is notified."""

from __future__ import annotations

import structlog

from worker.errors import UnavailableError
from worker.export.leased_job import LeasedJob
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus

_log = structlog.get_logger()


class Release:
    """Gives the lease of a job up that is finished, or has to wait."""

    def __init__(self, leased: LeasedJob) -> None:
        self._leased = leased
        self.tools = leased.tools

    @property
    def job(self) -> Job:
        return self._leased.job

    def leave(self) -> None:
        """Store the job, the end of its pages first: they may not outlive it."""
        wait_s = self._leased.wait_s
        if self.job.status.is_terminal:
            self._leased.apply(self._closed())
        self.tools.jobs.release(self.job, resume_in_s=wait_s)
        if wait_s is not None:
            self.tools.delayed.publish_in(wait_s, self.job)
        if self.job.status is not JobStatus.RUNNING:
            self._notify()
        progress = self.job.progress
        _log.info("job_left", status=self.job.status, pages=progress.pages, records=progress.records)

    def _closed(self) -> Job:
        """Close the job; what cannot be counted, or has ended workers before, is left uncounted."""
        finisher = self.tools.finisher
        if self.job.kind is JobKind.EXPORT and not self._counts_all_it_stored:
            self.tools.pages.keep_only(self.job, self.job.counted_pages)
        if self.job.abandoned_leases < self._leased.limits.most_abandoned_leases:
            try:
                return finisher.finish(self.job, stored_pages=self._just_stored)
            except UnavailableError:
                raise
            except Exception:
                _log.exception("receipt_not_drawn_up")
        return finisher.finish(self.job, counts_ids=False)

    @property
    def _just_stored(self) -> int | None:
        """How many pages there are, where it is one and this slice has stored it; None: they are to be counted."""
        is_only_page = self._leased.first_page == 0 and self.job.progress.pages == 1
        return 1 if is_only_page and self._counts_all_it_stored else None

    @property
    def _counts_all_it_stored(self) -> bool:
        """Whether no page can be stored that is not counted.

        Whoever had the job before, or a step that failed, may have stored one, and lanes read ahead.
        """
        job = self.job
        is_first_try = job.epoch == 1 and not self._leased.was_begun_anew
        return is_first_try and job.status is JobStatus.SUCCEEDED and job.lanes is None and not job.page_runs

    def _notify(self) -> None:
        tools, job = self.tools, self.job
        tools.notifier.notify(job)
        if tools.siblings.leave(job):
            tools.finisher.propagate_to_sync(job)
