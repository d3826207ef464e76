"""Sweeper: jobs that were stored but not published, or that stopped moving, are published again."""

from __future__ import annotations

import structlog

from worker.errors import BrokerUnavailableError
from worker.interfaces import JobQueue, JobStore

_log = structlog.get_logger()


class Sweeper:
    """Rings again for every job that is due and that nobody has been rung for lately.

    Any number may run at once: a job is marked as rung for by one of them, atomically, before it is published.
    """

    def __init__(self, *, jobs: JobStore, queue: JobQueue, quiet_s: float, batch: int = 500) -> None:
        self._jobs = jobs
        self._queue = queue
        self._quiet_s = quiet_s
        self._batch = batch

    def sweep(self) -> int:
        """Publish what is due; gives how many. Raises BrokerUnavailableError: a later sweep finds the rest."""
        jobs = self._jobs.take_unpublished(quiet_s=self._quiet_s, limit=self._batch)
        for number, job in enumerate(jobs):
            try:
                self._queue.publish(job)
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(jobs[number:])
                raise
            _log.info("job_published_again", job_id=job.job_id, account_id=job.account_id, status=job.status)
        return len(jobs)
