"""Slice: one task execution's work on one job: while a page is being stored, the next one is being fetched."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from worker.errors import (
    CursorLostError,
    CursorStuckError,
    FeedUnusableError,
    ListGoneError,
    RateLimitedError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.export.context import ExportContext, SliceLimits
from worker.export.erasure_screen import StoredPage
from worker.export.interfaces import FetchedPage
from worker.export.lanes.order import shows_order
from worker.export.lanes.reader import LaneReader, begin_lanes
from worker.export.leased_job import LeasedJob
from worker.export.leases import HeldLease
from worker.export.page_fetcher import PageFetcher
from worker.export.retry import is_failure
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.records.cursor import Ids, goes_back, without_repeat
from worker.records.page import Page, ids_of

_log = structlog.get_logger()

_GOES_BACK = "HubSpot's other API did not go on in the order of ids"
_NO_PLACE = "HubSpot's limit of calls for this account is used up"


class Slice:
    """Works on a job until it is finished, has to wait, or its time is over. It holds the job's lease all along.

    An export that turns out to be long, and to come in the order of its ids, goes on in lanes.
    """

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self._leased = LeasedJob(lease, tools=tools, limits=limits)
        self._tools = tools
        self._fetcher = PageFetcher(lease, tools=tools, limits=limits)
        self._storing: tuple[Job, Future[Job]] | None = None  # the job before the page, and as it is with it
        self._stored: dict[int, Collection[int]] = {}  # what the comparison need not read again, by the pages' numbers

    def run(self) -> None:
        """Do the slice. Raises LeaseLostError, UnavailableError; what was stored until then stays."""
        try:
            self._leased.begin()
            if self._learn_portal():
                self._leased.resume(token=self._fetcher.token)
            self._continue()
        finally:
            self._tools.siblings.leave(self._leased.job)
            if self._storing is not None:
                self._tools.wait_for([self._storing[1]])  # the lease is given up after the last write under it

    def _continue(self) -> None:
        leased = self._leased
        while leased.is_at_work:
            if leased.wants_more(leased.job):
                leased.do(self._fetch_next if leased.job.lanes is None else self._read_in_lanes)
            elif self._storing is not None:
                leased.do(self._await_write)
            elif leased.job.cancel_requested:
                leased.cancel()
            elif leased.job.has_copy_to_compare and not leased.is_over(leased.job):
                leased.do(self._compare)
            elif leased.job.is_complete and not leased.job.has_copy_to_compare:
                leased.succeed()
            else:
                leased.requeue()
                return
        leased.leave()

    def _learn_portal(self) -> bool:
        """Find out which portal is connected, where pages are wanted: it tells which copy the job goes on from.

        False when that has ended the job, or has it wait, and where the slice is over before it is known.
        """
        leased = self._leased
        if leased.job.is_complete or leased.job.cancel_requested:
            return leased.is_at_work
        while leased.is_at_work and not self._fetcher.has_token:
            if leased.is_over(leased.job):
                return False
            leased.do(self._ask_for_portal)
        return leased.is_at_work

    def _ask_for_portal(self) -> None:
        try:
            self._fetcher.fresh_token(self._leased.job)
        except RetryableHubSpotError as error:
            self._retry_or_fail(error)
        else:
            self._leased.belong_to(self._fetcher.hub_id)

    def _read_in_lanes(self) -> None:
        lanes = self._leased.job.lanes
        if lanes is not None:
            LaneReader(self._leased, lanes, fetcher=self._fetcher).read()

    def _fetch_next(self) -> None:
        if self._splits():
            return
        try:
            self._ask_for_page()
        except FeedUnusableError as error:
            self._leased.read_all(because=error.message)
        except CursorLostError as error:
            self._begin_anew(because=error.message)
        except ListGoneError as error:
            self._leased.leave_list(error)
        except (TokenRefusedError, RetryableHubSpotError) as error:
            self._retry_or_fail(error)

    def _splits(self) -> bool:
        """Go on in lanes, if what is stored by now lets the export be split."""
        if self._tools.lanes == 1 or not shows_order(self._leased.job):
            return False
        self._await_write()
        if self._leased.wants_more(self._leased.job) and shows_order(self._leased.job):
            self._leased.job = begin_lanes(self._leased.job, at=self._tools.clock())
        return True

    def _ask_for_page(self) -> None:
        """Do one call and have stored what came of it. Until it has been answered the page before is being stored."""
        try:
            attempt = self._fetcher.fetch(self._leased.job)
        finally:
            self._await_write()
        self._leased.belong_to(self._fetcher.hub_id)
        self._leased.note_further(attempt.answered)
        if attempt.fetched is not None:
            self._leased.note_page(attempt.fetched)
            self._store(attempt.fetched, asked_at=attempt.asked_at)
        elif attempt.error is not None:
            job, error = self._leased.job, attempt.error
            self._leased.note_call(error.status, error.quota)
            self._leased.ask_for_less(error, job)
            raise error
        elif attempt.wait_s > 0:
            self._wait_for_place(attempt.wait_s)

    def _begin_anew(self, *, because: str) -> None:
        """Forget what was read: what is behind it cannot be told from it."""
        _log.warning("export_begun_anew", reason=because)
        self._leased.lease.require()
        self._leased.begin_anew(because=because)

    def _wait_for_place(self, wait_s: float) -> None:
        """Wait, unless someone waits at the other end and would not wait that long."""
        if self._leased.job.kind is JobKind.PAGE and wait_s > self._leased.limits.seconds:
            self._leased.fail(RateLimitedError(_NO_PLACE, status=429, retry_after_s=wait_s))
            return
        self._leased.park(wait_s, reason="rate_limit")

    def _store(self, fetched: FetchedPage, *, asked_at: float) -> None:
        """Store the page: while the next one is being fetched, if one is wanted."""
        job, cursor = self._leased.job, self._leased.job.cursor
        given = ids_of(job.records_type, fetched.page)
        page, ids = without_repeat(job.records_type, fetched.page, given, last_id=job.last_id)
        if fetched.api != cursor.api and goes_back(ids, after_id=cursor.after_id):
            self._begin_anew(because=_GOES_BACK)
            return
        if page.has_more and not job.progress.goes_on_to(page, api=fetched.api):
            raise CursorStuckError(
                f"HubSpot's offset does not advance: after page {job.progress.pages}, fetched from offset "
                f"{job.progress.offset}, there is more, but to be read from offset {page.offset}"
            )
        moved = job.advance(page, api=fetched.api, at=self._tools.clock())
        tally = job.tally.after_page(
            ids,
            most=job.left,
            says_more=page.says_more,
            api=fetched.api,
            properties=fetched.properties,
            mended=page.mended_in(job.left),
            size=len(page.body),
        )
        moved = replace(moved, tally=tally)
        if moved.copying is not None:
            moved = replace(moved, copying=replace(moved.copying, feed_total=fetched.total))
        write = partial(self._write, job, moved, page, ids, asked_at=asked_at)
        if self._leased.wants_more(moved):
            writing = self._tools.storing.submit(copy_context().run, write)
            self._storing, self._leased.job = (job, writing), moved
        else:
            self._leased.job = write()

    def _write(self, job: Job, moved: Job, page: Page, ids: Ids, *, asked_at: float) -> Job:
        """Store a page, then the place after it; the write that finishes a job is the one that leaves it."""
        lease = self._leased.lease
        lease.require()
        was_there = self._tools.pages.add(job, page, ids=ids, expires_at=self._end_of_page(moved, moved.updated_at))
        stored = replace(moved, tally=moved.tally.after_refetch()) if was_there else moved
        if stored.copying is not None:
            stored = self._tools.copy.apply_page(stored, page, asked_at=asked_at)
            self._stored[job.progress.pages] = frozenset(each for each in ids if each is not None)
        is_over = stored.is_complete and not stored.has_copy_to_compare
        # The only page of a sync is counted with the comparison: whoever finds it uncounted begins both anew.
        is_only = job.progress.pages == 0 and stored.is_complete
        if not (is_over or is_only):
            return self._leased.count(stored, [StoredPage(number=job.progress.pages, ids=ids)])
        self._tools.eraser.keep_out(job, job.progress.pages, ids)
        if job.kind is JobKind.PAGE:
            self._tools.notifier.notify_page(job)  # who waits for it need not wait for the job's end to be stored
        return stored

    def _compare(self) -> None:
        """Compare a portion; the write that finishes a job is the one that leaves it."""
        lease = self._leased.lease
        lease.require()
        job = self._leased.job = self._tools.copy.compare(self._leased.job, seen=self._stored)
        if job.has_copy_to_compare:
            self._leased.job = self._leased.count(job, [])

    def _await_write(self) -> None:
        """Go on with the job as it is stored, once it is. Raises what kept the page from being stored."""
        if self._storing is not None:
            (self._leased.job, writing), self._storing = self._storing, None
            self._leased.job = writing.result()

    def _end_of_page(self, job: Job, at: datetime) -> datetime | None:
        """Return the end of the only page there will be; an export's pages get theirs together."""
        if job.kind is not JobKind.PAGE:
            return None
        return job.succeed(at=at).expire(after=self._tools.result_ttl).expires_at

    def _retry_or_fail(self, error: TokenRefusedError | RetryableHubSpotError) -> None:
        job = self._leased.job
        delay_s = self._leased.delay_after(error, job)
        if delay_s is None:
            self._leased.fail(error)
            return
        self._leased.job = replace(job, patience=job.patience.after_failure(waited_s=delay_s, is_try=is_failure(error)))
        self._leased.note_retry(error)
        if isinstance(error, TokenRefusedError):
            self._renew()
        self._leased.park(delay_s, reason=error.code)

    def _renew(self) -> None:
        """Have the refused token renewed now: whoever takes the job up after the wait knows nothing of the refusal."""
        with suppress(RetryableHubSpotError):
            self._fetcher.fresh_token(self._leased.job)
