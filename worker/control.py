"""JobControl: cancel, retry, delete, and the rest of what a process that died in the middle of one has left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from worker.closing import close
from worker.errors import BrokerUnavailableError, JobNotFoundError, StoreUnavailableError
from worker.interfaces import JobAnnouncer, JobQueue, JobStore, PageStore
from worker.jobs import IllegalChangeError, Job, JobStatus
from worker.publishing import publish_or_note

_TRIES = 10  # a job moves on between being read and being written, but not for ever


class JobControl:
    """What callers may do to a job. Each is one atomic change of the job; once that is done the rest can be made up.

    A change that was made is never reported as a failure because the rest of it has to wait for the sweeper.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        jobs: JobStore,
        pages: PageStore,
        queue: JobQueue,
        result_ttl: timedelta,
        clock: Callable[[], datetime],
        announcer: JobAnnouncer | None = None,
    ) -> None:
        self._jobs = jobs
        self._pages = pages
        self._queue = queue
        self._result_ttl = result_ttl
        self._clock = clock
        self._announcer = announcer

    def find(self, job_id: str, *, account_id: str) -> Job:
        """Read a job. Raises JobNotFoundError, also for one that has expired."""
        job = self._jobs.get(job_id, account_id=account_id)
        if job.has_expired(at=self._clock()):
            raise JobNotFoundError
        return job

    def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Cancel a job that nobody works on at once, any other at its next page.

        Raises JobNotFoundError, and IllegalChangeError for a job that is finished.
        """
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            ended = job.cancel(at=self._clock()).expire(after=self._result_ttl)
            unsettled = replace(ended, expires_at=None)
            if job.lease is not None and self._jobs.request_cancel(job):
                return job
            if job.lease is None and self._jobs.change(job, unsettled):
                return self._see_off(unsettled) or ended
        raise _restless()

    def retry(self, job_id: str, *, account_id: str) -> Job:
        """Have a failed or cancelled job go on from its last stored page.

        Raises JobNotFoundError, and IllegalChangeError for a job in any other state.
        """
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            queued = job.retry(at=self._clock())
            if self._jobs.change(job, queued):
                with suppress(BrokerUnavailableError):
                    publish_or_note(queued, queue=self._queue, jobs=self._jobs)
                return queued
        raise _restless()

    def delete(self, job_id: str, *, account_id: str) -> None:
        """Remove a job and its results. Raises JobNotFoundError, and IllegalChangeError for a running job."""
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            if job.status is JobStatus.RUNNING:
                raise IllegalChangeError("The job is running: cancel it first")
            if self._jobs.start_removal(job):
                with suppress(StoreUnavailableError):
                    self._finish_removal(job_id)
                return
        raise _restless()

    def settle(self, job: Job) -> Job:
        """Give a finished job its receipt, and it and its pages their end."""
        settled = close(job, pages=self._pages, result_ttl=self._result_ttl)
        self._jobs.change(job, settled)
        return settled

    def make_up(self, *, quiet_s: float, limit: int) -> None:
        """Do the rest of what was interrupted `quiet_s` seconds ago or earlier."""
        removed, endless = self._jobs.take_unsettled(quiet_s=quiet_s, limit=limit)
        for job_id in removed:
            self._finish_removal(job_id)
        for job in endless:
            self.settle(job)

    def _see_off(self, job: Job) -> Job | None:
        if self._announcer is not None:
            self._announcer.announce(job)
        if not job.tally.proves_distinct:
            return None  # its ids have to be counted one by one, which is nothing to keep a caller waiting for
        try:
            return self.settle(job)
        except StoreUnavailableError:
            return None

    def _finish_removal(self, job_id: str) -> None:
        self._pages.remove(job_id)
        self._jobs.finish_removal(job_id)


def _restless() -> IllegalChangeError:
    return IllegalChangeError("The job's state changes all the time: try again")
