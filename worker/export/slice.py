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
        self._hand = LeasedJob(lease, tools=tools, limits=limits)
        self._tools = tools
        self._fetcher = PageFetcher(lease, tools=tools, limits=limits)
        self._storing: tuple[Job, Future[Job]] | None = None  # the job before the page, and as it is with it
        self._stored: dict[int, Collection[int]] = {}  # what the comparison need not read again, by the pages' numbers

    def run(self) -> None:
        """Do the slice. Raises LeaseLostError, UnavailableError; what was stored until then stays."""
        try:
            self._hand.begin()
            if self._learn_portal():
                self._hand.take_up(token=self._fetcher.token)
            self._go_on()
        finally:
            self._tools.siblings.leave(self._hand.job)
            if self._storing is not None:
                self._tools.wait_for([self._storing[1]])  # the lease is given up after the last write under it

    def _go_on(self) -> None:
        hand = self._hand
        while hand.is_at_work:
            if hand.wants_more(hand.job):
                hand.do(self._fetch_next if hand.job.lanes is None else self._read_in_lanes)
            elif self._storing is not None:
                hand.do(self._bring_home)
            elif hand.job.cancel_requested:
                hand.cancel()
            elif hand.job.has_copy_to_compare and not hand.is_over(hand.job):
                hand.do(self._compare)
            elif hand.job.is_complete and not hand.job.has_copy_to_compare:
                hand.succeed()
            else:
                hand.hand_back()
                return
        hand.leave()

    def _learn_portal(self) -> bool:
        """Find out which portal is connected, where pages are wanted: it tells which copy the job goes on from.

        False when that has ended the job, or has it wait, and where the slice is over before it is known.
        """
        hand = self._hand
        if hand.job.is_complete or hand.job.cancel_requested:
            return hand.is_at_work
        while hand.is_at_work and not self._fetcher.has_token:
            if hand.is_over(hand.job):
                return False
            hand.do(self._ask_for_portal)
        return hand.is_at_work

    def _ask_for_portal(self) -> None:
        try:
            self._fetcher.fresh_token(self._hand.job)
        except RetryableHubSpotError as error:
            self._retry_or_fail(error)
        else:
            self._hand.belong_to(self._fetcher.hub_id)

    def _read_in_lanes(self) -> None:
        lanes = self._hand.job.lanes
        if lanes is not None:
            LaneReader(self._hand, lanes, fetcher=self._fetcher).read()

    def _fetch_next(self) -> None:
        if self._splits():
            return
        try:
            self._ask_for_page()
        except FeedUnusableError as error:
            self._hand.read_all(because=error.message)
        except CursorLostError as error:
            self._begin_anew(because=error.message)
        except ListGoneError as error:
            self._hand.leave_list(error)
        except (TokenRefusedError, RetryableHubSpotError) as error:
            self._retry_or_fail(error)

    def _splits(self) -> bool:
        """Go on in lanes, if what is stored by now lets the export be split."""
        if self._tools.lanes == 1 or not shows_order(self._hand.job):
            return False
        self._bring_home()
        if self._hand.wants_more(self._hand.job) and shows_order(self._hand.job):
            self._hand.job = begin_lanes(self._hand.job, at=self._tools.clock())
        return True

    def _ask_for_page(self) -> None:
        """Do one call and have stored what came of it. Until it has been answered the page before is being stored."""
        try:
            attempt = self._fetcher.fetch(self._hand.job)
        finally:
            self._bring_home()
        self._hand.belong_to(self._fetcher.hub_id)
        self._hand.note_further(attempt.answered)
        if attempt.fetched is not None:
            self._hand.note_page(attempt.fetched)
            self._store(attempt.fetched, asked_at=attempt.asked_at)
        elif attempt.error is not None:
            job, error = self._hand.job, attempt.error
            self._hand.note_call(error.status, error.quota)
            self._hand.ask_for_less(error, job)
            raise error
        elif attempt.wait_s > 0:
            self._wait_for_place(attempt.wait_s)

    def _begin_anew(self, *, because: str) -> None:
        """Forget what was read: what is behind it cannot be told from it."""
        _log.warning("export_begun_anew", reason=because)
        self._hand.lease.require()
        self._hand.begin_anew(because=because)

    def _wait_for_place(self, wait_s: float) -> None:
        """Wait, unless someone waits at the other end and would not wait that long."""
        if self._hand.job.kind is JobKind.PAGE and wait_s > self._hand.limits.seconds:
            self._hand.fail(RateLimitedError(_NO_PLACE, status=429, retry_after_s=wait_s))
            return
        self._hand.stand_aside(wait_s, reason="rate_limit")

    def _store(self, fetched: FetchedPage, *, asked_at: float) -> None:
        """Store the page: while the next one is being fetched, if one is wanted."""
        job, cursor = self._hand.job, self._hand.job.cursor
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
        if self._hand.wants_more(moved):
            writing = self._tools.storing.submit(copy_context().run, write)
            self._storing, self._hand.job = (job, writing), moved
        else:
            self._hand.job = write()

    def _write(self, job: Job, moved: Job, page: Page, ids: Ids, *, asked_at: float) -> Job:
        """Store a page, then the place after it; the write that finishes a job is the one that leaves it."""
        lease = self._hand.lease
        lease.require()
        was_there = self._tools.pages.add(job, page, ids=ids, expires_at=self._end_of_page(moved, moved.updated_at))
        stored = replace(moved, tally=moved.tally.after_refetch()) if was_there else moved
        if stored.copying is not None:
            stored = self._tools.copy.keep_up(stored, page, asked_at=asked_at)
            self._stored[job.progress.pages] = frozenset(each for each in ids if each is not None)
        is_over = stored.is_complete and not stored.has_copy_to_compare
        # The only page of a sync is counted with the comparison: whoever finds it uncounted begins both anew.
        is_only = job.progress.pages == 0 and stored.is_complete
        if not (is_over or is_only):
            return self._hand.count(stored, [StoredPage(number=job.progress.pages, ids=ids)])
        self._tools.eraser.keep_out(job, job.progress.pages, ids)
        if job.kind is JobKind.PAGE:
            self._tools.announcer.announce_page(job)  # who waits for it need not wait for the job's end to be stored
        return stored

    def _compare(self) -> None:
        """Compare a portion; the write that finishes a job is the one that leaves it."""
        lease = self._hand.lease
        lease.require()
        job = self._hand.job = self._tools.copy.compare(self._hand.job, seen=self._stored)
        if job.has_copy_to_compare:
            self._hand.job = self._hand.count(job, [])

    def _bring_home(self) -> None:
        """Go on with the job as it is stored, once it is. Raises what kept the page from being stored."""
        if self._storing is not None:
            (self._hand.job, writing), self._storing = self._storing, None
            self._hand.job = writing.result()

    def _end_of_page(self, job: Job, at: datetime) -> datetime | None:
        """Return the end of the only page there will be; an export's pages get theirs together."""
        if job.kind is not JobKind.PAGE:
            return None
        return job.succeed(at=at).expire(after=self._tools.result_ttl).expires_at

    def _retry_or_fail(self, error: TokenRefusedError | RetryableHubSpotError) -> None:
        job = self._hand.job
        delay_s = self._hand.delay_after(error, job)
        if delay_s is None:
            self._hand.fail(error)
            return
        self._hand.job = replace(job, attempts=job.attempts + is_failure(error), waited_s=job.waited_s + delay_s)
        self._hand.note_retry(error)
        if isinstance(error, TokenRefusedError):
            self._renew()
        self._hand.stand_aside(delay_s, reason=error.code)

    def _renew(self) -> None:
        """Have the refused token renewed now: whoever takes the job up after the wait knows nothing of the refusal."""
        with suppress(RetryableHubSpotError):
            self._fetcher.fresh_token(self._hand.job)
