"""Slice: one task execution's work on one job: while a page is being stored, the next one is being fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from worker.export.leases import HeldLease
from worker.export.page_fetcher import Attempt, PageFetcher
from worker.export.page_writer import PageWriter
from worker.export.release import Release
from worker.export.resumption import Resumption
from worker.jobs.status import JobKind
from worker.records.cursor import goes_back
from worker.records.page import without_repeat

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
        self._writer = PageWriter(self._leased)

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
                resumption.estimate()
            self._continue()
        finally:
            self._tools.siblings.leave(self._leased.job)
            self._writer.close()

    def _continue(self) -> None:
        leased = self._leased
        while True:
            if leased.wants_more(leased.job):
                self._do(self._fetch_next if leased.job.lanes is None else self._read_in_lanes)
            elif not leased.is_at_work:
                Release(leased).leave()
                return
            elif self._writer.is_storing:
                self._do(self._writer.await_write)
            elif leased.job.cancel_requested:
                leased.apply(leased.job.cancel(at=self._tools.clock()))
            elif leased.job.reads_archive and not leased.is_over(leased.job):
                self._do(self._read_archive)
            elif leased.job.has_copy_to_compare and not leased.is_over(leased.job):
                self._do(self._writer.compare)
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
        except (TokenRefusedError, RetryableHubSpotError, CursorLostError) as failure:
            error = failure  # before any call: by the token endpoint, say
        finally:
            self._writer.await_write()
        if attempt is not None:
            leased.note_calls(attempt, asked=leased.job)
        return attempt, error

    def _splits(self) -> bool:
        """Continue in lanes, if what is stored by now lets the export be split."""
        leased = self._leased
        if self._tools.lanes == 1 or not shows_order(leased.job):
            return False
        self._writer.await_write()
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
        """Store the page, unless it does not go on where the one before ended."""
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
        self._writer.store(replace(fetched, page=page), ids, asked_at=attempt.asked_at)
