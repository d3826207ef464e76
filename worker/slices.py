"""Slice: one task execution's work on one job: while a page is being stored, the next one is being fetched."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime

import structlog
from pydantic import SecretStr

from worker.closing import close, tell_sync
from worker.errors import (
    BrokerUnavailableError,
    CursorStuckError,
    ExportError,
    HubSpotError,
    InternalError,
    LeaseLostError,
    RateLimitedError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenRefusedError,
    UnavailableError,
    WorkersLostError,
)
from worker.export_tools import ExportTools, SliceLimits
from worker.fetching import PageFetcher
from worker.interfaces import FetchedPage
from worker.jobs import Job, JobKind, JobStatus
from worker.leases import HeldLease
from worker.pages import record_ids
from worker.publishing import publish_or_note
from worker.rates import Quota
from worker.retry import RETRY_POLICIES, advice_s, is_failure, smaller_page
from worker.syncs import is_left_over

_log = structlog.get_logger()

_OK = 200
_MOST_TRIES = 50  # more than any policy has: each one more is a slice that an absent database has ended
_NO_PLACE = "HubSpot's limit of calls for this account is used up"


class Slice:
    """Works on a job until it is finished, has to wait, or its time is over. It holds the job's lease all along."""

    def __init__(self, lease: HeldLease, *, tools: ExportTools, limits: SliceLimits) -> None:
        self._lease = lease
        self._job = lease.job
        self._tools = tools
        self._limits = limits
        self._ends_at = tools.monotonic() + limits.seconds
        self._last_page = self._job.progress.pages + limits.pages
        self._token: SecretStr | None = None
        self._refused: SecretStr | None = None
        self._wait_s: float | None = None
        self._fetcher = PageFetcher(lease, tools=tools, limits=limits)
        self._storing: tuple[Job, Future[Job]] | None = None  # the job before the page, and as it is with it

    def run(self) -> None:
        """Do the slice. Raises LeaseLostError, UnavailableError; what was stored until then stays."""
        try:
            self._begin()
            self._go_on()
        finally:
            if self._storing is not None:
                wait([self._storing[1]])  # the lease is given up after the last write under it

    def _go_on(self) -> None:
        while self._job.status is JobStatus.RUNNING and self._job.resume_at is None:
            if self._wants_more(self._job):
                self._do(self._fetch_next)
            elif self._storing is not None:
                self._do(self._bring_home)
            elif self._job.cancel_requested:
                self._job = self._job.cancel(at=self._tools.clock())
            elif self._job.has_copy_to_compare and not self._is_over(self._job):
                self._do(self._compare)
            elif self._job.is_complete and not self._job.has_copy_to_compare:
                self._job = self._job.succeed(at=self._tools.clock())
            else:
                self._hand_back()
                return
        self._leave()

    def _begin(self) -> None:
        job = self._job
        if job.lapses >= self._limits.most_lapses:
            message = f"The job was given up after {job.lapses} workers in a row ended while they had it"
            self._fail(WorkersLostError(message))
        elif job.attempts > _MOST_TRIES:
            self._fail(StoreUnavailableError())
        elif job.parent_id is not None and is_left_over(self._tools.jobs.find(job.parent_id)):
            self._job = job.cancel(at=self._tools.clock())
        else:
            self._take_up()
        if job.kind is JobKind.EXPORT and job.progress.pages == 0:
            self._announce()  # who waits for a page wants nothing else
            self._estimate()

    def _estimate(self) -> None:
        """Note how much the job will bring, as far as anyone knows. No job fails for want of that."""
        try:
            self._job = replace(self._job, estimate=self._tools.forecaster.forecast(self._job))
        except Exception:
            _log.exception("no_forecast")

    def _take_up(self) -> None:
        if self._job.copying is not None:
            self._job = self._tools.copy.take_up(self._job)
        if self._job.pages_expire_at is not None:
            self._take_up_again()

    def _take_up_again(self) -> None:
        """Keep the pages of a job that is retried; where some are gone already, all are fetched anew."""
        job_id = self._job.job_id
        for sibling in self._job.siblings:
            self._tools.pages.expire(sibling, at=None)
        if self._tools.pages.count(job_id) < self._job.progress.pages:
            _log.warning("pages_gone")
            self._lease.require()
            self._tools.pages.remove(job_id)
            self._job = self._job.start_over()
        self._job = replace(self._job, pages_expire_at=None)

    def _wants_more(self, job: Job) -> bool:
        return not (job.cancel_requested or job.is_complete or self._is_over(job))

    def _is_over(self, job: Job) -> bool:
        is_late = self._tools.monotonic() >= self._ends_at or job.progress.pages >= self._last_page
        return is_late or self._tools.stopping.is_set()

    def _do(self, step: Callable[[], None]) -> None:
        """Do a step of the job, or decide what its failure means for it."""
        try:
            step()
        except (UnavailableError, LeaseLostError):
            raise
        except ExportError as error:
            self._fail(error)
        except Exception:  # the outermost loop of a job: what is a bug today would be one at every try
            _log.exception("job_broke")
            self._fail(InternalError())

    def _fetch_next(self) -> None:
        try:
            self._ask_for_page()
        except TokenRefusedError as error:
            self._renew_or_fail(error)
        except RetryableHubSpotError as error:
            self._retry_or_fail(error)

    def _ask_for_page(self) -> None:
        """Do one call and have stored what came of it. Until it has been answered the page before is being stored."""
        try:
            attempt = self._fetcher.fetch(self._job, refused=self._refused)
        finally:
            self._bring_home()
        self._token = attempt.token
        if attempt.fetched is not None:
            self._note(_OK, attempt.fetched.quota)
            self._store(attempt.fetched, asked_at=attempt.asked_at)
        elif attempt.error is not None:
            self._note_error(attempt.error)
            raise attempt.error
        elif attempt.wait_s > 0:
            self._wait_for_place(attempt.wait_s)

    def _wait_for_place(self, wait_s: float) -> None:
        """Wait, unless someone waits at the other end and would not wait that long."""
        if self._job.kind is JobKind.PAGE and wait_s > self._limits.seconds:
            self._fail(RateLimitedError(_NO_PLACE, status=429, retry_after_s=wait_s))
            return
        self._stand_aside(wait_s, reason="rate_limit")

    def _note_error(self, error: HubSpotError) -> None:
        self._note(error.status, error.quota)
        self._job = replace(self._job, most_a_page=smaller_page(error, self._job) or self._job.most_a_page)

    def _note(self, status: int | None, quota: Quota | None) -> None:
        self._job = replace(self._job, tally=self._job.tally.after_call(status))
        if quota is not None:
            self._tools.limiter.learn(self._job.account_id, quota)

    def _store(self, fetched: FetchedPage, *, asked_at: float) -> None:
        """Store the page: while the next one is being fetched, if one is wanted."""
        job, page = self._job, fetched.page
        if page.has_more and not job.progress.goes_on_to(page):
            raise CursorStuckError(
                f"HubSpot's offset does not advance: after page {job.progress.pages}, fetched from offset "
                f"{job.progress.offset}, there is more, but to be read from offset {page.offset}"
            )
        self._refused = None
        moved = job.advance(page, at=self._tools.clock())
        if self._wants_more(moved):
            writing = self._tools.storing.submit(copy_context().run, self._write, job, moved, fetched, asked_at)
            self._storing, self._job = (job, writing), moved
        else:
            self._job = self._write(job, moved, fetched, asked_at)

    def _write(self, job: Job, moved: Job, fetched: FetchedPage, asked_at: float) -> Job:
        """Store a page, then the place after it; the write that finishes a job is the one that leaves it."""
        page = fetched.page
        self._lease.require()
        ids = record_ids(job.records_type, page.body)
        was_there = self._tools.pages.add(job, page, ids=ids, expires_at=self._end_of_page(moved, moved.updated_at))
        self._tools.eraser.keep_out(job, ids)
        tally = moved.tally.after_page(
            ids,
            most=job.left,
            was_refetched=was_there,
            says_more=page.says_more,
            api=fetched.api,
            properties=fetched.properties,
        )
        stored = replace(moved, tally=tally)
        if stored.copying is not None:
            stored = self._tools.copy.keep_up(stored, page, asked_at=asked_at)
        is_over = stored.is_complete and not stored.has_copy_to_compare
        return stored if is_over else replace(stored, cancel_requested=self._lease.checkpoint(stored))

    def _compare(self) -> None:
        """Compare a portion; the write that finishes a job is the one that leaves it."""
        self._lease.require()
        self._job = self._tools.copy.compare(self._job)
        if self._job.has_copy_to_compare:
            self._job = replace(self._job, cancel_requested=self._lease.checkpoint(self._job))

    def _bring_home(self) -> None:
        """Go on with the job as it is stored, once it is. Raises what kept the page from being stored."""
        if self._storing is not None:
            (self._job, writing), self._storing = self._storing, None
            self._job = writing.result()

    def _end_of_page(self, job: Job, at: datetime) -> datetime | None:
        """Give the end of the only page there will be; an export's pages get theirs together."""
        if job.kind is not JobKind.PAGE:
            return None
        return job.succeed(at=at).expire(after=self._tools.result_ttl).expires_at

    def _renew_or_fail(self, error: TokenRefusedError) -> None:
        """Have the access token renewed once; the next call goes the ordinary way, with a place of its own."""
        tries = self._job.attempts + 1
        if self._refused is not None or tries > RETRY_POLICIES[self._job.kind].most_attempts:
            self._fail(error)
            return
        _log.info("token_refused", **error.log_fields)
        self._refused = self._token
        self._job = replace(self._job, attempts=tries, tally=self._job.tally.after_retry(error.status))

    def _retry_or_fail(self, error: RetryableHubSpotError) -> None:
        policy, at = RETRY_POLICIES[self._job.kind], self._tools.clock()
        delay_s = policy.delay_s(error, self._job, at=at, jitter=random.random())  # noqa: S311 - spreads load
        if isinstance(error, RateLimitedError):
            self._tools.limiter.block(self._job.account_id, seconds=advice_s(error, at) or 0.0)
        if delay_s is None:
            self._fail(error)
            return
        _log.warning("call_failed", retry_in_s=round(delay_s, 2), **error.log_fields)
        self._job = replace(
            self._job,
            attempts=self._job.attempts + is_failure(error),
            waited_s=self._job.waited_s + delay_s,
            tally=self._job.tally.after_retry(error.status),
        )
        self._stand_aside(delay_s, reason=error.code)

    def _stand_aside(self, delay_s: float, *, reason: str) -> None:
        """Sit a moment out; for anything longer the job waits in the database and the worker is free."""
        at = self._tools.clock()
        if delay_s <= self._limits.longest_sleep_s:
            self._tools.stopping.wait(delay_s)
            return
        self._wait_s = delay_s
        is_long = delay_s > self._limits.seconds
        stand = self._job.wait if is_long else self._job.pause
        self._job = stand(delay_s, reason=reason, at=at)

    def _closed(self) -> Job:
        """Close the job; what cannot be counted, or has ended workers before, is left uncounted."""
        pages, result_ttl = self._tools.pages, self._tools.result_ttl
        if self._job.lapses < self._limits.most_lapses:
            try:
                return close(self._job, pages=pages, result_ttl=result_ttl)
            except UnavailableError:
                raise
            except Exception:
                _log.exception("receipt_not_drawn_up")
        return close(self._job, pages=pages, result_ttl=result_ttl, counts_ids=False)

    def _fail(self, error: ExportError) -> None:
        _log.warning("job_failed", code=error.code, **error.log_fields)
        self._job = self._job.fail(error, at=self._tools.clock())

    def _hand_back(self) -> None:
        self._tools.jobs.release(self._job)
        try:
            publish_or_note(self._job, queue=self._tools.queue, jobs=self._tools.jobs)
        except BrokerUnavailableError:
            _log.warning("slice_not_published")

    def _leave(self) -> None:
        """Store that the job is finished or has to wait, the end of its pages first: they may not outlive it."""
        if self._job.status.is_terminal:
            self._job = self._closed()
        self._tools.jobs.release(self._job, resume_in_s=self._wait_s)
        if self._wait_s is not None:
            self._tools.rings.ring_in(self._wait_s, self._job)
        if self._job.status is not JobStatus.RUNNING:
            self._announce()
        progress = self._job.progress
        _log.info("job_left", status=self._job.status, pages=progress.pages, records=progress.records)

    def _announce(self) -> None:
        tools = self._tools
        tools.announcer.announce(self._job)
        tell_sync(self._job, jobs=tools.jobs, pages=tools.pages, announcer=tools.announcer, result_ttl=tools.result_ttl)
