"""LaneWriter: stores the pages of lanes, notes together how far they have come, and seals those that are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from worker.export.leased_job import LeasedJob
from worker.export.leases import StoredPage
from worker.jobs.job import Job
from worker.jobs.lanes import PAGES_A_LANE, Lane, Lanes
from worker.records.page import Page, first_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A lane before and after an answer of HubSpot; of the page that came with it, the first records are the lane's.

    `ids` are theirs, `asked_at` is when HubSpot was asked, on the monotonic clock.
    """

    before: Lane
    after: Lane
    page: Page
    ids: Sequence[int]
    asked_at: float


@dataclass(slots=True)
class _Backlog:
    """What is not noted yet of a lane: the step at hand, and the one that waits until it is. `page` is as stored."""

    step: Step
    page: Page | None = None
    waiting: Step | None = None
    is_stored: bool = False


class LaneWriter:
    """Has all writes done by other threads, while one thread asks it what is done and gives it more.

    The job is noted by one write at a time, with all lanes as they are stored then: lanes do not contend for it, and of
    a sync they change the current copy one page after the other. A lane's next page is stored when the one before it is
    noted, so that a worker that dies leaves one stored page a lane to be fetched again.
    """

    def __init__(self, leased: LeasedJob, lanes: Lanes) -> None:
        self.lanes = lanes
        self._leased = leased
        self._backlogs: dict[int, _Backlog] = {}
        self._under_way: dict[Future[Any], Callable[[Any], None]] = {}
        self._is_noting = False
        self._has_news = False
        self._is_taking_in = False

    @property
    def under_way(self) -> Collection[Future[Any]]:
        """What other threads are doing now."""
        return self._under_way

    def is_full(self, lane: Lane) -> bool:
        """Whether a page of the lane is waiting already, so that no further one is to be fetched."""
        backlog = self._backlogs.get(lane.after)
        return backlog is not None and backlog.waiting is not None

    def add(self, step: Step) -> None:
        """Store what an answer brought, in its turn; the lanes go on from it at once."""
        self.lanes = self.lanes.with_lane(step.after)
        backlog = self._backlogs.get(step.before.after)
        if backlog is not None:
            backlog.waiting = step
        else:
            self._begin(step)

    def go_on(self, *, is_at_end: bool) -> None:
        """Begin what can be begun now: to take in a lane that is read, and to note what is stored."""
        if not self._is_taking_in:
            self._take_in(is_at_end=is_at_end)
        if self._has_news and not self._is_noting:
            self._note()

    def finish(self, future: Future[Any]) -> None:
        """Take the result of something that was under way. Raises what kept it from being done."""
        self._under_way.pop(future)(future.result())

    def settle(self) -> None:
        """Wait for all that is under way: the lease is given up after the last write under it."""
        self._leased.tools.wait_for(self._under_way)

    def _begin(self, step: Step) -> None:
        backlog = self._backlogs[step.before.after] = _Backlog(step=step)
        if step.ids:
            self._do(self._write, self._leased.job, step, then=lambda written: self._after_write(backlog, *written))
        else:
            self._set_stored(backlog)

    def _write(self, job: Job, step: Step) -> tuple[Page, bool]:
        """Store the page; what of it is the next lane's is left to that."""
        tools, lane = self._leased.tools, step.before
        page = first_records(job.records_type, step.page, len(step.ids))
        self._leased.lease.require()
        return page, tools.pages.add(job, page, lane=lane, ids=step.ids)

    def _after_write(self, backlog: _Backlog, page: Page, was_there: bool) -> None:  # noqa: FBT001 - the store's word
        backlog.page = page
        if was_there:
            self._leased.apply(replace(self._leased.job, tally=self._leased.job.tally.after_refetch()))
        self._set_stored(backlog)

    def _set_stored(self, backlog: _Backlog) -> None:
        backlog.is_stored = self._has_news = True

    def _note(self) -> None:
        """Note what is stored, and that lanes were taken in."""
        stored = {after: backlog for after, backlog in self._backlogs.items() if backlog.is_stored}
        lanes = replace(self.lanes, parts=tuple(map(self._as_stored, self.lanes.parts)))
        job = self._leased.job.in_lanes(lanes, at=self._leased.tools.clock())
        pages = [(backlog.page, backlog.step) for backlog in stored.values() if backlog.page is not None]
        self._is_noting, self._has_news = True, False
        self._do(self._checkpoint, job, pages, then=lambda noted: self._after_note(noted, lanes, list(stored)))

    def _as_stored(self, lane: Lane) -> Lane:
        """Give a lane as far as its pages are stored."""
        backlog = self._backlogs.get(lane.after)
        if backlog is None or (backlog.is_stored and backlog.waiting is None):
            return lane
        stored = backlog.step.after if backlog.is_stored else backlog.step.before
        return replace(
            lane,
            place=stored.place,
            offset=stored.offset,
            api=stored.api,
            has_more=True,
            number=stored.number,
            pages=stored.pages,
            tally=stored.tally,
        )

    def _checkpoint(self, job: Job, pages: Sequence[tuple[Page, Step]]) -> Job:
        for page, step in pages if job.copying is not None else ():
            job = self._leased.tools.copy.apply_page(job, page, asked_at=step.asked_at)
        stored = [StoredPage(number=step.before.next_page, ids=step.ids) for _, step in pages]
        return self._leased.lease.count(job, stored, eraser=self._leased.tools.eraser)

    def _after_note(self, noted: Job, lanes: Lanes, stored: Sequence[int]) -> None:
        """Go on from the job as it is stored; calls that were counted meanwhile are in the next note."""
        self._is_noting = False
        job = self._leased.job.in_lanes(lanes, at=noted.updated_at)
        self._leased.apply(replace(job, cancel_requested=noted.cancel_requested, copying=noted.copying))
        for after in stored:
            waiting = self._backlogs.pop(after).waiting
            if waiting is not None:
                self._begin(waiting)

    def _take_in(self, *, is_at_end: bool) -> None:
        lane = self.lanes.to_take_in(is_at_end=is_at_end)
        if lane is None or not {lane.after, self.lanes.first.after}.isdisjoint(self._backlogs):
            return
        self._is_taking_in = True
        self._do(self._seal, self._leased.job, lane, self.lanes.first, then=lambda _: self._after_taking_in())

    def _seal(self, job: Job, lane: Lane, first: Lane) -> None:
        """Have the pages of a lane that is read follow those before; the first one's can be read already."""
        if lane.number is None:
            return
        self._leased.lease.require()
        self._leased.tools.pages.cut(job, first=lane.next_page, end=lane.first_page + PAGES_A_LANE)
        if lane is not first:
            self._leased.tools.pages.seal(job, lane, before=first.records)

    def _after_taking_in(self) -> None:
        self._is_taking_in, self._has_news = False, True
        self.lanes = self.lanes.taken_in()

    def _do(self, act: Callable[..., Any], *given: object, then: Callable[[Any], None]) -> None:
        self._under_way[self._leased.tools.storing.submit(copy_context().run, act, *given)] = then
