"""Sweeper: jobs that were stored but not published, or that stopped moving, are published again."""

from __future__ import annotations

import structlog

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
        """Publish what is due; gives how many. Raises BrokerUnavailableError: the rest is found by a later sweep."""
        jobs = self._jobs.take_unpublished(quiet_s=self._quiet_s, limit=self._batch)
        for job in jobs:
            self._queue.publish(job)
            _log.info("job_published_again", job_id=job.job_id, account_id=job.account_id, status=job.status)
        return len(jobs)
