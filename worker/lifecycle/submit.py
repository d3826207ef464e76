"""JobSubmitter: stores a job, then publishes it; in that order, so that no accepted job can be lost."""

from __future__ import annotations

from worker.accounts.interfaces import TokenStore
from worker.errors import TokenNotFoundError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.lifecycle.caps import OpenJobCap, StoredBytesCap
from worker.messaging.interfaces import JobQueue
from worker.messaging.publish import publish_or_note


class JobSubmitter:
    """Accepts new jobs."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        tokens: TokenStore,
        queue: JobQueue,
        open_jobs: OpenJobCap | None = None,
        storage: StoredBytesCap | None = None,
    ) -> None:
        self._jobs = jobs
        self._tokens = tokens
        self._queue = queue
        self._open_jobs = open_jobs or OpenJobCap(jobs=jobs, most=0)
        self._storage = storage

    def submit(self, job: Job) -> None:
        """Store and publish a job.

        Raises TokenNotFoundError, TokenUnreadableError, TooManyJobsError, StorageFullError or StoreUnavailableError
        with nothing stored, BrokerUnavailableError with the job stored: the sweeper publishes it once the broker is
        back, unless it is withdrawn.
        """
        self._require_token(job)
        self._require_storage(job)
        self.accept(job)

    def require_acceptable(self, job: Job) -> None:
        """Raise what `submit` does before it stores anything."""
        self._require_token(job)
        self._require_storage(job)
        self._open_jobs.require_room(job.account_id)

    def accept(self, job: Job) -> None:
        """Store and publish a job whose token and storage were checked; raises the rest of what `submit` does."""
        with self._open_jobs.one_more(job.account_id):
            self._jobs.add(job)
        publish_or_note(job, queue=self._queue, jobs=self._jobs)

    def withdraw(self, job: Job) -> None:
        """Remove a job that nobody has started; one that has been started stays."""
        if self._jobs.start_removal(job):
            self._jobs.finish_removal(job.job_id)

    def warnings_for(self, account_id: str) -> tuple[str, ...]:
        return self._storage.warnings_for(account_id) if self._storage is not None else ()

    def _require_token(self, job: Job) -> None:
        if self._tokens.find(job.account_id, job.owner) is None:
            raise TokenNotFoundError

    def _require_storage(self, job: Job) -> None:
        if self._storage is not None:
            self._storage.require_room(job.account_id)
