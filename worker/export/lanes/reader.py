"""LaneReader: reads an export in several lanes at once; one thread decides, others call HubSpot and store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from worker.errors import ExportError, LeaseLostError, RetryableHubSpotError, UnavailableError
from worker.export.call_policy import BeginAnew, Decision, Fail, LeaveFeed, Retry, SwitchApi
from worker.export.interfaces import FetchedPage
from worker.export.lanes.calls import LaneCall, LaneCalls
from worker.export.lanes.order import disorder_of
from worker.export.lanes.writer import LaneWriter, Step
from worker.export.leased_job import LeasedJob
from worker.export.page_fetcher import Attempt, PageFetcher
from worker.jobs.job import Job
from worker.jobs.lanes import Lane, Lanes
from worker.records.crm_api import CrmApi
from worker.records.page import ids_of, without_repeat
from worker.records.registry import OBJECT_TYPES

_log = structlog.get_logger()


class LaneReader:
    """Continues an export in lanes until it is read, fails, has to wait, or the slice's time is over.

    Whatever ends it, the writes under way are awaited first. A page that does not keep to the order of ids sends the
    export back to its beginning, to be read page after page.
    """

    def __init__(self, leased: LeasedJob, lanes: Lanes, *, fetcher: PageFetcher) -> None:
        self._leased = leased
        self._fetcher = fetcher
        self._storage = LaneWriter(leased, lanes)
        self._calls = LaneCalls(leased, self._storage, fetcher=fetcher)
        self._is_at_end = lanes.are_one
        self._error: ExportError | None = None
        self._disorder: str | None = None
        self._reason = "rate_limit"

    def read(self) -> None:
        """Read. Raises LeaseLostError, UnavailableError; what was stored until then stays."""
        try:
            while self._leased.is_at_work and self._continues():
                pass
        finally:
            self._storage.await_writes()
        if self._leased.is_at_work:
            self._conclude()

    def _continues(self) -> bool:
        """Begin what can be begun, and handle what is done next; False when nothing is left to be done here."""
        if self._disorder is None:
            self._storage.begin_writes(is_at_end=self._is_at_end)
        self._begin_calls()
        under_way = [*self._calls.under_way, *self._storage.under_way]
        if not under_way:
            return self._parks()
        for future in self._leased.tools.first_done(under_way, self._calls.next_s() if self._may_call() else None):
            if future in self._calls.under_way:
                self._take(*self._calls.take(future))
            else:
                self._storage.handle(future)
        return True

    def _may_call(self) -> bool:
        is_over = self._is_at_end or self._error is not None or self._disorder is not None
        return not is_over and self._leased.wants_more(self._leased.job)

    def _begin_calls(self) -> None:
        """Begin calls with a token that works; where the endpoint that renews it fails, all of them wait."""
        if not (self._may_call() and self._calls.have_room):
            return
        try:
            token = self._fetcher.fresh_token(self._leased.job)
            self._leased.belong_to(token.hub_id)
            self._calls.begin(token)
        except RetryableHubSpotError as error:
            parts = self._storage.lanes.parts
            first = next((lane for lane in parts if lane.has_more), parts[-1])
            call = self._calls.call_of(first, low_priority=False)
            decision = self._leased.decide(error, asked=call.job)
            self._follow(decision, call)
            if isinstance(decision, Retry):
                self._calls.put_off(decision.delay_s)
        except (LeaseLostError, UnavailableError):
            raise
        except ExportError as error:
            self._error = error

    def _take(self, call: LaneCall, attempt: Attempt) -> None:
        self._leased.note_calls(attempt, asked=call.job)
        if attempt.fetched is not None:
            self._take_page(call, attempt.fetched, asked_at=attempt.asked_at)
        elif attempt.error is not None:
            self._follow(self._leased.decide(attempt.error, asked=call.job), call)

    def _take_page(self, call: LaneCall, fetched: FetchedPage, *, asked_at: float) -> None:
        given = ids_of(call.job.records_type, fetched.page)
        ends_early = call.is_followed and self._holds_fewer_kinds(fetched)
        is_followed = call.is_followed and not ends_early
        disorder = disorder_of(fetched, given, lane=call.lane, is_followed=is_followed)
        if disorder is not None:
            self._disorder = self._disorder or disorder
            return
        lane = self._storage.lanes.find(call.lane.after)
        if lane is None:
            return  # there was found to be nothing, and its end is looked for from another lane
        page, new = without_repeat(call.job.records_type, fetched.page, last_id=lane.read_through)
        ids = [each for each in new if each is not None]
        ends_early = ends_early and not page.has_more
        if not lane.count_within(ids):  # it is not stored, but may lack what HubSpot has refused
            self._leased.apply(_with_findings(self._leased.job, fetched))
        if ids or page.has_more or ends_early:
            step = self._step(lane, replace(fetched, page=page), ids, asked_at=asked_at)
            if ends_early and lane.until is not None:
                step = replace(step, after=step.after.moved(lane.until, has_more=False))
            self._storage.add(step)
        if not fetched.page.has_more:
            self._end_with(lane.after, is_last=call.is_last)

    def _holds_fewer_kinds(self, fetched: FetchedPage) -> bool:
        """Whether a list may end before records that are known: the dated ones of engagements lack some kinds."""
        is_partial = fetched.api == CrmApi.DATED and bool(OBJECT_TYPES[self._leased.job.records_type].dated.kinds)
        return is_partial and any(CrmApi.LEGACY in lane.totals.apis for lane in self._storage.lanes.parts)

    def _step(self, lane: Lane, fetched: FetchedPage, ids: Sequence[int], *, asked_at: float) -> Step:
        """Advance a lane past a page; records beyond its end are the next lane's."""
        page, read_through = fetched.page, ids[-1] if ids else lane.read_through
        own = ids[: lane.count_within(ids)]
        after = lane.moved(read_through, has_more=page.has_more, offset=page.offset, api=fetched.api)
        if not own:
            return Step(before=lane, after=after, page=page, ids=(), asked_at=asked_at)
        self._storage.lanes, lane = self._storage.lanes.numbered(lane)
        mended = page.mended_in(len(own))
        totals = lane.totals.after_page(
            own,
            api=fetched.api,
            properties=fetched.properties,
            mended=mended,
            size=len(page.body),
            findings=fetched.findings,
        )
        counted = replace(after, number=lane.number).with_page(totals)
        return Step(before=lane, after=counted, page=page, ids=own, asked_at=asked_at)

    def _end_with(self, after: int, *, is_last: bool) -> None:
        """Make the lane the open end, unless it has an end, or there are known to be records behind it."""
        lanes = self._storage.lanes
        lane = lanes.find(after)
        if lane is None or (lane.until is not None and not lane.has_more) or lanes.is_followed(lane):
            return
        self._storage.lanes = lanes = lanes.ended_with(lane)
        self._is_at_end = is_last and lanes.are_read and lanes.parts[-1].after == after

    def _follow(self, decision: Decision, call: LaneCall) -> None:
        """Carry the decision out in one lane; what ends the job is left to `_conclude`, when nothing is under way."""
        match decision:
            case Retry():
                self._put_off(call.lane, decision.delay_s, counts=decision.counts)
                self._reason = decision.error.code
                if decision.renews_token:
                    self._renew_token()
            case SwitchApi(api=api):  # each lane continues behind its own last id
                self._leased.switch_api(api)
                self._put_off(call.lane, 0.0, counts=False)
            case LeaveFeed(because=because) | BeginAnew(because=because):
                self._disorder = self._disorder or because
            case Fail(error=error):
                self._error = error

    def _renew_token(self) -> None:
        try:
            self._fetcher.renew_token(self._leased.job)
        except (LeaseLostError, UnavailableError):
            raise
        except ExportError as error:
            self._error = error

    def _put_off(self, lane: Lane, delay_s: float, *, counts: bool) -> None:
        until, lanes = self._leased.tools.clock() + timedelta(seconds=delay_s), self._storage.lanes
        present = lanes.find(lane.after)
        if present is not None:
            self._storage.lanes = lanes.with_lane(present.wait(delay_s, until=until, counts=counts))

    def _parks(self) -> bool:
        """Park the job until the first lane can continue, or for a permit; False when there is nothing to wait for."""
        if not self._may_call():
            return False
        delay_s, is_for_permit = self._calls.first_s()
        self._leased.apply(self._leased.job.in_lanes(self._storage.lanes, at=self._leased.tools.clock()))
        self._leased.park(delay_s, reason="rate_limit" if is_for_permit else self._reason)
        return True

    def _conclude(self) -> None:
        """Put the job into the state that it has once nothing is under way."""
        if self._disorder is not None:
            _log.warning("lanes_given_up", reason=self._disorder)
            self._leased.begin_anew(because=self._disorder)
            return
        self._leased.apply(self._leased.job.in_lanes(self._storage.lanes, at=self._leased.tools.clock()))
        if self._is_at_end:
            self._leased.apply(self._leased.job.out_of_lanes())
        elif self._error is not None:
            self._leased.fail(self._error)


def begin_lanes(job: Job, *, at: datetime) -> Job:
    """Continue in lanes an export that was read page after page, all of it in the order of its ids."""
    _log.info("lanes_begun", pages=job.progress.pages)
    return job.in_lanes(Lanes.of_first(cursor=job.cursor, pages=job.progress.pages, totals=job.totals), at=at)


def _with_findings(job: Job, fetched: FetchedPage) -> Job:
    return replace(job, totals=job.totals.with_findings(fetched.findings))
