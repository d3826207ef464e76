"""Exporter: one slice of one job; lease, token, page, store, checkpoint."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from worker.errors import (
    BrokerUnavailableError,
    CursorStuckError,
    ExportError,
    HubSpotError,
    InternalError,
    LeaseLostError,
    RetryableHubSpotError,
    TokenNotFoundError,
    TokenRefusedError,
    UnavailableError,
)
from worker.interfaces import (
    CrmSource,
    JobAnnouncer,
    JobQueue,
    JobStore,
    PageQuery,
    PageStore,
    RateLimiter,
    TokenSource,
)
from worker.jobs import Job, JobKind, JobStatus
from worker.pages import Page
from worker.retry import RETRY_POLICIES

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLimits:
    """How long one task execution may go on, and how long its lease outlives its last sign of life."""

    seconds: float = 20.0
    pages: int = 100
    lease_s: float = 90.0
    most_lapses: int = 3
    longest_sleep_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTools:
    """Everything an exporter works with."""

    jobs: JobStore
    pages: PageStore
    tokens: TokenSource
    source: CrmSource
    queue: JobQueue
    announcer: JobAnnouncer
    limiter: RateLimiter


class Exporter:
    """Runs slices of jobs. One object serves all threads of a worker: it keeps no state of a job."""

    def __init__(  # noqa: PLR0913 - a composition root passes each by name
        self,
        *,
        tools: ExportTools,
        worker: str,
        result_ttl: timedelta,
        clock: Callable[[], datetime],
        stopping: threading.Event,
        limits: SliceLimits | None = None,
    ) -> None:
        self._tools = tools
        self._worker = worker
        self._result_ttl = result_ttl
        self._clock = clock
        self._stopping = stopping
        self._limits = limits or SliceLimits()

    def run_slice(self, job_id: str) -> None:
        """Work on a job until it is finished, has to wait, or its slice is over.

        A job that is not due, or that someone else holds, is left alone: messages may come twice.
        Raises StoreUnavailableError when MongoDB is away; the lease then ends and the sweeper rings again.
        """
        job = self._tools.jobs.claim(job_id, worker=self._worker, lease_s=self._limits.lease_s, at=self._clock())
        if job is None:
            _log.info("nothing_to_claim", job_id=job_id)
            return
        with structlog.contextvars.bound_contextvars(job_id=job_id, account_id=job.account_id, epoch=job.epoch):
            try:
                self._work_on(job)
            except LeaseLostError:
                _log.warning("lease_lost")

    def _work_on(self, job: Job) -> None:
        if job.lapses >= self._limits.most_lapses:
            message = f"The job was given up after {job.lapses} workers in a row ended while they had it"
            self._finish(self._fail(job, InternalError(message)))
            return
        ends_at = time.monotonic() + self._limits.seconds
        last_page = job.progress.pages + self._limits.pages
        if job.kind is JobKind.EXPORT and job.progress.pages == 0:
            self._tools.announcer.announce(job)  # who waits for a page wants nothing else
        while job.status is JobStatus.RUNNING:
            if self._stopping.is_set() or time.monotonic() >= ends_at or job.progress.pages >= last_page:
                self._hand_back(job)
                return
            job = self._step(job)
            if job.status is JobStatus.RUNNING:
                self._tools.jobs.checkpoint(job, lease_s=self._limits.lease_s)
        self._finish(job)

    def _finish(self, job: Job) -> None:
        """Store that the job is finished or has to wait, the end of its pages first: they may not outlive it."""
        job = job.expire(after=self._result_ttl)
        if job.expires_at is not None and job.kind is JobKind.EXPORT:
            self._tools.pages.expire(job.job_id, at=job.expires_at)
        self._tools.jobs.checkpoint(job, lease_s=self._limits.lease_s)
        self._tools.announcer.announce(job)
        _log.info("job_left", status=job.status, pages=job.progress.pages, records=job.progress.records)

    def _step(self, job: Job) -> Job:
        """Do one call and give the job as it stands after it."""
        wait_s = self._tools.limiter.reserve(job.account_id)
        if wait_s > 0:
            return self._pause(job, wait_s, reason="rate_limit")
        try:
            return self._export_page(job)
        except RetryableHubSpotError as error:
            return self._retry_or_fail(job, error)
        except (HubSpotError, TokenNotFoundError) as error:
            return self._fail(job, error)
        except (UnavailableError, LeaseLostError):
            raise
        except Exception:  # the outermost loop of a job: what is a bug today would be one at every try
            _log.exception("job_broke")
            return self._fail(job, InternalError())

    def _export_page(self, job: Job) -> Job:
        page = self._fetch(job)
        if page.has_more and not job.progress.goes_on_to(page):
            raise CursorStuckError(
                f"HubSpot's offset does not advance: after page {job.progress.pages}, fetched from offset "
                f"{job.progress.offset}, there is more, but to be read from offset {page.offset}"
            )
        moved = job.advance(page, at=self._clock())
        self._tools.pages.add(job, page, expires_at=moved.expire(after=self._result_ttl).expires_at)
        return moved

    def _fetch(self, job: Job) -> Page:
        """Fetch the job's next page; an access token that HubSpot refuses is renewed once."""
        token = self._tools.tokens.fresh(job.account_id, job.owner)
        query = PageQuery(
            export_type=job.export_type,
            count=job.next_page_size,
            offset=job.progress.offset,
            params=job.request.params,
        )
        try:
            return self._tools.source.fetch_page(query, token)
        except TokenRefusedError:
            renewed = self._tools.tokens.fresh(job.account_id, job.owner, refused=token)
        return self._tools.source.fetch_page(query, renewed)

    def _retry_or_fail(self, job: Job, error: RetryableHubSpotError) -> Job:
        policy = RETRY_POLICIES[job.kind]
        is_wished = job.kind is JobKind.EXPORT and error.retry_after_s is not None  # no failure: HubSpot wants patience
        delay_s = policy.delay_s(error, attempt=job.attempts, jitter=random.random())  # noqa: S311 - spreads load
        if delay_s is None:
            return self._fail(job, error)
        _log.warning("call_failed", error=error.message, hubspot_status=error.status, retry_in_s=round(delay_s, 2))
        return self._pause(job if is_wished else job.try_again(), delay_s, reason=error.code)

    def _pause(self, job: Job, delay_s: float, *, reason: str) -> Job:
        """Sit a short delay out; for a longer one the job waits in the database and the worker is free."""
        if delay_s <= self._limits.longest_sleep_s:
            self._stopping.wait(delay_s)
            return job
        at = self._clock()
        return job.wait(until=at + timedelta(seconds=delay_s), reason=reason, at=at)

    def _fail(self, job: Job, error: ExportError) -> Job:
        _log.warning("job_failed", code=error.code, error=error.message)
        return job.fail(error, at=self._clock())

    def _hand_back(self, job: Job) -> None:
        self._tools.jobs.release(job)
        try:
            self._tools.queue.publish(job)
        except BrokerUnavailableError:
            _log.warning("slice_not_published")
            self._tools.jobs.mark_unpublished([job])
