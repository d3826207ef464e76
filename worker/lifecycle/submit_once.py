"""KeyedSubmitter: accepts jobs whose requests carry an Idempotency-Key, once however often they are repeated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from worker.errors import (
    BrokerUnavailableError,
    IdempotencyKeyReusedError,
    JobNotFoundError,
    OverLimitError,
    StoreUnavailableError,
    TokenNotFoundError,
)
from worker.jobs.interfaces import JobRepository
from worker.jobs.job import Job
from worker.jobs.status import IllegalChangeError
from worker.lifecycle.idempotency import KeptRequest, KeyedRequest
from worker.lifecycle.interfaces import IdempotencyStore
from worker.lifecycle.submit import JobSubmitter


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted job; with `is_repeat` it is that of an earlier request, as it is stored now.

    `warnings` are texts for the client.
    """

    job: Job
    is_repeat: bool = False
    warnings: tuple[str, ...] = ()


class KeyedSubmitter:
    """Stores the key with the job's id, then the job, then marks the key as accepted.

    A process that dies after the first step leaves a key without a job: a repeated request stores the job under the
    same id. One that dies after the second leaves a job, which is found. The mark tells a job that was deleted since
    from one that was never stored: without it a repeat would start a deleted export again.
    """

    def __init__(
        self,
        *,
        submitter: JobSubmitter,
        jobs: JobRepository,
        keys: IdempotencyStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._submitter = submitter
        self._jobs = jobs
        self._keys = keys
        self._clock = clock

    def submit(self, job: Job, asked: KeyedRequest) -> Submission:
        """Store and publish a job, unless this request has a job already; without a broker the sweeper publishes it.

        Raises IdempotencyKeyReusedError when the key was used for another request, IllegalChangeError when its job is
        gone, TokenNotFoundError, TokenUnreadableError and OverLimitError with nothing stored, and
        StoreUnavailableError: then the request can be repeated.
        """
        kept = self._kept(asked, job)
        if kept.fingerprint != asked.fingerprint:
            raise IdempotencyKeyReusedError
        if kept.job_id == job.job_id:
            self._accept(job, asked)
            return Submission(job)
        return Submission(self._earlier(kept, job, asked), is_repeat=True)

    def _kept(self, asked: KeyedRequest, job: Job) -> KeptRequest:
        """Store an acceptable request under its key; one that was accepted before stays so, whatever the limits."""
        try:
            self._submitter.require_acceptable(job)
        except (TokenNotFoundError, OverLimitError):
            kept = self._keys.find(asked)
            if kept is None:
                raise
            return kept
        return self._keys.keep(asked, job_id=job.job_id)

    def _accept(self, job: Job, asked: KeyedRequest) -> None:
        with suppress(BrokerUnavailableError):
            self._submitter.accept(job)
        with suppress(StoreUnavailableError):  # without the mark the job is still found by its id
            self._keys.mark_accepted(asked)

    def _earlier(self, kept: KeptRequest, job: Job, asked: KeyedRequest) -> Job:
        """Return the job of an earlier request, and store it where that request died before it could.

        Two callers may do so at once: they store the same job.
        """
        found = self._find(kept.job_id, account_id=job.account_id)
        if found is None and not kept.is_accepted:
            self._accept(replace(job, job_id=kept.job_id), asked)
            found = self._find(kept.job_id, account_id=job.account_id)
        if found is None:
            raise IllegalChangeError("Idempotency-Key: its job is gone, deleted or expired; a new one needs a new key")
        return found

    def _find(self, job_id: str, *, account_id: str) -> Job | None:
        try:
            job = self._jobs.get(job_id, account_id=account_id)
        except JobNotFoundError:
            return None
        return None if job.has_expired(at=self._clock()) else job
