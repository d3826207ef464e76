"""LaneCalls: which lane makes a call next, with what kind of permit, and the calls that are under way."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, replace

from worker.accounts.token import AccessToken
from worker.export.lanes.writer import LaneWriter
from worker.export.leased_job import LeasedJob
from worker.export.page_fetcher import Attempt, Booking, PageFetcher
from worker.jobs.job import Job
from worker.jobs.lanes import Lane, Lanes
from worker.records.page import ids_of

_ASK_AGAIN_S = 0.1  # until it is asked again whether the process may have one call more
_MOMENT_S = 0.001  # more than the difference of two clocks that tell the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCall:
    """A call of a lane: for the job with that lane's patience, and with what was known when it was made.

    `low_priority`: another one, which has the job's ordinary permit, was under way. `is_followed`: there were
    records behind the lane. `is_last`: all other lanes were read.
    """

    lane: Lane
    job: Job
    low_priority: bool
    is_followed: bool
    is_last: bool


class LaneCalls:
    """Makes calls while there are lanes that can continue, and permits for them; makes new lanes where there are none.

    An export holds one ordinary permit of the limit at a time, as it does without lanes. All else that it has under way
    are low-priority calls: they take what nobody else wants, and one of the calls that the process may have beside.
    """

    def __init__(self, leased: LeasedJob, storage: LaneWriter, *, fetcher: PageFetcher) -> None:
        self._leased = leased
        self._tools = leased.tools
        self._storage = storage
        self._fetcher = fetcher
        self._calls: dict[Future[Attempt], LaneCall] = {}
        self._ask_at = {False: 0.0, True: 0.0}  # by whether the call has low priority; on the monotonic clock

    @property
    def under_way(self) -> Collection[Future[Attempt]]:
        """Calls that have not been taken."""
        return self._calls

    @property
    def have_room(self) -> bool:
        """Whether one more may be under way now."""
        return len(self._calls) < self._tools.lanes and self._permit_s() <= 0

    def begin(self, token: AccessToken) -> None:
        """Begin all calls that can be begun now."""
        while self.have_room:
            chosen = self._choose()
            if chosen is None or not self._begin(*chosen, token=token):
                return

    def take(self, future: Future[Attempt]) -> tuple[LaneCall, Attempt]:
        """Return a call and what came of it, and forget both. Raises LeaseLostError, UnavailableError."""
        return self._calls.pop(future), future.result()

    def put_off(self, seconds: float) -> None:
        """Begin no call for so many seconds."""
        self._ask_at = dict.fromkeys(self._ask_at, self._tools.monotonic() + seconds)

    def next_s(self) -> float | None:
        """Return the seconds until one can be begun that could not be now; None: when something else is done."""
        if len(self._calls) >= self._tools.lanes:
            return None
        waits_s = [self._permit_s(), *map(self._wait_s, self._idle_lanes())]
        return min((each for each in waits_s if each > 0), default=None)

    def first_s(self) -> tuple[float, bool]:
        """Return the seconds until the next one, with none under way, and whether it waits for the limit."""
        wait_s = min((max(self._wait_s(lane), 0.0) for lane in self._idle_lanes()), default=0.0)
        permit_s = self._permit_s()
        return max(wait_s, permit_s, 0.0) + _MOMENT_S, permit_s >= wait_s

    @property
    def _next_is_extra(self) -> bool:
        return not all(call.low_priority for call in self._calls.values())

    def _permit_s(self) -> float:
        return self._ask_at[self._next_is_extra] - self._tools.monotonic()

    def _wait_s(self, lane: Lane) -> float:
        return (lane.resume_at - self._tools.clock()).total_seconds() if lane.resume_at is not None else 0.0

    def _choose(self) -> tuple[Lanes, Lane] | None:
        """Choose the first lane that can continue, or, while others are at work, make a new one; None: neither."""
        ready = next((lane for lane in self._idle_lanes() if self._wait_s(lane) <= 0), None)
        if ready is not None:
            return self._storage.lanes, ready
        return self._split() if self._calls else None

    def _split(self) -> tuple[Lanes, Lane] | None:
        job, lanes = self._leased.job, self._storage.lanes
        expected = job.estimate.records if job.estimate is not None else None
        wasted = max(0, job.pages_fetched - lanes.pages)
        return lanes.split(page_size=job.next_page_size, wasted=wasted, expected=expected)

    def _idle_lanes(self) -> list[Lane]:
        """Return the lanes that have more and nothing under way. When all are read, the open end is asked once more."""
        parts = self._storage.lanes.parts
        asked = {call.lane.after for call in self._calls.values()}
        wanted = [lane for lane in parts if lane.has_more] or parts[-1:]
        return [lane for lane in wanted if lane.after not in asked and not self._storage.is_full(lane)]

    def _begin(self, lanes: Lanes, lane: Lane, *, token: AccessToken) -> bool:
        """Begin a call of a lane, if there is a permit for it."""
        low_priority = self._next_is_extra
        if low_priority and not self._tools.extra_calls.acquire(blocking=False):
            self._ask_at[low_priority] = self._tools.monotonic() + _ASK_AGAIN_S
            return False
        booking = self._fetcher.book(self._leased.job, low_priority=low_priority)
        if booking.reservation.is_granted:
            self._storage.lanes = lanes
            self._submit(self.call_of(lane, low_priority=low_priority), token, booking)
        else:
            self._ask_at[low_priority] = booking.asked_at + booking.reservation.wait_s
            self._end_extra(low_priority=low_priority)
        return booking.reservation.is_granted

    def call_of(self, lane: Lane, *, low_priority: bool) -> LaneCall:
        job, lanes = self._leased.job, self._storage.lanes
        return LaneCall(
            lane=lane,
            job=replace(job, patience=replace(job.patience, attempts=lane.attempts, backoff_s=lane.backoff_s)),
            low_priority=low_priority,
            is_followed=lanes.is_followed(lane),
            is_last=not any(other.has_more for other in lanes.parts if other.after != lane.after),
        )

    def _submit(self, call: LaneCall, token: AccessToken, booking: Booking) -> None:
        future = self._tools.calling.submit(copy_context().run, self._fetch, call, token, booking)
        future.add_done_callback(lambda _: self._end_extra(low_priority=call.low_priority))
        self._calls[future] = call

    def _fetch(self, call: LaneCall, token: AccessToken, booking: Booking) -> Attempt:
        """Make a call. The ids of an odd page are read here, since the thread that decides serves all lanes."""
        attempt = self._fetcher.call(call.job, call.lane.cursor, token, booking)
        if attempt.fetched is None or attempt.fetched.page.ids is not None:
            return attempt
        page = attempt.fetched.page
        known = replace(page, ids=tuple(ids_of(call.job.records_type, page)))
        return replace(attempt, fetched=replace(attempt.fetched, page=known))

    def _end_extra(self, *, low_priority: bool) -> None:
        if low_priority:
            self._tools.extra_calls.release()
