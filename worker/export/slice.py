"""Slice: one task execution's work on one job: while a page is being stored, the next one is being fetched."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from worker.errors import (
    CallAbandonedError,
    CursorLostError,
    CursorStuckError,
    ExportError,
    InternalError,
    LeaseLostError,
    NoPermitError,
    RateLimitedError,
    RetryableHubSpotError,
    TokenRefusedError,
    UnavailableError,
)
from worker.export.call_policy import BeginAnew, Decision, Fail, LeaveFeed, Retry, SwitchApi
from worker.export.context import ExportContext, SliceLimits
from worker.export.deletions import deletions_told, note_deletions
from worker.export.lanes.order import shows_order
from worker.export.lanes.reader import LaneReader, begin_lanes
from worker.export.leased_job import LeasedJob
from worker.export.leases import HeldLease, StoredPage
from worker.export.page_fetcher import Attempt, PageFetcher
from worker.export.release import Release
from worker.export.resumption import Resumption
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.records.cursor import goes_back
from worker.records.page import Ids, Page, without_repeat

_log = structlog.get_logger()

_GOES_BACK = "HubSpot's other API did not go on in the order of ids"
_NO_PERMIT = "The rate limit for this HubSpot account is exhausted"


class Slice:
    """Works on a job until it is finished, has to wait, or its time is over. It holds the job's lease all along.

    An export that turns out to be long, and to come in the order of its ids, continues in lanes.
    """

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self._leased = LeasedJob(lease, tools=tools, limits=limits)
        self._tools = tools
        self._fetcher = PageFetcher(lease, tools=tools, limits=limits)
        self._storing: tuple[Job, Future[Job]] | None = None  # the job before the page, and as it is with it
        self._stored: dict[int, Collection[int]] = {}  # what the comparison need not read again, by the pages' numbers

    def run(self) -> None:
        """Run the slice. Raises LeaseLostError, UnavailableError; what was stored until then stays."""
        resumption = Resumption(self._leased)
        try:
            resumption.begin()
            if self._learn_portal():
                token = self._fetcher.token
                resumption.resume(token=token.value if token is not None else None)
                while resumption.has_to_select:
                    self._do(partial(self._select, resumption))
            self._continue()
        finally:
            self._tools.siblings.leave(self._leased.job)
            if self._storing is not None:
                self._tools.wait_for([self._storing[1]])  # the lease is released after the last write under it

    def _continue(self) -> None:
        leased = self._leased
        while True:
            if leased.wants_more(leased.job):
                self._do(self._fetch_next if leased.job.lanes is None else self._read_in_lanes)
            elif not leased.is_at_work:
                Release(leased).leave()
                return
            elif self._storing is not None:
                self._do(self._await_write)
            elif leased.job.cancel_requested:
                leased.apply(leased.job.cancel(at=self._tools.clock()))
            elif leased.job.reads_archive and not leased.is_over(leased.job):
                self._do(self._read_archive)
            elif leased.job.has_copy_to_compare and not leased.is_over(leased.job):
                self._do(self._compare)
            elif leased.job.is_complete and not leased.job.has_copy_to_compare:
                leased.apply(leased.job.succeed(at=self._tools.clock()))
            else:
                self._tools.jobs.release(leased.job)  # whoever claimed it publishes for the account's next job
                return

    def _do(self, step: Callable[[], None]) -> None:
        """Do a step of the job; an error that nobody has handled fails it."""
        try:
            step()
        except (UnavailableError, LeaseLostError):
            raise
        except ExportError as error:
            self._leased.fail(error)
        except Exception:  # the outermost loop of a job: what is a bug today would be one at every try
            _log.exception("job_broke")
            self._leased.fail(InternalError())

    def _learn_portal(self) -> bool:
        """Find out which portal is connected, where pages are wanted: it tells which copy the job continues.

        False when that has ended the job, or made it wait, and where the slice is over before it is known.
        """
        leased = self._leased
        if leased.job.is_complete or leased.job.cancel_requested:
            return leased.is_at_work
        while leased.is_at_work and self._fetcher.token is None:
            if leased.is_over(leased.job):
                return False
            self._do(self._ask_for_portal)
        return leased.is_at_work

    def _ask_for_portal(self) -> None:
        try:
            token = self._fetcher.fresh_token(self._leased.job)
        except RetryableHubSpotError as error:
            self._follow(self._leased.decide(error, asked=self._leased.job))
        else:
            self._leased.belong_to(token.hub_id)

    def _select(self, resumption: Resumption) -> None:
        """Decide which properties are asked for, or make the job wait or fail."""
        try:
            resumption.select()
        except NoPermitError as error:
            self._wait_for_permit(error.wait_s)
        except CallAbandonedError:
            _log.info("selection_abandoned")  # the worker stops: whoever resumes the job decides
        except (TokenRefusedError, RetryableHubSpotError) as error:
            self._follow(self._leased.decide(error, asked=self._leased.job))

    def _read_in_lanes(self) -> None:
        lanes = self._leased.job.lanes
        if lanes is not None:
            LaneReader(self._leased, lanes, fetcher=self._fetcher).read()

    def _fetch_next(self) -> None:
        """Make one call and store what came of it. Until it has been answered the page before is being stored."""
        if self._splits():
            return
        leased, (attempt, error) = self._leased, self._ask()
        if error is not None:
            self._follow(leased.decide(error, asked=leased.job))
        elif attempt is not None and attempt.fetched is not None:
            self._store(attempt)
        elif attempt is not None and attempt.wait_s > 0:
            self._wait_for_permit(attempt.wait_s)

    def _read_archive(self) -> None:
        """Make one call for what was deleted, and mark that in the copy."""
        leased, (attempt, error) = self._leased, self._ask()
        page = deletions_told(attempt, error)
        if page is not None:
            note_deletions(leased, page, asked_at=attempt.asked_at if attempt is not None else 0.0)
        elif error is not None:
            self._follow(leased.decide(error, asked=leased.job))
        elif attempt is not None and attempt.wait_s > 0:
            self._wait_for_permit(attempt.wait_s)

    def _ask(self) -> tuple[Attempt | None, ExportError | None]:
        """Make the next call, and wait for the page before to be stored; return what came of it."""
        leased, attempt = self._leased, None
        error: ExportError | None
        try:
            attempt = self._fetcher.fetch(leased.job)
            error = attempt.error
        except (
            TokenRefusedError,
            RetryableHubSpotError,
            CursorLostError,
        ) as failure:  # before any call: by the token endpoint, say
            error = failure
        finally:
            self._await_write()
        if attempt is not None:
            leased.note_calls(attempt, asked=leased.job)
        return attempt, error

    def _splits(self) -> bool:
        """Continue in lanes, if what is stored by now lets the export be split."""
        leased = self._leased
        if self._tools.lanes == 1 or not shows_order(leased.job):
            return False
        self._await_write()
        if leased.wants_more(leased.job) and shows_order(leased.job):
            leased.apply(begin_lanes(leased.job, at=self._tools.clock()))
        return True

    def _follow(self, decision: Decision) -> None:
        match decision:
            case Retry():
                self._retry(decision)
            case SwitchApi(api=api):
                self._leased.switch_api(api)
            case LeaveFeed(because=because):
                self._leased.leave_feed(because=because)
            case BeginAnew(because=because):
                self._begin_anew(because=because)
            case Fail(error=error):
                self._leased.fail(error)

    def _retry(self, retry: Retry) -> None:
        leased, job = self._leased, self._leased.job
        leased.apply(replace(job, patience=job.patience.after_failure(backoff_s=retry.delay_s, is_try=retry.counts)))
        if retry.renews_token:
            self._fetcher.renew_token(leased.job)
        leased.park(retry.delay_s, reason=retry.error.code)

    def _begin_anew(self, *, because: str) -> None:
        """Forget what was read: what is behind it cannot be told from it."""
        _log.warning("export_begun_anew", reason=because)
        self._leased.lease.require()
        self._leased.begin_anew(because=because)

    def _wait_for_permit(self, wait_s: float) -> None:
        """Wait, unless someone waits at the other end and would not wait that long."""
        if self._leased.job.kind is JobKind.PAGE and wait_s > self._leased.limits.seconds:
            self._leased.fail(RateLimitedError(_NO_PERMIT, status=429, retry_after_s=wait_s))
            return
        self._leased.park(wait_s, reason="rate_limit")

    def _store(self, attempt: Attempt) -> None:
        """Store the page: while the next one is being fetched, if one is wanted."""
        job, fetched = self._leased.job, attempt.fetched
        if fetched is None:
            return
        page, ids = without_repeat(job.records_type, fetched.page, last_id=job.last_id)
        if fetched.api != attempt.cursor.api and goes_back(ids, after_id=attempt.cursor.after_id):
            self._begin_anew(because=_GOES_BACK)
            return
        if page.has_more and not job.progress.goes_on_to(page, api=fetched.api):
            raise CursorStuckError(
                f"HubSpot's offset does not advance: after page {job.progress.pages}, fetched from offset "
                f"{job.progress.offset}, there is more, but to be read from offset {page.offset}"
            )
        moved = job.with_page(
            page,
            ids,
            api=fetched.api,
            properties=fetched.properties,
            findings=fetched.findings,
            at=self._tools.clock(),
        )
        if moved.copying is not None:
            moved = replace(moved, copying=replace(moved.copying, feed_total=fetched.total))
        write = partial(self._write, job, moved, page, ids, asked_at=attempt.asked_at)
        if self._leased.wants_more(moved):
            self._storing = job, self._tools.storing.submit(copy_context().run, write)
            self._leased.apply(moved)
        else:
            self._leased.apply(write())

    def _write(self, job: Job, moved: Job, page: Page, ids: Ids, *, asked_at: float) -> Job:
        """Store a page, then the cursor behind it; the last page's cursor is written with the end of the job."""
        tools, lease = self._tools, self._leased.lease
        lease.require()
        was_there = tools.pages.add(job, page, ids=ids, expires_at=self._end_of_page(moved, moved.updated_at))
        stored = replace(moved, totals=moved.totals.after_refetch()) if was_there else moved
        if stored.copying is not None:
            stored = tools.copy.apply_page(stored, page, asked_at=asked_at)
            self._stored[job.progress.pages] = frozenset(each for each in ids if each is not None)
        # The only page of a sync is counted with the comparison: whoever finds it uncounted begins both anew.
        if not stored.is_complete or (stored.has_copy_to_compare and job.progress.pages > 0):
            return lease.count(stored, [StoredPage(number=job.progress.pages, ids=ids)], eraser=tools.eraser)
        tools.eraser.screen_page(job, job.progress.pages, ids)
        if job.kind is JobKind.PAGE:
            tools.notifier.notify_page(job)  # who waits for it need not wait for the job's end to be stored
        return stored

    def _compare(self) -> None:
        """Compare a portion; the last one is written with the end of the job."""
        leased, lease = self._leased, self._leased.lease
        lease.require()
        leased.apply(self._tools.copy.compare(leased.job, seen=self._stored))
        if leased.job.has_copy_to_compare:
            leased.apply(lease.count(leased.job, [], eraser=self._tools.eraser))

    def _await_write(self) -> None:
        """Continue with the job as it is stored, once it is. Raises what kept the page from being stored."""
        if self._storing is not None:
            (before, writing), self._storing = self._storing, None
            try:
                self._leased.apply(writing.result())
            except BaseException:
                self._leased.apply(before)  # without the page that was not stored
                raise

    def _end_of_page(self, job: Job, at: datetime) -> datetime | None:
        """Return the end of the only page there will be; an export's pages get theirs together."""
        if job.kind is not JobKind.PAGE:
            return None
        return job.succeed(at=at).expire(after=self._tools.result_ttl).expires_at
